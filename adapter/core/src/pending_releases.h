// Freed blocks that a stream may still use, each waiting for an event on that stream.
#ifndef NPU_CORE_PENDING_RELEASES_H_
#define NPU_CORE_PENDING_RELEASES_H_

#include <deque>
#include <map>
#include <vector>

#include "event.h"

namespace npu {

// Block needs a member pending_events. One device's queue; not thread-safe.
template <typename Block>
class PendingReleases {
 public:
  struct Entry {
    int64_t stream;
    aclrtEvent event;
    Block* block;
  };

  bool empty() const { return count_ == 0; }

  void push(const Entry& entry) {
    queues_[entry.stream].push_back(entry);
    ++entry.block->pending_events;
    ++count_;
  }

  // Calls release(block) for each block whose last event is complete. Waits for nothing. The device is
  // bound. A stream works in order, so its queue is looked at only up to the first event to come.
  template <typename Release>
  void poll(int32_t device, Release release) {
    for (auto& queue : queues_) {
      std::deque<Entry>& entries = queue.second;
      bool done = true;
      while (!entries.empty()) {
        const Entry entry = entries.front();
        if (query_event(entry.event, &done) != NPU_OK || !done) break;
        entries.pop_front();
        --count_;
        finish(device, entry, release);
      }
    }
  }

  // Takes every entry out, so that they can be waited for without the owner's lock.
  std::vector<Entry> take_all() {
    std::vector<Entry> taken;
    taken.reserve(count_);
    for (auto& queue : queues_) taken.insert(taken.end(), queue.second.begin(), queue.second.end());
    queues_.clear();
    count_ = 0;
    return taken;
  }

  // Ends the waiting of an entry that was taken and is complete.
  template <typename Release>
  static void finish(int32_t device, const Entry& entry, Release release) {
    release_event(device, entry.event);
    if (--entry.block->pending_events == 0) release(entry.block);
  }

 private:
  std::map<int64_t, std::deque<Entry>> queues_;
  size_t count_ = 0;
};

}  // namespace npu

#endif  // NPU_CORE_PENDING_RELEASES_H_
