// Threads and conditions over POSIX alone. The standard library's own would tie the simulator to newer
// systems than its wheels are held to (manylinux2014): std::thread needs libstdc++ of GCC 6, and a timed wait
// for a condition needs glibc 2.30.
#ifndef CANN_SIMULATOR_THREADS_H_
#define CANN_SIMULATOR_THREADS_H_

#include <pthread.h>
#include <time.h>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace cann_simulator {

// A condition variable whose timed waits follow the monotonic clock.
class Condition {
 public:
  Condition() {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&condition_, &attributes);
    pthread_condattr_destroy(&attributes);
  }
  ~Condition() { pthread_cond_destroy(&condition_); }
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  void notify_one() { pthread_cond_signal(&condition_); }
  void notify_all() { pthread_cond_broadcast(&condition_); }

  template <class Ready>
  void wait(std::unique_lock<std::mutex>& lock, Ready ready) {
    while (!ready()) pthread_cond_wait(&condition_, lock.mutex()->native_handle());
  }

  // Waits at most `timeout_ms` milliseconds, without end when negative; whether `ready` holds.
  template <class Ready>
  bool wait_for(std::unique_lock<std::mutex>& lock, std::int32_t timeout_ms, Ready ready) {
    if (timeout_ms < 0) {
      wait(lock, ready);
      return true;
    }
    timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    const std::int64_t nanoseconds = deadline.tv_nsec + std::int64_t{timeout_ms % 1000} * 1000000;
    deadline.tv_sec += timeout_ms / 1000 + nanoseconds / 1000000000;
    deadline.tv_nsec = nanoseconds % 1000000000;
    while (!ready()) {
      if (pthread_cond_timedwait(&condition_, lock.mutex()->native_handle(), &deadline) == ETIMEDOUT)
        return ready();
    }
    return true;
  }

 private:
  pthread_cond_t condition_;
};

// A thread that must be joined, as std::thread.
class Thread {
 public:
  Thread() = default;
  ~Thread() {
    if (joinable_) std::terminate();
  }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  // 0, or the errno that says why the host starts no thread.
  int start(std::function<void()> body) {
    auto owned = std::make_unique<std::function<void()>>(std::move(body));
    const int code = pthread_create(&thread_, nullptr, &Thread::run, owned.get());
    if (code != 0) return code;
    (void)owned.release();  // the thread's own now
    joinable_ = true;
    return 0;
  }
  bool joinable() const { return joinable_; }
  void join() {
    pthread_join(thread_, nullptr);
    joinable_ = false;
  }

 private:
  static void* run(void* argument) {
    const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(argument));
    (*body)();
    return nullptr;
  }

  pthread_t thread_{};
  bool joinable_ = false;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_THREADS_H_
