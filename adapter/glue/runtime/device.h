// Devices, streams and errors, as the other files of the glue need them.
#ifndef NPU_GLUE_RUNTIME_DEVICE_H_
#define NPU_GLUE_RUNTIME_DEVICE_H_

#include <c10/core/Device.h>
#include <c10/util/Exception.h>

#include "compat.h"
#include "npu_core.h"

namespace npu {

constexpr c10::DeviceType kType = c10::DeviceType::NPU_KEY;
constexpr c10::DispatchKey kKey = c10::DispatchKey::NPU_KEY;

// Throws what the core left in npu_last_error(): c10::OutOfMemoryError, else c10::Error.
[[noreturn]] void raise(npu_status status);

inline void check(npu_status status) {
  if (C10_UNLIKELY(status != NPU_OK)) raise(status);
}

inline c10::DeviceIndex current_device() { return static_cast<c10::DeviceIndex>(npu_current_device()); }

// The index that `device` names; the current device's when it names none.
inline c10::DeviceIndex index_of(const c10::Device& device) {
  return device.has_index() ? device.index() : current_device();
}

inline c10::DeviceIndex device_count() {
  int32_t count = 0;
  check(npu_device_count(&count));
  return static_cast<c10::DeviceIndex>(count);
}

// Makes a device current for a scope. Cheaper than c10::DeviceGuard: nothing is virtual, and the usual case,
// the device being current already, costs one thread-local read.
class DeviceScope {
 public:
  explicit DeviceScope(c10::DeviceIndex device) : before_(npu_current_device()), device_(device) {
    if (C10_UNLIKELY(device_ != before_)) check(npu_set_device(device_));
  }
  ~DeviceScope() {
    if (C10_UNLIKELY(device_ != before_)) npu_set_device(before_);
  }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int32_t before_;
  int32_t device_;
};

}  // namespace npu

#endif  // NPU_GLUE_RUNTIME_DEVICE_H_
