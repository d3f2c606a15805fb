// A point in time after which nobody waits any longer.
#ifndef CANN_SIMULATOR_HCCL_DEADLINE_H_
#define CANN_SIMULATOR_HCCL_DEADLINE_H_

#include <algorithm>
#include <chrono>
#include <limits>

namespace cann_simulator::hccl {

class Deadline {
 public:
  // 0: never.
  static Deadline in_seconds(int seconds) {
    Deadline deadline;
    deadline.never_ = seconds == 0;
    deadline.end_ = Clock::now() + std::chrono::seconds(seconds);
    return deadline;
  }

  bool passed() const { return !never_ && Clock::now() >= end_; }

  // How long to wait now, as poll() and Condition take it: -1 without end.
  int milliseconds() const {
    if (never_) return -1;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now()).count() + 1;
    return static_cast<int>(std::clamp<long long>(left, 0, std::numeric_limits<int>::max()));
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool never_ = false;
  Clock::time_point end_;
};

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_DEADLINE_H_
