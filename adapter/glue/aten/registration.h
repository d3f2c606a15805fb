// Kernels of PyTorch's own operators, each registered for itself.
#ifndef NPU_GLUE_ATEN_REGISTRATION_H_
#define NPU_GLUE_ATEN_REGISTRATION_H_

#include <torch/library.h>

#include <string>
#include <utility>
#include <vector>

namespace npu {

// Whether a device can do without a kernel: the operator then runs on the CPU, or is composed of others.
enum class Kernel { kOptional, kNeeded };

// Registers in `library`, as it would itself, but for a kernel whose C++ signature is not that of the
// operator in the running torch: that one is left out. torch itself would end the process, as this runs while
// a library is being loaded.
class Kernels {
 public:
  explicit Kernels(torch::Library& library, Kernel kind = Kernel::kOptional)
      : library_(library), kind_(kind) {}

  template <class Function>
  void impl(const char* name, Function&& function) {
    add(name, torch::CppFunction(std::forward<Function>(function)));
  }

 private:
  void add(const char* name, torch::CppFunction&& function);

  torch::Library& library_;
  Kernel kind_;
};

// The operators whose kernels of this kind were left out, as "aten::add.out".
std::vector<std::string> left_out(Kernel kind);

}  // namespace npu

#endif  // NPU_GLUE_ATEN_REGISTRATION_H_
