#include "aten/operands.h"

#include <ATen/ops/_local_scalar_dense.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <limits>

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

Dims wrapped(at::IntArrayRef dims, const at::Tensor& self) {
  Dims result;
  for (const int64_t dim : dims) result.push_back(wrap(dim, self));
  return result;
}

Dims reduced(OptionalIntArrayRef dim, const at::Tensor& self) {
  if (dim.has_value() && !dim->empty()) return wrapped(*dim, self);
  Dims result;
  for (int64_t i = 0; i < self.dim(); ++i) result.push_back(i);
  return result;
}

Dims reduced_sizes(const at::Tensor& self, OptionalIntArrayRef dim, bool keepdim) {
  const Dims gone = reduced(dim, self);
  Dims result;
  for (int64_t i = 0; i < self.dim(); ++i) {
    const bool kept = std::find(gone.begin(), gone.end(), i) == gone.end();
    if (kept || keepdim) result.push_back(kept ? self.size(i) : 1);
  }
  return result;
}

at::ScalarType sum_dtype(const at::Tensor& self, const optional<at::ScalarType>& dtype) {
  if (dtype.has_value()) return *dtype;
  return at::isIntegralType(self.scalar_type(), /*includeBool=*/true) ? at::kLong : self.scalar_type();
}

int64_t correction_of(const optional<at::Scalar>& correction) {
  if (!correction.has_value()) return 1;
  const double value = correction->toDouble();
  TORCH_CHECK_NOT_IMPLEMENTED(value == std::floor(value),
                              "the npu backend takes whole corrections only, found ", value);
  return static_cast<int64_t>(value);
}

Dims pooled_sizes(const at::Tensor& self, at::IntArrayRef output_size) {
  TORCH_CHECK(self.dim() == 3 || self.dim() == 4, "adaptive_avg_pool2d(): Expected 3D or 4D tensor, but got ",
              self.sizes());
  TORCH_CHECK(output_size.size() == 2, "adaptive_avg_pool2d: output_size must be 2");
  Dims result(self.sizes().begin(), self.sizes().end() - 2);
  result.append(output_size.begin(), output_size.end());
  return result;
}

Dims repeated_sizes(const at::Tensor& self, at::IntArrayRef repeats) {
  TORCH_CHECK(static_cast<int64_t>(repeats.size()) >= self.dim(),
              "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor");
  Dims result(repeats.begin(), repeats.end());
  for (int64_t i = 1; i <= self.dim(); ++i) result[result.size() - static_cast<size_t>(i)] *= self.size(-i);
  return result;
}

Dims embedded_sizes(const at::Tensor& weight, const at::Tensor& indices) {
  TORCH_CHECK(weight.dim() == 2, "'weight' must be 2-D");
  Dims result(indices.sizes().begin(), indices.sizes().end());
  result.push_back(weight.size(1));
  return result;
}

std::vector<at::Tensor> joined(const TensorListRef& tensors, const at::Tensor& out) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.dim() == 1 && tensor.size(0) == 0 && out.dim() != 1) continue;
    result.push_back(*operand(tensor, out.scalar_type()));
  }
  return result;
}

at::Tensor or_ones(const optional<at::Tensor>& weight, const at::Tensor& self) {
  if (weight.has_value() && weight->defined()) return *weight;
  at::Tensor ones = at::empty({self.size(self.dim() == 1 ? 0 : 1)}, self.options());
  aclnn::InplaceFillScalar(ones, at::Scalar(1));
  return ones;
}

Dims pair(at::IntArrayRef values, at::IntArrayRef otherwise) {
  const at::IntArrayRef given = values.empty() ? otherwise : values;
  return given.size() == 1 ? Dims{given[0], given[0]} : Dims(given.begin(), given.end());
}

at::Tensor search_result(const at::Tensor& sorted_sequence, const at::Tensor& self, bool out_int32,
                         const optional<at::Tensor>& sorter) {
  const at::IntArrayRef sequences = sorted_sequence.sizes();
  const at::IntArrayRef values = self.sizes();
  TORCH_CHECK(!sequences.empty(),
              "torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension");
  TORCH_CHECK(!values.empty() || sequences.size() == 1,
              "torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, "
              "but we got ",
              "boundaries tensor dim(", sequences.size(), ")");
  TORCH_CHECK(sequences.size() == 1 ||
                  (sequences.size() == values.size() &&
                   sequences.slice(0, sequences.size() - 1) == values.slice(0, values.size() - 1)),
              "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of "
              "boundaries ",
              "tensor and input value tensor must match, but we got boundaries tensor ", sequences,
              " and input value tensor ", values);
  TORCH_CHECK(!out_int32 || sequences.back() < std::numeric_limits<int32_t>::max(),
              "torch.searchsorted(): the size of boundaries' last dimension should be less than 2^31 - 1 for "
              "int32, but ",
              "we got ", sequences.back());
  if (sorter.has_value() && sorter->defined()) {
    TORCH_CHECK(sorter->sizes() == sequences,
                "torch.searchsorted(): boundary and sorter must have the same size, but ",
                "got boundary tensor ", sequences, " and got sorter tensor ", sorter->sizes());
    TORCH_CHECK(sorter->scalar_type() == at::kLong,
                "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype ",
                sorter->scalar_type());
    TORCH_CHECK(sorter->numel() == 0 ||
                    (sorter->min().item<int64_t>() >= 0 && sorter->max().item<int64_t>() < sequences.back()),
                "torch.searchsorted(): sorter index out of range");
  }
  return at::empty(values, self.options().dtype(out_int32 ? at::kInt : at::kLong));
}

}  // namespace npu
