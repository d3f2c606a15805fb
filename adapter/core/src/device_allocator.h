// The caching allocator of one device: a BlockPool with a lock, CANN's memory behind it, the waiting
// for other streams, the limit and the statistics.
#ifndef NPU_CORE_DEVICE_ALLOCATOR_H_
#define NPU_CORE_DEVICE_ALLOCATOR_H_

#include <atomic>
#include <limits>
#include <mutex>
#include <shared_mutex>

#include "block_pool.h"
#include "npu_core.h"
#include "pending_releases.h"

namespace npu {

class DeviceAllocator {
 public:
  explicit DeviceAllocator(int32_t device) : device_(device), pool_(device) {}

  // A block of at least `size` bytes for a stream. NPU_ERR_OUT_OF_MEMORY after everything that could
  // be given back to CANN was given back.
  npu_status allocate(int64_t stream, size_t size, Block** block);

  // The block's own stream may use it again at once; streams that were recorded are waited for.
  void free(Block* block);

  void record_stream(Block* block, int64_t stream);

  // Waits for what uses freed blocks, then returns every idle segment to CANN.
  npu_status empty_cache();

  // empty_cache() for the shutdown, which has the device bound already.
  npu_status release_everything_idle();

  npu_status set_limit(double fraction);

  npu_memory_stats memory_stats();
  void reset_peak();
  void reset_accumulated();

 private:
  using Pending = PendingReleases<Block>;

  npu_status allocate_slowly(const Request& request, Block** block);
  npu_status allocate_from_new_segment(const Request& request, Block** block);
  npu_status allocate_segment(size_t size, Segment* segment);
  npu_status reclaim(const Request& request, Block** block);
  bool has_something_to_reclaim();
  npu_status out_of_memory(const Request& request);
  bool take_idle(const Request& request, Block** block);
  bool reserve_room(size_t size);
  void poll_pending();
  npu_status wait_for_pending();
  npu_status release_idle_segments();
  void free_after_users(Block* block);
  void count_allocated(const Block& block);
  void count_freed(const Block& block);

  const int32_t device_;
  // Held by whoever gives memory back because there is none left, and shared by whoever asks CANN for more: a
  // second thread that runs out waits for the result instead of failing or taking what was just given back.
  // Never taken while holding mutex_.
  std::shared_mutex reclaiming_;
  std::mutex mutex_;  // of everything below; never held while waiting for the device
  BlockPool pool_;
  Pending pending_;
  std::atomic<bool> has_pending_{false};  // !pending_.empty(), to be read without the lock
  size_t limit_ = std::numeric_limits<size_t>::max();
  size_t requested_ = 0;  // bytes being asked of CANN right now, so that threads keep the limit together
  npu_memory_stats stats_{};
};

}  // namespace npu

#endif  // NPU_CORE_DEVICE_ALLOCATOR_H_
