#include "spectral.h"

#include <ATen/ops/fft_rfft.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stft.h>
#include <ATen/ops/view_as_real.h>

#include "rules.h"

namespace cann_simulator {
namespace {

constexpr int64_t kMostPoints = 4096;         // of any number
constexpr int64_t kMostPointsOfTwo = 262144;  // of a power of two

bool is_floating(const at::Tensor& x) {
  const at::ScalarType type = x.scalar_type();
  return type == at::kFloat || type == at::kDouble || type == at::kComplexFloat || type == at::kComplexDouble;
}

void expect_window(const at::Tensor& x, const at::Tensor& window, int64_t n_fft, int64_t win_length) {
  EXPECT_PARAMETER(window.scalar_type() == x.scalar_type(), "'window' has data type ", window.scalar_type(),
                   ", 'self' has ", x.scalar_type(), "; they must be the same");
  EXPECT_PARAMETER(window.dim() == 1, "'window' has ", window.dim(), " dimensions; it must have 1");
  EXPECT_PARAMETER(win_length == n_fft || window.size(0) == win_length, "'window' has ", window.size(0),
                   " elements; it must have win_length, ", win_length);
}

}  // namespace

at::Tensor stft(const at::Tensor& x, const c10::optional<at::Tensor>& window, int64_t n_fft,
                int64_t hop_length, int64_t win_length, bool normalized, bool onesided, bool return_complex) {
  EXPECT_PARAMETER(is_floating(x), "'self' has data type ", x.scalar_type(),
                   "; it must be float32, float64, complex64 or complex128");
  EXPECT_PARAMETER(x.dim() == 1 || x.dim() == 2, "'self' has ", x.dim(), " dimensions; it must have 1 or 2");
  const int64_t length = x.size(-1);
  EXPECT_PARAMETER(n_fft > 0 && n_fft <= length, "n_fft is ", n_fft, "; it must be from 1 to ", length,
                   ", the length of 'self'");
  EXPECT_PARAMETER(hop_length > 0, "hop_length is ", hop_length, "; it must be more than 0");
  EXPECT_PARAMETER(win_length > 0 && win_length <= n_fft, "win_length is ", win_length,
                   "; it must be from 1 to n_fft, ", n_fft);
  EXPECT_PARAMETER(!(onesided && x.is_complex()), "onesided is true, and 'self' is complex");
  if (window.has_value()) expect_window(x, *window, n_fft, win_length);
  const at::Tensor weights = window.has_value() ? *window : at::ones({win_length}, x.options());
  const at::Tensor spectra =
      at::stft(x, n_fft, hop_length, win_length, weights, normalized, onesided, /*return_complex=*/true);
  return return_complex ? spectra : at::view_as_real(spectra);
}

at::Tensor rfft(const at::Tensor& x, int64_t n, int64_t dim, int64_t norm) {
  EXPECT_PARAMETER(x.scalar_type() == at::kFloat, "'self' has data type ", x.scalar_type(),
                   "; it must be float32");
  EXPECT_PARAMETER(x.dim() >= 1 && x.dim() <= 7, "'self' has ", x.dim(), " dimensions; it must have 1 to 7");
  EXPECT_PARAMETER(dim >= -x.dim() && dim < x.dim(), "dim is ", dim, "; 'self' has ", x.dim(), " dimensions");
  const bool power_of_two = n > 0 && (n & (n - 1)) == 0;
  EXPECT_PARAMETER(n >= 1 && n <= (power_of_two ? kMostPointsOfTwo : kMostPoints), "n is ", n,
                   "; it must be from 1 to ", kMostPoints, ", or a power of two up to ", kMostPointsOfTwo);
  EXPECT_PARAMETER(norm >= 1 && norm <= 3, "norm is ", norm, "; it must be 1, 2 or 3");
  constexpr const char* kNorms[] = {"backward", "forward", "ortho"};
  return at::view_as_real(at::fft_rfft(x, n, dim, kNorms[norm - 1]));
}

}  // namespace cann_simulator
