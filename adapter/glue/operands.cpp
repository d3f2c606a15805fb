#include "operands.h"

#include <ATen/ops/_local_scalar_dense.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "aclnn_operators.h"

namespace npu {

at::Scalar item(const at::Tensor& tensor) { return at::_local_scalar_dense(tensor); }

c10::MaybeOwned<at::Tensor> operand(const at::Tensor& tensor, at::ScalarType dtype) {
  if (!tensor.defined()) return c10::MaybeOwned<at::Tensor>::borrowed(tensor);
  const at::ScalarType wanted = dtype == at::ScalarType::Undefined ? tensor.scalar_type() : dtype;
  if (is_host_number(tensor)) {
    at::Tensor moved = at::empty({}, at::TensorOptions(at::Device(kType, current_device())).dtype(wanted));
    aclnn::InplaceFillScalar(moved, item(tensor));
    return c10::MaybeOwned<at::Tensor>::owned(std::move(moved));
  }
  if (tensor.scalar_type() == wanted) return c10::MaybeOwned<at::Tensor>::borrowed(tensor);
  at::Tensor cast = at::empty_like(tensor, tensor.options().dtype(wanted));
  if (cast.numel() != 0) aclnn::InplaceCopy(cast, tensor);
  return c10::MaybeOwned<at::Tensor>::owned(std::move(cast));
}

Dims dims(at::OptionalIntArrayRef dim, int64_t ndim) {
  Dims result;
  if (!dim.has_value() || dim->empty()) {
    for (int64_t i = 0; i < ndim; ++i) result.push_back(i);
  } else {
    for (const int64_t d : *dim) result.push_back(at::maybe_wrap_dim(d, ndim));
  }
  return result;
}

Dims pair(at::IntArrayRef values, at::IntArrayRef otherwise) {
  const at::IntArrayRef given = values.empty() ? otherwise : values;
  return given.size() == 1 ? Dims{given[0], given[0]} : Dims(given.begin(), given.end());
}

}  // namespace npu
