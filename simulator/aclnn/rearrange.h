// Kernels that move, select, count or order elements, where CANN's form differs from ATen's.
#ifndef CANN_SIMULATOR_REARRANGE_H_
#define CANN_SIMULATOR_REARRANGE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "frame.h"

namespace cann_simulator {

// An int64 tensor of these positions.
at::Tensor index_of(at::IntArrayRef positions);

// reduce: 1 sum, 2 prod, 3 amax, 4 amin, 5 mean.
const char* reduce_name(int64_t reduce);

// Of an index of any shape, along dim; the first batch_dims dimensions of both go together.
at::Tensor gather_v3(const at::Tensor& self, int64_t dim, const at::Tensor& index, int64_t batch_dims);

// data[i] from position indices[i] of axis on becomes updates[i]; the axis counts the batch dimension i.
void scatter_update(at::Tensor& data, const at::Tensor& indices, const at::Tensor& updates, int64_t axis);
// The last dimension of indices is a position in the first dimensions of self.
void scatter_nd_update(at::Tensor& self, const at::Tensor& indices, const at::Tensor& updates);

// Sums, means (mode 1) or largest elements (mode 2) of the rows of each bag; what else is written says which
// rows they were.
struct Bags {
  bool scale_grad_by_freq, sparse, include_last_offset;
  int64_t mode, padding_idx;
};
void embedding_bag(at::Tensor& out, at::Tensor& offset2bag, at::Tensor& bag_size, at::Tensor& max_indices,
                   const at::Tensor& weight, const at::Tensor& indices, const at::Tensor& offsets,
                   const c10::optional<at::Tensor>& per_sample_weights, const Bags& bags);

void repeat_interleave_grad(at::Tensor& out, const at::Tensor& grad, const at::Tensor& repeats, int64_t axis);
// Its rules for types and shapes, whatever the repeats are.
void try_repeat_interleave_grad(at::Tensor& out, const at::Tensor& grad, const at::Tensor& repeats,
                                int64_t axis);
void one_hot(at::Tensor& out, const at::Tensor& self, int64_t classes, const at::Tensor& on_value,
             const at::Tensor& off_value, int64_t axis);
at::Tensor confusion_transpose(const at::Tensor& x, at::IntArrayRef permutation, at::IntArrayRef shape,
                               bool transpose_first);

void unique(const SizedOutput& values, at::Tensor& inverse, const at::Tensor& self, bool sorted,
            bool return_inverse);
void unique2(const SizedOutput& values, at::Tensor& inverse, const SizedOutput& counts,
             const at::Tensor& self, bool sorted, bool return_inverse, bool return_counts);
void unique_dim(const SizedOutput& values, at::Tensor& inverse, const SizedOutput& counts,
                const at::Tensor& self, bool sorted, bool return_inverse, int64_t dim);
// dim 1000: of all elements.
void unique_consecutive(const SizedOutput& values, const SizedOutput& inverse, const SizedOutput& counts,
                        const at::Tensor& self, bool return_inverse, bool return_counts, int64_t dim);

// input = u diag(sigma) v^H; v itself, not its conjugate transpose. u and v only where they are asked for.
void svd(at::Tensor& sigma, at::Tensor& u, at::Tensor& v, const at::Tensor& input, bool full_matrices,
         bool compute_uv);

// mode: 0 reduced, 1 complete, 2 only r.
void linalg_qr(at::Tensor& q, at::Tensor& r, const at::Tensor& self, int64_t mode);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_REARRANGE_H_
