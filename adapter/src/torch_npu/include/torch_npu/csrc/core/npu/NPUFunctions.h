// Devices: how many there are, and which is current for the calling thread.
#pragma once

#include <c10/core/Device.h>

#include "torch_npu/csrc/core/npu/NPUMacros.h"
#include "torch_npu/csrc/core/npu/NPUStream.h"

namespace c10_npu {

C10_NPU_API c10::DeviceIndex device_count() noexcept;  // 0 without CANN or an NPU
C10_NPU_API c10::DeviceIndex device_count_ensure_non_zero();
C10_NPU_API c10::DeviceIndex current_device();
C10_NPU_API void set_device(c10::DeviceIndex device);
C10_NPU_API int ExchangeDevice(int device);  // gives the one that was current
C10_NPU_API void device_synchronize();
C10_NPU_API void stream_synchronize(aclrtStream stream);

// The same with CANN's error codes, 0 for success.
C10_NPU_API aclError GetDevice(int32_t* device);
C10_NPU_API aclError SetDevice(c10::DeviceIndex device);

}  // namespace c10_npu
