// Streams and events of a simulated device.
//
// A stream is a thread with a queue of tasks, run one after the other behind the caller. Waiting for an event
// is a task, too; it waits for something that is queued already, so streams can never wait in a circle.
#ifndef CANN_SIMULATOR_STREAM_H_
#define CANN_SIMULATOR_STREAM_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "cann_simulator/threads.h"
#include "races.h"
#include "status.h"

namespace cann_simulator {

constexpr std::int32_t kForever = -1;

class Task {
 public:
  virtual ~Task() = default;
  virtual const char* name() const = 0;
  virtual Status run() = 0;
  // Called instead of run() on a stream that has stopped. Others may wait for what the task stands for.
  virtual void skip() {}
};

class Stream {
 public:
  // `owner` is its context's identity.
  Stream(const void* owner, int device, int id) : owner_(owner), device_(device), id_(id) {}
  ~Stream() { close(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  const void* owner() const { return owner_; }
  int device() const { return device_; }
  int id() const { return id_; }

  // Starts the thread; nothing may be queued before.
  Status start();

  // Queues a task; waits while the queue holds kLongestQueue tasks, as the hardware's does.
  Status submit(std::unique_ptr<Task> task);

  // Waits until everything submitted before the call has run.
  Status drain(std::int32_t timeout_ms = kForever);
  bool idle() const;

  // The first failure since the last call, taken: it stays until a synchronize reports it. A stream that
  // stops on failure keeps it and runs nothing more (CANN's ACL_STOP_ON_FAILURE; its default is to continue).
  Status take_failure();
  void stop_on_failure(bool stop) { stop_on_failure_.store(stop); }
  // Forgets it: the stream runs again.
  void forget_failure();
  // The same, left in place.
  Status peek_failure() const;

  // Kept to be read back: CPU kernels do not report overflows.
  void set_overflow_switch(bool on) { overflow_switch_.store(on); }
  bool overflow_switch() const { return overflow_switch_.load(); }

  // Runs what is queued, then ends the thread. submit() fails from then on.
  void close();
  // The same, but skips what has not begun.
  void abandon();

  // For a task of this stream: lets time pass, for ever when negative; false when the stream ends instead.
  bool pause(std::int32_t milliseconds);

  // True on a thread that runs a stream's tasks: nothing may be waited for there.
  static bool on_stream_thread();

 private:
  static constexpr std::size_t kLongestQueue = 1024;

  void work();
  void run_one(Task& task) noexcept;

  const void* const owner_;
  const int device_;
  const int id_;
  mutable std::mutex mutex_;
  Condition wake_;      // the worker: there is a task, or the end
  Condition progress_;  // waiters: a task has run
  Condition ending_;    // a task that pauses: the end
  std::deque<std::unique_ptr<Task>> queue_;
  std::uint64_t submitted_ = 0;
  std::uint64_t completed_ = 0;
  int waiters_ = 0;
  bool sleeping_ = false;
  bool closing_ = false;
  std::atomic<bool> stop_on_failure_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> overflow_switch_{false};
  Status failure_;
  Thread thread_;
};

// One recording of an event: reached when the stream has passed it.
class Record {
 public:
  // Called by the stream when it passes, with the failure that it has met before, if any.
  void reach(Status failure);
  bool reached() const;
  // False when the time is over.
  bool wait(std::int32_t timeout_ms) const;
  // When the stream passed; only after reached().
  std::chrono::steady_clock::time_point time() const { return time_; }
  // What --check knows to have happened before; written before the recording is seen by others.
  void set_clock(Clock clock) { clock_ = std::move(clock); }
  const Clock& clock() const { return clock_; }
  // A failure that the stream had met when it came here.
  const Status& failure() const { return failure_; }

 private:
  mutable std::mutex mutex_;
  mutable Condition passed_;
  bool reached_ = false;
  Clock clock_;
  std::chrono::steady_clock::time_point time_;
  Status failure_;
};

class Event {
 public:
  explicit Event(bool timing) : timing_(timing) {}

  bool timing() const { return timing_; }
  // The newest recording; nullptr before the first and after a reset.
  std::shared_ptr<Record> latest() const;
  Status record(Stream& stream);
  void reset();

 private:
  const bool timing_;
  mutable std::mutex mutex_;
  std::shared_ptr<Record> latest_;
};

// Makes the stream wait for the event's newest recording; no wait when there is none.
Status wait_event(Stream& stream, const Event& event);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_STREAM_H_
