// Lets the operations of a communicator run one at a time in the order in which they were asked for, whatever
// streams they run on.
#ifndef CANN_SIMULATOR_HCCL_TURNSTILE_H_
#define CANN_SIMULATOR_HCCL_TURNSTILE_H_

#include <cstdint>
#include <mutex>
#include <set>

#include "cann_simulator/threads.h"
#include "deadline.h"

namespace cann_simulator::hccl {

class Turnstile {
 public:
  std::uint64_t draw() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return drawn_++;
  }
  // Waits until all tickets before this one are done.
  void wait(std::uint64_t ticket) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return served_ == ticket; });
  }
  // Also for an operation that never ran.
  void done(std::uint64_t ticket) {
    const std::lock_guard<std::mutex> lock(mutex_);
    early_.insert(ticket);
    while (early_.erase(served_) > 0) ++served_;
    changed_.notify_all();
  }
  // Waits until every drawn ticket is done; false when the deadline passes before.
  bool drain(const Deadline& deadline) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, deadline.milliseconds(), [this] { return served_ == drawn_; });
  }

 private:
  std::mutex mutex_;
  Condition changed_;
  std::uint64_t drawn_ = 0;
  std::uint64_t served_ = 0;
  std::set<std::uint64_t> early_;
};

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_TURNSTILE_H_
