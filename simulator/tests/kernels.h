// Kernels that do nothing but count, for tests of what surrounds them.
#ifndef CANN_SIMULATOR_TESTS_KERNELS_H_
#define CANN_SIMULATOR_TESTS_KERNELS_H_

#include <atomic>
#include <vector>

#include "cann_simulator/runtime.h"

inline std::atomic<int> kernels_run{0};

inline aclError launch(aclrtStream stream, const char* name,
                       const std::vector<cann_simulator_range>& ranges = {}) {
  const auto kernel = [](void*, char*, size_t) -> aclError {
    ++kernels_run;
    return ACL_SUCCESS;
  };
  return cann_simulator_launch_touching(stream, name, ranges.data(), ranges.size(), kernel, nullptr,
                                        [](void*) {});
}

#endif  // CANN_SIMULATOR_TESTS_KERNELS_H_
