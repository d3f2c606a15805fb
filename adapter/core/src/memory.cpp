#include "memory.h"

#include <atomic>
#include <mutex>

#include "device.h"
#include "device_allocator.h"
#include "pointer_table.h"

namespace npu {
namespace {

std::atomic<DeviceAllocator*> allocators[kMaxDevices];

// Made on a device's first allocation and leaked: memory is freed until the very end of the process.
DeviceAllocator& AllocatorOf(int32_t device) {
  DeviceAllocator* allocator = allocators[device].load(std::memory_order_acquire);
  if (allocator != nullptr) return *allocator;
  static std::mutex& creating = *new std::mutex;
  const std::lock_guard<std::mutex> lock(creating);
  allocator = allocators[device].load(std::memory_order_acquire);
  if (allocator == nullptr) {
    allocator = new DeviceAllocator(device);
    allocators[device].store(allocator, std::memory_order_release);
  }
  return *allocator;
}

// The allocator of a device that was allocated from, NULL for any other: asking about memory before
// the first use needs no CANN. Answers NPU_ERR_BAD_DEVICE for an index that cannot be.
npu_status FindAllocator(int32_t device, DeviceAllocator** allocator) {
  *allocator = nullptr;
  NPU_RETURN_IF_ERROR(CheckUsable());
  if (device < 0 || device >= kMaxDevices || (IsReady() && device >= KnownDeviceCount())) {
    return Fail(NPU_ERR_BAD_DEVICE, "there is no NPU %d: this machine has %d", device, KnownDeviceCount());
  }
  *allocator = allocators[device].load(std::memory_order_acquire);
  return NPU_OK;
}

npu_status Malloc(int32_t device, int64_t stream_id, size_t size, void** pointer) {
  if (pointer == nullptr) return Fail(NPU_ERR_BAD_ARGUMENT, "npu_malloc: pointer is NULL");
  *pointer = nullptr;
  if (size == 0) return NPU_OK;
  NPU_RETURN_IF_ERROR(EnsureReady(device));
  NPU_RETURN_IF_ERROR(CheckStreamId(stream_id));
  Block* block = nullptr;
  NPU_RETURN_IF_ERROR(AllocatorOf(device).Allocate(stream_id, size, &block));
  InsertBlock(block);
  *pointer = block->address;
  return NPU_OK;
}

npu_status Free(void* pointer) {
  Block* block = RemoveBlock(pointer);
  if (block == nullptr) {
    return Fail(NPU_ERR_BAD_ARGUMENT, "npu_free: %p is not the start of live device memory", pointer);
  }
  AllocatorOf(block->device).Free(block);
  return NPU_OK;
}

npu_status RecordStream(void* pointer, int64_t stream_id) {
  if (pointer == nullptr) return NPU_OK;  // what npu_malloc gives for size 0
  NPU_RETURN_IF_ERROR(CheckUsable());
  NPU_RETURN_IF_ERROR(CheckStreamId(stream_id));
  Block* block = FindBlock(pointer);
  if (block == nullptr) {
    return Fail(NPU_ERR_BAD_ARGUMENT, "npu_record_stream: %p is not the start of live device memory",
                pointer);
  }
  AllocatorOf(block->device).RecordStream(block, stream_id);
  return NPU_OK;
}

npu_status EmptyCache(int32_t device) {
  DeviceAllocator* allocator = nullptr;
  if (device != -1) {
    NPU_RETURN_IF_ERROR(FindAllocator(device, &allocator));
    return allocator != nullptr ? allocator->EmptyCache() : npu_status{NPU_OK};
  }
  NPU_RETURN_IF_ERROR(CheckUsable());
  npu_status status = NPU_OK;
  for (auto& slot : allocators) {
    allocator = slot.load(std::memory_order_acquire);
    const npu_status emptied = allocator != nullptr ? allocator->EmptyCache() : npu_status{NPU_OK};
    if (status == NPU_OK) status = emptied;
  }
  return status;
}

npu_status SetMemoryFraction(int32_t device, double fraction) {
  if (!(fraction > 0.0 && fraction <= 1.0)) {
    return Fail(NPU_ERR_BAD_ARGUMENT, "the memory fraction has to be above 0 and at most 1, not %g",
                fraction);
  }
  NPU_RETURN_IF_ERROR(EnsureReady(device));
  return AllocatorOf(device).SetLimit(fraction);
}

npu_status GetStats(int32_t device, npu_memory_stats* stats) {
  if (stats == nullptr) return Fail(NPU_ERR_BAD_ARGUMENT, "npu_get_memory_stats: stats is NULL");
  *stats = {};
  DeviceAllocator* allocator = nullptr;
  NPU_RETURN_IF_ERROR(FindAllocator(device, &allocator));
  if (allocator != nullptr) *stats = allocator->Stats();
  return NPU_OK;
}

npu_status ResetStats(int32_t device, void (DeviceAllocator::*reset)()) {
  DeviceAllocator* allocator = nullptr;
  NPU_RETURN_IF_ERROR(FindAllocator(device, &allocator));
  if (allocator != nullptr) (allocator->*reset)();
  return NPU_OK;
}

}  // namespace

void ReleaseCachedMemoryAtShutdown(int32_t device) {
  DeviceAllocator* allocator = allocators[device].load(std::memory_order_acquire);
  if (allocator != nullptr) allocator->ReleaseEverythingIdle();
}

}  // namespace npu

extern "C" {

npu_status npu_malloc(int32_t device, int64_t stream_id, size_t size, void** pointer) {
  return npu::Guarded([&] { return npu::Malloc(device, stream_id, size, pointer); });
}

void npu_free(void* pointer) {
  // After a fork or the shutdown the memory is gone or another process's.
  if (pointer == nullptr || !npu::IsReady()) return;
  npu::Guarded([&] { return npu::Free(pointer); });
}

npu_status npu_record_stream(void* pointer, int64_t stream_id) {
  return npu::Guarded([&] { return npu::RecordStream(pointer, stream_id); });
}

npu_status npu_empty_cache(int32_t device) {
  return npu::Guarded([&] { return npu::EmptyCache(device); });
}

npu_status npu_set_memory_fraction(int32_t device, double fraction) {
  return npu::Guarded([&] { return npu::SetMemoryFraction(device, fraction); });
}

int32_t npu_pointer_device(const void* pointer, int32_t* device) {
  if (pointer == nullptr || npu::InBadFork()) return 0;
  const int32_t found = npu::DeviceOfAddress(pointer);
  if (found >= 0 && device != nullptr) *device = found;
  return found >= 0 ? 1 : 0;
}

npu_status npu_get_memory_stats(int32_t device, npu_memory_stats* stats) {
  return npu::Guarded([&] { return npu::GetStats(device, stats); });
}

npu_status npu_reset_peak_stats(int32_t device) {
  return npu::Guarded([&] { return npu::ResetStats(device, &npu::DeviceAllocator::ResetPeak); });
}

npu_status npu_reset_accumulated_stats(int32_t device) {
  return npu::Guarded([&] { return npu::ResetStats(device, &npu::DeviceAllocator::ResetAccumulated); });
}

}  // extern "C"
