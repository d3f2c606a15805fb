// Fourier transforms as CANN's operators have them.
#ifndef CANN_SIMULATOR_SPECTRAL_H_
#define CANN_SIMULATOR_SPECTRAL_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace cann_simulator {

// The spectra [frequency, frame] of windows of x [length] or [batch, length], which is padded already; real
// and imaginary parts are a last dimension of 2 unless `return_complex`. A window of fewer points than n_fft
// stands in the middle of them. Throws Refusal for what CANN's page of aclStft excludes.
at::Tensor stft(const at::Tensor& x, const c10::optional<at::Tensor>& window, int64_t n_fft,
                int64_t hop_length, int64_t win_length, bool normalized, bool onesided, bool return_complex);

// The half spectrum of n points of float32 along dim, cut or filled with zeros; real and imaginary parts are
// a last dimension of 2. norm: 1 none, 2 by 1/n, 3 by 1/sqrt(n).
at::Tensor rfft(const at::Tensor& x, int64_t n, int64_t dim, int64_t norm);

}  // namespace cann_simulator

#endif  // CANN_SIMULATOR_SPECTRAL_H_
