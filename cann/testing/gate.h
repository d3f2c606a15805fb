// A stream task that waits until the test lets it go, so that tests need no clock.
#ifndef CANN_TESTING_GATE_H_
#define CANN_TESTING_GATE_H_

#include <condition_variable>
#include <mutex>

namespace test {

class Gate {
 public:
  // The task, for aclrtLaunchHostFunc; its argument is the gate.
  static void wait(void* argument) {
    auto* gate = static_cast<Gate*>(argument);
    std::unique_lock<std::mutex> lock(gate->mutex_);
    gate->move_on(kArrived);
    gate->changed_.wait(lock, [gate] { return gate->open_; });
    gate->move_on(kPassed);
  }

  void open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

  // Waits until a stream has come to the gate.
  void await_arrival() { await(kArrived); }

  // Waits until the stream has left the gate, which may go then.
  void await_passage() { await(kPassed); }

 private:
  enum Progress { kAway, kArrived, kPassed };

  void move_on(Progress progress) {
    progress_ = progress;
    changed_.notify_all();
  }

  void await(Progress progress) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return progress_ >= progress; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  Progress progress_ = kAway;
};

}  // namespace test

#endif  // CANN_TESTING_GATE_H_
