// Streams and events of a simulated device.
//
// A stream is a thread with a queue of tasks, run one after the other behind the caller. Waiting for an event
// is a task, too; it waits for something that is queued already, so streams can never wait in a circle.
#ifndef CANN_SIMULATOR_STREAM_H_
#define CANN_SIMULATOR_STREAM_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "cann_simulator/threads.h"
#include "races.h"
#include "shared_event.h"
#include "status.h"
#include "task.h"

namespace cann_simulator {

constexpr std::int32_t kForever = -1;

class Graph;
class GroupUpdate;

class Stream : public std::enable_shared_from_this<Stream> {
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

  // Queues a task; waits while the queue holds kLongestQueue tasks, as the hardware's does. While the stream
  // is captured, or updates a task group, the task goes there instead.
  Status submit(std::unique_ptr<Task> task);

  // The graph that is being captured from this stream; nullptr for none.
  std::shared_ptr<Graph> capture() const;
  void set_capture(std::shared_ptr<Graph> graph);
  // The update of a task group that this stream's tasks are for; nullptr for none.
  std::shared_ptr<GroupUpdate> update() const;
  void set_update(std::shared_ptr<GroupUpdate> update);
  // Nothing may wait for a stream that is captured: it does not run. `what` completes "must not".
  Status refuse_captured(const char* what) const;

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

  // How many cores of a kind its operators may use; 0: as many as the device's own limit says.
  void set_core_limit(int kind, std::uint32_t limit) {
    core_limits_[static_cast<std::size_t>(kind)].store(limit);
  }
  std::uint32_t core_limit(int kind) const { return core_limits_[static_cast<std::size_t>(kind)].load(); }

  // Runs what is queued, then ends the thread. submit() fails from then on.
  void close();
  // The same, but skips what has not begun.
  void abandon();

  // For the worker, and for tasks that run others: runs a task that was `asked` for then, seen by the
  // profiler.
  Status run_profiled(Task& task, const Asked& asked);
  // For a task of this stream: lets time pass, for ever when negative; false when the stream ends instead.
  bool pause(std::int32_t milliseconds);

  // The end of the program, in three steps over all streams. First: tasks whose results somebody can see are
  // refused from now on. Second, until none returns true: what must still run here, and whether that makes
  // more necessary on others. Third: all else is skipped from now on, what is submitted later too; how many
  // tasks were queued of that.
  void refuse_seen();
  bool mark_needed();
  std::uint64_t drop_unneeded();
  // How often the process asked for something, but for what waited for room in a queue.
  static std::uint64_t asked();

  // True on a thread that runs a stream's tasks: nothing may be waited for there.
  static bool on_stream_thread();

 private:
  static constexpr std::size_t kLongestQueue = 1024;

  void work();
  void run_one(Task& task, bool dropped) noexcept;
  Status enqueue(std::unique_ptr<Task> task);

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
  std::uint64_t needed_ = 0;  // the number of the last task that must run when the program ends
  const Task* running_ = nullptr;
  bool refusing_ = false;  // it has ended
  bool dropping_ = false;  // skip what comes after that
  bool sleeping_ = false;
  bool closing_ = false;
  std::shared_ptr<Graph> capture_;
  std::shared_ptr<GroupUpdate> update_;
  std::atomic<bool> diverted_{false};  // one of the two is set
  std::atomic<bool> stop_on_failure_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> overflow_switch_{false};
  std::array<std::atomic<std::uint32_t>, 2> core_limits_{};
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
  // Whether something that must run waits for it; see Stream::mark_needed.
  bool needed() const { return needed_.load(); }
  // Whether that is new.
  bool need() { return !needed_.exchange(true); }

 private:
  mutable std::mutex mutex_;
  mutable Condition passed_;
  bool reached_ = false;
  std::atomic<bool> needed_{false};
  Clock clock_;
  std::chrono::steady_clock::time_point time_;
  Status failure_;
};

// What streams wait for in an event that graphs share with what runs beside them: it is set by a recording,
// and stays so until a reset.
class Signal {
 public:
  void set(bool on);
  // False when the stream ends first.
  bool wait(Stream& stream);

 private:
  std::mutex mutex_;
  Condition changed_;
  bool on_ = false;
};

class Event {
 public:
  // `external`: captured streams record it and wait for it with every replay (ACL_EVENT_EXTERNAL).
  explicit Event(bool timing, bool external = false)
      : timing_(timing), signal_(external ? std::make_shared<Signal>() : nullptr) {}
  // Of several processes.
  explicit Event(std::shared_ptr<SharedEvent> shared) : timing_(false), shared_(std::move(shared)) {}

  bool timing() const { return timing_; }
  const std::shared_ptr<SharedEvent>& shared() const { return shared_; }
  // The newest recording; nullptr before the first and after a reset.
  std::shared_ptr<Record> latest() const;
  Status record(Stream& stream);
  Status reset(Stream& stream);  // when the stream gets there
  // Makes the stream wait for the newest recording; no wait when there is none. Joins the stream to the
  // capture in which the event was recorded.
  Status wait_on(Stream& stream, bool is_default);
  // For the host: an event of a capture cannot be waited for.
  Status refuse_captured() const;

 private:
  const bool timing_;
  const std::shared_ptr<Signal> signal_;
  const std::shared_ptr<SharedEvent> shared_;
  mutable std::mutex mutex_;
  std::shared_ptr<Record> latest_;
  std::weak_ptr<Graph> captured_in_;  // recorded in this capture, and not outside since
  Clock captured_at_;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_STREAM_H_
