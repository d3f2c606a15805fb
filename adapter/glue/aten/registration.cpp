#include "aten/registration.h"

namespace npu {
namespace {

using Names = std::vector<std::string>;

Names& names(Kernel kind) {
  static Names optional, needed;  // filled while the library is being loaded, by one thread
  return kind == Kernel::kNeeded ? needed : optional;
}

}  // namespace

void Kernels::add(const char* name, torch::CppFunction&& function) {
  try {
    library_.impl(name, std::move(function));
  } catch (const c10::Error&) {  // torch compares before it registers, so nothing was
    const std::string space = "aten::", given = name;
    names(kind_).push_back(given.compare(0, space.size(), space) == 0 ? given : space + given);
  }
}

std::vector<std::string> left_out(Kernel kind) { return names(kind); }

}  // namespace npu
