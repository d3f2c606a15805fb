// What differs between the torch versions that the operators are built for. NPU_TORCH is major * 100 + minor.
#ifndef CANN_SIMULATOR_COMPAT_H_
#define CANN_SIMULATOR_COMPAT_H_

#include <ATen/core/Tensor.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/util/Exception.h>

#if NPU_TORCH >= 200
#include <c10/util/OptionalArrayRef.h>
#endif

// Indexing has shape rules apart from its kernel.
#define SIMULATOR_HAS_INDEX_RULES (NPU_TORCH >= 200)
// The correction of a variance may be any number, not a whole one only.
#define SIMULATOR_SCALAR_CORRECTION (NPU_TORCH >= 201)

// Types of 8 bits and less that this torch has a name for.
#define SIMULATOR_HAS_FLOAT8 (NPU_TORCH >= 201)
#define SIMULATOR_HAS_UINT64 (NPU_TORCH >= 203)
#define SIMULATOR_HAS_FLOAT8_E8M0 (NPU_TORCH >= 207)
#define SIMULATOR_HAS_FLOAT4 (NPU_TORCH >= 208)

namespace cann_simulator {

#if NPU_TORCH >= 200
using OptionalInts = at::OptionalIntArrayRef;
using WarningGuard = c10::WarningUtils::WarningHandlerGuard;
constexpr c10::DispatchKeySet kPythonKeys({c10::DispatchKey::Python, c10::DispatchKey::PythonTLSSnapshot});
#else
using OptionalInts = c10::optional<at::IntArrayRef>;
using WarningGuard = c10::Warning::WarningHandlerGuard;
constexpr c10::DispatchKeySet kPythonKeys(c10::DispatchKey::Python);
#endif

// Takes warnings and says nothing.
class Silent : public c10::WarningHandler {
 public:
#if NPU_TORCH >= 200
  void process(const c10::Warning&) override {}
#else
  void process(const c10::SourceLocation&, const std::string&, const bool) override {}
#endif
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_COMPAT_H_
