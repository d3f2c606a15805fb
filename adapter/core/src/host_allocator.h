// Pinned host memory, cached by size; a freed block waits for the streams that still read or write it.
#ifndef NPU_CORE_HOST_ALLOCATOR_H_
#define NPU_CORE_HOST_ALLOCATOR_H_

#include "error.h"

namespace npu {

// Notes that a stream uses the live pinned block that contains the address. False when the address is
// not pinned memory of ours.
bool record_host_use(const void* address, int32_t device, int64_t stream_id);

// Returns the idle blocks to CANN; all devices are synchronized.
void release_host_memory_at_shutdown();

}  // namespace npu

#endif  // NPU_CORE_HOST_ALLOCATOR_H_
