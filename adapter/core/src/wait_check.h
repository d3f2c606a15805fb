// What is asked after each wait for a device, before its results are believed.
#ifndef NPU_CORE_WAIT_CHECK_H_
#define NPU_CORE_WAIT_CHECK_H_

#include <atomic>

#include "error.h"

namespace npu {

extern std::atomic<npu_wait_check> wait_check;

// NPU_OK unless the process's check has a message: NPU_ERR_COLLECTIVE.
npu_status ask_wait_check();

// `status`, or where that is NPU_OK and there is a check, what it says.
inline npu_status believed(npu_status status) {
  if (wait_check.load(std::memory_order_relaxed) == nullptr || status != NPU_OK) return status;
  return ask_wait_check();
}

}  // namespace npu

#endif  // NPU_CORE_WAIT_CHECK_H_
