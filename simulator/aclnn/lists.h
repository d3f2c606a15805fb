// Kernels on lists of tensors: multi-tensor arithmetic, loss scaling and optimizers.
#ifndef CANN_SIMULATOR_LISTS_H_
#define CANN_SIMULATOR_LISTS_H_

#include <ATen/core/Tensor.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "narrow.h"

namespace cann_simulator {

using TensorList = std::vector<at::Tensor>;

// out[i] = values[i]; throws c10::Error when lengths or shapes differ.
void write_all(const TensorList& out, const TensorList& values);

void expect_same_length(std::size_t first, std::size_t other);
void expect_same_sizes(const at::Tensor& first, const at::Tensor& other);
// Throws unless all lists have the length and the shapes of the first.
template <class... Lists>
void expect_alike(const TensorList& first, const Lists&... others) {
  (expect_same_length(first.size(), others.size()), ...);
  for (std::size_t index = 0; index < first.size(); ++index) {
    (expect_same_sizes(first[index], others[index]), ...);
  }
}

// A power with an exponent of 0 or 1 is computed in any type, one of others is not in floats of 8 bits.
inline void expect_wider_than_8_bits(const TensorList& list) {
  for (const at::Tensor& tensor : list) {
    TORCH_CHECK(!is_float8(tensor.scalar_type()) && !is_exponent(tensor.scalar_type()), "data type ",
                tensor.scalar_type(), " is not computed in");
  }
}

std::vector<at::Scalar> scalar_list(const at::Tensor& scalars);

// mode: 1 round, 2 floor, 3 ceil, 5 trunc, 7 frac.
void round_off(const TensorList& out, const TensorList& x, int64_t mode);

// The largest and the smallest int32 stand for the two infinities.
at::Scalar norm_order(const at::Scalar& p);
void norms(const TensorList& out, const TensorList& x, const at::Scalar& p);

// Multiplies the gradients by inv_scale; found_inf becomes 1 when an element is not finite.
void check_finite_and_unscale(const TensorList& gradients, at::Tensor& found_inf,
                              const at::Tensor& inv_scale);
void update_scale(at::Tensor& updated_scale, at::Tensor& updated_tracker, const at::Tensor& scale,
                  const at::Tensor& tracker, const at::Tensor& found_inf, double growth_factor,
                  double backoff_factor, int64_t growth_interval);

struct Sgd {
  double weight_decay, momentum, learning_rate, dampening;
  bool nesterov, maximize, first_step;
};
// Gradients are divided by grad_scale in place. Without momentum there are no buffers.
void fused_sgd(const TensorList& parameters, const TensorList& gradients, const TensorList& momentum_buffers,
               const c10::optional<at::Tensor>& grad_scale, const Sgd& options);

// correction1 = 1 - beta1^step, correction2 = 1 - beta2^step.
struct AdamW {
  double learning_rate, beta1, beta2, weight_decay, epsilon, correction1, correction2;
  bool amsgrad, maximize;
};
void adam_w(at::Tensor& parameter, at::Tensor& mean, at::Tensor& square,
            const c10::optional<at::Tensor>& largest_square, const at::Tensor& gradient,
            const AdamW& options);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_LISTS_H_
