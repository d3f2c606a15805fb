// Losses whose result is one number or one per element, by `reduction`: 0 none, 1 mean, 2 sum.
#include <ATen/ExpandUtils.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/result_type.h>

#include "aclnn_operators.h"
#include "aten/kernels.h"
#include "aten/operands.h"

namespace npu {
namespace {

// Runs `loss(self, target, out)` with both inputs in their common dtype and `out` sized for the reduction.
template <class Loss>
at::Tensor& reduce_loss(const at::Tensor& self, const at::Tensor& target, int64_t reduction, at::Tensor& out,
                        const Loss& loss) {
  const at::ScalarType dtype = at::result_type(self, target);
  const auto sizes = at::infer_size(self.sizes(), target.sizes());
  at::native::resize_output(out, reduction == 0 ? at::IntArrayRef(sizes) : at::IntArrayRef());
  if (out.numel() == 0) return out;
  const DeviceScope scope(run_device(self, target, out));
  loss(*operand(self, dtype), *operand(target, dtype), out);
  return out;
}

at::Tensor empty_loss(const at::Tensor& self, const at::Tensor& target) {
  const c10::Device device(kType, run_device(self, target));
  return at::empty({0}, at::TensorOptions(device).dtype(at::result_type(self, target)));
}

}  // namespace

at::Tensor& mse_loss_out(const at::Tensor& self, const at::Tensor& target, int64_t reduction,
                         at::Tensor& out) {
  return reduce_loss(self, target, reduction, out,
                     [&](const at::Tensor& a, const at::Tensor& b, const at::Tensor& to) {
                       aclnn::MseLoss(a, b, reduction, to);
                     });
}

at::Tensor mse_loss(const at::Tensor& self, const at::Tensor& target, int64_t reduction) {
  at::Tensor out = empty_loss(self, target);
  return mse_loss_out(self, target, reduction, out);
}

at::Tensor mse_loss_backward(const at::Tensor& grad_output, const at::Tensor& self, const at::Tensor& target,
                             int64_t reduction) {
  const DeviceScope scope(run_device(self, target, grad_output));
  at::Tensor grad_input = at::empty(at::infer_size(self.sizes(), target.sizes()), self.options());
  if (grad_input.numel() == 0) return grad_input;
  const at::ScalarType dtype = self.scalar_type();
  aclnn::MseLossBackward(*operand(grad_output, dtype), self, *operand(target, dtype), reduction, grad_input);
  return grad_input;
}

at::Tensor& smooth_l1_loss_out(const at::Tensor& self, const at::Tensor& target, int64_t reduction,
                               double beta, at::Tensor& out) {
  TORCH_CHECK(beta >= 0, "smooth_l1_loss does not support negative values for beta.");
  return reduce_loss(self, target, reduction, out,
                     [&](const at::Tensor& a, const at::Tensor& b, const at::Tensor& to) {
                       aclnn::SmoothL1Loss(a, b, reduction, beta, to);
                     });
}

at::Tensor smooth_l1_loss(const at::Tensor& self, const at::Tensor& target, int64_t reduction, double beta) {
  at::Tensor out = empty_loss(self, target);
  return smooth_l1_loss_out(self, target, reduction, beta, out);
}

at::Tensor binary_cross_entropy(const at::Tensor& self, const at::Tensor& target,
                                const optional<at::Tensor>& weight, int64_t reduction) {
  at::Tensor out = empty_loss(self, target);
  return reduce_loss(self, target, reduction, out,
                     [&](const at::Tensor& a, const at::Tensor& b, const at::Tensor& to) {
                       aclnn::BinaryCrossEntropy(a, b, weight, reduction, to);
                     });
}

}  // namespace npu
