// Until when somebody waits: a point in time, and what else ends it.
#ifndef CANN_SIMULATOR_HCCL_DEADLINE_H_
#define CANN_SIMULATOR_HCCL_DEADLINE_H_

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>
#include <vector>

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

  // The same, and no longer than that.
  int at_most(int most) const {
    const int left = milliseconds();
    return left < 0 ? most : std::min(left, most);
  }

  // The same end, and none of the waits of the set-up goes on once something has come at one of these files.
  Deadline watching(std::vector<pollfd> files) const {
    Deadline deadline = *this;
    deadline.files_ = std::move(files);
    return deadline;
  }
  const std::vector<pollfd>& files() const { return files_; }
  bool disturbed() const {
    std::vector<pollfd> files = files_;
    return !files.empty() && poll(files.data(), files.size(), 0) > 0;
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
  std::vector<pollfd> files_;
};

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_DEADLINE_H_
