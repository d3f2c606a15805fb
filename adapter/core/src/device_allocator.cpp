#include "device_allocator.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>

#include "binding.h"
#include "loader.h"
#include "pointer_table.h"
#include "stats.h"
#include "stream.h"

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

size_t round_up(size_t size, size_t multiple) { return (size + multiple - 1) / multiple * multiple; }

size_t segment_size(const Request& request) {
  if (request.small) return kSmallSegment;
  return request.size < kMediumRequest ? kMediumSegment : round_up(request.size, kHugePage);
}

std::string human(size_t bytes) {
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

// Lets this thread ask CANN for memory while something is captured, which is no part of the capture.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(bool captured)
      : active_(captured && acl().aclmdlRICaptureThreadExchangeMode != nullptr) {
    exchange();
  }
  ~RelaxedCapture() { exchange(); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  void exchange() {
    if (active_) active_ = acl().aclmdlRICaptureThreadExchangeMode(&mode_) == ACL_SUCCESS;
  }

  bool active_;
  aclmdlRICaptureMode mode_ = ACL_MODEL_RI_CAPTURE_MODE_RELAXED;  // the thread's own, once exchanged
};

}  // namespace

npu_status DeviceAllocator::allocate(int64_t stream, size_t size, Block** block) {
  if (size > std::numeric_limits<size_t>::max() / 2) {
    return fail(NPU_ERR_OUT_OF_MEMORY,
                "no device has %zu bytes of memory: the size of the request overflowed", size);
  }
  const Request request{round_up(size + kOverrun, kGranularity), stream, size <= kSmallRequest};
  BlockPool& pool = pool_for(stream);
  if (has_pending_.load(std::memory_order_relaxed)) poll_pending();
  return take_idle(pool, request, block) ? npu_status{NPU_OK} : allocate_slowly(pool, request, block);
}

// CANN knows which streams have joined a capture.
aclmdlRI DeviceAllocator::capture_of(int64_t stream) {
  if (capturing_.load(std::memory_order_acquire) == 0 || stream == 0) return nullptr;
  const BindingScope scope(device_);
  aclrtStream handle = nullptr;
  if (scope.status() != NPU_OK || stream_handle(device_, stream, &handle) != NPU_OK) return nullptr;
  aclmdlRICaptureStatus status = ACL_MODEL_RI_CAPTURE_STATUS_NONE;
  aclmdlRI graph = nullptr;
  const aclError code = acl().aclmdlRICaptureGetInfo(handle, &status, &graph);
  return code == ACL_SUCCESS && status != ACL_MODEL_RI_CAPTURE_STATUS_NONE ? graph : nullptr;
}

bool DeviceAllocator::is_captured(int64_t stream) { return capture_of(stream) != nullptr; }

BlockPool& DeviceAllocator::pool_for(int64_t stream) {
  const aclmdlRI graph = capture_of(stream);
  if (graph == nullptr) return pool_;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto capture = captures_.find(graph);
  return capture == captures_.end() ? pool_ : privates_.at(capture->second).pool;
}

void DeviceAllocator::begin_capture(aclmdlRI graph, uint64_t pool) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++privates_.try_emplace(pool, device_).first->second.holders;
  captures_[graph] = pool;
  capturing_.store(captures_.size(), std::memory_order_release);
}

// A graph's own memory is used by its replays alone, in the order of the capture; other memory waits for its
// users as usual.
void DeviceAllocator::end_capture(aclmdlRI graph) {
  std::vector<Block*> blocks;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    captures_.erase(graph);
    capturing_.store(captures_.size(), std::memory_order_release);
    if (captures_.empty()) blocks.swap(held_back_);
    for (Block* block : blocks) {
      if (block->pool != &pool_) block->pool->give(block);
    }
  }
  for (Block* block : blocks) {
    if (block->pool == &pool_) free_after_users(block);
  }
}

void DeviceAllocator::release_pool(uint64_t pool) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = privates_.find(pool);
  if (found == privates_.end()) return;
  --found->second.holders;
  if (found->second.holders <= 0 && found->second.pool.segments() == 0) privates_.erase(found);
}

// The pools whose idle memory may go back to CANN.
template <class Function>
void DeviceAllocator::each_releasable(Function function) {
  function(pool_);
  for (auto found = privates_.begin(); found != privates_.end();) {
    const bool held = found->second.holders > 0;
    if (!held) function(found->second.pool);
    found = !held && found->second.pool.segments() == 0 ? privates_.erase(found) : std::next(found);
  }
}

bool DeviceAllocator::take_idle(BlockPool& pool, const Request& request, Block** block) {
  const std::lock_guard<std::mutex> lock(mutex_);
  *block = pool.take(request);
  if (*block != nullptr) count_allocated(**block);
  return *block != nullptr;
}

// While a stream is captured nothing can be waited for, so nothing is given back to CANN either.
npu_status DeviceAllocator::allocate_slowly(BlockPool& pool, const Request& request, Block** block) {
  NPU_ON_DEVICE(device_);
  npu_status status = NPU_OK;
  {
    const std::shared_lock<std::shared_mutex> lock(reclaiming_);
    status = allocate_from_new_segment(pool, request, block);
  }
  if (status != NPU_ERR_OUT_OF_MEMORY) return status;
  if (capturing_.load(std::memory_order_acquire) > 0) return out_of_memory(request);
  const std::lock_guard<std::shared_mutex> lock(reclaiming_);
  status = reclaim(pool, request, block);
  return status == NPU_ERR_OUT_OF_MEMORY ? out_of_memory(request) : status;
}

// Tries what costs least first, and all of it again while there is something to reclaim: no other thread can
// get a new segment meanwhile, but one may have taken an idle block and given another back behind the search.
// The bound keeps a request that can never be served from emptying the cache of busy threads for ever.
npu_status DeviceAllocator::reclaim(BlockPool& pool, const Request& request, Block** block) {
  npu_status status = NPU_ERR_OUT_OF_MEMORY;
  for (int round = 0; round < kReclaimRounds && status == NPU_ERR_OUT_OF_MEMORY; ++round) {
    if (round > 0 && !has_something_to_reclaim()) break;
    NPU_RETURN_IF_ERROR(wait_for_pending());
    if (take_idle(pool, request, block)) return NPU_OK;
    NPU_RETURN_IF_ERROR(release_idle_segments());
    if (round == 0) {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++stats_.num_alloc_retries;
    }
    status = allocate_from_new_segment(pool, request, block);
  }
  return status;
}

bool DeviceAllocator::has_something_to_reclaim() {
  const std::lock_guard<std::mutex> lock(mutex_);
  bool idle = !pending_.empty();
  each_releasable([&idle](const BlockPool& pool) { idle = idle || pool.has_idle_segment(); });
  return idle;
}

// NPU_ERR_OUT_OF_MEMORY is returned without its message, which only the end of the search can tell.
npu_status DeviceAllocator::allocate_from_new_segment(BlockPool& pool, const Request& request,
                                                      Block** block) {
  const size_t usual = segment_size(request);
  const size_t smallest = round_up(request.size, kHugePage);
  Segment segment{};
  npu_status status = allocate_segment(usual, &segment);
  if (status == NPU_ERR_OUT_OF_MEMORY && smallest < usual) status = allocate_segment(smallest, &segment);
  NPU_RETURN_IF_ERROR(status);
  register_segment(segment, device_);
  const std::lock_guard<std::mutex> lock(mutex_);
  requested_ -= segment.size;
  increase(&stats_.reserved_bytes, static_cast<int64_t>(segment.size));
  increase(&stats_.segments, 1);
  *block = pool.take_from_new_segment(segment, request);
  count_allocated(**block);
  return NPU_OK;
}

bool DeviceAllocator::reserve_room(size_t size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const size_t taken = static_cast<size_t>(stats_.reserved_bytes.current) + requested_;
  if (taken > limit_ || size > limit_ - taken) return false;
  requested_ += size;
  return true;
}

// On success the segment's size stays counted in requested_ until the caller has entered it.
npu_status DeviceAllocator::allocate_segment(size_t size, Segment* segment) {
  if (!reserve_room(size)) return NPU_ERR_OUT_OF_MEMORY;
  const auto allocate = acl().aclrtMallocAlign32 != nullptr ? acl().aclrtMallocAlign32 : acl().aclrtMalloc;
  void* address = nullptr;
  const RelaxedCapture relaxed(capturing_.load(std::memory_order_acquire) > 0);
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
  const npu_status status = check_acl(code, "aclrtMalloc");
  return code == ACL_ERROR_RT_MEMORY_ALLOCATION || code == kBadAlloc ? npu_status{NPU_ERR_OUT_OF_MEMORY}
                                                                     : status;
}

npu_status DeviceAllocator::out_of_memory(const Request& request) {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  const bool known = acl().aclrtGetMemInfo(ACL_HBM_MEM, &free_bytes, &total_bytes) == ACL_SUCCESS;
  npu_memory_stats stats;
  size_t limit = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++stats_.num_ooms;
    stats = stats_;
    limit = limit_;
  }
  const bool limited = limit != std::numeric_limits<size_t>::max();
  return fail(
      NPU_ERR_OUT_OF_MEMORY,
      "NPU out of memory: tried to allocate %s on NPU %d. The device has %s in total, %s of it free; this "
      "process has allocated %s and reserved %s%s%s. Free what is no longer needed, use a smaller batch, or "
      "end other processes that use this device. Much more reserved than allocated means fragmentation: "
      "allocate the largest tensors first.",
      human(request.size).c_str(), device_, known ? human(total_bytes).c_str() : "an unknown amount",
      known ? human(free_bytes).c_str() : "an unknown amount",
      human(static_cast<size_t>(stats.allocated_bytes.current)).c_str(),
      human(static_cast<size_t>(stats.reserved_bytes.current)).c_str(),
      limited ? ", and its memory fraction limits it to " : "", limited ? human(limit).c_str() : "");
}

void DeviceAllocator::free(Block* block) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    count_freed(*block);
    if (!block->users.any()) return block->pool->give(block);
  }
  if (!hold_back(block)) free_after_users(block);
}

// An event on a captured stream would be part of the capture, and never come by itself.
bool DeviceAllocator::hold_back(Block* block) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (captures_.empty()) return false;
  held_back_.push_back(block);
  return true;
}

// The block is out of every table here, so nobody else sees it and no lock is needed to record the
// events. Where an event cannot be recorded the device is beyond use, and the block is never handed
// out again rather than too early.
void DeviceAllocator::free_after_users(Block* block) {
  const BindingScope scope(device_);
  std::vector<Pending::Entry> entries;
  npu_status status = scope.status();
  for (int64_t stream = 0; stream < kStreamCount && status == NPU_OK; ++stream) {
    if (!block->users[static_cast<size_t>(stream)]) continue;
    aclrtEvent event = nullptr;
    status = record_pooled_event(device_, stream, &event);
    if (status == NPU_OK) entries.push_back({stream, event, block});
  }
  if (status != NPU_OK) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& entry : entries) pending_.push(entry);
  has_pending_.store(true, std::memory_order_relaxed);
}

void DeviceAllocator::record_stream(Block* block, int64_t stream) {
  if (stream == block->stream) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  block->users[static_cast<size_t>(stream)] = true;
}

void DeviceAllocator::poll_pending() {
  if (capturing_.load(std::memory_order_acquire) > 0) return;
  const BindingScope scope(device_);
  if (scope.status() != NPU_OK) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  pending_.poll(device_, [](Block* block) { block->pool->give(block); });
  has_pending_.store(!pending_.empty(), std::memory_order_relaxed);
}

npu_status DeviceAllocator::wait_for_pending() {
  std::vector<Pending::Entry> entries;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    entries = pending_.take_all();
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
    Pending::finish(device_, entry, [](Block* block) { block->pool->give(block); });
  }
  return NPU_OK;
}

// First out of the pool, then wait, then back to CANN: whatever still runs on the memory was started
// before it became idle, so it is over after the wait, whatever other threads free meanwhile.
npu_status DeviceAllocator::release_idle_segments() {
  std::vector<Segment> segments;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    each_releasable([&segments](BlockPool& pool) {
      const std::vector<Segment> idle = pool.remove_idle_segments();
      segments.insert(segments.end(), idle.begin(), idle.end());
    });
    for (const Segment& segment : segments)
      decrease(&stats_.reserved_bytes, static_cast<int64_t>(segment.size));
    decrease(&stats_.segments, static_cast<int64_t>(segments.size()));
  }
  if (segments.empty()) return NPU_OK;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtSynchronizeDevice));
  npu_status status = NPU_OK;
  for (const Segment& segment : segments) {
    unregister_segment(segment);
    const npu_status freed = NPU_ACL(aclrtFree, segment.address);
    if (status == NPU_OK) status = freed;
  }
  return status;
}

npu_status DeviceAllocator::empty_cache() {
  NPU_ON_DEVICE(device_);
  return release_everything_idle();
}

npu_status DeviceAllocator::release_everything_idle() {
  const std::lock_guard<std::shared_mutex> lock(reclaiming_);
  NPU_RETURN_IF_ERROR(wait_for_pending());
  return release_idle_segments();
}

npu_status DeviceAllocator::set_limit(double fraction) {
  NPU_ON_DEVICE(device_);
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtGetMemInfo, ACL_HBM_MEM, &free_bytes, &total_bytes));
  const std::lock_guard<std::mutex> lock(mutex_);
  limit_ = fraction < 1.0 ? static_cast<size_t>(fraction * static_cast<double>(total_bytes))
                          : std::numeric_limits<size_t>::max();
  return NPU_OK;
}

void DeviceAllocator::count_allocated(const Block& block) {
  increase(&stats_.allocated_bytes, static_cast<int64_t>(block.size));
  increase(&stats_.allocations, 1);
}

void DeviceAllocator::count_freed(const Block& block) {
  decrease(&stats_.allocated_bytes, static_cast<int64_t>(block.size));
  decrease(&stats_.allocations, 1);
}

npu_memory_stats DeviceAllocator::memory_stats() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void DeviceAllocator::reset_peak() {
  const std::lock_guard<std::mutex> lock(mutex_);
  npu::reset_peak(&stats_);
}

void DeviceAllocator::reset_accumulated() {
  const std::lock_guard<std::mutex> lock(mutex_);
  npu::reset_accumulated(&stats_);
}

}  // namespace npu
