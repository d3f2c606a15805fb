#include "device_allocator.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "device.h"
#include "loader.h"
#include "pointer_table.h"

namespace npu {
namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;

constexpr size_t kGranularity = 512;
// CANN's operators may touch up to 32 bytes behind a tensor: memory that is cut from a larger piece
// has to leave them room.
constexpr size_t kOverrun = 32;
constexpr size_t kSmallRequest = 1 * kMiB;    // up to here requests share segments of kSmallSegment
constexpr size_t kMediumRequest = 10 * kMiB;  // up to here they are cut from segments of kMediumSegment
constexpr size_t kSmallSegment = 2 * kMiB;
constexpr size_t kMediumSegment = 20 * kMiB;
constexpr size_t kHugePage = 2 * kMiB;  // larger segments are multiples of it

constexpr int kReclaimRounds = 16;

constexpr aclError kBadAlloc = 200000;  // ACL_ERROR_BAD_ALLOC: the runtime itself found no memory

size_t RoundUp(size_t size, size_t multiple) { return (size + multiple - 1) / multiple * multiple; }

size_t SegmentSize(const Request& request) {
  if (request.small) return kSmallSegment;
  return request.size < kMediumRequest ? kMediumSegment : RoundUp(request.size, kHugePage);
}

void Increase(npu_stat* stat, int64_t amount) {
  stat->current += amount;
  stat->allocated += amount;
  stat->peak = std::max(stat->peak, stat->current);
}

void Decrease(npu_stat* stat, int64_t amount) {
  stat->current -= amount;
  stat->freed += amount;
}

std::array<npu_stat*, 4> AllOf(npu_memory_stats* stats) {
  return {&stats->allocated_bytes, &stats->reserved_bytes, &stats->allocations, &stats->segments};
}

std::string Human(size_t bytes) {
  char text[32];
  const double size = static_cast<double>(bytes);
  if (bytes < kMiB) {
    std::snprintf(text, sizeof(text), "%.2f KiB", size / kKiB);
  } else if (bytes < kKiB * kMiB) {
    std::snprintf(text, sizeof(text), "%.2f MiB", size / kMiB);
  } else {
    std::snprintf(text, sizeof(text), "%.2f GiB", size / (kKiB * kMiB));
  }
  return text;
}

}  // namespace

npu_status DeviceAllocator::Allocate(int64_t stream, size_t size, Block** block) {
  if (size > std::numeric_limits<size_t>::max() / 2) {
    return Fail(NPU_ERR_OUT_OF_MEMORY,
                "no device has %zu bytes of memory: the size of the request overflowed", size);
  }
  const Request request{RoundUp(size + kOverrun, kGranularity), stream, size <= kSmallRequest};
  if (has_pending_.load(std::memory_order_relaxed)) PollPending();
  return TakeIdle(request, block) ? npu_status{NPU_OK} : AllocateSlowly(request, block);
}

bool DeviceAllocator::TakeIdle(const Request& request, Block** block) {
  const std::lock_guard<std::mutex> lock(mutex_);
  *block = pool_.Take(request);
  if (*block != nullptr) CountAllocated(**block);
  return *block != nullptr;
}

npu_status DeviceAllocator::AllocateSlowly(const Request& request, Block** block) {
  NPU_ON_DEVICE(device_);
  npu_status status = NPU_OK;
  {
    const std::shared_lock<std::shared_mutex> lock(reclaiming_);
    status = AllocateFromNewSegment(request, block);
  }
  if (status != NPU_ERR_OUT_OF_MEMORY) return status;
  const std::lock_guard<std::shared_mutex> lock(reclaiming_);
  status = Reclaim(request, block);
  return status == NPU_ERR_OUT_OF_MEMORY ? OutOfMemory(request) : status;
}

// Tries what costs least first, and all of it again while there is something to reclaim: no other thread can
// get a new segment meanwhile, but one may have taken an idle block and given another back behind the search.
// The bound keeps a request that can never be served from emptying the cache of busy threads for ever.
npu_status DeviceAllocator::Reclaim(const Request& request, Block** block) {
  npu_status status = NPU_ERR_OUT_OF_MEMORY;
  for (int round = 0; round < kReclaimRounds && status == NPU_ERR_OUT_OF_MEMORY; ++round) {
    if (round > 0 && !HasSomethingToReclaim()) break;
    NPU_RETURN_IF_ERROR(WaitForPending());
    if (TakeIdle(request, block)) return NPU_OK;
    NPU_RETURN_IF_ERROR(ReleaseIdleSegments());
    if (round == 0) {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++stats_.num_alloc_retries;
    }
    status = AllocateFromNewSegment(request, block);
  }
  return status;
}

bool DeviceAllocator::HasSomethingToReclaim() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !pending_.empty() || pool_.HasIdleSegment();
}

// NPU_ERR_OUT_OF_MEMORY is returned without its message, which only the end of the search can tell.
npu_status DeviceAllocator::AllocateFromNewSegment(const Request& request, Block** block) {
  const size_t usual = SegmentSize(request);
  const size_t smallest = RoundUp(request.size, kHugePage);
  Segment segment{};
  npu_status status = AllocateSegment(usual, &segment);
  if (status == NPU_ERR_OUT_OF_MEMORY && smallest < usual) status = AllocateSegment(smallest, &segment);
  NPU_RETURN_IF_ERROR(status);
  RegisterSegment(segment, device_);
  const std::lock_guard<std::mutex> lock(mutex_);
  requested_ -= segment.size;
  Increase(&stats_.reserved_bytes, static_cast<int64_t>(segment.size));
  Increase(&stats_.segments, 1);
  *block = pool_.TakeFromNewSegment(segment, request);
  CountAllocated(**block);
  return NPU_OK;
}

bool DeviceAllocator::ReserveRoom(size_t size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const size_t taken = static_cast<size_t>(stats_.reserved_bytes.current) + requested_;
  if (taken > limit_ || size > limit_ - taken) return false;
  requested_ += size;
  return true;
}

// On success the segment's size stays counted in requested_ until the caller has entered it.
npu_status DeviceAllocator::AllocateSegment(size_t size, Segment* segment) {
  if (!ReserveRoom(size)) return NPU_ERR_OUT_OF_MEMORY;
  const auto allocate = Acl().aclrtMallocAlign32 != nullptr ? Acl().aclrtMallocAlign32 : Acl().aclrtMalloc;
  void* address = nullptr;
  const aclError code = allocate(&address, size, ACL_MEM_MALLOC_HUGE_FIRST);
  if (code == ACL_SUCCESS) {
    *segment = {static_cast<char*>(address), size};
    return NPU_OK;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    requested_ -= size;
  }
  // Also takes CANN's own message, which would else turn up behind the next failure.
  const npu_status status = CheckAcl(code, "aclrtMalloc");
  return code == ACL_ERROR_RT_MEMORY_ALLOCATION || code == kBadAlloc ? npu_status{NPU_ERR_OUT_OF_MEMORY}
                                                                     : status;
}

npu_status DeviceAllocator::OutOfMemory(const Request& request) {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  const bool known = Acl().aclrtGetMemInfo(ACL_HBM_MEM, &free_bytes, &total_bytes) == ACL_SUCCESS;
  npu_memory_stats stats;
  size_t limit = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++stats_.num_ooms;
    stats = stats_;
    limit = limit_;
  }
  const bool limited = limit != std::numeric_limits<size_t>::max();
  return Fail(
      NPU_ERR_OUT_OF_MEMORY,
      "NPU out of memory: tried to allocate %s on NPU %d. The device has %s in total, %s of it free; this "
      "process has allocated %s and reserved %s%s%s. Free what is no longer needed, use a smaller batch, or "
      "end other processes that use this device. Much more reserved than allocated means fragmentation: "
      "allocate the largest tensors first.",
      Human(request.size).c_str(), device_, known ? Human(total_bytes).c_str() : "an unknown amount",
      known ? Human(free_bytes).c_str() : "an unknown amount",
      Human(static_cast<size_t>(stats.allocated_bytes.current)).c_str(),
      Human(static_cast<size_t>(stats.reserved_bytes.current)).c_str(),
      limited ? ", and its memory fraction limits it to " : "", limited ? Human(limit).c_str() : "");
}

void DeviceAllocator::Free(Block* block) {
  if (block->users.any()) return FreeAfterUsers(block);
  const std::lock_guard<std::mutex> lock(mutex_);
  CountFreed(*block);
  pool_.Give(block);
}

// The block is out of every table here, so nobody else sees it and no lock is needed to record the
// events. Where an event cannot be recorded the device is beyond use, and the block is never handed
// out again rather than too early.
void DeviceAllocator::FreeAfterUsers(Block* block) {
  const DeviceScope scope(device_);
  std::vector<Pending::Entry> entries;
  npu_status status = scope.status();
  for (int64_t stream = 0; stream < kStreamCount && status == NPU_OK; ++stream) {
    if (!block->users[static_cast<size_t>(stream)]) continue;
    aclrtEvent event = nullptr;
    status = RecordPooledEvent(device_, stream, &event);
    if (status == NPU_OK) entries.push_back({stream, event, block});
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  CountFreed(*block);
  if (status != NPU_OK) return;
  for (const auto& entry : entries) pending_.Push(entry);
  has_pending_.store(true, std::memory_order_relaxed);
}

void DeviceAllocator::RecordStream(Block* block, int64_t stream) {
  if (stream == block->stream) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  block->users[static_cast<size_t>(stream)] = true;
}

void DeviceAllocator::PollPending() {
  const DeviceScope scope(device_);
  if (scope.status() != NPU_OK) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  pending_.Poll(device_, [this](Block* block) { pool_.Give(block); });
  has_pending_.store(!pending_.empty(), std::memory_order_relaxed);
}

npu_status DeviceAllocator::WaitForPending() {
  std::vector<Pending::Entry> entries;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    entries = pending_.TakeAll();
    has_pending_.store(false, std::memory_order_relaxed);
  }
  npu_status status = NPU_OK;
  for (const auto& entry : entries) {
    status = NPU_ACL(aclrtSynchronizeEvent, entry.event);
    if (status != NPU_OK) break;  // a dead device: the blocks stay out of use
  }
  if (status != NPU_OK) return status;
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& entry : entries) {
    Pending::Finish(device_, entry, [this](Block* block) { pool_.Give(block); });
  }
  return NPU_OK;
}

// First out of the pool, then wait, then back to CANN: whatever still runs on the memory was started
// before it became idle, so it is over after the wait, whatever other threads free meanwhile.
npu_status DeviceAllocator::ReleaseIdleSegments() {
  std::vector<Segment> segments;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    segments = pool_.RemoveIdleSegments();
    for (const Segment& segment : segments)
      Decrease(&stats_.reserved_bytes, static_cast<int64_t>(segment.size));
    Decrease(&stats_.segments, static_cast<int64_t>(segments.size()));
  }
  if (segments.empty()) return NPU_OK;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtSynchronizeDevice));
  npu_status status = NPU_OK;
  for (const Segment& segment : segments) {
    UnregisterSegment(segment);
    const npu_status freed = NPU_ACL(aclrtFree, segment.address);
    if (status == NPU_OK) status = freed;
  }
  return status;
}

npu_status DeviceAllocator::EmptyCache() {
  NPU_ON_DEVICE(device_);
  return ReleaseEverythingIdle();
}

npu_status DeviceAllocator::ReleaseEverythingIdle() {
  const std::lock_guard<std::shared_mutex> lock(reclaiming_);
  NPU_RETURN_IF_ERROR(WaitForPending());
  return ReleaseIdleSegments();
}

npu_status DeviceAllocator::SetLimit(double fraction) {
  NPU_ON_DEVICE(device_);
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtGetMemInfo, ACL_HBM_MEM, &free_bytes, &total_bytes));
  const std::lock_guard<std::mutex> lock(mutex_);
  limit_ = fraction < 1.0 ? static_cast<size_t>(fraction * static_cast<double>(total_bytes))
                          : std::numeric_limits<size_t>::max();
  return NPU_OK;
}

void DeviceAllocator::CountAllocated(const Block& block) {
  Increase(&stats_.allocated_bytes, static_cast<int64_t>(block.size));
  Increase(&stats_.allocations, 1);
}

void DeviceAllocator::CountFreed(const Block& block) {
  Decrease(&stats_.allocated_bytes, static_cast<int64_t>(block.size));
  Decrease(&stats_.allocations, 1);
}

npu_memory_stats DeviceAllocator::Stats() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void DeviceAllocator::ResetPeak() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (npu_stat* stat : AllOf(&stats_)) stat->peak = stat->current;
}

void DeviceAllocator::ResetAccumulated() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (npu_stat* stat : AllOf(&stats_)) stat->allocated = stat->freed = 0;
  stats_.num_alloc_retries = 0;
  stats_.num_ooms = 0;
}

}  // namespace npu
