// Filling tensors with given values.
#include <ATen/native/Resize.h>
#include <c10/core/Scalar.h>

#include <cmath>

#include "aclnn_operators.h"
#include "aten/kernels.h"
#include "aten/operands.h"

namespace npu {

at::Tensor& fill_tensor(at::Tensor& self, const at::Tensor& value) {
  TORCH_CHECK(value.dim() == 0, "fill_ only supports 0-dimension value tensor but got tensor with ",
              value.dim(), " dimensions.");
  if (self.numel() == 0) return self;
  const DeviceScope scope(run_device(self));
  if (is_host_number(value)) {
    aclnn::InplaceFillScalar(self, item(value));
  } else {
    aclnn::InplaceCopy(self, value.expand_as(self));
  }
  return self;
}

at::Tensor& zero(at::Tensor& self) {
  if (self.numel() == 0) return self;
  const DeviceScope scope(run_device(self));
  if (self.is_non_overlapping_and_dense()) {
    const int32_t device = npu_current_device();
    check(npu_memset_async(self.data_ptr(), 0, self.nbytes(), device, npu_current_stream(device)));
  } else {
    aclnn::InplaceZero(self);
  }
  return self;
}

at::Tensor& arange_out(const at::Scalar& start, const at::Scalar& end, const at::Scalar& step,
                       at::Tensor& out) {
  const double from = start.toDouble();
  const double to = end.toDouble();
  const double by = step.toDouble();
  TORCH_CHECK(by != 0, "step must be nonzero");
  TORCH_CHECK(std::isfinite(from) && std::isfinite(to), "unsupported range: ", from, " -> ", to);
  TORCH_CHECK((by > 0 && to >= from) || (by < 0 && to <= from),
              "upper bound and lower bound inconsistent with step sign");
  int64_t count = 0;
  if (start.isIntegral(false) && end.isIntegral(false) && step.isIntegral(false)) {
    // In integers: doubles would lose the low bits of large bounds.
    const int64_t span = end.toLong() - start.toLong();
    const int64_t stride = step.toLong();
    count = span / stride + (span % stride != 0 ? 1 : 0);
  } else {
    count = static_cast<int64_t>(std::ceil((to - from) / by));
  }
  if (out.numel() != count) at::native::resize_output(out, {count});
  if (count == 0) return out;
  const DeviceScope scope(run_device(out));
  aclnn::Arange(start, end, step, out);
  return out;
}

}  // namespace npu
