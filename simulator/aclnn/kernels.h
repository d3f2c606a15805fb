// What the calls in cann/operators use beside ATen itself: operators whose CANN form differs from ATen's.
#ifndef CANN_SIMULATOR_KERNELS_H_
#define CANN_SIMULATOR_KERNELS_H_

#include <ATen/TensorOperators.h>
#include <ATen/core/Generator.h>
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "attention.h"
#include "cache.h"
#include "fused.h"
#include "indexer.h"
#include "joint.h"
#include "layers.h"
#include "lists.h"
#include "moe.h"
#include "quant.h"
#include "rearrange.h"
#include "rules.h"
#include "shapes.h"
#include "spectral.h"

namespace cann_simulator {

// out = value; throws c10::Error when the shapes differ (copy_ would broadcast) or the type cannot be cast.
void write(at::Tensor& out, const at::Tensor& value);
// The same for an output that the caller may leave out, and for a value that ATen did not compute.
void write_if(at::Tensor& out, const at::Tensor& value);

// A fresh generator whose numbers depend on (seed, offset) alone.
at::Generator generator(int64_t seed, int64_t offset);

inline c10::optional<int64_t> unless_zero(int64_t value) {
  return value == 0 ? c10::nullopt : c10::optional<int64_t>(value);
}
// Of this very type: a plain number would choose ATen's older overload with a bool in its place.
#if SIMULATOR_SCALAR_CORRECTION
inline c10::optional<at::Scalar> variance_correction(int64_t correction) { return at::Scalar(correction); }
#else
inline c10::optional<int64_t> variance_correction(int64_t correction) { return correction; }
#endif
// Reading and writing by index. As in CANN a NULL handle and a tensor of no elements both stand for a
// dimension that is not indexed; where nothing is left, nothing is selected.
void index(at::Tensor& out, const at::Tensor& self, const std::vector<at::Tensor>& indices);
void index_put(at::Tensor& self, const std::vector<at::Tensor>& indices, const at::Tensor& values,
               bool accumulate, bool unsafe);
// The rules of both, without what depends on the number of elements that a mask selects.
void try_index(at::Tensor& out, const at::Tensor& self, const std::vector<at::Tensor>& indices);
void try_index_put(at::Tensor& self, const std::vector<at::Tensor>& indices, const at::Tensor& values,
                   bool accumulate, bool unsafe);
// The indices as ATen takes them, one per dimension.
c10::List<c10::optional<at::Tensor>> index_list(const std::vector<at::Tensor>& tensors);
bool has_mask(const std::vector<at::Tensor>& indices);

// Throws unless a result whose shape depends on what its operands hold can be stored as the type of `out`.
void expect_castable(const at::Tensor& out, const at::Tensor& value);
// Throws unless `out` is a row of so many elements or more.
void expect_room(const at::Tensor& out, int64_t elements);
// Throws when `out` has elements of a source that has none.
void expect_source(const at::Tensor& out, const at::Tensor& source);
// The identity in place of a matrix, or of a batch of them, that must have an inverse.
at::Tensor identity_like(const at::Tensor& self);
std::array<bool, 2> mask2(const std::vector<bool>& mask);
std::array<bool, 3> mask3(const std::vector<bool>& mask);

// Of complex numbers the sign is that of their direction.
void sign(at::Tensor& out, const at::Tensor& self);
// A number that takes part in arithmetic without deciding the result's type.
at::Tensor wrapped_scalar(const at::Scalar& value);
void cast(at::Tensor& out, const at::Tensor& self, at::ScalarType dtype);

// Reductions of several dimensions (none: all of them) that older ATen has for one dimension only.
void reduce_all(at::Tensor& out, const at::Tensor& self, at::IntArrayRef dims, bool keepdim);
void reduce_any(at::Tensor& out, const at::Tensor& self, at::IntArrayRef dims, bool keepdim);

// The dimensions, or all of them when none is named.
std::vector<int64_t> every_dim(const at::Tensor& self, at::IntArrayRef dims);
void aminmax(at::Tensor& min, at::Tensor& max, const at::Tensor& self, at::IntArrayRef dims, bool keepdim);

// reduce: 0 replaces, 1 adds, 2 multiplies.
void scatter(at::Tensor& out, const at::Tensor& self, int64_t dim, const at::Tensor& index,
             const at::Tensor& src, int64_t reduce);
void scatter(at::Tensor& out, const at::Tensor& self, int64_t dim, const at::Tensor& index,
             const at::Scalar& value, int64_t reduce);

// mode: 0 true division, 1 rounds towards zero, 2 rounds down.
void divide(at::Tensor& out, const at::Tensor& self, const at::Tensor& other, int64_t mode);

void log_sigmoid_forward(at::Tensor& out, at::Tensor& buffer, const at::Tensor& self);
void log_sigmoid_backward(at::Tensor& grad_input, const at::Tensor& grad_output, const at::Tensor& self);

void batch_norm(at::Tensor& output, at::Tensor& save_mean, at::Tensor& save_invstd, const at::Tensor& input,
                const c10::optional<at::Tensor>& weight, const c10::optional<at::Tensor>& bias,
                const c10::optional<at::Tensor>& running_mean, const c10::optional<at::Tensor>& running_var,
                bool training, double momentum, double eps);

// The device aligns the last dimension of log_alpha; ATen does not.
void ctc_loss(at::Tensor& loss, at::Tensor& log_alpha, const at::Tensor& log_probs, const at::Tensor& targets,
              at::IntArrayRef input_lengths, at::IntArrayRef target_lengths, int64_t blank,
              bool zero_infinity);
at::Tensor ctc_loss_backward(const at::Tensor& grad, const at::Tensor& log_probs, const at::Tensor& targets,
                             at::IntArrayRef input_lengths, at::IntArrayRef target_lengths,
                             const at::Tensor& loss, const at::Tensor& log_alpha, int64_t blank,
                             bool zero_infinity);

struct Window {
  at::IntArrayRef kernel_size, stride, padding, dilation;
  bool ceil_mode;
};
// The mask of the largest elements has a form of the device's own, which only the backward operator reads.
// Here that finds them again, so the mask is zeros.
void max_pool2d_with_mask(at::Tensor& out, at::Tensor& mask, const at::Tensor& self, const Window& window);
at::Tensor max_pool2d_with_mask_backward(const at::Tensor& grad, const at::Tensor& self,
                                         const Window& window);

// write_if for a result of three: gradients that a mask or a NULL output leaves out.
template <class Results>
void write3(const Results& results, at::Tensor& first, at::Tensor& second, at::Tensor& third) {
  write_if(first, std::get<0>(results));
  write_if(second, std::get<1>(results));
  write_if(third, std::get<2>(results));
}

template <class Results>
void write_pair(const Results& results, at::Tensor& first, at::Tensor& second) {
  write_if(first, std::get<0>(results));
  write_if(second, std::get<1>(results));
}

template <class Results>
void write2(const Results& results, at::Tensor& first, at::Tensor& second) {
  write(first, std::get<0>(results));
  write(second, std::get<1>(results));
}

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_KERNELS_H_
