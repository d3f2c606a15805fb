// Kernels of neural networks that ATen has not, or not in CANN's form: gated activations, losses,
// normalization, pooling.
#ifndef CANN_SIMULATOR_LAYERS_H_
#define CANN_SIMULATOR_LAYERS_H_

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace cann_simulator {

// A scale of 0 means that the sizes give it.
inline c10::optional<double> scale_of(double scale) {
  return scale > 0 ? c10::optional<double>(scale) : c10::nullopt;
}

// Of bilinear resizing, one scale of two: both count where they give the output's height and width, else
// neither. Adapters pass 1 or 0 where a program named none. CANN's public ops-cv does so on 910B and 910_93.
c10::optional<double> fitting_scale(at::IntArrayRef input_size, at::IntArrayRef output_size, double scales_h,
                                    double scales_w, double scale);

// The factor by which gelu multiplies x: approximate 0 erf, 1 tanh.
at::Tensor gelu_gate(const at::Tensor& x, int64_t approximate);

// x * sigmoid(1.702 x).
at::Tensor fast_gelu(const at::Tensor& x);
at::Tensor fast_gelu_backward(const at::Tensor& grad, const at::Tensor& x);

// The two halves of x along dim: silu(first) * second.
at::Tensor swi_glu(const at::Tensor& x, int64_t dim);
at::Tensor swi_glu_grad(const at::Tensor& grad, const at::Tensor& x, int64_t dim);
// gelu of one half times the other; approximate: 0 erf, 1 tanh.
void ge_glu(at::Tensor& out, at::Tensor& gelu, const at::Tensor& x, int64_t dim, int64_t approximate,
            bool activate_left);
at::Tensor ge_glu_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& gelu, int64_t dim,
                           int64_t approximate, bool activate_left);
at::Tensor gelu_mul(const at::Tensor& x, const std::string& approximate);

void prelu_backward(at::Tensor& grad_input, at::Tensor& grad_weight, const at::Tensor& grad,
                    const at::Tensor& x, const at::Tensor& weight);
// A negative eps leaves x as it is.
at::Tensor logit(const at::Tensor& x, double eps);
at::Tensor logit_grad(const at::Tensor& grad, const at::Tensor& x, double eps);

// Softmax of the last dimension of scale * x; where the mask (or the upper triangle) is, nothing is left.
at::Tensor scaled_masked_softmax(const at::Tensor& x, const at::Tensor& mask, double scale, bool triangle);
at::Tensor scaled_masked_softmax_backward(const at::Tensor& grad, const at::Tensor& y, const at::Tensor& mask,
                                          double scale, bool triangle);

// What follows the products of an LSTM's step, and its gradient. Gates are [batch, 4 * hidden], one behind
// the other: input, forget, candidate, output. `storage` keeps what they let through.
void expect_gates(const at::Tensor& cell, const at::Tensor& gates);
void lstm_cell(at::Tensor& hy, at::Tensor& cy, at::Tensor& storage, const at::Tensor& input_gates,
               const at::Tensor& hidden_gates, const at::Tensor& cx,
               const c10::optional<at::Tensor>& input_bias, const c10::optional<at::Tensor>& hidden_bias);
void lstm_cell_backward(at::Tensor& grad_gates, at::Tensor& grad_cx, at::Tensor& grad_bias,
                        const c10::optional<at::Tensor>& grad_hy, const c10::optional<at::Tensor>& grad_c,
                        const at::Tensor& cx, const at::Tensor& cy, const at::Tensor& storage, bool has_bias);

// reduction: 0 none, 1 mean, 2 sum.
at::Tensor l1_loss_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& target,
                            int64_t reduction);
at::Tensor kl_div_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& target,
                           int64_t reduction, bool log_target);
at::Tensor bce_with_logits_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& target,
                                    const c10::optional<at::Tensor>& weight,
                                    const c10::optional<at::Tensor>& pos_weight, int64_t reduction);

// Over the last dimensions, those of gamma. Statistics are float32.
void rms_norm(at::Tensor& y, at::Tensor& rstd, const at::Tensor& x, const at::Tensor& gamma, double eps);
void rms_norm_grad(at::Tensor& grad_x, at::Tensor& grad_gamma, const at::Tensor& grad, const at::Tensor& x,
                   const at::Tensor& rstd, const at::Tensor& gamma);
inline at::Tensor plus(const at::Tensor& x, const c10::optional<at::Tensor>& bias) {
  return bias ? x + *bias : x;
}
// Layer norm of a sum, over the last dimensions, those of gamma.
void norm_of_sum(at::Tensor& y, at::Tensor& mean, at::Tensor& rstd, at::Tensor& sum, const at::Tensor& value,
                 const at::Tensor& gamma, const at::Tensor& beta, double eps);

// Of each channel, the second dimension. Statistics are float32.
void batch_norm_stats(at::Tensor& mean, at::Tensor& invstd, const at::Tensor& x, double eps);
void batch_norm_reduce(at::Tensor& sum, at::Tensor& square_sum, const at::Tensor& x);
at::Tensor batch_norm_elemt(const at::Tensor& x, const c10::optional<at::Tensor>& weight,
                            const c10::optional<at::Tensor>& bias, const at::Tensor& mean,
                            const at::Tensor& invstd);
void batch_norm_reduce_backward(at::Tensor& sum_dy, at::Tensor& sum_dy_xmu, at::Tensor& grad_weight,
                                at::Tensor& grad_bias, const at::Tensor& grad, const at::Tensor& x,
                                const at::Tensor& mean, const at::Tensor& invstd);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_LAYERS_H_
