#include "layers.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/logit.h>
#include <ATen/ops/logit_backward.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "kernels.h"
#include "rules.h"

namespace cann_simulator {
namespace {

// The type in which a device computes what it is given in 16 bits.
at::ScalarType computed_in(const at::Tensor& x) {
  return x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16 ? at::kFloat : x.scalar_type();
}

std::pair<at::Tensor, at::Tensor> halves(const at::Tensor& x, int64_t dim) {
  const at::Tensor wide = x.to(computed_in(x));
  const int64_t half = x.size(dim) / 2;
  return {wide.narrow(dim, 0, half), wide.narrow(dim, half, half)};
}

// By hand, for a torch whose gelu has no approximation to choose.
constexpr double kRootHalf = 0.70710678118654752440;
constexpr double kRootTwoByPi = 0.79788456080286535588;
constexpr double kCubic = 0.044715;

at::Tensor gelu_grad(const at::Tensor& grad, const at::Tensor& x, int64_t approximate) {
  const at::Tensor gate = gelu_gate(x, approximate);
  if (approximate == 0) return grad * (gate + x * (x * x * -0.5).exp() * (kRootTwoByPi / 2));
  const at::Tensor slope = (x * x * (3 * kCubic) + 1) * (2 * kRootTwoByPi);
  return grad * (gate + x * gate * (1 - gate) * slope);
}

at::Tensor reduced_grad(const at::Tensor& grad, const at::Tensor& local, int64_t reduction) {
  const at::Tensor result = local * grad;
  return reduction == 1 ? result / local.numel() : result;
}

at::Tensor masked(const at::Tensor& mask, const at::Tensor& like, bool triangle) {
  if (!triangle) return mask.to(at::kBool);
  return at::ones({like.size(-2), like.size(-1)}, like.options().dtype(at::kBool)).triu(1);
}

// Every dimension but the second.
std::vector<int64_t> all_but_channel(const at::Tensor& x) {
  std::vector<int64_t> dims = {0};
  for (int64_t dim = 2; dim < x.dim(); ++dim) dims.push_back(dim);
  return dims;
}

at::Tensor per_channel(const at::Tensor& values, const at::Tensor& like) {
  std::vector<int64_t> shape(static_cast<std::size_t>(like.dim()), 1);
  shape[1] = values.numel();
  return values.reshape(shape);
}

// The first dimensions, those that a parameter over the last ones has not.
std::vector<int64_t> leading(const at::Tensor& x, const at::Tensor& parameter) {
  std::vector<int64_t> dims;
  for (int64_t dim = 0; dim < x.dim() - parameter.dim(); ++dim) dims.push_back(dim);
  return dims;
}

std::vector<int64_t> trailing(const at::Tensor& x, const at::Tensor& parameter) {
  std::vector<int64_t> dims;
  for (int64_t dim = x.dim() - parameter.dim(); dim < x.dim(); ++dim) dims.push_back(dim);
  return dims;
}

}  // namespace

c10::optional<double> fitting_scale(at::IntArrayRef input_size, at::IntArrayRef output_size, double scales_h,
                                    double scales_w, double scale) {
  if (input_size.size() < 2 || output_size.size() != 2) return c10::nullopt;  // ATen refuses the sizes
  const auto gives = [&](size_t from_end, double factor) {
    const auto side = static_cast<double>(input_size[input_size.size() - from_end]);
    return static_cast<int64_t>(side * factor) == output_size[output_size.size() - from_end];
  };
  return scale_of(gives(2, scales_h) && gives(1, scales_w) ? scale : 0);
}

at::Tensor gelu_gate(const at::Tensor& x, int64_t approximate) {
  if (approximate == 0) return ((x * kRootHalf).erf() + 1) * 0.5;
  return ((x * kRootTwoByPi * (x * x * kCubic + 1)).tanh() + 1) * 0.5;
}

at::Tensor fast_gelu(const at::Tensor& x) { return x * (x * 1.702).sigmoid(); }

at::Tensor fast_gelu_backward(const at::Tensor& grad, const at::Tensor& x) {
  const at::Tensor gate = (x * 1.702).sigmoid();
  return grad * (gate + x * 1.702 * gate * (1 - gate));
}

at::Tensor swi_glu(const at::Tensor& x, int64_t dim) {
  const auto [gate, value] = halves(x, dim);
  return at::silu(gate) * value;
}

at::Tensor swi_glu_grad(const at::Tensor& grad, const at::Tensor& x, int64_t dim) {
  const auto [gate, value] = halves(x, dim);
  const at::Tensor wide = grad.to(gate.scalar_type());
  return at::cat({at::silu_backward(wide * value, gate), wide * at::silu(gate)}, dim);
}

void ge_glu(at::Tensor& out, at::Tensor& gelu, const at::Tensor& x, int64_t dim, int64_t approximate,
            bool activate_left) {
  const auto [left, right] = halves(x, dim);
  const at::Tensor& chosen = activate_left ? left : right;
  const at::Tensor active = chosen * gelu_gate(chosen, approximate);
  write(gelu, active);
  write(out, active * (activate_left ? right : left));
}

at::Tensor ge_glu_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& gelu, int64_t dim,
                           int64_t approximate, bool activate_left) {
  const auto [left, right] = halves(x, dim);
  const at::Tensor wide = grad.to(left.scalar_type());
  const at::Tensor& active = activate_left ? left : right;
  const at::Tensor& plain = activate_left ? right : left;
  const at::Tensor grad_active = gelu_grad(wide * plain, active, approximate);
  const at::Tensor grad_plain = wide * gelu;
  return activate_left ? at::cat({grad_active, grad_plain}, dim) : at::cat({grad_plain, grad_active}, dim);
}

at::Tensor gelu_mul(const at::Tensor& x, const std::string& approximate) {
  const auto [active, value] = halves(x, -1);
  return active * gelu_gate(active, approximate == "tanh" ? 1 : 0) * value;
}

void expect_gates(const at::Tensor& cell, const at::Tensor& gates) {
  EXPECT_PARAMETER(cell.dim() == 2 && gates.dim() == 2 && gates.size(0) == cell.size(0) &&
                       gates.size(1) == 4 * cell.size(1),
                   "gates of shape ", gates.sizes(), " do not fit a cell of shape ", cell.sizes(),
                   "; they must be [batch, 4 * hidden] and [batch, hidden]");
  EXPECT_PARAMETER(gates.scalar_type() == cell.scalar_type(), "the gates have data type ",
                   gates.scalar_type(), ", the cell has ", cell.scalar_type(), "; they must have the same");
}

void lstm_cell(at::Tensor& hy, at::Tensor& cy, at::Tensor& storage, const at::Tensor& input_gates,
               const at::Tensor& hidden_gates, const at::Tensor& cx,
               const c10::optional<at::Tensor>& input_bias, const c10::optional<at::Tensor>& hidden_bias) {
  EXPECT_PARAMETER(input_bias.has_value() == hidden_bias.has_value(),
                   "one bias is given without the other; both must be, or none");
  const at::ScalarType wide = computed_in(cx);
  at::Tensor gates = input_gates.to(wide) + hidden_gates.to(wide);
  if (input_bias) gates = gates + input_bias->to(wide) + hidden_bias->to(wide);
  const std::vector<at::Tensor> parts = gates.chunk(4, 1);
  const at::Tensor input = parts[0].sigmoid(), forget = parts[1].sigmoid(), candidate = parts[2].tanh(),
                   output = parts[3].sigmoid();
  const at::Tensor cell = forget * cx.to(wide) + input * candidate;
  write(storage, at::cat({input, forget, candidate, output}, 1));
  write(cy, cell);
  write(hy, output * cell.tanh());
}

void lstm_cell_backward(at::Tensor& grad_gates, at::Tensor& grad_cx, at::Tensor& grad_bias,
                        const c10::optional<at::Tensor>& grad_hy, const c10::optional<at::Tensor>& grad_c,
                        const at::Tensor& cx, const at::Tensor& cy, const at::Tensor& storage,
                        bool has_bias) {
  const at::ScalarType wide = computed_in(cx);
  const std::vector<at::Tensor> parts = storage.to(wide).chunk(4, 1);
  const at::Tensor &input = parts[0], &forget = parts[1], &candidate = parts[2], &output = parts[3];
  const at::Tensor squashed = cy.to(wide).tanh();
  const at::Tensor above = grad_hy ? grad_hy->to(wide) : at::zeros_like(squashed);
  at::Tensor total = above * output * (1 - squashed * squashed);
  if (grad_c) total = total + grad_c->to(wide);
  const at::Tensor gates =
      at::cat({total * candidate * input * (1 - input), total * cx.to(wide) * forget * (1 - forget),
               total * input * (1 - candidate * candidate), above * squashed * output * (1 - output)},
              1);
  write(grad_gates, gates);
  write(grad_cx, total * forget);
  if (has_bias) write_if(grad_bias, gates.sum(0));
}

void prelu_backward(at::Tensor& grad_input, at::Tensor& grad_weight, const at::Tensor& grad,
                    const at::Tensor& x, const at::Tensor& weight) {
  const bool shared = weight.numel() == 1;
  const at::Tensor slope = shared ? weight.reshape({}) : per_channel(weight, x);
  const at::Tensor negative = x <= 0;
  write(grad_input, at::where(negative, grad * slope, grad));
  const at::Tensor local = (grad * x).masked_fill(negative.logical_not(), 0);
  const at::Tensor sum = shared ? local.sum() : local.sum(all_but_channel(x));
  write(grad_weight, sum.reshape(grad_weight.sizes()));
}

at::Tensor logit(const at::Tensor& x, double eps) {
  return at::logit(x, eps < 0 ? c10::nullopt : c10::optional<double>(eps));
}

at::Tensor logit_grad(const at::Tensor& grad, const at::Tensor& x, double eps) {
  return at::logit_backward(grad, x, eps < 0 ? c10::nullopt : c10::optional<double>(eps));
}

at::Tensor scaled_masked_softmax(const at::Tensor& x, const at::Tensor& mask, double scale, bool triangle) {
  const at::Tensor scores = x.to(computed_in(x)) * scale;
  return scores.masked_fill(masked(mask, x, triangle), -10000.0).softmax(-1);
}

at::Tensor scaled_masked_softmax_backward(const at::Tensor& grad, const at::Tensor& y, const at::Tensor& mask,
                                          double scale, bool triangle) {
  const at::Tensor weights = y.to(computed_in(y));
  const at::Tensor weighted = weights * grad;
  const at::Tensor result = weighted - weights * weighted.sum(-1, true);
  return (result * scale).masked_fill(masked(mask, y, triangle), 0);
}

at::Tensor l1_loss_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& target,
                            int64_t reduction) {
  return reduced_grad(grad, (x - target).sign(), reduction);
}

at::Tensor kl_div_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& target,
                           int64_t reduction, bool log_target) {
  const at::Tensor local = log_target ? target.exp().neg() : target.clamp_min(0).neg();
  return reduced_grad(grad, local.expand_as(x), reduction);
}

at::Tensor bce_with_logits_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& target,
                                    const c10::optional<at::Tensor>& weight,
                                    const c10::optional<at::Tensor>& pos_weight, int64_t reduction) {
  const at::Tensor probability = x.sigmoid();
  at::Tensor local = probability - target;
  if (pos_weight) {
    const at::Tensor positive = *pos_weight * target;
    local = (positive + 1 - target) * probability - positive;
  }
  if (weight) local = local * *weight;
  return reduced_grad(grad, local, reduction);
}

void rms_norm(at::Tensor& y, at::Tensor& rstd, const at::Tensor& x, const at::Tensor& gamma, double eps) {
  const at::Tensor wide = x.to(computed_in(x));
  const at::Tensor scale = (wide.square().mean(trailing(x, gamma), true) + eps).rsqrt();
  write(y, wide * scale * gamma);
  write_if(rstd, scale);
}

void rms_norm_grad(at::Tensor& grad_x, at::Tensor& grad_gamma, const at::Tensor& grad, const at::Tensor& x,
                   const at::Tensor& rstd, const at::Tensor& gamma) {
  const at::Tensor normal = x.to(computed_in(x)) * rstd;
  const at::Tensor local = grad * gamma;
  write(grad_x, rstd * (local - normal * (local * normal).mean(trailing(x, gamma), true)));
  const std::vector<int64_t> rows = leading(x, gamma);
  const at::Tensor weighted = grad * normal;
  write(grad_gamma, rows.empty() ? weighted : weighted.sum(rows));
}

void norm_of_sum(at::Tensor& y, at::Tensor& mean, at::Tensor& rstd, at::Tensor& sum, const at::Tensor& value,
                 const at::Tensor& gamma, const at::Tensor& beta, double eps) {
  const at::Tensor wide = value.to(at::kFloat);
  const auto results =
      at::native_layer_norm(wide, gamma.sizes(), gamma.to(at::kFloat), beta.to(at::kFloat), eps);
  write(y, std::get<0>(results));
  write_if(mean, std::get<1>(results));
  write_if(rstd, std::get<2>(results));
  write_if(sum, value);
}

void batch_norm_stats(at::Tensor& mean, at::Tensor& invstd, const at::Tensor& x, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  write(mean, wide.mean(all_but_channel(x)));
  write(invstd, (wide.var(all_but_channel(x), false) + eps).rsqrt());
}

void batch_norm_reduce(at::Tensor& sum, at::Tensor& square_sum, const at::Tensor& x) {
  const at::Tensor wide = x.to(at::kFloat);
  write(sum, wide.sum(all_but_channel(x)));
  write(square_sum, wide.square().sum(all_but_channel(x)));
}

at::Tensor batch_norm_elemt(const at::Tensor& x, const c10::optional<at::Tensor>& weight,
                            const c10::optional<at::Tensor>& bias, const at::Tensor& mean,
                            const at::Tensor& invstd) {
  at::Tensor result = (x.to(at::kFloat) - per_channel(mean, x)) * per_channel(invstd, x);
  if (weight) result = result * per_channel(*weight, x);
  if (bias) result = result + per_channel(*bias, x);
  return result;
}

void batch_norm_reduce_backward(at::Tensor& sum_dy, at::Tensor& sum_dy_xmu, at::Tensor& grad_weight,
                                at::Tensor& grad_bias, const at::Tensor& grad, const at::Tensor& x,
                                const at::Tensor& mean, const at::Tensor& invstd) {
  const at::Tensor wide = grad.to(at::kFloat);
  const at::Tensor sum = wide.sum(all_but_channel(x));
  const at::Tensor weighted = (wide * (x.to(at::kFloat) - per_channel(mean, x))).sum(all_but_channel(x));
  write_if(sum_dy, sum);
  write_if(sum_dy_xmu, weighted);
  write_if(grad_weight, weighted * invstd);
  write_if(grad_bias, sum);
}

}  // namespace cann_simulator
