// Kernels written by hand, for operators that are more than one aclnn call. ops/ops.yaml registers them;
// names and arguments are ATen's.
#ifndef NPU_GLUE_ATEN_KERNELS_H_
#define NPU_GLUE_ATEN_KERNELS_H_

#include <ATen/core/Generator.h>
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>

#include <array>
#include <tuple>

#include "compat.h"

namespace npu {

using Tensors3 = std::tuple<at::Tensor, at::Tensor, at::Tensor>;
using IndexList = c10::List<optional<at::Tensor>>;

// kernels/fill.cpp
at::Tensor& fill_tensor(at::Tensor& self, const at::Tensor& value);
at::Tensor& zero(at::Tensor& self);
at::Tensor& arange_out(const at::Scalar& start, const at::Scalar& end, const at::Scalar& step,
                       at::Tensor& out);

// kernels/random.cpp
at::Tensor& normal(at::Tensor& self, double mean, double std, optional<at::Generator> generator);
at::Tensor& uniform(at::Tensor& self, double from, double to, optional<at::Generator> generator);
at::Tensor& bernoulli(at::Tensor& self, double p, optional<at::Generator> generator);
at::Tensor& random(at::Tensor& self, optional<at::Generator> generator);
at::Tensor& random_from(at::Tensor& self, int64_t from, optional<int64_t> to,
                        optional<at::Generator> generator);
at::Tensor& random_to(at::Tensor& self, int64_t to, optional<at::Generator> generator);
std::tuple<at::Tensor, at::Tensor> native_dropout(const at::Tensor& input, double p, optional<bool> train);
at::Tensor native_dropout_backward(const at::Tensor& grad_output, const at::Tensor& mask, double scale);

// kernels/math.cpp
at::Tensor floor_divide(const at::Tensor& self, const at::Tensor& other);
at::Tensor& floor_divide_inplace(at::Tensor& self, const at::Tensor& other);
bool equal(const at::Tensor& self, const at::Tensor& other);
at::Tensor where(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other);
at::Tensor& where_out(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other,
                      at::Tensor& out);
at::Tensor& conj_physical_inplace(at::Tensor& self);
at::Tensor& conj_physical_out(const at::Tensor& self, at::Tensor& out);
at::Tensor dot(const at::Tensor& self, const at::Tensor& tensor);

// kernels/index.cpp
at::Tensor index(const at::Tensor& self, const IndexList& indices);
at::Tensor& index_put(at::Tensor& self, const IndexList& indices, const at::Tensor& values, bool accumulate,
                      bool unsafe);
at::Tensor index_select(const at::Tensor& self, int64_t dim, const at::Tensor& index);
at::Tensor& index_select_out(const at::Tensor& self, int64_t dim, const at::Tensor& index, at::Tensor& out);
at::Tensor masked_select(const at::Tensor& self, const at::Tensor& mask);
at::Tensor nonzero(const at::Tensor& self);
at::Tensor roll(const at::Tensor& self, at::IntArrayRef shifts, at::IntArrayRef dims);

// kernels/conv.cpp
at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                       bool transposed, at::IntArrayRef output_padding, int64_t groups);
Tensors3 convolution_backward(const at::Tensor& grad_output, const at::Tensor& input,
                              const at::Tensor& weight, at::IntArrayRef stride, at::IntArrayRef padding,
                              at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding,
                              int64_t groups, std::array<bool, 3> output_mask);

// kernels/norm.cpp
Tensors3 batch_norm(const at::Tensor& input, const optional<at::Tensor>& weight,
                    const optional<at::Tensor>& bias, const optional<at::Tensor>& running_mean,
                    const optional<at::Tensor>& running_var, bool training, double momentum, double eps);
Tensors3 batch_norm_backward(const at::Tensor& grad_out, const at::Tensor& input,
                             const optional<at::Tensor>& weight, const optional<at::Tensor>& running_mean,
                             const optional<at::Tensor>& running_var, const optional<at::Tensor>& save_mean,
                             const optional<at::Tensor>& save_invstd, bool train, double eps,
                             std::array<bool, 3> output_mask);
Tensors3 layer_norm(const at::Tensor& input, at::IntArrayRef normalized_shape,
                    const optional<at::Tensor>& weight, const optional<at::Tensor>& bias, double eps);
Tensors3 layer_norm_backward(const at::Tensor& grad_out, const at::Tensor& input,
                             at::IntArrayRef normalized_shape, const at::Tensor& mean, const at::Tensor& rstd,
                             const optional<at::Tensor>& weight, const optional<at::Tensor>& bias,
                             std::array<bool, 3> output_mask);
Tensors3 group_norm(const at::Tensor& input, const optional<at::Tensor>& weight,
                    const optional<at::Tensor>& bias, int64_t N, int64_t C, int64_t HxW, int64_t group,
                    double eps);
Tensors3 group_norm_backward(const at::Tensor& grad_out, const at::Tensor& input, const at::Tensor& mean,
                             const at::Tensor& rstd, const optional<at::Tensor>& weight, int64_t N, int64_t C,
                             int64_t HxW, int64_t group, std::array<bool, 3> output_mask);

// kernels/loss.cpp
at::Tensor mse_loss(const at::Tensor& self, const at::Tensor& target, int64_t reduction);
at::Tensor& mse_loss_out(const at::Tensor& self, const at::Tensor& target, int64_t reduction,
                         at::Tensor& out);
at::Tensor mse_loss_backward(const at::Tensor& grad_output, const at::Tensor& self, const at::Tensor& target,
                             int64_t reduction);
at::Tensor smooth_l1_loss(const at::Tensor& self, const at::Tensor& target, int64_t reduction, double beta);
at::Tensor& smooth_l1_loss_out(const at::Tensor& self, const at::Tensor& target, int64_t reduction,
                               double beta, at::Tensor& out);
at::Tensor binary_cross_entropy(const at::Tensor& self, const at::Tensor& target,
                                const optional<at::Tensor>& weight, int64_t reduction);

}  // namespace npu

#endif  // NPU_GLUE_ATEN_KERNELS_H_
