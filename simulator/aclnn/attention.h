// Attention: softmax(scores, without what is masked) @ value, and its gradients.
#ifndef CANN_SIMULATOR_ATTENTION_H_
#define CANN_SIMULATOR_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "compat.h"

namespace cann_simulator {

struct Attention {
  const at::Tensor& query;
  const at::Tensor& key;
  const at::Tensor& value;
  const c10::optional<at::Tensor>& shift;      // added to query @ key^T
  bool shift_first;                            // the shift is scaled, too
  const c10::optional<at::Tensor>& drop_mask;  // one bit for each score, as dropout_mask() makes them
  const c10::optional<at::Tensor>& mask;       // true where a score is left out
  double scale;
  double keep_prob;
  // How far from the diagonal a score may be, where the sparse mode says band.
  int64_t pre_tokens;
  int64_t next_tokens;
  int64_t heads;
  const std::string& layout;  // BSH, SBH, BNSD or BSND; TND for sequences of several lengths
  // 0: the mask, if there is one, and of it the band from the upper left corner; 1: the mask; 2: what is
  // right of the diagonal from the upper left corner is left out; 3: of the diagonal that ends in the lower
  // right corner; 4: the band to the lower right corner
  int64_t sparse_mode;
  int64_t first_score = 0;  // which bit of drop_mask is the first one
};

// Where each sequence of TND ends, in query and in key.
struct Ends {
  OptionalInts query;
  OptionalInts key;
};

// The largest score and the sum of exponentials of each row go to softmax_max and softmax_sum, [batch, heads,
// rows, 8] (TND: [rows, heads, 8]) with the value 8 times; both may be left out.
void attention_forward(const Attention& attention, at::Tensor& softmax_max, at::Tensor& softmax_sum,
                       at::Tensor& out);
void attention_forward_varlen(const Attention& attention, const Ends& ends, at::Tensor& softmax_max,
                              at::Tensor& softmax_sum, at::Tensor& out);
void attention_backward(const Attention& attention, const at::Tensor& grad, at::Tensor& grad_query,
                        at::Tensor& grad_key, at::Tensor& grad_value);
void attention_backward_varlen(const Attention& attention, const Ends& ends, const at::Tensor& grad,
                               at::Tensor& grad_query, at::Tensor& grad_key, at::Tensor& grad_value);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_ATTENTION_H_
