#include "shapes.h"

#include <algorithm>
#include <cmath>

#include "compat.h"
#include "kernels.h"

#if SIMULATOR_HAS_INDEX_RULES
#include <ATen/ops/index_meta_dispatch.h>
#endif

namespace cann_simulator {
namespace {

int64_t wrapped(int64_t dim, int64_t count) {
  TORCH_CHECK(dim >= -count && dim < count, "dimension ", dim, " of a tensor of ", count, " dimensions");
  return dim < 0 ? dim + count : dim;
}

}  // namespace

void expect_shape(const char* name, const at::Tensor& tensor, at::IntArrayRef shape) {
  TORCH_CHECK(!tensor.defined() || tensor.sizes() == shape, "'", name, "' has shape ", tensor.sizes(),
              ", the operator computes shape ", shape);
}

void expect_like(const at::Tensor& result, const at::Tensor& out) {
  TORCH_CHECK(out.sizes() == result.sizes(), "an output has shape ", out.sizes(),
              ", the operator computes shape ", result.sizes());
}

std::vector<int64_t> reduced_dims(const at::Tensor& self, at::IntArrayRef dims) {
  std::vector<int64_t> reduced;
  for (int64_t dim = 0; dims.empty() && dim < self.dim(); ++dim) reduced.push_back(dim);
  for (const int64_t dim : dims) reduced.push_back(wrapped(dim, std::max<int64_t>(self.dim(), 1)));
  std::sort(reduced.rbegin(), reduced.rend());
  TORCH_CHECK(std::adjacent_find(reduced.begin(), reduced.end()) == reduced.end(),
              "a dimension is named twice in ", dims);
  return reduced;
}

Shape reduced(const at::Tensor& self, at::IntArrayRef dims, bool keepdim) {
  Shape shape = self.sizes().vec();
  if (shape.empty()) return shape;
  for (const int64_t dim : reduced_dims(self, dims)) {
    if (keepdim) {
      shape[static_cast<std::size_t>(dim)] = 1;
    } else {
      shape.erase(shape.begin() + dim);
    }
  }
  return shape;
}

Shape with_size(const at::Tensor& self, int64_t dim, int64_t size) {
  Shape shape = self.sizes().vec();
  if (!shape.empty()) shape[static_cast<std::size_t>(wrapped(dim, self.dim()))] = size;
  return shape;
}

Shape dot_shape(const at::Tensor& self, const at::Tensor& other) {
  TORCH_CHECK(self.dim() == 1 && self.sizes() == other.sizes(), "the product of ", self.sizes(), " and ",
              other.sizes(), "; both must be vectors of one length");
  return {};
}

Shape repeated(const at::Tensor& self, at::IntArrayRef repeats) {
  TORCH_CHECK(static_cast<int64_t>(repeats.size()) >= self.dim(), repeats.size(), " repeats for ", self.dim(),
              " dimensions");
  Shape shape = repeats.vec();
  const std::size_t added = repeats.size() - self.sizes().size();
  for (std::size_t dim = added; dim < shape.size(); ++dim) shape[dim] *= self.sizes()[dim - added];
  return shape;
}

Shape embedded(const at::Tensor& weight, const at::Tensor& indices) {
  TORCH_CHECK(weight.dim() == 2, "a weight of ", weight.dim(), " dimensions; it must have 2");
  Shape shape = indices.sizes().vec();
  shape.push_back(weight.size(1));
  return shape;
}

Shape adaptive_shape(const at::Tensor& self, at::IntArrayRef output_size) {
  TORCH_CHECK((self.dim() == 3 || self.dim() == 4) && output_size.size() == 2, "an input of ", self.dim(),
              " dimensions and an output size of ", output_size.size(), "; they must be 3 or 4, and 2");
  Shape shape = self.sizes().vec();
  std::copy(output_size.begin(), output_size.end(), shape.end() - 2);
  return shape;
}

Shape loss_shape(const at::Tensor& self, int64_t reduction) {
  TORCH_CHECK(reduction >= 0 && reduction <= 2, "reduction is ", reduction,
              "; it must be 0, 1 (mean) or 2 (sum)");
  return reduction == 0 ? self.sizes().vec() : Shape{};
}

Shape convolution_shape(const at::Tensor& input, const at::Tensor& weight, at::IntArrayRef stride,
                        at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                        at::IntArrayRef output_padding, int64_t groups) {
  TORCH_CHECK(input.dim() >= 3 && weight.dim() == input.dim(), "an input of ", input.dim(),
              " dimensions and a weight of ", weight.dim(), "; they must have the same number, 3 or more");
  const auto spatial = static_cast<std::size_t>(input.dim()) - 2;
  TORCH_CHECK(groups > 0 && input.size(1) == (transposed ? weight.size(0) : weight.size(1) * groups),
              "an input of ", input.sizes(), " does not fit a weight of ", weight.sizes(), " in ", groups,
              " groups");
  const auto parameter = [spatial](at::IntArrayRef values, std::size_t index) {
    TORCH_CHECK(values.size() == spatial || values.size() == 1, values.size(), " values for ", spatial,
                " dimensions");
    return values[values.size() == 1 ? 0 : index];
  };
  Shape shape = {input.size(0), transposed ? weight.size(1) * groups : weight.size(0)};
  for (std::size_t index = 0; index < spatial; ++index) {
    const auto dim = static_cast<int64_t>(index) + 2;
    const int64_t step = parameter(stride, index);
    const int64_t reach = parameter(dilation, index) * (weight.size(dim) - 1) + 1;
    const int64_t margin = 2 * parameter(padding, index);
    TORCH_CHECK(step > 0, "a stride of ", step);
    const int64_t size =
        transposed ? (input.size(dim) - 1) * step - margin + reach + parameter(output_padding, index)
                   : (input.size(dim) + margin - reach) / step + 1;
    TORCH_CHECK(input.size(dim) + (transposed ? 0 : margin - reach) >= 0, "the kernel (", weight.sizes(),
                ") is larger than the padded input (", input.sizes(), ")");
    shape.push_back(size);
  }
  return shape;
}

void expect_batch(const at::Tensor& grad, const at::Tensor& self, int64_t spatial) {
  const int64_t leading = self.dim() - spatial;
  const auto batch = [leading](const at::Tensor& tensor) {
    return tensor.sizes().slice(0, static_cast<std::size_t>(leading));
  };
  TORCH_CHECK(leading > 0 && grad.dim() == self.dim() && batch(grad) == batch(self), "a gradient of shape ",
              grad.sizes(), " for an input of shape ", self.sizes());
}

void expect_channel(const at::Tensor& input, const c10::optional<at::Tensor>& parameter) {
  TORCH_CHECK(input.dim() >= 2, "an input of ", input.dim(), " dimensions; the second is that of channels");
  if (!parameter || !parameter->defined()) return;
  TORCH_CHECK(parameter->dim() == 1 && parameter->size(0) == input.size(1),
              "a parameter or a statistic of shape ", parameter->sizes(), " for an input of shape ",
              input.sizes());
}

void expect_rows(const at::Tensor& input, at::IntArrayRef normalized_shape, const at::Tensor& statistic) {
  const int64_t rows = input.dim() - static_cast<int64_t>(normalized_shape.size());
  int64_t count = 1;
  for (int64_t dim = 0; dim < rows; ++dim) count *= input.size(dim);
  TORCH_CHECK(rows >= 0 && statistic.numel() == count, "a statistic of shape ", statistic.sizes(),
              " for an input of shape ", input.sizes(), ", normalized over ", normalized_shape);
}

Shape sampled(const at::Tensor& input, const at::Tensor& grid) {
  TORCH_CHECK(input.dim() == grid.dim() && input.dim() >= 4, "an input of shape ", input.sizes(),
              " and a grid of shape ", grid.sizes());
  Shape shape = grid.sizes().vec();
  shape.pop_back();
  shape.insert(shape.begin() + 1, input.size(1));
  return shape;
}

Shape distances(const at::Tensor& first, const at::Tensor& other) {
  TORCH_CHECK(first.dim() >= 2 && other.dim() >= 2 && first.size(-1) == other.size(-1), "rows of ",
              first.sizes(), " and of ", other.sizes());
  const auto batch = [](const at::Tensor& tensor) {
    return tensor.sizes().slice(0, static_cast<std::size_t>(tensor.dim() - 2));
  };
  const auto common = at::infer_size(batch(first), batch(other));
  Shape shape(common.begin(), common.end());
  shape.push_back(first.size(-2));
  shape.push_back(other.size(-2));
  return shape;
}

Shape ranged(const at::Scalar& start, const at::Scalar& end, const at::Scalar& step) {
  const double steps = (end.toDouble() - start.toDouble()) / step.toDouble();
  TORCH_CHECK(step.toDouble() != 0 && std::isfinite(steps) && steps >= 0, "a range from ", start.toDouble(),
              " to ", end.toDouble(), " in steps of ", step.toDouble());
  return {static_cast<int64_t>(steps) + 1};
}

void expect_norm_order(const at::Scalar& p) {
  TORCH_CHECK(p.toDouble() > 0, "a norm of order ", p.toDouble(), "; the simulator has positive ones only");
}

int64_t elements_of_channel(const at::Tensor& self) {
  TORCH_CHECK(self.dim() >= 2, "an input of ", self.dim(), " dimensions; the second is that of channels");
  int64_t elements = 1;
  for (int64_t dim = 2; dim < self.dim(); ++dim) elements *= self.size(dim);
  return elements;
}

void expect_groups(const at::Tensor& self, int64_t n, int64_t c, int64_t hxw, int64_t group) {
  TORCH_CHECK(n >= 0 && c > 0 && hxw >= 0 && n * c * hxw == self.numel(), "an input of ", self.sizes(),
              " for ", n, " x ", c, " x ", hxw, " elements");
  TORCH_CHECK(group > 0 && c % group == 0, c, " channels in ", group, " groups");
}

void expect_one_element(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.numel() == 1, "a number in a tensor of shape ", tensor.sizes());
}

Shape product_shape(const at::Tensor& self, const at::Tensor& other) {
  TORCH_CHECK(self.dim() == 2 && other.dim() == 2 && self.size(1) == other.size(0), "the product of ",
              self.sizes(), " and ", other.sizes());
  return {self.size(0), other.size(1)};
}

Shape matrix_vector_shape(const at::Tensor& self, const at::Tensor& vec) {
  TORCH_CHECK(self.dim() == 2 && vec.dim() == 1 && self.size(1) == vec.size(0), "the product of ",
              self.sizes(), " and ", vec.sizes());
  return {self.size(0)};
}

Shape matmul_shape(const at::Tensor& self, const at::Tensor& other) {
  TORCH_CHECK(self.dim() > 0 && other.dim() > 0 && self.size(-1) == other.size(other.dim() == 1 ? 0 : -2),
              "the product of ", self.sizes(), " and ", other.sizes());
  const auto batch = [](const at::Tensor& tensor) {
    return tensor.sizes().slice(0, static_cast<std::size_t>(std::max<int64_t>(tensor.dim() - 2, 0)));
  };
  const auto common = at::infer_size(batch(self), batch(other));
  Shape shape(common.begin(), common.end());
  if (self.dim() > 1) shape.push_back(self.size(-2));
  if (other.dim() > 1) shape.push_back(other.size(-1));
  return shape;
}

Shape halved(const at::Tensor& self, int64_t dim) {
  const int64_t size = self.size(dim);
  TORCH_CHECK(size % 2 == 0, "dimension ", dim, " has ", size, " elements; it is split in two halves");
  return with_size(self, dim, size / 2);
}

Shape padded(const at::Tensor& self, at::IntArrayRef padding) {
  TORCH_CHECK(padding.size() % 2 == 0 && static_cast<int64_t>(padding.size()) <= 2 * self.dim(),
              padding.size(), " paddings for ", self.dim(), " dimensions");
  Shape shape = self.sizes().vec();
  for (std::size_t index = 0; index < padding.size(); ++index) {
    shape[shape.size() - 1 - index / 2] += padding[index];
  }
  return shape;
}

// Where this torch has no rules for it, the kernel finds out.
void check_index([[maybe_unused]] at::Tensor& out, [[maybe_unused]] const at::Tensor& self,
                 [[maybe_unused]] const std::vector<at::Tensor>& indices) {
#if SIMULATOR_HAS_INDEX_RULES
  if (out.numel() == 0 || has_mask(indices)) return;
  const Shape given = out.sizes().vec();
  at::meta::index_out(out, self, index_list(indices));
  TORCH_CHECK(out.sizes() == at::IntArrayRef(given), "'out' has shape ", given,
              ", the operator computes shape ", out.sizes());
#endif
}

}  // namespace cann_simulator
