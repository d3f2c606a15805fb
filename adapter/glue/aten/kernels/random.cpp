// Random numbers. Every kernel draws from the generator's (seed, offset), never from state on the device.
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>

#include <limits>

#include "aclnn_operators.h"
#include "aten/kernels.h"
#include "aten/operands.h"
#include "runtime/generator.h"

namespace npu {
namespace {

// The largest integer up to which every integer can be stored in the dtype, plus one: random_() stays below
// it.
int64_t random_limit(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBool:
      return 2;
    case at::kByte:
      return 256;
    case at::kChar:
      return 128;
    case at::kShort:
      return 1 << 15;
    case at::kInt:
      return int64_t{1} << 31;
    case at::kLong:
      return std::numeric_limits<int64_t>::max();
    case at::kBFloat16:
      return (1 << 8) + 1;
    case at::kHalf:
      return (1 << 11) + 1;
    case at::kFloat:
      return (int64_t{1} << 24) + 1;
    case at::kDouble:
      return (int64_t{1} << 53) + 1;
    default:
      TORCH_CHECK_NOT_IMPLEMENTED(false, "random_() is not supported for dtype ", dtype);
  }
}

// Overwrites `self` by `call(seed, offset)`, with as many numbers of the generator's as it has elements.
template <class Call>
at::Tensor& draw(at::Tensor& self, const optional<at::Generator>& generator, const Call& call) {
  if (self.numel() == 0) return self;
  const DeviceScope scope(run_device(self));
  const auto [seed, offset] = random_state(generator, current_device(), self.numel());
  call(seed, offset);
  return self;
}

at::Tensor& draw_integers(at::Tensor& self, int64_t from, int64_t to,
                          const optional<at::Generator>& generator) {
  TORCH_CHECK(from < to, "random_ expects 'from' to be less than 'to', but got from=", from, " >= to=", to);
  return draw(self, generator,
              [&](uint64_t seed, uint64_t offset) { aclnn::InplaceRandom(self, from, to, seed, offset); });
}

}  // namespace

at::Tensor& normal(at::Tensor& self, double mean, double std, optional<at::Generator> generator) {
  TORCH_CHECK(std >= 0.0, "normal expects std >= 0.0, but found std ", std);
  return draw(self, generator,
              [&](uint64_t seed, uint64_t offset) { aclnn::InplaceNormal(self, mean, std, seed, offset); });
}

at::Tensor& uniform(at::Tensor& self, double from, double to, optional<at::Generator> generator) {
  TORCH_CHECK(from <= to, "uniform_ expects to return a [from, to) range, but found from=", from,
              " > to=", to);
  return draw(self, generator,
              [&](uint64_t seed, uint64_t offset) { aclnn::InplaceUniform(self, from, to, seed, offset); });
}

at::Tensor& bernoulli(at::Tensor& self, double p, optional<at::Generator> generator) {
  TORCH_CHECK(0 <= p && p <= 1, "bernoulli_ expects p to be in [0, 1], but got p=", p);
  return draw(self, generator, [&](uint64_t seed, uint64_t offset) {
    aclnn::InplaceBernoulli(self, at::Scalar(p), seed, offset);
  });
}

at::Tensor& random(at::Tensor& self, optional<at::Generator> generator) {
  return draw_integers(self, 0, random_limit(self.scalar_type()), generator);
}

at::Tensor& random_from(at::Tensor& self, int64_t from, optional<int64_t> to,
                        optional<at::Generator> generator) {
  return draw_integers(self, from, to.has_value() ? *to : random_limit(self.scalar_type()), generator);
}

at::Tensor& random_to(at::Tensor& self, int64_t to, optional<at::Generator> generator) {
  return draw_integers(self, 0, to, generator);
}

std::tuple<at::Tensor, at::Tensor> native_dropout(const at::Tensor& input, double p, optional<bool> train) {
  at::Tensor mask = at::empty_like(input, input.options().dtype(at::kBool));
  if (!train.value_or(true) || p == 0) return {input.clone(), mask.fill_(true)};
  bernoulli(mask, 1 - p, {});
  const double scale = p == 1 ? 0 : 1 / (1 - p);
  return {native_dropout_backward(input, mask, scale), mask};
}

at::Tensor native_dropout_backward(const at::Tensor& grad_output, const at::Tensor& mask, double scale) {
  return at::mul(grad_output, mask).mul_(scale);
}

}  // namespace npu
