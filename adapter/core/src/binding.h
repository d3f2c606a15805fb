// Devices: which there are, which one the calling thread works on, and CANN's initialization at the first
// use.
#ifndef NPU_CORE_BINDING_H_
#define NPU_CORE_BINDING_H_

#include "error.h"
#include "phase.h"

namespace npu {

// No Ascend server has more; it lets everything per device be a fixed array without a lock.
constexpr int32_t kMaxDevices = 64;

// Devices that CANN answers for, 0 when CANN was never asked. Never more than kMaxDevices.
int32_t known_device_count();

// NPU_OK when `device` may be named in a call. Opens CANN, but initializes nothing.
npu_status check_device(int32_t device);

// check_device(), then aclInit on the process's first use.
npu_status ensure_ready(int32_t device);

int32_t current_device();

// Whether any thread of this process was ever bound to the device.
bool was_used(int32_t device);

// Binds the calling thread to a device for CANN's sake during a scope. Afterwards the thread is bound
// to what it was bound to before, because kernels are launched on the bound device. Binding is
// remembered per thread, so a scope for the thread's own device calls nothing.
class BindingScope {
 public:
  explicit BindingScope(int32_t device);
  ~BindingScope();
  BindingScope(const BindingScope&) = delete;
  BindingScope& operator=(const BindingScope&) = delete;
  npu_status status() const { return status_; }

 private:
  int32_t previous_;
  npu_status status_;
};

}  // namespace npu

// Opens a BindingScope for the rest of the block; leaves the function when that fails.
#define NPU_ON_DEVICE(device)                          \
  const ::npu::BindingScope npu_binding_scope(device); \
  if (npu_binding_scope.status() != NPU_OK) return npu_binding_scope.status()

#endif  // NPU_CORE_BINDING_H_
