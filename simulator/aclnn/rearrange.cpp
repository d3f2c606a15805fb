#include "rearrange.h"

#include <ATen/WrapDimUtils.h>
#include <ATen/ops/_embedding_bag.h>
#include <ATen/ops/_unique.h>
#include <ATen/ops/_unique2.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/unique_consecutive.h>
#include <ATen/ops/unique_dim.h>
#include <ATen/ops/zeros.h>

#include "kernels.h"
#include "rules.h"

namespace cann_simulator {

at::Tensor index_of(at::IntArrayRef positions) { return at::tensor(positions, at::kLong); }

const char* reduce_name(int64_t reduce) {
  constexpr std::array<const char*, 5> kNames = {"sum", "prod", "amax", "amin", "mean"};
  TORCH_CHECK(reduce >= 1 && reduce <= 5, "reduce is ", reduce,
              "; it must be 1 (sum), 2 (prod), 3 (amax), 4 (amin) or 5 (mean)");
  return kNames[static_cast<std::size_t>(reduce) - 1];
}

at::Tensor gather_v3(const at::Tensor& self, int64_t dim, const at::Tensor& index, int64_t batch_dims) {
  TORCH_CHECK(batch_dims == 0, "batch_dims is ", batch_dims, "; the simulator has 0 only");
  TORCH_CHECK(self.dim() > 0, "a tensor without dimensions has none to gather from");
  expect_positions("index", index);
  const int64_t axis = at::maybe_wrap_dim(dim, self.dim());
  std::vector<int64_t> shape = self.sizes().vec();
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, index.sizes().begin(), index.sizes().end());
  return self.index_select(axis, index.reshape({-1}).to(at::kLong)).reshape(shape);
}

void scatter_update(at::Tensor& data, const at::Tensor& indices, const at::Tensor& updates, int64_t axis) {
  TORCH_CHECK(indices.dim() == 1 && indices.numel() == data.size(0), "indices of shape ", indices.sizes(),
              " for a batch of ", data.size(0), "; the simulator takes one position for each");
  const int64_t dim = axis < 0 ? axis + data.dim() : axis;
  TORCH_CHECK(dim > 0 && dim < data.dim(), "axis is ", axis, "; it must be behind the batch dimension");
  const at::Tensor starts = indices.to(at::kLong);
  for (int64_t batch = 0; batch < data.size(0); ++batch) {
    data[batch].narrow(dim - 1, starts[batch].item<int64_t>(), updates.size(dim)).copy_(updates[batch]);
  }
}

void scatter_nd_update(at::Tensor& self, const at::Tensor& indices, const at::Tensor& updates) {
  const at::Tensor positions = indices.reshape({-1, indices.size(-1)}).to(at::kLong);
  c10::List<c10::optional<at::Tensor>> index;
  for (int64_t column = 0; column < positions.size(1); ++column) {
    index.push_back(c10::optional<at::Tensor>(positions.select(1, column)));
  }
  std::vector<int64_t> shape = {positions.size(0)};
  for (int64_t dim = positions.size(1); dim < self.dim(); ++dim) shape.push_back(self.size(dim));
  self.index_put_(index, updates.reshape(shape));
}

void embedding_bag(at::Tensor& out, at::Tensor& offset2bag, at::Tensor& bag_size, at::Tensor& max_indices,
                   const at::Tensor& weight, const at::Tensor& indices, const at::Tensor& offsets,
                   const c10::optional<at::Tensor>& per_sample_weights, const Bags& bags) {
  const auto results =
      at::_embedding_bag(weight, indices, offsets, bags.scale_grad_by_freq, bags.mode, bags.sparse,
                         per_sample_weights, bags.include_last_offset, bags.padding_idx);
  write(out, std::get<0>(results));
  // ATen leaves out what its own backward does not read.
  const int64_t count = out.size(0);
  const at::Tensor starts = offsets.narrow(0, 0, count).to(at::kLong);
  const at::Tensor end = at::tensor(at::IntArrayRef({indices.numel()}), at::kLong);
  const at::Tensor sizes = at::cat({starts.narrow(0, 1, count - 1), end}) - starts;
  write(bag_size, sizes);
  if (offset2bag.numel() > 0) write(offset2bag, at::repeat_interleave(sizes));
  max_indices.zero_();
  if (bags.mode == 2) write(max_indices, std::get<3>(results));
}

void try_repeat_interleave_grad(at::Tensor& out, const at::Tensor& grad, const at::Tensor& repeats,
                                int64_t axis) {
  TORCH_CHECK(out.scalar_type() == grad.scalar_type(), "'out' is of type ", out.scalar_type(),
              ", the gradient of type ", grad.scalar_type());
  TORCH_CHECK(at::isIntegralType(repeats.scalar_type(), false) && repeats.dim() <= 1, "repeats of type ",
              repeats.scalar_type(), " and shape ", repeats.sizes());
  const int64_t count = out.size(axis);
  TORCH_CHECK(repeats.numel() == 1 || repeats.numel() == count, repeats.numel(), " repeats for ", count,
              " elements");
  out.zero_().index_add_(axis, at::zeros({grad.size(axis)}, at::TensorOptions().dtype(at::kLong)), grad);
}

void repeat_interleave_grad(at::Tensor& out, const at::Tensor& grad, const at::Tensor& repeats,
                            int64_t axis) {
  const int64_t count = out.size(axis);
  const at::Tensor each = repeats.numel() == 1 ? repeats.reshape({1}).expand({count}) : repeats;
  const at::Tensor rows = at::repeat_interleave(each.to(at::kLong));
  out.zero_().index_add_(axis, rows, grad);
}

void one_hot(at::Tensor& out, const at::Tensor& self, int64_t classes, const at::Tensor& on_value,
             const at::Tensor& off_value, int64_t axis) {
  const int64_t dim = axis < 0 ? axis + out.dim() : axis;
  TORCH_CHECK(out.dim() == self.dim() + 1 && (classes <= 0 || out.size(dim) >= classes),
              "an output of shape ", out.sizes(), " for ", classes, " classes of ", self.sizes());
  expect_positions("self", self);
  out.fill_(off_value.item());
  out.scatter_(dim, self.unsqueeze(dim).to(at::kLong), on_value.item());
}

at::Tensor confusion_transpose(const at::Tensor& x, at::IntArrayRef permutation, at::IntArrayRef shape,
                               bool transpose_first) {
  return transpose_first ? x.permute(permutation).reshape(shape) : x.reshape(shape).permute(permutation);
}

void unique(const SizedOutput& values, at::Tensor& inverse, const at::Tensor& self, bool sorted,
            bool return_inverse) {
  const auto results = at::_unique(self, sorted, return_inverse);
  values.store(std::get<0>(results));
  if (return_inverse) write(inverse, std::get<1>(results));
}

void unique2(const SizedOutput& values, at::Tensor& inverse, const SizedOutput& counts,
             const at::Tensor& self, bool sorted, bool return_inverse, bool return_counts) {
  const auto results = at::_unique2(self, sorted, return_inverse, return_counts);
  values.store(std::get<0>(results));
  if (return_inverse) write(inverse, std::get<1>(results));
  if (return_counts) counts.store(std::get<2>(results));
}

void unique_dim(const SizedOutput& values, at::Tensor& inverse, const SizedOutput& counts,
                const at::Tensor& self, bool sorted, bool return_inverse, int64_t dim) {
  const auto results = at::unique_dim(self, dim, sorted, return_inverse, true);
  values.store(std::get<0>(results));
  if (return_inverse) write(inverse, std::get<1>(results));
  counts.store(std::get<2>(results));
}

void unique_consecutive(const SizedOutput& values, const SizedOutput& inverse, const SizedOutput& counts,
                        const at::Tensor& self, bool return_inverse, bool return_counts, int64_t dim) {
  constexpr int64_t kAllElements = 1000;
  const auto of = dim == kAllElements ? c10::optional<int64_t>() : c10::optional<int64_t>(dim);
  const auto results = at::unique_consecutive(self, return_inverse, return_counts, of);
  values.store(std::get<0>(results));
  if (return_inverse) inverse.store(std::get<1>(results));
  if (return_counts) counts.store(std::get<2>(results));
}

void svd(at::Tensor& sigma, at::Tensor& u, at::Tensor& v, const at::Tensor& input, bool full_matrices,
         bool compute_uv) {
  EXPECT_PARAMETER(input.numel() > 0, "'input' has no elements (", input.sizes(), ")");
  EXPECT_PARAMETER(at::isFloatingType(input.scalar_type()) || at::isComplexType(input.scalar_type()),
                   "'input' has data type ", input.scalar_type(), "; it must be floating or complex");
  if (!compute_uv) {
    write(sigma, at::linalg_svdvals(input));
    return;
  }
  EXPECT_GIVEN(u.defined() && v.defined(), "'u' and 'v' must be given where they are computed");
  const auto results = at::linalg_svd(input, full_matrices);
  write(sigma, std::get<1>(results));
  write(u, std::get<0>(results));
  write(v, std::get<2>(results).mH());
}

void linalg_qr(at::Tensor& q, at::Tensor& r, const at::Tensor& self, int64_t mode) {
  TORCH_CHECK(mode >= 0 && mode <= 2, "mode is ", mode, "; it must be 0 (reduced), 1 (complete) or 2 (r)");
  constexpr std::array<const char*, 3> kNames = {"reduced", "complete", "r"};
  const auto results = at::linalg_qr(self, kNames[static_cast<std::size_t>(mode)]);
  if (mode != 2) write(q, std::get<0>(results));
  write(r, std::get<1>(results));
}

}  // namespace cann_simulator
