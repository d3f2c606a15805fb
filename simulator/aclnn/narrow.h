// Which types are of 8 bits and less.
#ifndef CANN_SIMULATOR_NARROW_H_
#define CANN_SIMULATOR_NARROW_H_

#include <ATen/core/Tensor.h>

#include "compat.h"

namespace cann_simulator {

inline bool is_exponent([[maybe_unused]] at::ScalarType dtype) {
#if SIMULATOR_HAS_FLOAT8_E8M0
  return dtype == at::kFloat8_e8m0fnu;
#else
  return false;
#endif
}

inline bool is_float4([[maybe_unused]] at::ScalarType dtype) {
#if SIMULATOR_HAS_FLOAT4
  return dtype == at::kFloat4_e2m1fn_x2;
#else
  return false;
#endif
}

inline bool is_int4([[maybe_unused]] at::ScalarType dtype) {
#if SIMULATOR_HAS_FLOAT8
  return dtype == at::kBits4x2;
#else
  return false;
#endif
}

inline bool is_float8([[maybe_unused]] at::ScalarType dtype) {
#if SIMULATOR_HAS_FLOAT8
  return dtype == at::kFloat8_e5m2 || dtype == at::kFloat8_e4m3fn;
#else
  return false;
#endif
}

// Adapters pass a tensor of no elements for one that is left out.
inline bool given(const c10::optional<at::Tensor>& tensor) { return tensor && tensor->numel() > 0; }

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_NARROW_H_
