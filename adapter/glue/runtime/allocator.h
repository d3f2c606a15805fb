// Allocators of device memory and of pinned host memory, and the resizing of device storages.
#ifndef NPU_GLUE_RUNTIME_ALLOCATOR_H_
#define NPU_GLUE_RUNTIME_ALLOCATOR_H_

#include <c10/core/Allocator.h>
#include <c10/core/Storage.h>

namespace npu {

// Device memory of the current device, ready for its current stream.
c10::Allocator* device_allocator();

// Page-locked host memory.
c10::Allocator* pinned_allocator();

// Gives a device storage another size in bytes; what fits is kept.
void resize_storage(c10::StorageImpl* storage, size_t bytes);

}  // namespace npu

#endif  // NPU_GLUE_RUNTIME_ALLOCATOR_H_
