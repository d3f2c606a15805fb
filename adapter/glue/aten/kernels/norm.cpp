// Normalization layers. Statistics are kept in float32 where the input is narrower.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "aclnn_operators.h"
#include "aten/kernels.h"
#include "aten/operands.h"

namespace npu {
namespace {

at::TensorOptions statistics(const at::Tensor& input) {
  const bool narrow = input.scalar_type() == at::kHalf || input.scalar_type() == at::kBFloat16;
  return narrow ? input.options().dtype(at::kFloat) : input.options();
}

bool given(const optional<at::Tensor>& tensor) { return tensor.has_value() && tensor->defined(); }

// The gradient of a weight or bias of this many elements; undefined when it is not asked for.
at::Tensor gradient(bool wanted, at::IntArrayRef sizes, const optional<at::Tensor>& weight,
                    const at::Tensor& input) {
  if (!wanted) return {};
  return at::empty(sizes, given(weight) ? weight->options() : input.options());
}

}  // namespace

Tensors3 batch_norm(const at::Tensor& input, const optional<at::Tensor>& weight,
                    const optional<at::Tensor>& bias, const optional<at::Tensor>& running_mean,
                    const optional<at::Tensor>& running_var, bool training, double momentum, double eps) {
  const DeviceScope scope(run_device(input));
  at::Tensor output = at::empty_like(input);
  const int64_t kept = training ? input.size(1) : 0;  // evaluation leaves no statistics behind
  at::Tensor save_mean = at::empty({kept}, statistics(input));
  at::Tensor save_invstd = at::empty({kept}, statistics(input));
  aclnn::BatchNorm(input, weight, bias, running_mean, running_var, training, momentum, eps, output, save_mean,
                   save_invstd);
  return {output, save_mean, save_invstd};
}

Tensors3 batch_norm_legit(const at::Tensor& input, const optional<at::Tensor>& weight,
                          const optional<at::Tensor>& bias, at::Tensor& running_mean, at::Tensor& running_var,
                          bool training, double momentum, double eps) {
  return batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps);
}

Tensors3 batch_norm_without_running(const at::Tensor& input, const optional<at::Tensor>& weight,
                                    const optional<at::Tensor>& bias, bool training, double momentum,
                                    double eps) {
  return batch_norm(input, weight, bias, {}, {}, training, momentum, eps);
}

Tensors3 batch_norm_backward(const at::Tensor& grad_out, const at::Tensor& input,
                             const optional<at::Tensor>& weight, const optional<at::Tensor>& running_mean,
                             const optional<at::Tensor>& running_var, const optional<at::Tensor>& save_mean,
                             const optional<at::Tensor>& save_invstd, bool train, double eps,
                             std::array<bool, 3> output_mask) {
  const DeviceScope scope(run_device(input));
  at::Tensor grad_input = output_mask[0] ? at::empty_like(input) : at::Tensor();
  at::Tensor grad_weight = gradient(output_mask[1], {input.size(1)}, weight, input);
  at::Tensor grad_bias = gradient(output_mask[2], {input.size(1)}, weight, input);
  aclnn::BatchNormBackward(grad_out, input, weight, running_mean, running_var, save_mean, save_invstd, train,
                           eps, output_mask, grad_input, grad_weight, grad_bias);
  return {grad_input, grad_weight, grad_bias};
}

Tensors3 layer_norm(const at::Tensor& input, at::IntArrayRef normalized_shape,
                    const optional<at::Tensor>& weight, const optional<at::Tensor>& bias, double eps) {
  const int64_t axis = input.dim() - static_cast<int64_t>(normalized_shape.size());
  TORCH_CHECK(!normalized_shape.empty() && axis >= 0 &&
                  input.sizes().slice(static_cast<size_t>(axis)) == normalized_shape,
              "Given normalized_shape=", normalized_shape, ", expected input with shape [*, ",
              normalized_shape, "], but got input of size", input.sizes());
  const DeviceScope scope(run_device(input));
  Dims sizes(input.sizes().begin(), input.sizes().begin() + axis);
  sizes.append(normalized_shape.size(), 1);
  at::Tensor output = at::empty(input.sizes(), input.options());
  at::Tensor mean = at::empty(sizes, statistics(input));
  at::Tensor rstd = at::empty(sizes, statistics(input));
  if (input.numel() == 0) return {output, mean, rstd};
  aclnn::LayerNorm(input, normalized_shape, weight, bias, eps, output, mean, rstd);
  return {output, mean, rstd};
}

Tensors3 layer_norm_backward(const at::Tensor& grad_out, const at::Tensor& input,
                             at::IntArrayRef normalized_shape, const at::Tensor& mean, const at::Tensor& rstd,
                             const optional<at::Tensor>& weight, const optional<at::Tensor>& bias,
                             std::array<bool, 3> output_mask) {
  const DeviceScope scope(run_device(input));
  at::Tensor grad_input = output_mask[0] ? at::empty(input.sizes(), input.options()) : at::Tensor();
  at::Tensor grad_weight = gradient(output_mask[1], normalized_shape, weight, input);
  at::Tensor grad_bias = gradient(output_mask[2], normalized_shape, given(bias) ? bias : weight, input);
  aclnn::LayerNormBackward(grad_out, input, normalized_shape, mean, rstd, weight, bias, output_mask,
                           grad_input, grad_weight, grad_bias);
  return {grad_input, grad_weight, grad_bias};
}

Tensors3 group_norm(const at::Tensor& input, const optional<at::Tensor>& weight,
                    const optional<at::Tensor>& bias, int64_t N, int64_t C, int64_t HxW, int64_t group,
                    double eps) {
  const DeviceScope scope(run_device(input));
  at::Tensor output = at::empty(input.sizes(), input.options());
  at::Tensor mean = at::empty({N, group}, statistics(input));
  at::Tensor rstd = at::empty({N, group}, statistics(input));
  if (input.numel() == 0) return {output, mean, rstd};
  aclnn::GroupNorm(input, weight, bias, N, C, HxW, group, eps, output, mean, rstd);
  return {output, mean, rstd};
}

Tensors3 group_norm_backward(const at::Tensor& grad_out, const at::Tensor& input, const at::Tensor& mean,
                             const at::Tensor& rstd, const optional<at::Tensor>& weight, int64_t N, int64_t C,
                             int64_t HxW, int64_t group, std::array<bool, 3> output_mask) {
  const DeviceScope scope(run_device(input));
  at::Tensor grad_input = output_mask[0] ? at::empty(input.sizes(), input.options()) : at::Tensor();
  at::Tensor grad_weight = gradient(output_mask[1], {C}, weight, input);
  at::Tensor grad_bias = gradient(output_mask[2], {C}, weight, input);
  aclnn::GroupNormBackward(grad_out, input, mean, rstd, weight, N, C, HxW, group, output_mask, grad_input,
                           grad_weight, grad_bias);
  return {grad_input, grad_weight, grad_bias};
}

}  // namespace npu
