#include "memory.h"

#include <atomic>
#include <mutex>

#include "binding.h"
#include "device_allocator.h"
#include "pointer_table.h"

namespace npu {
namespace {

std::atomic<DeviceAllocator*> allocators[kMaxDevices];

}  // namespace

// Made on a device's first allocation and leaked: memory is freed until the very end of the process.
DeviceAllocator& allocator_of(int32_t device) {
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

namespace {

// The allocator of a device that was allocated from, NULL for any other: asking about memory before
// the first use needs no CANN. Answers NPU_ERR_BAD_DEVICE for an index that cannot be.
npu_status find_allocator(int32_t device, DeviceAllocator** allocator) {
  *allocator = nullptr;
  NPU_RETURN_IF_ERROR(check_usable());
  if (device < 0 || device >= kMaxDevices || (is_ready() && device >= known_device_count())) {
    return fail(NPU_ERR_BAD_DEVICE, "there is no NPU %d: this machine has %d", device, known_device_count());
  }
  *allocator = allocators[device].load(std::memory_order_acquire);
  return NPU_OK;
}

npu_status device_malloc(int32_t device, int64_t stream_id, size_t size, void** pointer) {
  if (pointer == nullptr) return fail(NPU_ERR_BAD_ARGUMENT, "npu_malloc: pointer is NULL");
  *pointer = nullptr;
  if (size == 0) return NPU_OK;
  NPU_RETURN_IF_ERROR(ensure_ready(device));
  NPU_RETURN_IF_ERROR(check_stream_id(stream_id));
  Block* block = nullptr;
  NPU_RETURN_IF_ERROR(allocator_of(device).allocate(stream_id, size, &block));
  insert_block(block);
  *pointer = block->address;
  return NPU_OK;
}

npu_status free(void* pointer) {
  Block* block = remove_block(pointer);
  if (block == nullptr) {
    return fail(NPU_ERR_BAD_ARGUMENT, "npu_free: %p is not the start of live device memory", pointer);
  }
  allocator_of(block->device).free(block);
  return NPU_OK;
}

npu_status record_stream(void* pointer, int64_t stream_id) {
  if (pointer == nullptr) return NPU_OK;  // what npu_malloc gives for size 0
  NPU_RETURN_IF_ERROR(check_usable());
  NPU_RETURN_IF_ERROR(check_stream_id(stream_id));
  Block* block = find_block(pointer);
  if (block == nullptr) {
    return fail(NPU_ERR_BAD_ARGUMENT, "npu_record_stream: %p is not the start of live device memory",
                pointer);
  }
  allocator_of(block->device).record_stream(block, stream_id);
  return NPU_OK;
}

npu_status empty_cache(int32_t device) {
  DeviceAllocator* allocator = nullptr;
  if (device != -1) {
    NPU_RETURN_IF_ERROR(find_allocator(device, &allocator));
    return allocator != nullptr ? allocator->empty_cache() : npu_status{NPU_OK};
  }
  NPU_RETURN_IF_ERROR(check_usable());
  npu_status status = NPU_OK;
  for (auto& slot : allocators) {
    allocator = slot.load(std::memory_order_acquire);
    const npu_status emptied = allocator != nullptr ? allocator->empty_cache() : npu_status{NPU_OK};
    if (status == NPU_OK) status = emptied;
  }
  return status;
}

npu_status set_memory_fraction(int32_t device, double fraction) {
  if (!(fraction > 0.0 && fraction <= 1.0)) {
    return fail(NPU_ERR_BAD_ARGUMENT, "the memory fraction has to be above 0 and at most 1, not %g",
                fraction);
  }
  NPU_RETURN_IF_ERROR(ensure_ready(device));
  return allocator_of(device).set_limit(fraction);
}

npu_status get_stats(int32_t device, npu_memory_stats* stats) {
  if (stats == nullptr) return fail(NPU_ERR_BAD_ARGUMENT, "npu_get_memory_stats: stats is NULL");
  *stats = {};
  DeviceAllocator* allocator = nullptr;
  NPU_RETURN_IF_ERROR(find_allocator(device, &allocator));
  if (allocator != nullptr) *stats = allocator->memory_stats();
  return NPU_OK;
}

npu_status reset_stats(int32_t device, void (DeviceAllocator::*reset)()) {
  DeviceAllocator* allocator = nullptr;
  NPU_RETURN_IF_ERROR(find_allocator(device, &allocator));
  if (allocator != nullptr) (allocator->*reset)();
  return NPU_OK;
}

}  // namespace

void release_cached_memory_at_shutdown(int32_t device) {
  DeviceAllocator* allocator = allocators[device].load(std::memory_order_acquire);
  if (allocator != nullptr) allocator->release_everything_idle();
}

}  // namespace npu

extern "C" {

npu_status npu_malloc(int32_t device, int64_t stream_id, size_t size, void** pointer) {
  return npu::guarded([&] { return npu::device_malloc(device, stream_id, size, pointer); });
}

void npu_free(void* pointer) {
  // After a fork or the shutdown the memory is gone or another process's.
  if (pointer == nullptr || !npu::is_ready()) return;
  npu::guarded([&] { return npu::free(pointer); });
}

npu_status npu_record_stream(void* pointer, int64_t stream_id) {
  return npu::guarded([&] { return npu::record_stream(pointer, stream_id); });
}

npu_status npu_empty_cache(int32_t device) {
  return npu::guarded([&] { return npu::empty_cache(device); });
}

npu_status npu_set_memory_fraction(int32_t device, double fraction) {
  return npu::guarded([&] { return npu::set_memory_fraction(device, fraction); });
}

int32_t npu_pointer_device(const void* pointer, int32_t* device) {
  if (pointer == nullptr || npu::in_bad_fork()) return 0;
  const int32_t found = npu::device_of_address(pointer);
  if (found >= 0 && device != nullptr) *device = found;
  return found >= 0 ? 1 : 0;
}

npu_status npu_get_memory_stats(int32_t device, npu_memory_stats* stats) {
  return npu::guarded([&] { return npu::get_stats(device, stats); });
}

npu_status npu_reset_peak_stats(int32_t device) {
  return npu::guarded([&] { return npu::reset_stats(device, &npu::DeviceAllocator::reset_peak); });
}

npu_status npu_reset_accumulated_stats(int32_t device) {
  return npu::guarded([&] { return npu::reset_stats(device, &npu::DeviceAllocator::reset_accumulated); });
}

}  // extern "C"
