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
  npu_status Allocate(int64_t stream, size_t size, Block** block);

  // The block's own stream may use it again at once; streams that were recorded are waited for.
  void Free(Block* block);

  void RecordStream(Block* block, int64_t stream);

  // Waits for what uses freed blocks, then returns every idle segment to CANN.
  npu_status EmptyCache();

  // EmptyCache for the shutdown, which has the device bound already.
  npu_status ReleaseEverythingIdle();

  npu_status SetLimit(double fraction);

  npu_memory_stats Stats();
  void ResetPeak();
  void ResetAccumulated();

 private:
  using Pending = PendingReleases<Block>;

  npu_status AllocateSlowly(const Request& request, Block** block);
  npu_status AllocateFromNewSegment(const Request& request, Block** block);
  npu_status AllocateSegment(size_t size, Segment* segment);
  npu_status Reclaim(const Request& request, Block** block);
  bool HasSomethingToReclaim();
  npu_status OutOfMemory(const Request& request);
  bool TakeIdle(const Request& request, Block** block);
  bool ReserveRoom(size_t size);
  void PollPending();
  npu_status WaitForPending();
  npu_status ReleaseIdleSegments();
  void FreeAfterUsers(Block* block);
  void CountAllocated(const Block& block);
  void CountFreed(const Block& block);

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
