// Attention: softmax(scores, without what is masked) @ value, and its gradients.
#ifndef CANN_SIMULATOR_ATTENTION_H_
#define CANN_SIMULATOR_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "compat.h"

namespace cann_simulator {

struct Attention {
  const at::Tensor& query;
  const at::Tensor& key;
  const at::Tensor& value;
  const c10::optional<at::Tensor>& shift;      // added to query @ key^T
  bool shift_first;                            // the shift is scaled, too
  const c10::optional<at::Tensor>& drop_mask;  // one bit for each score, as dropout_mask() makes them
  const c10::optional<at::Tensor>& mask;       // true where a score is left out; without it none is
  double scale;
  double keep_prob;
  // How far from the diagonal a score may be, where the sparse mode says band.
  int64_t pre_tokens;
  int64_t next_tokens;
  int64_t heads;
  const std::string& layout;  // BSH, SBH, BNSD or BSND; TND for sequences of several lengths
  // 0: the mask and of it the band from the upper left corner; 1 and 5: the mask; 2: what is right of the
  // diagonal from the upper left corner is left out; 3: of the diagonal that ends in the lower right corner;
  // 4: the band to the lower right corner; 6: as 3, but the first `prefix` columns of each sequence stay; 7:
  // as 3, and as 4 in the last sequence
  int64_t sparse_mode;
  OptionalInts prefix = {};
  c10::optional<at::Tensor> sink = {};  // a score of each head that has no value
  int64_t first_score = 0;              // which bit of drop_mask is the first one
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
// What is undefined is not computed; the gradient of a shift only of sequences of one length.
struct Gradients {
  at::Tensor& query;
  at::Tensor& key;
  at::Tensor& value;
  at::Tensor shift = {};
  at::Tensor sink = {};
};
void attention_backward(const Attention& attention, const at::Tensor& grad, const Gradients& gradients);
void attention_backward_varlen(const Attention& attention, const Ends& ends, const at::Tensor& grad,
                               const Gradients& gradients);

// The newer forms of CANN's operators, of which these three are parts.
// pse_type: 0: the shift is added to scaled scores, 1: it is scaled, too, 2: `shift` has a slope for each
// head (or batch and head) of the distance, 3: of the root of the distance.
struct Slopes {
  int64_t pse_type;
  OptionalInts query_start, key_start;  // where the sequences begin in longer ones
};
c10::optional<at::Tensor> shift_of(const c10::optional<at::Tensor>& shift, const Slopes& slopes,
                                   const at::Tensor& query, const at::Tensor& key, const std::string& layout);
bool shift_comes_first(int64_t pse_type);
// Rotated parts of query and key stand beside the others.
at::Tensor beside(const at::Tensor& x, const c10::optional<at::Tensor>& rope);
void split_beside(const at::Tensor& wide, at::Tensor& x, at::Tensor& rope);
// The query's shape, with the width of the values.
std::vector<int64_t> attended(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                              int64_t heads, const std::string& layout);

// Attention for inference: one sequence after the other, keys and values in blocks, shared prefixes,
// quantized.
struct InferAttention {
  const at::Tensor& query;
  const std::vector<at::Tensor>& key;
  const std::vector<at::Tensor>& value;
  const c10::optional<at::Tensor>& shift;
  const c10::optional<at::Tensor>& mask;
  OptionalInts query_lengths, key_lengths;
  const c10::optional<at::Tensor>& block_table;
  const c10::optional<at::Tensor>& query_padding;
  const c10::optional<at::Tensor>& key_padding;
  const c10::optional<at::Tensor>& quant_scale;
  const c10::optional<at::Tensor>& quant_offset;
  int64_t heads, key_heads;
  double scale;
  int64_t pre_tokens, next_tokens;
  const std::string& layout;  // of the query, or that, _ and the output's
  int64_t sparse_mode;
  int64_t block_size;
  bool write_sums = false;  // log-sum-exp of each row
  // How keys and values are made numbers again.
  c10::optional<at::Tensor> antiquant_scale = {}, antiquant_offset = {};  // of both
  c10::optional<at::Tensor> key_scale = {}, key_offset = {}, value_scale = {}, value_offset = {};
  int64_t key_mode = 0, value_mode = 0;
  c10::optional<at::Tensor> key_prefix = {}, value_prefix = {};
  OptionalInts prefix_length = {};
  c10::optional<at::Tensor> query_rope = {}, key_rope = {};
  c10::optional<at::Tensor> sink = {};
};
void infer_attention(at::Tensor& out, at::Tensor& sums, const InferAttention& given);
// The parts of one attention over several parts of the keys, as one.
void attention_update(at::Tensor& out, at::Tensor& sums, const std::vector<at::Tensor>& part_sums,
                      const std::vector<at::Tensor>& parts, int64_t update_type);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_ATTENTION_H_
