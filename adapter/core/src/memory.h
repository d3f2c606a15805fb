// Device memory of all devices: the C API's npu_malloc family over one DeviceAllocator per device.
#ifndef NPU_CORE_MEMORY_H_
#define NPU_CORE_MEMORY_H_

#include <cstdint>

namespace npu {

class DeviceAllocator;

// The allocator of a device that is ready.
DeviceAllocator& allocator_of(int32_t device);

// With the device bound and synchronized.
void release_cached_memory_at_shutdown(int32_t device);

}  // namespace npu

#endif  // NPU_CORE_MEMORY_H_
