// Getting ATen's arguments into the form that an aclnn operator takes. The rows of ops/ops.yaml use these
// names: a new helper is declared here and listed in HELPERS of ops/kernels.py. None of them waits for a
// stream but item() of a tensor on a device; c10::Error says what is refused.
#ifndef NPU_GLUE_ATEN_OPERANDS_H_
#define NPU_GLUE_ATEN_OPERANDS_H_

#include <ATen/WrapDimUtils.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/result_type.h>  // rows ask for it
#include <c10/util/MaybeOwned.h>
#include <c10/util/SmallVector.h>

#include <vector>

#include "compat.h"
#include "runtime/device.h"

namespace npu {

using Dims = c10::SmallVector<int64_t, 6>;

// Whether it is a number that Python or a wrapped scalar brought in: [] on the host, any dtype. It mixes
// with any device.
inline bool is_host_number(const at::Tensor& tensor) { return tensor.dim() == 0 && tensor.is_cpu(); }

// The value of a tensor of one element, such as a host number, in its own dtype.
at::Scalar item(const at::Tensor& tensor);

// `tensor` [*] on the current device and of `dtype` (Undefined: its own), for operators that neither
// promote as PyTorch does nor read host memory: a host number is moved, another dtype is cast, same shape.
// Borrows the tensor where nothing has to be done and where it is undefined; it must then outlive the
// result. The current device must be that of the tensor.
c10::MaybeOwned<at::Tensor> operand(const at::Tensor& tensor, at::ScalarType dtype);

// One dimension of `self`, or several, counted from the front: -1 becomes self.dim() - 1. Refuses
// dimensions that are not there; a tensor of 0 dimensions has 0 and -1.
inline int64_t wrap(int64_t dim, const at::Tensor& self) { return at::maybe_wrap_dim(dim, self.dim()); }
Dims wrapped(at::IntArrayRef dims, const at::Tensor& self);

// The dimensions to reduce, wrapped, in the order given; all of them from 0 on when none or an empty list
// is named.
Dims reduced(OptionalIntArrayRef dim, const at::Tensor& self);
inline Dims reduced(const at::Tensor& self) { return reduced(OptionalIntArrayRef(), self); }
inline Dims reduced(int64_t dim, const at::Tensor& self) { return Dims{wrap(dim, self)}; }
// The sizes of `self` after reducing these: each of them gone, or 1 with `keepdim`.
Dims reduced_sizes(const at::Tensor& self, OptionalIntArrayRef dim, bool keepdim);

// The dtype of a sum or product: the one asked for, else int64 for integers and bool, else that of `self`.
at::ScalarType sum_dtype(const at::Tensor& self, const optional<at::ScalarType>& dtype);

// var()'s correction, 1 when not given. CANN takes whole numbers only, so others are refused.
int64_t correction_of(const optional<at::Scalar>& correction);
inline int64_t correction_of(optional<int64_t> correction) { return correction.value_or(1); }  // torch 2.0

// `tensor` [*] itself when there is a `dim` to work along, else as one dimension [numel]: a view where its
// strides allow one, else a copy.
template <class OptionalInt>
at::Tensor flat(const at::Tensor& tensor, const OptionalInt& dim) {
  return dim.has_value() ? tensor : tensor.reshape({-1});
}

// The sizes of `self` [C, H, W] or [N, C, H, W] with the last two replaced by `output_size`, which has two
// entries.
Dims pooled_sizes(const at::Tensor& self, at::IntArrayRef output_size);

// The sizes of `self` [d1..dk] repeated: `repeats` has k or more entries, and dimensions are aligned from
// the last one.
Dims repeated_sizes(const at::Tensor& self, at::IntArrayRef repeats);
// The sizes of rows of `weight` [rows, width] looked up by `indices` [I..]: [I.., width].
Dims embedded_sizes(const at::Tensor& weight, const at::Tensor& indices);

// The tensors to concatenate, each on the current device and in the dtype of `out`, in their order. Tensors
// of shape [0], which cat allows beside any other for history's sake, are left out unless the result is of
// one dimension itself.
std::vector<at::Tensor> joined(const TensorListRef& tensors, const at::Tensor& out);

// Class weights [C] as given, or ones of the dtype of `self` for its C classes: `self` is [C] or [N, C, *].
// CANN's losses always take weights.
at::Tensor or_ones(const optional<at::Tensor>& weight, const at::Tensor& self);

// Two numbers, for height and width, from one that counts for both or from two; from `otherwise` when
// `values` is empty, as a stride that defaults to the kernel's size.
Dims pair(at::IntArrayRef values, at::IntArrayRef otherwise = {});

// DivMod's mode: 0 true division where no rounding is given, 1 for "trunc", 2 for "floor"; ATen has refused
// other words.
template <class OptionalString>
int32_t division_mode(const OptionalString& rounding) {
  if (!rounding.has_value()) return 0;
  return *rounding == "trunc" ? 1 : 2;
}

// GeluV2's approximation by number, 0 none and 1 tanh, and by the name that GeluBackwardV2 takes.
template <class String>
int64_t gelu_mode(const String& approximate) {
  return approximate == "tanh" ? 1 : 0;
}
template <class String>
const char* gelu_name(const String& approximate) {
  return approximate == "tanh" ? "tanh" : "none";
}

// Whether searchsorted() looks for the last place that keeps the order: `side` says what `right` says without
// it.
template <class String>
bool to_the_right(bool right, const optional<String>& side) {
  if (!side.has_value()) return right;
  TORCH_CHECK(*side == "left" || *side == "right",
              "torch.searchsorted(): side can only be 'left' or 'right' but got ", *side);
  TORCH_CHECK(!right || *side == "right",
              "torch.searchsorted(): side and right can't be set to opposites, got side of ", *side,
              " while right was True");
  return *side == "right";
}

// searchsorted()'s result, not written yet: int64, or int32 with `out_int32`, of the sizes of `self` [*].
// Refuses shapes and sorters that PyTorch refuses; waits for the stream where there is a `sorter`, to look at
// its bounds.
at::Tensor search_result(const at::Tensor& sorted_sequence, const at::Tensor& self, bool out_int32,
                         const optional<at::Tensor>& sorter);

// The device where an operator runs: that of the first tensor among its arguments, lists of tensors
// included, that lies on a device of this backend; the current one when there is none, as in a factory.
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
