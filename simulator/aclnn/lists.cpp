#include "lists.h"

#include <ATen/ops/ceil.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/frac.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/norm.h>
#include <ATen/ops/round.h>
#include <ATen/ops/trunc.h>

#include <climits>
#include <limits>

#include "kernels.h"

namespace cann_simulator {

void write_all(const TensorList& out, const TensorList& values) {
  TORCH_CHECK(out.size() == values.size(), "a list of ", out.size(), " outputs for ", values.size(),
              " results");
  for (std::size_t index = 0; index < out.size(); ++index) {
    at::Tensor target = out[index];
    write(target, values[index]);
  }
}

void expect_same_length(std::size_t first, std::size_t other) {
  TORCH_CHECK(first == other, "lists of ", first, " and ", other, " tensors; they must have one length");
}

void expect_same_sizes(const at::Tensor& first, const at::Tensor& other) {
  TORCH_CHECK(first.sizes() == other.sizes(), "a list has a tensor of shape ", other.sizes(),
              " where another has shape ", first.sizes());
}

std::vector<at::Scalar> scalar_list(const at::Tensor& scalars) {
  std::vector<at::Scalar> list;
  for (int64_t index = 0; index < scalars.numel(); ++index) list.push_back(scalars[index].item());
  return list;
}

void round_off(const TensorList& out, const TensorList& x, int64_t mode) {
  for (std::size_t index = 0; index < out.size(); ++index) {
    at::Tensor target = out[index];
    switch (mode) {
      case 1:
        at::round_out(target, x[index]);
        break;
      case 2:
        at::floor_out(target, x[index]);
        break;
      case 3:
        at::ceil_out(target, x[index]);
        break;
      case 5:
        at::trunc_out(target, x[index]);
        break;
      case 7:
        at::frac_out(target, x[index]);
        break;
      default:
        TORCH_CHECK(false, "round mode ", mode,
                    "; the simulator has 1 (round), 2 (floor), 3 (ceil), 5 (trunc) and 7 (frac)");
    }
  }
}

at::Scalar norm_order(const at::Scalar& p) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto order = static_cast<float>(p.toDouble());
  if (order >= static_cast<float>(INT_MAX)) return kInfinity;
  if (order <= static_cast<float>(INT_MIN)) return -kInfinity;
  return p;
}

void norms(const TensorList& out, const TensorList& x, const at::Scalar& p) {
  expect_same_length(x.size(), out.size());
  for (std::size_t index = 0; index < out.size(); ++index) {
    at::Tensor target = out[index];
    write(target, at::norm(x[index], norm_order(p)).reshape(target.sizes()));
  }
}

void check_finite_and_unscale(const TensorList& gradients, at::Tensor& found_inf,
                              const at::Tensor& inv_scale) {
  const at::Scalar factor = inv_scale.item();
  for (at::Tensor gradient : gradients) {
    if (!at::isfinite(gradient).all().item<bool>()) found_inf.fill_(1);
    gradient.mul_(factor);
  }
}

void update_scale(at::Tensor& updated_scale, at::Tensor& updated_tracker, const at::Tensor& scale,
                  const at::Tensor& tracker, const at::Tensor& found_inf, double growth_factor,
                  double backoff_factor, int64_t growth_interval) {
  const auto current = scale.item<float>();
  const int64_t successes = tracker.item<int64_t>() + 1;
  const bool overflowed = found_inf.item<float>() != 0;
  const bool grows = !overflowed && successes == growth_interval;
  const auto grown = static_cast<float>(current * growth_factor);
  float next = current;
  if (overflowed) next = static_cast<float>(current * backoff_factor);
  if (grows && std::isfinite(grown)) next = grown;
  TORCH_CHECK(updated_scale.is_floating_point(), "'updated_scale' is of type ", updated_scale.scalar_type(),
              "; a scale is floating point");
  updated_scale.fill_(next);
  updated_tracker.fill_(overflowed || grows ? 0 : successes);
}

void fused_sgd(const TensorList& parameters, const TensorList& gradients, const TensorList& momentum_buffers,
               const c10::optional<at::Tensor>& grad_scale, const Sgd& options) {
  for (std::size_t index = 0; index < parameters.size(); ++index) {
    at::Tensor parameter = parameters[index];
    at::Tensor stored = gradients[index];
    if (grad_scale) stored.div_(grad_scale->item());
    at::Tensor step = options.maximize ? stored.neg() : stored.clone();
    step.add_(parameter, options.weight_decay);
    if (index < momentum_buffers.size()) {
      at::Tensor buffer = momentum_buffers[index];
      if (options.first_step) {
        buffer.copy_(step);
      } else {
        buffer.mul_(options.momentum).add_(step, 1 - options.dampening);
      }
      step = options.nesterov ? step.add(buffer, options.momentum) : buffer;
    }
    parameter.sub_(step, options.learning_rate);
  }
}

void adam_w(at::Tensor& parameter, at::Tensor& mean, at::Tensor& square,
            const c10::optional<at::Tensor>& largest_square, const at::Tensor& gradient,
            const AdamW& options) {
  const at::Tensor step = options.maximize ? gradient.neg() : gradient;
  parameter.mul_(1 - options.learning_rate * options.weight_decay);
  mean.mul_(options.beta1).add_(step, 1 - options.beta1);
  square.mul_(options.beta2).addcmul_(step, step, 1 - options.beta2);
  at::Tensor denominator = square;
  if (options.amsgrad) {
    TORCH_CHECK(largest_square.has_value(), "amsgrad needs the tensor of the largest squares; it is NULL");
    denominator = largest_square->copy_(largest_square->max(square));
  }
  denominator = denominator.sqrt().div_(std::sqrt(options.correction2)).add_(options.epsilon);
  parameter.addcdiv_(mean, denominator, -options.learning_rate / options.correction1);
}

}  // namespace cann_simulator
