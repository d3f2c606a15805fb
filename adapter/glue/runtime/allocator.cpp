#include "runtime/allocator.h"

#include <algorithm>

#include "compat.h"
#include "runtime/device.h"

namespace npu {
namespace {

#if NPU_HAS_DEVICE_ALLOCATOR
void set(c10::CachingAllocator::StatArray& to, const npu_stat& from) {
  // Small and large requests share one pool here, so only the aggregate is known.
  auto& stat = to[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  stat.current = from.current;
  stat.peak = from.peak;
  stat.allocated = from.allocated;
  stat.freed = from.freed;
}
#endif

struct DeviceAllocator final : DeviceAllocatorBase {
  c10::DataPtr allocate(size_t bytes) NPU_ALLOCATE_CONST override {
    const int32_t device = npu_current_device();
    void* pointer = nullptr;
    if (bytes == 0) {
      check(npu_init());  // an empty tensor on a device that is not there must fail like a full one
    } else {
      check(npu_malloc(device, npu_current_stream(device), bytes, &pointer));
    }
    return {pointer, pointer, &npu_free, {kType, static_cast<c10::DeviceIndex>(device)}};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &npu_free; }

#if NPU_ALLOCATOR_COPIES
  void copy_data(void* dst, const void* src, std::size_t bytes) const override {
    const int32_t device = npu_current_device();
    check(npu_memcpy_async(dst, src, bytes, 3, device, npu_current_stream(device)));
  }
#endif

#if NPU_HAS_DEVICE_ALLOCATOR
  bool initialized() override { return npu_is_initialized() != 0; }
  void emptyCache(c10::MempoolId_t) override { check(npu_empty_cache(-1)); }
  void recordStream(const c10::DataPtr& data, c10::Stream stream) override {
    if (data.get() != nullptr) check(npu_record_stream(data.get(), stream.id()));
  }
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
    npu_memory_stats from{};
    check(npu_get_memory_stats(device, &from));
    c10::CachingDeviceAllocator::DeviceStats stats;
    set(stats.allocation, from.allocations);
    set(stats.segment, from.segments);
    set(stats.active, from.allocations);
    set(stats.allocated_bytes, from.allocated_bytes);
    set(stats.reserved_bytes, from.reserved_bytes);
    set(stats.active_bytes, from.allocated_bytes);
    stats.num_alloc_retries = from.num_alloc_retries;
    stats.num_ooms = from.num_ooms;
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex device) override { check(npu_reset_accumulated_stats(device)); }
  void resetPeakStats(c10::DeviceIndex device) override { check(npu_reset_peak_stats(device)); }
#endif
#if NPU_HAS_MEMORY_INFO
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex device) override {
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    check(npu_memory_info(device, &free_bytes, &total_bytes));
    return {free_bytes, total_bytes};
  }
#endif
};

using c10::AllocatorRegisterer;  // the macro of torch 1 counts on it
DeviceAllocator allocator;
REGISTER_ALLOCATOR(kType, &allocator)

}  // namespace

c10::Allocator* device_allocator() { return &allocator; }

void resize_storage(c10::StorageImpl* storage, size_t bytes) {
  TORCH_CHECK(storage->resizable(), "Trying to resize storage that is not resizable");
  const DeviceScope scope(storage->device().index());
  c10::DataPtr data = storage->allocator()->allocate(bytes);
  const size_t kept = std::min(storage->nbytes(), bytes);
  if (kept != 0) {
    const int32_t device = npu_current_device();
    check(
        npu_memcpy_async(data.get(), storage->data_ptr().get(), kept, 3, device, npu_current_stream(device)));
  }
  storage->set_data_ptr_noswap(std::move(data));
  storage->set_nbytes(bytes);
}

}  // namespace npu
