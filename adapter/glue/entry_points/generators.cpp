// Generators by device number, for a torch that cannot show a generator to Python.
#include "compat.h"

#if !NPU_HAS_GENERATOR_OBJECTS

#include <torch/library.h>

#include "runtime/generator.h"

namespace npu {
namespace {

struct Locked {
  explicit Locked(int64_t device)
      : generator(default_generator(static_cast<c10::DeviceIndex>(device))), lock(generator.mutex()) {}
  at::Generator generator;
  std::lock_guard<std::mutex> lock;
};

TORCH_LIBRARY_FRAGMENT(torch_npu, m) {
  m.def("generator_manual_seed(int device, int seed) -> ()", [](int64_t device, int64_t seed) {
    Locked(device).generator.set_current_seed(static_cast<uint64_t>(seed));
  });
  m.def("generator_seed(int device) -> int",
        [](int64_t device) { return static_cast<int64_t>(Locked(device).generator.seed()); });
  m.def("generator_initial_seed(int device) -> int",
        [](int64_t device) { return static_cast<int64_t>(Locked(device).generator.current_seed()); });
  m.def("generator_get_state(int device) -> Tensor",
        [](int64_t device) { return Locked(device).generator.get_state(); });
  m.def("generator_set_state(int device, Tensor state) -> ()",
        [](int64_t device, const at::Tensor& state) { Locked(device).generator.set_state(state); });
}

}  // namespace
}  // namespace npu

#endif  // !NPU_HAS_GENERATOR_OBJECTS
