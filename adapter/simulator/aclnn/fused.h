// Dropout, rotary position embedding and attention.
#ifndef CANN_SIMULATOR_FUSED_H_
#define CANN_SIMULATOR_FUSED_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace cann_simulator {

// base^exponent, by way of long double: pow of double is a symbol of glibc 2.29, which no wheel for an older
// platform may ask for.
double power(double base, double exponent);

// One bit for each element of shape, set where it is kept (with probability 1 - prob), in uint8s.
void dropout_mask(at::Tensor& mask, at::IntArrayRef shape, double prob, int64_t seed, int64_t offset);
// What the mask keeps, divided by 1 - prob.
at::Tensor dropout(const at::Tensor& x, const at::Tensor& mask, double prob);

// mode: 0 turns the halves of the last dimension, 1 its pairs.
at::Tensor rotary(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, int64_t mode);
// grad_cos and grad_sin need x; they may be left out.
void rotary_grad(at::Tensor& grad_x, at::Tensor& grad_cos, at::Tensor& grad_sin, const at::Tensor& grad,
                 const at::Tensor& cos, const at::Tensor& sin, const c10::optional<at::Tensor>& x,
                 int64_t mode);
// Both in place; mode: "half" or "interleave".
void apply_rotary(at::Tensor& query, at::Tensor& key, const at::Tensor& cos, const at::Tensor& sin,
                  const std::string& mode);

// softmax(scale * query @ key^T + shift, without what is masked) @ value for `heads` heads.
struct Attention {
  const at::Tensor& query;
  const at::Tensor& key;
  const at::Tensor& value;
  const c10::optional<at::Tensor>& shift;      // added to the scores after scaling
  const c10::optional<at::Tensor>& drop_mask;  // one bit for each score, as dropout_mask() makes them
  const c10::optional<at::Tensor>& mask;       // true where a score is left out
  double scale;
  double keep_prob;
  int64_t heads;
  const std::string& layout;  // BSH, SBH, BNSD or BSND
  // 0: as the mask says; 1: the same; 2: what is right of the diagonal from the upper left corner is left
  // out; 3: of the diagonal that ends in the lower right corner
  int64_t sparse_mode;
};

// The largest score and the sum of exponentials of each row go to softmax_max and softmax_sum, [batch, heads,
// rows, 8] with the value 8 times; both may be left out.
void attention_forward(const Attention& attention, at::Tensor& softmax_max, at::Tensor& softmax_sum,
                       at::Tensor& out);
void attention_backward(const Attention& attention, const at::Tensor& grad, at::Tensor& grad_query,
                        at::Tensor& grad_key, at::Tensor& grad_value);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_FUSED_H_
