// Convolutions of one, two or three spatial dimensions, and their transposes.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "aclnn_operators.h"
#include "aten/kernels.h"
#include "aten/operands.h"

namespace npu {
namespace {

struct Geometry {
  at::IntArrayRef stride, padding, dilation, output_padding;
  bool transposed;
  int64_t groups;
};

Dims output_sizes(const at::Tensor& input, const at::Tensor& weight, const Geometry& g) {
  Dims sizes{input.size(0), g.transposed ? weight.size(1) * g.groups : weight.size(0)};
  for (int64_t dim = 2; dim < input.dim(); ++dim) {
    const auto i = static_cast<size_t>(dim - 2);
    const int64_t kernel = g.dilation[i] * (weight.size(dim) - 1) + 1;
    if (g.transposed) {
      sizes.push_back((input.size(dim) - 1) * g.stride[i] - 2 * g.padding[i] + kernel + g.output_padding[i]);
    } else {
      sizes.push_back((input.size(dim) + 2 * g.padding[i] - kernel) / g.stride[i] + 1);
    }
  }
  return sizes;
}

}  // namespace

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                       bool transposed, at::IntArrayRef output_padding, int64_t groups) {
  const DeviceScope scope(run_device(input));
  const Geometry geometry{stride, padding, dilation, output_padding, transposed, groups};
  at::Tensor output = at::empty(output_sizes(input, weight, geometry), input.options());
  if (output.numel() == 0) return output;
  aclnn::Convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups,
                     output, 0);
  return output;
}

Tensors3 convolution_backward(const at::Tensor& grad_output, const at::Tensor& input,
                              const at::Tensor& weight, at::IntArrayRef stride, at::IntArrayRef padding,
                              at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding,
                              int64_t groups, std::array<bool, 3> output_mask) {
  const DeviceScope scope(run_device(input));
  const int64_t channels = grad_output.size(1);
  at::Tensor grad_input = output_mask[0] ? at::empty_like(input) : at::Tensor();
  at::Tensor grad_weight = output_mask[1] ? at::empty_like(weight) : at::Tensor();
  at::Tensor grad_bias = output_mask[2] ? at::empty({channels}, grad_output.options()) : at::Tensor();
  const OptionalIntArrayRef bias_sizes =
      output_mask[2] ? OptionalIntArrayRef(at::IntArrayRef(channels)) : OptionalIntArrayRef();
  aclnn::ConvolutionBackward(grad_output, input, weight, bias_sizes, stride, padding, dilation, transposed,
                             output_padding, groups, output_mask, 0, grad_input, grad_weight, grad_bias);
  return {grad_input, grad_weight, grad_bias};
}

}  // namespace npu
