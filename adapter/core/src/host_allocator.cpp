#include "host_allocator.h"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "binding.h"
#include "loader.h"
#include "pending_releases.h"
#include "stats.h"
#include "stream.h"

namespace npu {
namespace {

struct HostBlock {
  char* address = nullptr;
  size_t size = 0;
  bool live = false;
  std::set<std::pair<int32_t, int64_t>> users;  // (device, stream)
  int32_t pending_events = 0;
};

using Pending = PendingReleases<HostBlock>;

// Pinning is slow and the sizes of batches repeat: powers of two up to 1 MiB, multiples of it above,
// so that what is rounded away stays small.
size_t round_size(size_t size) {
  constexpr size_t kSmallest = 512;
  constexpr size_t kStep = size_t{1} << 20;
  if (size > kStep) return (size + kStep - 1) / kStep * kStep;
  size_t rounded = kSmallest;
  while (rounded < size) rounded *= 2;
  return rounded;
}

class HostAllocator {
 public:
  npu_status allocate(size_t size, void** pointer);
  npu_status free(void* pointer);
  bool record_use(const void* address, int32_t device, int64_t stream_id);
  bool is_pinned(const void* address);
  void release_idle();
  // What streams still use stays, until it is idle.
  void empty_cache();
  npu_memory_stats stats();
  void reset_stats(bool peaks);

 private:
  HostBlock* find_live(const void* address);
  bool take_idle(size_t size, void** pointer);
  void poll_pending();
  void add_pending(HostBlock* block);
  void make_idle(HostBlock* block);
  void count_live(const HostBlock& block);

  std::mutex mutex_;
  std::map<const char*, std::unique_ptr<HostBlock>> blocks_;  // by address: live, waiting and idle ones
  std::map<size_t, std::vector<HostBlock*>> idle_;            // by rounded size
  std::map<int32_t, Pending> pending_;                        // by device
  npu_memory_stats stats_{};
};

HostAllocator& host_allocator() {
  // Leaked: pinned memory is freed until the very end of the process.
  static HostAllocator* host = new HostAllocator;
  return *host;
}

npu_status HostAllocator::allocate(size_t size, void** pointer) {
  if (size > SIZE_MAX / 2) {
    return fail(NPU_ERR_OUT_OF_MEMORY, "no host has %zu bytes of memory: the size of the request overflowed",
                size);
  }
  NPU_ON_DEVICE(current_device());
  const size_t rounded = round_size(size);
  poll_pending();
  if (take_idle(rounded, pointer)) return NPU_OK;
  void* address = nullptr;
  if (NPU_ACL(aclrtMallocHost, &address, rounded) != NPU_OK) {
    release_idle();
    if (NPU_ACL(aclrtMallocHost, &address, rounded) != NPU_OK) {
      return fail(NPU_ERR_OUT_OF_MEMORY,
                  "no pinned host memory left: tried to allocate %zu bytes (%s). Free pinned tensors, or use "
                  "ordinary "
                  "host memory.",
                  rounded, last_error());
    }
  }
  auto block = std::make_unique<HostBlock>();
  block->address = static_cast<char*>(address);
  block->size = rounded;
  block->live = true;
  const std::lock_guard<std::mutex> lock(mutex_);
  increase(&stats_.reserved_bytes, static_cast<int64_t>(rounded));
  increase(&stats_.segments, 1);
  count_live(*block);
  blocks_[block->address] = std::move(block);
  *pointer = address;
  return NPU_OK;
}

bool HostAllocator::take_idle(size_t size, void** pointer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = idle_.find(size);
  if (found == idle_.end() || found->second.empty()) return false;
  HostBlock* block = found->second.back();
  found->second.pop_back();
  block->live = true;
  count_live(*block);
  *pointer = block->address;
  return true;
}

void HostAllocator::count_live(const HostBlock& block) {
  increase(&stats_.allocated_bytes, static_cast<int64_t>(block.size));
  increase(&stats_.allocations, 1);
}

npu_status HostAllocator::free(void* pointer) {
  HostBlock* block = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    block = find_live(pointer);
    if (block == nullptr || block->address != pointer) {
      return fail(NPU_ERR_BAD_ARGUMENT, "npu_host_free: %p is not the start of live pinned memory", pointer);
    }
    block->live = false;  // from here on only this thread knows the block
    decrease(&stats_.allocated_bytes, static_cast<int64_t>(block->size));
    decrease(&stats_.allocations, 1);
    if (block->users.empty()) {
      make_idle(block);
      return NPU_OK;
    }
  }
  add_pending(block);
  return NPU_OK;
}

// Where an event cannot be recorded the device is beyond use, and the block is never handed out again
// rather than too early.
void HostAllocator::add_pending(HostBlock* block) {
  std::vector<std::pair<int32_t, Pending::Entry>> entries;
  for (const auto& user : block->users) {
    const BindingScope scope(user.first);
    aclrtEvent event = nullptr;
    if (scope.status() != NPU_OK || record_pooled_event(user.first, user.second, &event) != NPU_OK) return;
    entries.push_back({user.first, {user.second, event, block}});
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& entry : entries) pending_[entry.first].push(entry.second);
}

void HostAllocator::make_idle(HostBlock* block) {
  block->users.clear();
  idle_[block->size].push_back(block);
}

void HostAllocator::poll_pending() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto& device : pending_) {
    if (device.second.empty()) continue;
    const BindingScope scope(device.first);
    if (scope.status() != NPU_OK) continue;
    device.second.poll(device.first, [this](HostBlock* block) { make_idle(block); });
  }
}

// The live block that contains the address.
HostBlock* HostAllocator::find_live(const void* address) {
  const auto* wanted = static_cast<const char*>(address);
  auto found = blocks_.upper_bound(wanted);
  if (found == blocks_.begin()) return nullptr;
  --found;
  HostBlock* block = found->second.get();
  return block->live && wanted < block->address + block->size ? block : nullptr;
}

bool HostAllocator::record_use(const void* address, int32_t device, int64_t stream_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  HostBlock* block = find_live(address);
  if (block != nullptr) block->users.emplace(device, stream_id);
  return block != nullptr;
}

bool HostAllocator::is_pinned(const void* address) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return find_live(address) != nullptr;
}

void HostAllocator::release_idle() {
  std::vector<std::unique_ptr<HostBlock>> released;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& size : idle_) {
      for (HostBlock* block : size.second) {
        const auto found = blocks_.find(block->address);
        decrease(&stats_.reserved_bytes, static_cast<int64_t>(block->size));
        decrease(&stats_.segments, 1);
        released.push_back(std::move(found->second));
        blocks_.erase(found);
      }
    }
    idle_.clear();
  }
  for (const auto& block : released) acl().aclrtFreeHost(block->address);
}

void HostAllocator::empty_cache() {
  poll_pending();
  release_idle();
}

npu_memory_stats HostAllocator::stats() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void HostAllocator::reset_stats(bool peaks) {
  const std::lock_guard<std::mutex> lock(mutex_);
  peaks ? reset_peak(&stats_) : reset_accumulated(&stats_);
}

}  // namespace

bool record_host_use(const void* address, int32_t device, int64_t stream_id) {
  return host_allocator().record_use(address, device, stream_id);
}

void release_host_memory_at_shutdown() { host_allocator().release_idle(); }

}  // namespace npu

extern "C" {

npu_status npu_host_malloc(size_t size, void** pointer) {
  return npu::guarded([&]() -> npu_status {
    if (pointer == nullptr) return npu::fail(NPU_ERR_BAD_ARGUMENT, "npu_host_malloc: pointer is NULL");
    *pointer = nullptr;
    return size == 0 ? npu_status{NPU_OK} : npu::host_allocator().allocate(size, pointer);
  });
}

void npu_host_free(void* pointer) {
  // After a fork or the shutdown the memory is gone or another process's.
  if (pointer == nullptr || !npu::is_ready()) return;
  npu::guarded([&] { return npu::host_allocator().free(pointer); });
}

npu_status npu_host_record(void* pointer, int32_t device, int64_t stream_id) {
  return npu::guarded([&]() -> npu_status {
    NPU_RETURN_IF_ERROR(npu::check_device(device));
    NPU_RETURN_IF_ERROR(npu::check_stream_id(stream_id));
    if (npu::record_host_use(pointer, device, stream_id)) return NPU_OK;
    return npu::fail(NPU_ERR_BAD_ARGUMENT, "npu_host_record: %p does not lie in live pinned memory", pointer);
  });
}

npu_status npu_host_empty_cache(void) {
  return npu::guarded([]() -> npu_status {
    if (!npu::is_ready()) return NPU_OK;  // nothing was pinned, or it is gone
    NPU_ON_DEVICE(npu::current_device());
    npu::host_allocator().empty_cache();
    return NPU_OK;
  });
}

npu_status npu_get_host_stats(npu_memory_stats* stats) {
  return npu::guarded([&]() -> npu_status {
    if (stats == nullptr) return npu::fail(NPU_ERR_BAD_ARGUMENT, "npu_get_host_stats: stats is NULL");
    *stats = npu::host_allocator().stats();
    return NPU_OK;
  });
}

npu_status npu_reset_host_stats(int32_t peaks) {
  return npu::guarded([&] {
    npu::host_allocator().reset_stats(peaks != 0);
    return npu_status{NPU_OK};
  });
}

int32_t npu_host_is_pinned(const void* pointer) {
  if (pointer == nullptr || npu::in_bad_fork()) return 0;
  int32_t pinned = 0;
  npu::guarded([&] {
    pinned = npu::host_allocator().is_pinned(pointer) ? 1 : 0;
    return npu_status{NPU_OK};
  });
  return pinned;
}

}  // extern "C"
