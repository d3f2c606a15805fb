// The calling thread's last message and the ways to set it.
#ifndef NPU_CORE_ERROR_H_
#define NPU_CORE_ERROR_H_

#include <exception>
#include <new>

#include "npu_core.h"

namespace npu {

// Keeps the formatted message for npu_last_error() and returns `status`, so that a caller can
// `return fail(...)`.
npu_status fail(npu_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

const char* last_error();

// Runs `body` and turns what the standard library throws (no memory for a container's node) into a
// status: nothing may be thrown through the C API.
template <typename Body>
npu_status guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(NPU_ERR_OUT_OF_MEMORY, "the host has no memory left for the adapter's own bookkeeping");
  } catch (const std::exception& error) {
    return fail(NPU_ERR_ACL, "unexpected failure inside the adapter's core: %s", error.what());
  }
}

}  // namespace npu

#define NPU_RETURN_IF_ERROR(expression)            \
  do {                                             \
    const npu_status npu_status_ = (expression);   \
    if (npu_status_ != NPU_OK) return npu_status_; \
  } while (false)

#endif  // NPU_CORE_ERROR_H_
