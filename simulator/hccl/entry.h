// The frame of every entry point: lets no exception out of the C ABI, keeps the message for
// aclGetRecentErrMsg.
#ifndef CANN_SIMULATOR_HCCL_ENTRY_H_
#define CANN_SIMULATOR_HCCL_ENTRY_H_

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "cann_simulator/runtime.h"
#include "result.h"

namespace cann_simulator::hccl {

template <class Body>
HcclResult entry(const char* function, Body&& body) noexcept {
  try {
    const Result result = std::forward<Body>(body)();
    if (!result.ok())
      cann_simulator_fail(result.code, (std::string(function) + ": " + result.message).c_str());
    return result.code;
  } catch (const std::bad_alloc&) {
    cann_simulator_fail(HCCL_E_MEMORY, "the host is out of memory");
    return HCCL_E_MEMORY;
  } catch (const std::exception& error) {
    cann_simulator_fail(HCCL_E_INTERNAL, error.what());
    return HCCL_E_INTERNAL;
  }
}

inline Result null_argument(const char* name) { return failure(HCCL_E_PTR, "%s is NULL", name); }

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_ENTRY_H_
