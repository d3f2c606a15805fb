#include "shapes.h"

#include <algorithm>

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
  const auto is_mask = [](const at::Tensor& index) {
    return index.defined() && (index.scalar_type() == at::kBool || index.scalar_type() == at::kByte);
  };
  if (out.numel() == 0 || std::any_of(indices.begin(), indices.end(), is_mask)) return;
  const Shape given = out.sizes().vec();
  at::meta::index_out(out, self, index_list(indices));
  TORCH_CHECK(out.sizes() == at::IntArrayRef(given), "'out' has shape ", given,
              ", the operator computes shape ", out.sizes());
#endif
}

}  // namespace cann_simulator
