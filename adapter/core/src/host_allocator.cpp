#include "host_allocator.h"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "device.h"
#include "loader.h"
#include "pending_releases.h"
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
size_t RoundSize(size_t size) {
  constexpr size_t kSmallest = 512;
  constexpr size_t kStep = size_t{1} << 20;
  if (size > kStep) return (size + kStep - 1) / kStep * kStep;
  size_t rounded = kSmallest;
  while (rounded < size) rounded *= 2;
  return rounded;
}

class HostAllocator {
 public:
  npu_status Allocate(size_t size, void** pointer);
  npu_status Free(void* pointer);
  bool RecordUse(const void* address, int32_t device, int64_t stream_id);
  bool IsPinned(const void* address);
  void ReleaseIdle();

 private:
  HostBlock* FindLive(const void* address);
  bool TakeIdle(size_t size, void** pointer);
  void PollPending();
  void AddPending(HostBlock* block);
  void MakeIdle(HostBlock* block);

  std::mutex mutex_;
  std::map<const char*, std::unique_ptr<HostBlock>> blocks_;  // by address: live, waiting and idle ones
  std::map<size_t, std::vector<HostBlock*>> idle_;            // by rounded size
  std::map<int32_t, Pending> pending_;                        // by device
};

HostAllocator& Host() {
  // Leaked: pinned memory is freed until the very end of the process.
  static HostAllocator* host = new HostAllocator;
  return *host;
}

npu_status HostAllocator::Allocate(size_t size, void** pointer) {
  if (size > SIZE_MAX / 2) {
    return Fail(NPU_ERR_OUT_OF_MEMORY, "no host has %zu bytes of memory: the size of the request overflowed",
                size);
  }
  NPU_ON_DEVICE(CurrentDevice());
  const size_t rounded = RoundSize(size);
  PollPending();
  if (TakeIdle(rounded, pointer)) return NPU_OK;
  void* address = nullptr;
  if (NPU_ACL(aclrtMallocHost, &address, rounded) != NPU_OK) {
    ReleaseIdle();
    if (NPU_ACL(aclrtMallocHost, &address, rounded) != NPU_OK) {
      return Fail(NPU_ERR_OUT_OF_MEMORY,
                  "no pinned host memory left: tried to allocate %zu bytes (%s). Free pinned tensors, or use "
                  "ordinary "
                  "host memory.",
                  rounded, LastError());
    }
  }
  auto block = std::make_unique<HostBlock>();
  block->address = static_cast<char*>(address);
  block->size = rounded;
  block->live = true;
  const std::lock_guard<std::mutex> lock(mutex_);
  blocks_[block->address] = std::move(block);
  *pointer = address;
  return NPU_OK;
}

bool HostAllocator::TakeIdle(size_t size, void** pointer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = idle_.find(size);
  if (found == idle_.end() || found->second.empty()) return false;
  HostBlock* block = found->second.back();
  found->second.pop_back();
  block->live = true;
  *pointer = block->address;
  return true;
}

npu_status HostAllocator::Free(void* pointer) {
  HostBlock* block = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    block = FindLive(pointer);
    if (block == nullptr || block->address != pointer) {
      return Fail(NPU_ERR_BAD_ARGUMENT, "npu_host_free: %p is not the start of live pinned memory", pointer);
    }
    block->live = false;  // from here on only this thread knows the block
    if (block->users.empty()) {
      MakeIdle(block);
      return NPU_OK;
    }
  }
  AddPending(block);
  return NPU_OK;
}

// Where an event cannot be recorded the device is beyond use, and the block is never handed out again
// rather than too early.
void HostAllocator::AddPending(HostBlock* block) {
  std::vector<std::pair<int32_t, Pending::Entry>> entries;
  for (const auto& user : block->users) {
    const DeviceScope scope(user.first);
    aclrtEvent event = nullptr;
    if (scope.status() != NPU_OK || RecordPooledEvent(user.first, user.second, &event) != NPU_OK) return;
    entries.push_back({user.first, {user.second, event, block}});
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& entry : entries) pending_[entry.first].Push(entry.second);
}

void HostAllocator::MakeIdle(HostBlock* block) {
  block->users.clear();
  idle_[block->size].push_back(block);
}

void HostAllocator::PollPending() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto& device : pending_) {
    if (device.second.empty()) continue;
    const DeviceScope scope(device.first);
    if (scope.status() != NPU_OK) continue;
    device.second.Poll(device.first, [this](HostBlock* block) { MakeIdle(block); });
  }
}

// The live block that contains the address.
HostBlock* HostAllocator::FindLive(const void* address) {
  const auto* wanted = static_cast<const char*>(address);
  auto found = blocks_.upper_bound(wanted);
  if (found == blocks_.begin()) return nullptr;
  --found;
  HostBlock* block = found->second.get();
  return block->live && wanted < block->address + block->size ? block : nullptr;
}

bool HostAllocator::RecordUse(const void* address, int32_t device, int64_t stream_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  HostBlock* block = FindLive(address);
  if (block != nullptr) block->users.emplace(device, stream_id);
  return block != nullptr;
}

bool HostAllocator::IsPinned(const void* address) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return FindLive(address) != nullptr;
}

void HostAllocator::ReleaseIdle() {
  std::vector<std::unique_ptr<HostBlock>> released;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& size : idle_) {
      for (HostBlock* block : size.second) {
        const auto found = blocks_.find(block->address);
        released.push_back(std::move(found->second));
        blocks_.erase(found);
      }
    }
    idle_.clear();
  }
  for (const auto& block : released) Acl().aclrtFreeHost(block->address);
}

}  // namespace

bool RecordHostUse(const void* address, int32_t device, int64_t stream_id) {
  return Host().RecordUse(address, device, stream_id);
}

void ReleaseHostMemoryAtShutdown() { Host().ReleaseIdle(); }

}  // namespace npu

extern "C" {

npu_status npu_host_malloc(size_t size, void** pointer) {
  return npu::Guarded([&]() -> npu_status {
    if (pointer == nullptr) return npu::Fail(NPU_ERR_BAD_ARGUMENT, "npu_host_malloc: pointer is NULL");
    *pointer = nullptr;
    return size == 0 ? npu_status{NPU_OK} : npu::Host().Allocate(size, pointer);
  });
}

void npu_host_free(void* pointer) {
  // After a fork or the shutdown the memory is gone or another process's.
  if (pointer == nullptr || !npu::IsReady()) return;
  npu::Guarded([&] { return npu::Host().Free(pointer); });
}

npu_status npu_host_record(void* pointer, int32_t device, int64_t stream_id) {
  return npu::Guarded([&]() -> npu_status {
    NPU_RETURN_IF_ERROR(npu::CheckDevice(device));
    NPU_RETURN_IF_ERROR(npu::CheckStreamId(stream_id));
    if (npu::RecordHostUse(pointer, device, stream_id)) return NPU_OK;
    return npu::Fail(NPU_ERR_BAD_ARGUMENT, "npu_host_record: %p does not lie in live pinned memory", pointer);
  });
}

int32_t npu_host_is_pinned(const void* pointer) {
  if (pointer == nullptr || npu::InBadFork()) return 0;
  int32_t pinned = 0;
  npu::Guarded([&] {
    pinned = npu::Host().IsPinned(pointer) ? 1 : 0;
    return npu_status{NPU_OK};
  });
  return pinned;
}

}  // extern "C"
