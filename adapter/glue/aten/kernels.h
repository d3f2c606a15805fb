// Kernels written by hand, for operators that are more than one aclnn call. ops/ops.yaml registers them;
// names, arguments, defaults and error messages are ATen's.
//
// What holds for all of them, unless a function says otherwise:
// - The dispatcher calls them: at least one tensor is on an NPU, and the result is on the device of the
//   first one. The kernel is queued on that device's current stream; the call does not wait for it. A
//   tensor on another NPU, or on the host where no host number is taken (operands.h), is an error of the
//   aclnn call.
// - "any": every dtype that CANN's operator takes; others are CANN's error, which names the operator.
// - Broadcast means as in PyTorch: dimensions are aligned from the last one, and a size of 1 repeats.
// - A result is contiguous or laid out as its input, and has the dtype of the first tensor. `foo_out`
//   resizes `out` (with PyTorch's warning if it has elements) and returns it. In-place functions return
//   `self`.
// - A result without elements is valid, and nothing is queued for it, but batch_norm and the backward
//   functions of conv.cpp and norm.cpp leave it to CANN.
// - c10::Error is thrown for what is refused, before anything is queued.
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
// One entry per dimension from the first; none (or an undefined tensor) takes a dimension whole.
using IndexList = c10::List<optional<at::Tensor>>;

// ---- kernels/fill.cpp -----------------------------------------------------------------------------------

// Writes one value to every element of `self` [*], any dtype. `value` is of 0 dimensions, on the device or
// the host, and is cast to the dtype of `self`.
at::Tensor& fill_tensor(at::Tensor& self, const at::Tensor& value);

// Writes 0 to every element of `self` [*], any dtype and strides.
at::Tensor& zero(at::Tensor& self);

// out [ceil((end - start) / step)], any real dtype: start, start + step, ... up to but without `end`. The
// count is computed in int64 when all three are whole numbers. Refuses step 0, a step away from `end`, and
// bounds that are not finite. An `out` of the right number of elements keeps its shape.
at::Tensor& arange_out(const at::Scalar& start, const at::Scalar& end, const at::Scalar& step,
                       at::Tensor& out);

// ---- kernels/random.cpp ---------------------------------------------------------------------------------
// `self` [*] is overwritten. Each takes numel() numbers from `generator`, or from the default generator of
// the device of `self`: the same seed gives the same numbers on every device. Nothing is taken for an empty
// tensor.

// Normal distribution; std >= 0. Floating dtypes.
at::Tensor& normal(at::Tensor& self, double mean, double std, optional<at::Generator> generator);

// Uniform in [from, to); from <= to. Floating dtypes.
at::Tensor& uniform(at::Tensor& self, double from, double to, optional<at::Generator> generator);

// 1 with probability p, else 0; p in [0, 1]. Any real dtype, bool.
at::Tensor& bernoulli(at::Tensor& self, double p, optional<at::Generator> generator);

// Whole numbers in [0, n), where n - 1 is the largest up to which the dtype has every whole number (int64:
// without its maximum). bool, integers, bfloat16, float16, float32, float64.
at::Tensor& random(at::Tensor& self, optional<at::Generator> generator);

// Whole numbers in [from, to), or from `from` to the limit of random(); from < to.
at::Tensor& random_from(at::Tensor& self, int64_t from, optional<int64_t> to,
                        optional<at::Generator> generator);

// Whole numbers in [0, to); to > 0.
at::Tensor& random_to(at::Tensor& self, int64_t to, optional<at::Generator> generator);

// input [*], floating -> (output [*] of its dtype, mask [*] of bool, true where an element was kept). Kept
// elements are scaled by 1 / (1 - p), p in [0, 1]. With train false or p 0: a copy, and a mask of true.
std::tuple<at::Tensor, at::Tensor> native_dropout(const at::Tensor& input, double p, optional<bool> train);

// grad_output [*] * mask [*] * scale, in the dtype of grad_output.
at::Tensor native_dropout_backward(const at::Tensor& grad_output, const at::Tensor& mask, double scale);

// ---- kernels/math.cpp -----------------------------------------------------------------------------------

// The quotient rounded as this torch's floor_divide rounds (compat.h: down from 1.13 on, before towards
// zero). self and other broadcast; the dtype is their common one.
at::Tensor floor_divide(const at::Tensor& self, const at::Tensor& other);
// The same; `other` must broadcast to the shape of `self`.
at::Tensor& floor_divide_inplace(at::Tensor& self, const at::Tensor& other);

// Whether both have the same shape and elements (NaN differs from itself). Refuses two dtypes or two
// devices. Waits for the stream.
bool equal(const at::Tensor& self, const at::Tensor& other);

// Elements of `self` where `condition` (bool or uint8) is true, else of `other`. All three broadcast; self
// and other may be host numbers. The dtype is the common one of self and other, which `out` must have.
at::Tensor where(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other);
at::Tensor& where_out(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other,
                      at::Tensor& out);

// The complex conjugate, written to memory; real dtypes are left as they are. `out` is [*] as `self`.
at::Tensor& conj_physical_inplace(at::Tensor& self);
at::Tensor& conj_physical_out(const at::Tensor& self, at::Tensor& out);

// self [n], tensor [n] of one dtype -> []; the sum of their products, 0 for n = 0.
at::Tensor dot(const at::Tensor& self, const at::Tensor& tensor);

// ---- kernels/index.cpp ----------------------------------------------------------------------------------
// Indices are int64 (int32 where this torch takes it), or masks of bool or uint8 that stand for the
// positions of their true elements: a mask of k dimensions indexes k dimensions of `self`. They broadcast
// to one shape [I...]; their dimensions replace the indexed ones, in the place of the first if those are
// neighbors, else in front. An index out of range is the kernel's error, which the stream reports later; a
// mask makes the host wait, for its true elements have to be counted.

// The elements at the indices: [.., I.., ..], dtype of `self`.
at::Tensor index(const at::Tensor& self, const IndexList& indices);

// Writes `values`, which broadcast to the shape that index() gives and have the dtype of `self`, at the
// indices; adds them with `accumulate`. Without it, which of several values for one element stays is not
// defined. `unsafe` tells CANN not to check the indices. A single mask with one value does not wait.
at::Tensor& index_put(at::Tensor& self, const IndexList& indices, const at::Tensor& values, bool accumulate,
                      bool unsafe);

// self [.., n, ..], index [m] or [] of int32 or int64 -> [.., m, ..] along `dim`. `out` has the dtype of
// `self`.
at::Tensor index_select(const at::Tensor& self, int64_t dim, const at::Tensor& index);
at::Tensor& index_select_out(const at::Tensor& self, int64_t dim, const at::Tensor& index, at::Tensor& out);

// Which of `elements` [*] are among `test_elements` [any shape], as bool [*]; `invert`: which are not. Both
// are brought to their common dtype; bool and complex are refused, as PyTorch does.
at::Tensor isin(const at::Tensor& elements, const at::Tensor& test_elements, bool assume_unique, bool invert);
at::Tensor& isin_out(const at::Tensor& elements, const at::Tensor& test_elements, bool assume_unique,
                     bool invert, at::Tensor& out);
// The same of one number, as bool [].
at::Tensor isin_number(const at::Scalar& element, const at::Tensor& test_elements, bool assume_unique,
                       bool invert);

// The elements where `mask` (bool) is true, after both were broadcast: [count]. Waits for the stream.
at::Tensor masked_select(const at::Tensor& self, const at::Tensor& mask);

// The positions of the elements of `self` [d0, .., dk-1] that are not 0: [count, k] of int64. Waits for the
// stream.
at::Tensor nonzero(const at::Tensor& self);

// Elements move by shifts[i] along dims[i] and come in again at the other end. One shift and no dims: along
// the flattened tensor. Same shape as `self`.
at::Tensor roll(const at::Tensor& self, at::IntArrayRef shifts, at::IntArrayRef dims);

// ---- kernels/conv.cpp -----------------------------------------------------------------------------------
// k is 1, 2 or 3; stride, padding, dilation and output_padding have k entries. All tensors are of one
// floating dtype.

// input [N, C, L1..Lk], weight [O, C / groups, K1..Kk] ([C, O / groups, K1..Kk] when transposed), bias [O]
// or none -> [N, O, M1..Mk], where M is (L + 2 * padding - dilation * (K - 1) - 1) / stride + 1, or when
// transposed (L - 1) * stride - 2 * padding + dilation * (K - 1) + 1 + output_padding.
at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                       bool transposed, at::IntArrayRef output_padding, int64_t groups);

// The gradients of input, weight and bias [O], each where output_mask asks for it, else undefined.
// grad_output has the shape of convolution()'s result.
Tensors3 convolution_backward(const at::Tensor& grad_output, const at::Tensor& input,
                              const at::Tensor& weight, at::IntArrayRef stride, at::IntArrayRef padding,
                              at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding,
                              int64_t groups, std::array<bool, 3> output_mask);

// ---- kernels/norm.cpp -----------------------------------------------------------------------------------
// Floating dtypes. Statistics (mean, rstd, save_*) are float32 for float16 and bfloat16 inputs, else of the
// input's dtype; rstd and invstd are 1 / sqrt(variance + eps). Weights and biases may be absent: 1 and 0. A
// gradient has the dtype of the weight if there is one, and is undefined where output_mask does not ask for
// it.

// input [N, C, *] -> (output [N, C, *], save_mean [C], save_invstd [C]). weight, bias, running_mean and
// running_var are [C]. In training the batch's statistics count, and running_* move towards them by
// `momentum` in place; else running_* count, and save_* are of size 0.
Tensors3 batch_norm(const at::Tensor& input, const optional<at::Tensor>& weight,
                    const optional<at::Tensor>& bias, const optional<at::Tensor>& running_mean,
                    const optional<at::Tensor>& running_var, bool training, double momentum, double eps);

// The same, with running statistics that must be there, and with none.
Tensors3 batch_norm_legit(const at::Tensor& input, const optional<at::Tensor>& weight,
                          const optional<at::Tensor>& bias, at::Tensor& running_mean, at::Tensor& running_var,
                          bool training, double momentum, double eps);
Tensors3 batch_norm_without_running(const at::Tensor& input, const optional<at::Tensor>& weight,
                                    const optional<at::Tensor>& bias, bool training, double momentum,
                                    double eps);

// grad_out [N, C, *] -> gradients of input [N, C, *], weight [C] and bias [C]. `train` says which
// statistics counted.
Tensors3 batch_norm_backward(const at::Tensor& grad_out, const at::Tensor& input,
                             const optional<at::Tensor>& weight, const optional<at::Tensor>& running_mean,
                             const optional<at::Tensor>& running_var, const optional<at::Tensor>& save_mean,
                             const optional<at::Tensor>& save_invstd, bool train, double eps,
                             std::array<bool, 3> output_mask);

// input [A.., B..] with normalized_shape [B..] -> (output [A.., B..], mean [A.., 1..], rstd [A.., 1..]).
// weight and bias are [B..].
Tensors3 layer_norm(const at::Tensor& input, at::IntArrayRef normalized_shape,
                    const optional<at::Tensor>& weight, const optional<at::Tensor>& bias, double eps);

// grad_out [A.., B..] -> gradients of input [A.., B..], weight [B..] and bias [B..].
Tensors3 layer_norm_backward(const at::Tensor& grad_out, const at::Tensor& input,
                             at::IntArrayRef normalized_shape, const at::Tensor& mean, const at::Tensor& rstd,
                             const optional<at::Tensor>& weight, const optional<at::Tensor>& bias,
                             std::array<bool, 3> output_mask);

// input [N, C, *], HxW the number of elements in *, C a multiple of `group` -> (output [N, C, *], mean [N,
// group], rstd [N, group]). weight and bias are [C].
Tensors3 group_norm(const at::Tensor& input, const optional<at::Tensor>& weight,
                    const optional<at::Tensor>& bias, int64_t N, int64_t C, int64_t HxW, int64_t group,
                    double eps);

// grad_out [N, C, *] -> gradients of input [N, C, *], weight [C] and bias [C].
Tensors3 group_norm_backward(const at::Tensor& grad_out, const at::Tensor& input, const at::Tensor& mean,
                             const at::Tensor& rstd, const optional<at::Tensor>& weight, int64_t N, int64_t C,
                             int64_t HxW, int64_t group, std::array<bool, 3> output_mask);

// ---- kernels/amp.cpp ------------------------------------------------------------------------------------
// `found_inf` and scales are of one element of float32, on the device of the gradients.

// Multiplies each gradient [*] (floating, all of one dtype) by `inv_scale` in place, and makes `found_inf` 1
// where one of their elements is inf or nan; else it keeps its value.
void check_finite_and_unscale(at::TensorList gradients, at::Tensor& found_inf, const at::Tensor& inv_scale);

// The scale of the next step, in place: times `scale_backoff_factor` where found_inf is not 0, else times
// `scale_growth_factor` after `growth_interval` such calls in a row, unless that is inf. `growth_tracker`,
// one element of int32, counts them.
at::Tensor& update_scale(at::Tensor& self, at::Tensor& growth_tracker, const at::Tensor& found_inf,
                         double scale_growth_factor, double scale_backoff_factor, int64_t growth_interval);

// ---- kernels/loss.cpp -----------------------------------------------------------------------------------
// self and target broadcast to [S..] and meet in their common dtype, which the result has. reduction 0: one
// loss per element, [S..]; 1: their mean, []; 2: their sum, [].

// (self - target)^2.
at::Tensor mse_loss(const at::Tensor& self, const at::Tensor& target, int64_t reduction);
at::Tensor& mse_loss_out(const at::Tensor& self, const at::Tensor& target, int64_t reduction,
                         at::Tensor& out);
// The gradient [S..] in the dtype of `self`; grad_output is [S..] for reduction 0, else [].
at::Tensor mse_loss_backward(const at::Tensor& grad_output, const at::Tensor& self, const at::Tensor& target,
                             int64_t reduction);

// With d = |self - target|: d^2 / (2 * beta) for d < beta, else d - beta / 2; beta >= 0.
at::Tensor smooth_l1_loss(const at::Tensor& self, const at::Tensor& target, int64_t reduction, double beta);
at::Tensor& smooth_l1_loss_out(const at::Tensor& self, const at::Tensor& target, int64_t reduction,
                               double beta, at::Tensor& out);

// -(target * log(self) + (1 - target) * log(1 - self)), times `weight`, which broadcasts, if there is one.
// self and target in [0, 1].
at::Tensor binary_cross_entropy(const at::Tensor& self, const at::Tensor& target,
                                const optional<at::Tensor>& weight, int64_t reduction);

}  // namespace npu

#endif  // NPU_GLUE_ATEN_KERNELS_H_
