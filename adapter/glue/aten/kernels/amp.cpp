// What torch.amp.GradScaler asks of a device. The host does not wait for any of it.
#include <ATen/ops/empty_like.h>

#include "aclnn_operators.h"
#include "aten/kernels.h"
#include "aten/operands.h"
#include "runtime/saturation.h"

namespace npu {
namespace {

void check_one_number(const at::Tensor& tensor, const char* function, const char* name) {
  TORCH_CHECK(tensor.numel() == 1, function, ": ", name, " must be a tensor of one element, but has ",
              tensor.numel());
  TORCH_CHECK(tensor.scalar_type() == at::kFloat, function, ": ", name, " must be of dtype float32, but is ",
              tensor.scalar_type());
}

}  // namespace

void check_finite_and_unscale(at::TensorList gradients, at::Tensor& found_inf, const at::Tensor& inv_scale) {
  constexpr const char* kName = "_amp_foreach_non_finite_check_and_unscale_";
  check_one_number(found_inf, kName, "found_inf");
  check_one_number(inv_scale, kName, "inv_scale");
  for (const at::Tensor& gradient : gradients) {
    TORCH_CHECK(gradient.device() == found_inf.device() && gradient.layout() == at::kStrided, kName,
                ": the scaled gradients must be dense tensors on ", found_inf.device(), ", but one is on ",
                gradient.device(), " with layout ", gradient.layout());
  }
  if (gradients.empty()) return;
  warn_where_saturating(found_inf.device().index());
  const DeviceScope scope(run_device(found_inf));
  aclnn::ForeachNonFiniteCheckAndUnscale(gradients, found_inf, *operand(inv_scale, at::kFloat));
}

at::Tensor& update_scale(at::Tensor& self, at::Tensor& growth_tracker, const at::Tensor& found_inf,
                         double scale_growth_factor, double scale_backoff_factor, int64_t growth_interval) {
  constexpr const char* kName = "_amp_update_scale_";
  check_one_number(self, kName, "current_scale");
  check_one_number(found_inf, kName, "found_inf");
  TORCH_CHECK(growth_tracker.numel() == 1 && growth_tracker.scalar_type() == at::kInt, kName,
              ": growth_tracker must be a tensor of one element of dtype int32, but has ",
              growth_tracker.numel(), " of ", growth_tracker.scalar_type());
  const DeviceScope scope(run_device(self));
  const at::Tensor scale = at::empty_like(self);
  const at::Tensor tracker = at::empty_like(growth_tracker);
  aclnn::AmpUpdateScale(self, growth_tracker, *operand(found_inf, at::kFloat), scale_growth_factor,
                        scale_backoff_factor, growth_interval, scale, tracker);
  growth_tracker.copy_(tracker);
  return self.copy_(scale);
}

}  // namespace npu
