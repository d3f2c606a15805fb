#include "fused.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <c10/util/accumulate.h>

#include <cmath>

#include "kernels.h"

namespace cann_simulator {
namespace {

constexpr int64_t kBits = 8;

// The quarter turn of each pair of elements that a rotary embedding turns.
at::Tensor quarter_turn(const at::Tensor& x, int64_t mode) {
  TORCH_CHECK(mode == 0 || mode == 1, "mode is ", mode, "; the simulator has 0 (half) and 1 (interleave)");
  const int64_t half = x.size(-1) / 2;
  if (mode == 0) return at::cat({x.narrow(-1, half, half).neg(), x.narrow(-1, 0, half)}, -1);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = half;
  shape.push_back(2);
  const at::Tensor pairs = x.reshape(shape);
  return at::stack({pairs.select(-1, 1).neg(), pairs.select(-1, 0)}, -1).reshape(x.sizes());
}

}  // namespace

double power(double base, double exponent) {
  return static_cast<double>(std::pow(static_cast<long double>(base), static_cast<long double>(exponent)));
}

void dropout_mask(at::Tensor& mask, at::IntArrayRef shape, double prob, int64_t seed, int64_t offset) {
  const int64_t count = c10::multiply_integers(shape);
  TORCH_CHECK(mask.scalar_type() == at::kByte && mask.numel() * kBits >= count, "a mask of ", mask.numel(),
              " bytes for ", count, " elements");
  at::Tensor bits = at::zeros({mask.numel() * kBits}, mask.options().dtype(at::kInt));
  bits.narrow(0, 0, count).bernoulli_(1 - prob, generator(seed, offset));
  const at::Tensor weights =
      at::ones({}, bits.options()).bitwise_left_shift(at::arange(kBits, bits.options()));
  mask.copy_((bits.reshape({-1, kBits}) * weights).sum(1).reshape(mask.sizes()));
}

at::Tensor unpacked(const at::Tensor& mask, int64_t count, int64_t first) {
  TORCH_CHECK(mask.scalar_type() == at::kByte && mask.numel() * kBits >= first + count, "a mask of ",
              mask.numel(), " bytes for ", first + count, " elements");
  const at::Tensor shifts = at::arange(kBits, mask.options());
  const at::Tensor bits = mask.reshape({-1, 1}).bitwise_right_shift(shifts).bitwise_and(1);
  return bits.reshape({-1}).narrow(0, first, count).to(at::kBool);
}

at::Tensor dropout(const at::Tensor& x, const at::Tensor& mask, double prob) {
  if (prob >= 1) return at::zeros(x.sizes(), x.options());
  return x * unpacked(mask, x.numel()).reshape(x.sizes()) / (1 - prob);
}

at::Tensor rotary(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, int64_t mode) {
  return x * cos + quarter_turn(x, mode) * sin;
}

void rotary_grad(at::Tensor& grad_x, at::Tensor& grad_cos, at::Tensor& grad_sin, const at::Tensor& grad,
                 const at::Tensor& cos, const at::Tensor& sin, const c10::optional<at::Tensor>& x,
                 int64_t mode) {
  // The turn's transpose is the turn the other way.
  write(grad_x, grad * cos - quarter_turn(grad * sin, mode));
  if (!x) return;
  if (grad_cos.defined()) write(grad_cos, (grad * *x).sum_to_size(cos.sizes()));
  if (grad_sin.defined()) write(grad_sin, (grad * quarter_turn(*x, mode)).sum_to_size(sin.sizes()));
}

void apply_rotary(at::Tensor& query, at::Tensor& key, const at::Tensor& cos, const at::Tensor& sin,
                  const std::string& mode) {
  TORCH_CHECK(mode == "half" || mode == "interleave", "rotary mode ", mode,
              "; the simulator has half and interleave");
  const int64_t turned = mode == "half" ? 0 : 1;
  query.copy_(rotary(query, cos, sin, turned));
  key.copy_(rotary(key, cos, sin, turned));
}

}  // namespace cann_simulator
