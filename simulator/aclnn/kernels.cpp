#include "kernels.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ScalarOps.h>
#include <ATen/ops/_ctc_loss.h>
#include <ATen/ops/_ctc_loss_backward.h>
#include <ATen/ops/_index_put_impl.h>
#include <ATen/ops/all.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/any.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/index.h>
#include <ATen/ops/log_sigmoid_backward.h>
#include <ATen/ops/log_sigmoid_forward.h>
#include <ATen/ops/max_pool2d_with_indices.h>
#include <ATen/ops/max_pool2d_with_indices_backward.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/scatter.h>
#include <ATen/ops/sgn.h>
#include <ATen/ops/sign.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace cann_simulator {
namespace {

const char* scatter_mode(int64_t reduce) {
  TORCH_CHECK(reduce == 1 || reduce == 2, "reduce is ", reduce, "; it must be 0, 1 (add) or 2 (multiply)");
  return reduce == 1 ? "add" : "multiply";
}

// splitmix64: neighboring seeds and offsets must not give related states.
uint64_t mixed(uint64_t value) {
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31);
}

bool selects(const at::Tensor& index) { return index.defined() && index.numel() > 0; }

}  // namespace

void expect_castable(const at::Tensor& out, const at::Tensor& value) {
  TORCH_CHECK(c10::canCast(value.scalar_type(), out.scalar_type()), "result type ", value.scalar_type(),
              " can't be cast to the desired output type ", out.scalar_type());
}

void write(at::Tensor& out, const at::Tensor& value) {
  expect_castable(out, value);
  // ATen and CANN shape the statistics of nothing differently.
  if (out.numel() == 0 && value.numel() == 0) return;
  TORCH_CHECK(out.sizes() == value.sizes(), "an output has shape ", out.sizes(),
              ", the operator computes shape ", value.sizes());
  out.copy_(value);
}

void write_if(at::Tensor& out, const at::Tensor& value) {
  if (out.defined() && value.defined()) write(out, value);
}

at::Generator generator(int64_t seed, int64_t offset) {
  return at::detail::createCPUGenerator(
      mixed(static_cast<uint64_t>(seed) ^ mixed(static_cast<uint64_t>(offset))));
}

c10::List<c10::optional<at::Tensor>> index_list(const std::vector<at::Tensor>& tensors) {
  c10::List<c10::optional<at::Tensor>> list;
  list.reserve(tensors.size());
  for (const at::Tensor& tensor : tensors) {
    list.push_back(selects(tensor) ? c10::optional<at::Tensor>(tensor) : c10::nullopt);
  }
  return list;
}

bool has_mask(const std::vector<at::Tensor>& indices) {
  return std::any_of(indices.begin(), indices.end(), [](const at::Tensor& index) {
    return index.defined() && (index.scalar_type() == at::kBool || index.scalar_type() == at::kByte);
  });
}

// An output without elements needs no indices.
void index(at::Tensor& out, const at::Tensor& self, const std::vector<at::Tensor>& indices) {
  if (out.numel() > 0) write(out, at::index(self, index_list(indices)));
}

void try_index(at::Tensor& out, const at::Tensor& self, const std::vector<at::Tensor>& indices) {
  if (!has_mask(indices)) return index(out, self, indices);
  if (out.numel() > 0) expect_castable(out, at::index(self, index_list(indices)));
}

void index_put(at::Tensor& self, const std::vector<at::Tensor>& indices, const at::Tensor& values,
               bool accumulate, bool unsafe) {
  if (self.numel() == 0 || values.numel() == 0) return;
  if (std::none_of(indices.begin(), indices.end(), selects)) return;
  at::_index_put_impl_(self, index_list(indices), values, accumulate, unsafe);
}

void try_index_put(at::Tensor& self, const std::vector<at::Tensor>& indices, const at::Tensor& values,
                   bool accumulate, bool unsafe) {
  const bool any_number = has_mask(indices) && values.numel() > 0;
  index_put(self, indices, any_number ? at::zeros({}, values.options()) : values, accumulate, unsafe);
}

std::array<bool, 2> mask2(const std::vector<bool>& mask) {
  TORCH_CHECK(mask.size() == 2, "an output mask of ", mask.size(), " entries; it must have 2");
  return {mask[0], mask[1]};
}

std::array<bool, 3> mask3(const std::vector<bool>& mask) {
  TORCH_CHECK(mask.size() == 3, "an output mask of ", mask.size(), " entries; it must have 3");
  return {mask[0], mask[1], mask[2]};
}

void expect_source(const at::Tensor& out, const at::Tensor& source) {
  TORCH_CHECK(out.numel() == 0 || source.numel() > 0, "an output of shape ", out.sizes(),
              " of a tensor of shape ", source.sizes());
}

void expect_room(const at::Tensor& out, int64_t elements) {
  TORCH_CHECK(out.dim() == 1 && out.numel() >= elements, "an output of shape ", out.sizes(),
              "; the operator computes ", elements, " elements or more");
}

void reduce_all(at::Tensor& out, const at::Tensor& self, at::IntArrayRef dims, bool keepdim) {
  at::Tensor result = self.to(at::kBool);
  for (const int64_t dim : reduced_dims(self, dims)) result = at::all(result, dim, keepdim);
  write(out, result);
}

void reduce_any(at::Tensor& out, const at::Tensor& self, at::IntArrayRef dims, bool keepdim) {
  at::Tensor result = self.to(at::kBool);
  for (const int64_t dim : reduced_dims(self, dims)) result = at::any(result, dim, keepdim);
  write(out, result);
}

void scatter(at::Tensor& out, const at::Tensor& self, int64_t dim, const at::Tensor& index,
             const at::Tensor& src, int64_t reduce) {
  if (reduce == 0) {
    at::scatter_out(out, self, dim, index, src);
  } else {
    at::scatter_out(out, self, dim, index, src, scatter_mode(reduce));
  }
}

void scatter(at::Tensor& out, const at::Tensor& self, int64_t dim, const at::Tensor& index,
             const at::Scalar& value, int64_t reduce) {
  if (reduce == 0) {
    at::scatter_out(out, self, dim, index, value);
  } else {
    at::scatter_out(out, self, dim, index, value, scatter_mode(reduce));
  }
}

void divide(at::Tensor& out, const at::Tensor& self, const at::Tensor& other, int64_t mode) {
  TORCH_CHECK(mode >= 0 && mode <= 2, "mode is ", mode, "; it must be 0, 1 (trunc) or 2 (floor)");
  if (mode == 0) {
    at::div_out(out, self, other);
  } else {
    at::div_out(out, self, other, mode == 1 ? "trunc" : "floor");
  }
}

void log_sigmoid_forward(at::Tensor& out, at::Tensor& buffer, const at::Tensor& self) {
  at::Tensor own_buffer = at::empty({0}, self.options());
  at::log_sigmoid_forward_out(out, own_buffer, self);
  // The buffer is a device's own business: an empty one is as good.
  if (buffer.sizes() == own_buffer.sizes()) buffer.copy_(own_buffer);
}

void log_sigmoid_backward(at::Tensor& grad_input, const at::Tensor& grad_output, const at::Tensor& self) {
  const at::Tensor buffer = std::get<1>(at::log_sigmoid_forward(self));
  at::log_sigmoid_backward_out(grad_input, grad_output, self, buffer);
}

void batch_norm(at::Tensor& output, at::Tensor& save_mean, at::Tensor& save_invstd, const at::Tensor& input,
                const c10::optional<at::Tensor>& weight, const c10::optional<at::Tensor>& bias,
                const c10::optional<at::Tensor>& running_mean, const c10::optional<at::Tensor>& running_var,
                bool training, double momentum, double eps) {
  const auto results =
      at::native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps);
  write(output, std::get<0>(results));
  // Outside training ATen computes no statistics of the batch; the outputs stay as they are.
  if (!training) return;
  write(save_mean, std::get<1>(results));
  write(save_invstd, std::get<2>(results));
}

void sign(at::Tensor& out, const at::Tensor& self) {
  if (self.is_complex()) {
    at::sgn_out(out, self);
  } else {
    at::sign_out(out, self);
  }
}

at::Tensor identity_like(const at::Tensor& self) {
  if (self.dim() < 2 || self.size(-1) != self.size(-2)) return self;
  return at::eye(self.size(-1), self.options()).expand(self.sizes());
}

at::Tensor wrapped_scalar(const at::Scalar& value) { return at::native::wrapped_scalar_tensor(value); }

void cast(at::Tensor& out, const at::Tensor& self, at::ScalarType dtype) {
  TORCH_CHECK(out.scalar_type() == dtype, "'out' is of type ", out.scalar_type(), "; dtype asks for ", dtype);
  out.copy_(self);
}

std::vector<int64_t> every_dim(const at::Tensor& self, at::IntArrayRef dims) {
  std::vector<int64_t> every = dims.vec();
  for (int64_t dim = 0; dims.empty() && dim < self.dim(); ++dim) every.push_back(dim);
  return every;
}

void aminmax(at::Tensor& min, at::Tensor& max, const at::Tensor& self, at::IntArrayRef dims, bool keepdim) {
  write(min, at::amin(self, dims, keepdim));
  write(max, at::amax(self, dims, keepdim));
}

void ctc_loss(at::Tensor& loss, at::Tensor& log_alpha, const at::Tensor& log_probs, const at::Tensor& targets,
              at::IntArrayRef input_lengths, at::IntArrayRef target_lengths, int64_t blank,
              bool zero_infinity) {
  const auto results = at::_ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, zero_infinity);
  write(loss, std::get<0>(results));
  const at::Tensor& alpha = std::get<1>(results);
  TORCH_CHECK(log_alpha.dim() == 3 && log_alpha.size(2) >= alpha.size(2), "log_alpha has shape ",
              log_alpha.sizes(), ", the operator computes shape ", alpha.sizes());
  at::Tensor used = log_alpha.narrow(2, 0, alpha.size(2));
  write(used, alpha);
}

at::Tensor ctc_loss_backward(const at::Tensor& grad, const at::Tensor& log_probs, const at::Tensor& targets,
                             at::IntArrayRef input_lengths, at::IntArrayRef target_lengths,
                             const at::Tensor& loss, const at::Tensor& log_alpha, int64_t blank,
                             bool zero_infinity) {
  TORCH_CHECK(log_probs.dim() == 3 && grad.dim() == 1 && grad.size(0) == log_probs.size(1) &&
                  loss.sizes() == grad.sizes(),
              "a loss of shape ", loss.sizes(), " and its gradient of shape ", grad.sizes(),
              " for probabilities of shape ", log_probs.sizes());
  int64_t steps = 0;
  for (const int64_t length : input_lengths) steps = std::max(steps, length);
  TORCH_CHECK(log_alpha.dim() == 3 && log_alpha.size(0) == grad.size(0) && log_alpha.size(1) >= steps,
              "log_alpha has shape ", log_alpha.sizes(), " for ", grad.size(0), " sequences of ", steps,
              " steps");
  int64_t longest = 0;
  int64_t every = 0;
  for (const int64_t length : target_lengths) {
    longest = std::max(longest, length);
    every += length;
  }
  TORCH_CHECK(targets.dim() == 1
                  ? targets.numel() >= every
                  : targets.dim() == 2 && targets.size(0) == grad.size(0) && targets.size(1) >= longest,
              "targets of shape ", targets.sizes(), " for lengths of ", target_lengths);
  const at::Tensor used = log_alpha.narrow(2, 0, 2 * longest + 1);
  return at::_ctc_loss_backward(grad, log_probs, targets, input_lengths, target_lengths, loss, used, blank,
                                zero_infinity);
}

void max_pool2d_with_mask(at::Tensor& out, at::Tensor& mask, const at::Tensor& self, const Window& window) {
  const auto results = at::max_pool2d_with_indices(self, window.kernel_size, window.stride, window.padding,
                                                   window.dilation, window.ceil_mode);
  write(out, std::get<0>(results));
  mask.zero_();
}

at::Tensor max_pool2d_with_mask_backward(const at::Tensor& grad, const at::Tensor& self,
                                         const Window& window) {
  const auto results = at::max_pool2d_with_indices(self, window.kernel_size, window.stride, window.padding,
                                                   window.dilation, window.ceil_mode);
  return at::max_pool2d_with_indices_backward(grad, self, window.kernel_size, window.stride, window.padding,
                                              window.dilation, window.ceil_mode, std::get<1>(results));
}

}  // namespace cann_simulator
