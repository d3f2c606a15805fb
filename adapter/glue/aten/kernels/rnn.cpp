// The cells of recurrent networks. PyTorch asks a backend for them whole; made of the operators that they
// consist of, they need no gradients of their own.
#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include <tuple>

#include "aten/registration.h"
#include "compat.h"

namespace npu {
namespace {

at::Tensor plus(const at::Tensor& gates, const optional<at::Tensor>& bias) {
  return bias.has_value() && bias->defined() ? gates + *bias : gates;
}

// The new hidden state, the new cell state and, as what a backward of its own would need, the gates.
std::tuple<at::Tensor, at::Tensor, at::Tensor> lstm_cell(const at::Tensor& input_gates,
                                                         const at::Tensor& hidden_gates, const at::Tensor& cx,
                                                         const optional<at::Tensor>& input_bias,
                                                         const optional<at::Tensor>& hidden_bias) {
  const at::Tensor gates = plus(input_gates, input_bias) + plus(hidden_gates, hidden_bias);
  const auto parts = gates.chunk(4, 1);  // input, forget, cell, output
  const at::Tensor cy = parts[1].sigmoid() * cx + parts[0].sigmoid() * parts[2].tanh();
  return {parts[3].sigmoid() * cy.tanh(), cy, gates};
}

std::tuple<at::Tensor, at::Tensor> gru_cell(const at::Tensor& input_gates, const at::Tensor& hidden_gates,
                                            const at::Tensor& hx, const optional<at::Tensor>& input_bias,
                                            const optional<at::Tensor>& hidden_bias) {
  const auto input = plus(input_gates, input_bias).chunk(3, 1);  // reset, update, new
  const auto hidden = plus(hidden_gates, hidden_bias).chunk(3, 1);
  const at::Tensor reset = (input[0] + hidden[0]).sigmoid();
  const at::Tensor update = (input[1] + hidden[1]).sigmoid();
  const at::Tensor fresh = (input[2] + reset * hidden[2]).tanh();
  return {fresh + update * (hx - fresh), update};
}

void register_cells(torch::Library& library) {
  Kernels m(library);
  m.impl("_thnn_fused_lstm_cell", &lstm_cell);
  m.impl("_thnn_fused_gru_cell", &gru_cell);
}

TORCH_LIBRARY_IMPL(aten, NPU_KEY, m) { register_cells(m); }
// Before autograd, too: it then records the operators in the cell.
TORCH_LIBRARY_IMPL(aten, NPU_AUTOGRAD_KEY, m) { register_cells(m); }

}  // namespace
}  // namespace npu
