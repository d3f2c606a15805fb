// Dropout and rotary position embedding.
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
// The mask as a bool for each of `count` elements, from the bit `first` on.
at::Tensor unpacked(const at::Tensor& mask, int64_t count, int64_t first = 0);
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

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_FUSED_H_
