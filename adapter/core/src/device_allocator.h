// The caching allocator of one device: a BlockPool with a lock, CANN's memory behind it, the waiting
// for other streams, the limit and the statistics.
#ifndef NPU_CORE_DEVICE_ALLOCATOR_H_
#define NPU_CORE_DEVICE_ALLOCATOR_H_

#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "block_pool.h"
#include "cann/acl_graph.h"
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

  // Until its end, what is asked for on a stream that is part of the capture comes from the pool.
  void begin_capture(aclmdlRI graph, uint64_t pool);
  void end_capture(aclmdlRI graph);
  bool is_captured(int64_t stream);
  // One capture's hold on the pool is over.
  void release_pool(uint64_t pool);

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

  // The memory of graphs, apart from all other while a graph holds it.
  struct Private {
    explicit Private(int32_t device) : pool(device) {}
    BlockPool pool;
    int64_t holders = 0;
  };

  npu_status allocate_slowly(BlockPool& pool, const Request& request, Block** block);
  npu_status allocate_from_new_segment(BlockPool& pool, const Request& request, Block** block);
  npu_status allocate_segment(size_t size, Segment* segment);
  npu_status reclaim(BlockPool& pool, const Request& request, Block** block);
  bool has_something_to_reclaim();
  npu_status out_of_memory(const Request& request);
  bool take_idle(BlockPool& pool, const Request& request, Block** block);
  aclmdlRI capture_of(int64_t stream);
  BlockPool& pool_for(int64_t stream);
  template <class Function>
  void each_releasable(Function function);
  bool reserve_room(size_t size);
  void poll_pending();
  npu_status wait_for_pending();
  npu_status release_idle_segments();
  void free_after_users(Block* block);
  bool hold_back(Block* block);
  void count_allocated(const Block& block);
  void count_freed(const Block& block);

  const int32_t device_;
  // Held by whoever gives memory back because there is none left, and shared by whoever asks CANN for more: a
  // second thread that runs out waits for the result instead of failing or taking what was just given back.
  // Never taken while holding mutex_.
  std::shared_mutex reclaiming_;
  std::mutex mutex_;  // of everything below; never held while waiting for the device
  BlockPool pool_;
  std::map<uint64_t, Private> privates_;
  std::map<aclmdlRI, uint64_t> captures_;  // those that have not ended -> the pool of each
  std::atomic<size_t> capturing_{0};       // captures_.size(), to be read without the lock
  std::vector<Block*> held_back_;          // freed while something was captured, with other users
  Pending pending_;
  std::atomic<bool> has_pending_{false};  // !pending_.empty(), to be read without the lock
  size_t limit_ = std::numeric_limits<size_t>::max();
  size_t requested_ = 0;  // bytes being asked of CANN right now, so that threads keep the limit together
  npu_memory_stats stats_{};
};

}  // namespace npu

#endif  // NPU_CORE_DEVICE_ALLOCATOR_H_
