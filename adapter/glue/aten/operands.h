// Getting ATen's arguments into the form that an aclnn operator takes. ops/ops.yaml uses these names.
#ifndef NPU_GLUE_ATEN_OPERANDS_H_
#define NPU_GLUE_ATEN_OPERANDS_H_

#include <ATen/WrapDimUtils.h>
#include <ATen/core/Tensor.h>
#include <c10/util/MaybeOwned.h>
#include <c10/util/SmallVector.h>

#include <vector>

#include "compat.h"
#include "runtime/device.h"

namespace npu {

using Dims = c10::SmallVector<int64_t, 6>;

// A number that Python or a wrapped scalar brought in: it lives on the host and mixes with any device.
inline bool is_host_number(const at::Tensor& tensor) { return tensor.dim() == 0 && tensor.is_cpu(); }

// The value of a host number.
at::Scalar item(const at::Tensor& tensor);

// `tensor` on the current device and of `dtype` (Undefined: its own), for operators that neither promote as
// PyTorch does nor read host memory. Borrows the tensor where nothing has to be done.
c10::MaybeOwned<at::Tensor> operand(const at::Tensor& tensor, at::ScalarType dtype);

// One dimension, or several, counted from the front.
inline int64_t wrap(int64_t dim, const at::Tensor& self) { return at::maybe_wrap_dim(dim, self.dim()); }
Dims wrapped(at::IntArrayRef dims, const at::Tensor& self);

// The dimensions to reduce, wrapped; all of them when none are named.
Dims reduced(OptionalIntArrayRef dim, const at::Tensor& self);
inline Dims reduced(const at::Tensor& self) { return reduced(OptionalIntArrayRef(), self); }
inline Dims reduced(int64_t dim, const at::Tensor& self) { return Dims{wrap(dim, self)}; }
// The sizes after reducing.
Dims reduced_sizes(const at::Tensor& self, OptionalIntArrayRef dim, bool keepdim);

// The dtype of a sum or product: the one asked for, else int64 for integers.
at::ScalarType sum_dtype(const at::Tensor& self, const optional<at::ScalarType>& dtype);

// var()'s correction, 1 when not given. CANN takes whole numbers only.
int64_t correction_of(const optional<at::Scalar>& correction);
inline int64_t correction_of(optional<int64_t> correction) { return correction.value_or(1); }  // torch 2.0

// `tensor` as one dimension when there is no `dim` to work along.
template <class OptionalInt>
at::Tensor flat(const at::Tensor& tensor, const OptionalInt& dim) {
  return dim.has_value() ? tensor : tensor.reshape({-1});
}

// The sizes of `self` with the last two replaced.
Dims pooled_sizes(const at::Tensor& self, at::IntArrayRef output_size);

// The sizes of `self` repeated, and of rows of `weight` looked up.
Dims repeated_sizes(const at::Tensor& self, at::IntArrayRef repeats);
Dims embedded_sizes(const at::Tensor& weight, const at::Tensor& indices);

// The tensors to concatenate in the result's dtype, without the empty ones that cat allows for history's
// sake.
std::vector<at::Tensor> joined(const TensorListRef& tensors, const at::Tensor& out);

// Class weights, or ones for the classes of `self`: CANN's losses always take weights.
at::Tensor or_ones(const optional<at::Tensor>& weight, const at::Tensor& self);

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
inline bool find_device(const TensorListRef& tensors, c10::DeviceIndex& index) {
  for (const at::Tensor& tensor : tensors) {
    if (find_device(tensor, index)) return true;
  }
  return false;
}
template <class... A>
c10::DeviceIndex run_device(const A&... arguments) {
  c10::DeviceIndex index = current_device();
  (void)(find_device(arguments, index) || ...);
  return index;
}

}  // namespace npu

#endif  // NPU_GLUE_ATEN_OPERANDS_H_
