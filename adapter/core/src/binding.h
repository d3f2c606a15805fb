// The life of CANN in this process, and the calling thread's device.
#ifndef NPU_CORE_DEVICE_H_
#define NPU_CORE_DEVICE_H_

#include <atomic>

#include "error.h"

namespace npu {

// No Ascend server has more; it lets everything per device be a fixed array without a lock.
constexpr int32_t kMaxDevices = 64;

enum class Phase : int { kUnused, kReady, kForked, kShutDown };
extern std::atomic<Phase> phase;

// The check on every fast path: CANN is initialized and this process may use it.
inline bool IsReady() { return phase.load(std::memory_order_acquire) == Phase::kReady; }
inline bool InBadFork() { return phase.load(std::memory_order_acquire) == Phase::kForked; }

// Devices that CANN answers for, 0 when CANN was never asked. Never more than kMaxDevices.
int32_t KnownDeviceCount();

// NPU_OK when `device` may be named in a call. Opens CANN, but initializes nothing.
npu_status CheckDevice(int32_t device);

// NPU_ERR_FORKED or NPU_ERR_SHUT_DOWN when this process may not use CANN (any more).
npu_status CheckUsable();

// CheckDevice, then aclInit on the process's first use.
npu_status EnsureReady(int32_t device);

int32_t CurrentDevice();

// Binds the calling thread to a device for CANN's sake during a scope. Afterwards the thread is bound
// to what it was bound to before, because kernels are launched on the bound device. Binding is
// remembered per thread, so a scope for the thread's own device calls nothing.
class DeviceScope {
 public:
  explicit DeviceScope(int32_t device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
  npu_status status() const { return status_; }

 private:
  int32_t previous_;
  npu_status status_;
};

}  // namespace npu

// Opens a DeviceScope for the rest of the block; leaves the function when that fails.
#define NPU_ON_DEVICE(device)                        \
  const ::npu::DeviceScope npu_device_scope(device); \
  if (npu_device_scope.status() != NPU_OK) return npu_device_scope.status()

#endif  // NPU_CORE_DEVICE_H_
