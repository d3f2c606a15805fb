// Indexing by tensors.
#include <ATen/ExpandUtils.h>
#include <ATen/native/IndexingUtils.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/bucketize.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/result_type.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/take.h>

#include <vector>

#include "aclnn_operators.h"
#include "aten/kernels.h"
#include "aten/operands.h"

namespace npu {
namespace {

// x[indices] made plain: one int64 tensor per dimension of x, those given broadcast to one shape, and an
// empty one for each dimension that is taken whole.
struct Indexing {
  std::vector<at::Tensor> indices;
  Dims sizes;  // of the result
};

std::vector<at::Tensor> expand(const at::Tensor& self, const IndexList& list) {
#if NPU_HAS_INT_INDICES
  at::native::checkIndexTensorTypes(list, /*allow_int=*/true);
#else
  at::native::checkIndexTensorTypes(list);
#endif
  // Masks become the positions of their true elements.
  std::vector<at::Tensor> indices = at::expand_outplace(at::native::expandTensors(self, list));
  TORCH_CHECK_INDEX(static_cast<int64_t>(indices.size()) <= self.dim(),
                    "too many indices for tensor of dimension ", self.dim(), " (got ", indices.size(), ")");
  indices.resize(static_cast<size_t>(self.dim()));
  return indices;
}

Indexing plan(const at::Tensor& self, const IndexList& list) {
  Indexing result;
  result.indices = expand(self, list);
  at::IntArrayRef common;  // the shape of the given indices
  int64_t first = -1;
  int64_t last = -1;
  int64_t given = 0;
  for (int64_t dim = 0; dim < self.dim(); ++dim) {
    const at::Tensor& one = result.indices[static_cast<size_t>(dim)];
    if (!one.defined()) continue;
    common = one.sizes();
    if (first == -1) first = dim;
    last = dim;
    ++given;
  }
  // Neighboring indices stay in their place; indices with a whole dimension between them move to the front.
  const int64_t place = last - first + 1 == given ? first : 0;
  for (int64_t dim = 0; dim < self.dim(); ++dim) {
    if (dim == place && place == first) result.sizes.append(common.begin(), common.end());
    const bool whole = !result.indices[static_cast<size_t>(dim)].defined();
    if (whole) result.sizes.push_back(self.size(dim));
  }
  if (place != first) result.sizes.insert(result.sizes.begin(), common.begin(), common.end());

  const auto options = self.options().dtype(at::kLong);
  for (at::Tensor& one : result.indices) one = one.defined() ? one.to(options) : at::empty({0}, options);
  return result;
}

int64_t count_true(const at::Tensor& mask) { return mask.sum().item().toLong(); }

}  // namespace

at::Tensor index(const at::Tensor& self, const IndexList& indices) {
  const DeviceScope scope(run_device(self));
  const Indexing plain = plan(self, indices);
  at::Tensor out = at::empty(plain.sizes, self.options());
  if (out.numel() == 0) return out;
  TORCH_CHECK_INDEX(self.numel() != 0, "index is out of bounds for dimension with size 0");
  aclnn::Index(self, plain.indices, out);
  return out;
}

at::Tensor& index_put(at::Tensor& self, const IndexList& indices, const at::Tensor& values, bool accumulate,
                      bool unsafe) {
  TORCH_CHECK(self.scalar_type() == values.scalar_type(),
              "Index put requires the source and destination dtypes match, got ", self.scalar_type(),
              " for the destination and ", values.scalar_type(), " for the source.");
  const DeviceScope scope(run_device(self));
  // One mask and one value: no positions have to be counted, so the host does not wait.
  if (!accumulate && indices.size() == 1 && values.numel() == 1) {
    const optional<at::Tensor> only = indices.get(0);
    if (only.has_value() && only->defined() && only->scalar_type() == at::kBool &&
        only->sizes() == self.sizes()) {
      return self.masked_fill_(only->to(self.device()), values.reshape({}));
    }
  }
  const Indexing plain = plan(self, indices);
  for (const int64_t size : plain.sizes) {
    if (size == 0) return self;
  }
  if (self.numel() == 0) return self;
  aclnn::IndexPutImpl(self, plain.indices, *operand(values, self.scalar_type()), accumulate, unsafe);
  return self;
}

at::Tensor& index_select_out(const at::Tensor& self, int64_t dim, const at::Tensor& index, at::Tensor& out) {
  TORCH_CHECK_INDEX(index.dim() <= 1,
                    "index_select(): Index is supposed to be a vector, but got dim: ", index.dim());
  TORCH_CHECK(index.scalar_type() == at::kLong || index.scalar_type() == at::kInt,
              "index_select(): Expected dtype int32 or int64 for index but got: ", index.scalar_type());
  TORCH_CHECK(self.scalar_type() == out.scalar_type(),
              "index_select(): self and result must have the same scalar type");
  const int64_t along = wrap(dim, self);
  Dims sizes(self.sizes().begin(), self.sizes().end());
  if (self.dim() != 0) sizes[static_cast<size_t>(along)] = index.numel();
  at::native::resize_output(out, sizes);
  if (out.numel() == 0) return out;
  const DeviceScope scope(run_device(self, out));
  aclnn::IndexSelect(self, along, index, out);
  return out;
}

at::Tensor index_select(const at::Tensor& self, int64_t dim, const at::Tensor& index) {
  const DeviceScope scope(run_device(self));
  at::Tensor out = at::empty({0}, self.options());
  return index_select_out(self, dim, index, out);
}

// How many elements these two return is known on the device only: count, wait, then cut the result to size.
at::Tensor masked_select(const at::Tensor& self, const at::Tensor& mask) {
  TORCH_CHECK(mask.scalar_type() == at::kBool, "masked_select: expected BoolTensor for mask");
  const DeviceScope scope(run_device(self, mask));
  const auto sizes = at::infer_size(self.sizes(), mask.sizes());
  const at::Tensor wide_mask = mask.expand(sizes);
  const at::Tensor all = at::empty({wide_mask.numel()}, self.options());
  if (all.numel() == 0) return all;
  aclnn::MaskedSelect(self.expand(sizes), wide_mask, all);
  return all.narrow(0, 0, count_true(wide_mask)).clone();
}

at::Tensor nonzero(const at::Tensor& self) {
  const DeviceScope scope(run_device(self));
  const auto options = self.options().dtype(at::kLong);
  if (self.numel() == 0) return at::empty({0, self.dim()}, options);
  const int64_t count = count_true(at::ne(self, 0));
  if (self.dim() == 0) return at::empty({count, 0}, options);
  const at::Tensor all = at::empty({self.numel(), self.dim()}, options);
  aclnn::Nonzero(self, all);
  return all.narrow(0, 0, count).clone();
}

at::Tensor roll(const at::Tensor& self, at::IntArrayRef shifts, at::IntArrayRef dims) {
  if (dims.empty()) {
    TORCH_CHECK(shifts.size() == 1, "roll: without dims one shift is expected, found ", shifts.size());
    return roll(self.reshape({-1}), shifts, {0}).view(self.sizes());
  }
  TORCH_CHECK(shifts.size() == dims.size(), "shifts and dimensions must align. shifts: ", shifts.size(),
              ", dims:", dims.size());
  const DeviceScope scope(run_device(self));
  at::Tensor out = at::empty_like(self);
  if (out.numel() != 0) aclnn::Roll(self, shifts, wrapped(dims, self), out);
  return out;
}

// CANN looks for numbers only (`IsInTensorScalar`). A set is sorted once; each element is compared with the
// one that stands where it would be. NaN equals nothing, wherever it is sorted.
at::Tensor& isin_out(const at::Tensor& elements, const at::Tensor& test_elements, bool /*assume_unique*/,
                     bool invert, at::Tensor& out) {
  for (const at::Tensor& operand : {elements, test_elements}) {
    TORCH_CHECK(operand.scalar_type() != at::kBool && !operand.is_complex(),
                "Unsupported input type encountered for isin(): ", operand.scalar_type());
  }
  TORCH_CHECK(out.scalar_type() == at::kBool, "Expected out tensor to have dtype bool, but got ", out.dtype(),
              " instead");
  const DeviceScope scope(run_device(elements, test_elements, out));
  at::native::resize_output(out, elements.sizes());
  if (out.numel() == 0) return out;
  if (test_elements.numel() == 0) return out.fill_(invert);
  const at::ScalarType common = at::result_type(elements, test_elements);
  const at::Tensor sought = elements.to(common);
  const at::Tensor sorted = std::get<0>(at::sort(test_elements.reshape(-1).to(common)));
  const at::Tensor place = at::bucketize(sought, sorted).clamp_max_(sorted.numel() - 1);
  const at::Tensor nearest = at::take(sorted, place);
  return invert ? at::ne_out(out, nearest, sought) : at::eq_out(out, nearest, sought);
}

at::Tensor isin(const at::Tensor& elements, const at::Tensor& test_elements, bool assume_unique,
                bool invert) {
  at::Tensor out = at::empty({0}, elements.options().dtype(at::kBool));
  return isin_out(elements, test_elements, assume_unique, invert, out);
}

// PyTorch's shape rules give this form no elements, and its CPU kernel resizes: there is nothing to take
// over.
at::Tensor isin_number(const at::Scalar& element, const at::Tensor& test_elements, bool assume_unique,
                       bool invert) {
  const DeviceScope scope(run_device(test_elements));
  const at::Tensor out = at::empty({}, test_elements.options().dtype(at::kBool));
  if (test_elements.numel() == 0) return out.fill_(invert);
  aclnn::IsInScalarTensor(element, test_elements, assume_unique, invert, out);
  return out;
}

}  // namespace npu
