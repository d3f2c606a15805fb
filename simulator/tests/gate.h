// A stream task that waits until the test lets it go, so that tests need no clock.
#ifndef CANN_SIMULATOR_TESTS_GATE_H_
#define CANN_SIMULATOR_TESTS_GATE_H_

#include <condition_variable>
#include <mutex>

#include "check.h"

class Gate {
 public:
  // Queues the wait on a stream.
  void block(aclrtStream stream) { CHECK_OK(aclrtLaunchHostFunc(stream, &Gate::wait, this)); }
  void open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  // Waits until a stream has come to the gate.
  void await_arrival() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return arrived_; });
  }

 private:
  static void wait(void* argument) {
    auto* gate = static_cast<Gate*>(argument);
    std::unique_lock<std::mutex> lock(gate->mutex_);
    gate->arrived_ = true;
    gate->changed_.notify_all();
    gate->changed_.wait(lock, [gate] { return gate->open_; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  bool arrived_ = false;
};

#endif  // CANN_SIMULATOR_TESTS_GATE_H_
