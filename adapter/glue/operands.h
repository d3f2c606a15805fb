// Getting ATen's arguments into the form that an aclnn operator takes. ops/ops.yaml uses these names.
#ifndef NPU_GLUE_OPERANDS_H_
#define NPU_GLUE_OPERANDS_H_

#include <ATen/WrapDimUtils.h>
#include <ATen/core/Tensor.h>
#include <c10/util/MaybeOwned.h>
#include <c10/util/SmallVector.h>

#include "compat.h"
#include "device.h"

namespace npu {

using Dims = c10::SmallVector<int64_t, 6>;

// A number that Python or a wrapped scalar brought in: it lives on the host and mixes with any device.
inline bool is_host_number(const at::Tensor& tensor) { return tensor.dim() == 0 && tensor.is_cpu(); }

// The value of a host number.
at::Scalar item(const at::Tensor& tensor);

// `tensor` on the current device and of `dtype` (Undefined: its own), for operators that neither promote as
// PyTorch does nor read host memory. Borrows the tensor where nothing has to be done.
c10::MaybeOwned<at::Tensor> operand(const at::Tensor& tensor, at::ScalarType dtype);

// The dimensions to reduce, wrapped; all of them when none are named.
Dims dims(at::OptionalIntArrayRef dim, int64_t ndim);
inline Dims dims(const at::Tensor& self) { return dims(at::OptionalIntArrayRef(), self.dim()); }
inline Dims dims(int64_t dim, int64_t ndim) { return Dims{at::maybe_wrap_dim(dim, ndim)}; }
inline int64_t wrap(int64_t dim, const at::Tensor& self) { return at::maybe_wrap_dim(dim, self.dim()); }

// Two numbers for height and width from one or two; `otherwise` when there are none.
Dims pair(at::IntArrayRef values, at::IntArrayRef otherwise = {});

// DivMod's mode: 0 true division, 1 "trunc", 2 "floor".
template <class OptionalString>
int32_t division_mode(const OptionalString& rounding) {
  if (!rounding.has_value()) return 0;
  return *rounding == "trunc" ? 1 : 2;
}

// GeluV2's approximation: 0 none, 1 tanh.
template <class String>
int64_t gelu_mode(const String& approximate) {
  return approximate == "tanh" ? 1 : 0;
}
template <class String>
const char* gelu_name(const String& approximate) {
  return approximate == "tanh" ? "tanh" : "none";
}

// The first tensor of an operator's arguments that lies on a device of this backend decides where it runs.
inline bool on_npu(const at::Tensor& tensor) { return tensor.defined() && tensor.device().type() == kType; }
template <class T>
bool find_device(const T&, c10::DeviceIndex&) {
  return false;
}
inline bool find_device(const at::Tensor& tensor, c10::DeviceIndex& index) {
  if (!on_npu(tensor)) return false;
  index = tensor.device().index();
  return true;
}
inline bool find_device(const at::ITensorListRef& tensors, c10::DeviceIndex& index) {
  for (const at::Tensor& tensor : tensors) {
    if (find_device(tensor, index)) return true;
  }
  return false;
}
template <class... A>
c10::DeviceIndex device_of(const A&... arguments) {
  c10::DeviceIndex index = current_device();
  (void)(find_device(arguments, index) || ...);
  return index;
}

}  // namespace npu

#endif  // NPU_GLUE_OPERANDS_H_
