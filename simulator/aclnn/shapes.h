// The shapes that operators compute, for the checks of phase one in cann/operators. Tensors have no data
// there. Every function throws c10::Error when its operands do not fit each other.
#ifndef CANN_SIMULATOR_SHAPES_H_
#define CANN_SIMULATOR_SHAPES_H_

#include <ATen/ExpandUtils.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>
#include <vector>

namespace cann_simulator {

using Shape = std::vector<int64_t>;

// Throws unless the tensor has the shape; passes over an output that was left out.
void expect_shape(const char* name, const at::Tensor& tensor, at::IntArrayRef shape);
// The same with the shape of another tensor, such as the result of a function of at::meta.
void expect_like(const at::Tensor& result, const at::Tensor& out);

template <class Results>
void expect_like2(const Results& results, const at::Tensor& first, const at::Tensor& second) {
  expect_like(std::get<0>(results), first);
  expect_like(std::get<1>(results), second);
}

inline Shape broadcast(const at::Tensor& tensor) { return tensor.sizes().vec(); }
template <class... Tensors>
Shape broadcast(const at::Tensor& first, const Tensors&... others) {
  return at::infer_size(first.sizes(), broadcast(others...));
}

// The dimensions to reduce, from the last to the first; all of them when none is named.
std::vector<int64_t> reduced_dims(const at::Tensor& self, at::IntArrayRef dims);
Shape reduced(const at::Tensor& self, at::IntArrayRef dims, bool keepdim);

Shape with_size(const at::Tensor& self, int64_t dim, int64_t size);
Shape dot_shape(const at::Tensor& self, const at::Tensor& other);
Shape repeated(const at::Tensor& self, at::IntArrayRef repeats);
Shape embedded(const at::Tensor& weight, const at::Tensor& indices);
Shape adaptive_shape(const at::Tensor& self, at::IntArrayRef output_size);
Shape loss_shape(const at::Tensor& self, int64_t reduction);
Shape convolution_shape(const at::Tensor& input, const at::Tensor& weight, at::IntArrayRef stride,
                        at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                        at::IntArrayRef output_padding, int64_t groups);

// What ATen's CPU kernels do not look at before they read: a gradient whose dimensions before the last
// `spatial` ones are not its input's, parameters and statistics that are not one number for each channel, and
// the sizes of one operand that only another tells.
void expect_batch(const at::Tensor& grad, const at::Tensor& self, int64_t spatial);
void expect_channel(const at::Tensor& input, const c10::optional<at::Tensor>& parameter);
template <class... Parameters>
void expect_channels(const at::Tensor& input, const Parameters&... parameters) {
  (expect_channel(input, parameters), ...);
}
void expect_rows(const at::Tensor& input, at::IntArrayRef normalized_shape, const at::Tensor& statistic);
Shape sampled(const at::Tensor& input, const at::Tensor& grid);
Shape distances(const at::Tensor& first, const at::Tensor& other);
// From start to end, which belongs to it.
Shape ranged(const at::Scalar& start, const at::Scalar& end, const at::Scalar& step);
void expect_norm_order(const at::Scalar& p);

// Elements of one channel of one sample.
int64_t elements_of_channel(const at::Tensor& self);
// Of group normalization: the input holds n samples of c channels of hxw elements.
void expect_groups(const at::Tensor& self, int64_t n, int64_t c, int64_t hxw, int64_t group);
void expect_one_element(const at::Tensor& tensor);
Shape product_shape(const at::Tensor& self, const at::Tensor& other);
Shape matrix_vector_shape(const at::Tensor& self, const at::Tensor& vec);
// Of at::matmul: of vectors, matrices and batches of them.
Shape matmul_shape(const at::Tensor& self, const at::Tensor& other);
// The size of one dimension halved, which must be even.
Shape halved(const at::Tensor& self, int64_t dim);
// padding: before and after each dimension, from the last one on.
Shape padded(const at::Tensor& self, at::IntArrayRef padding);

// The check of indexing with positions; a mask decides the shape with its data, so nothing is checked then.
void check_index(at::Tensor& out, const at::Tensor& self, const std::vector<at::Tensor>& indices);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_SHAPES_H_
