#include "stream.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "faults.h"
#include "graph.h"
#include "refusals.h"

namespace cann_simulator {
namespace {

thread_local bool is_stream_thread = false;
std::atomic<std::uint64_t> asked_of_streams{0};

// Signals are for the program's own threads: Ctrl-C must not land in a kernel.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

class RecordTask : public Task {
 public:
  explicit RecordTask(std::shared_ptr<Record> record) : record_(std::move(record)) {}
  const char* name() const override { return "event record"; }
  Status run(Stream& stream) override {
    skip(stream);
    return {};
  }
  void skip(Stream& stream) override { record_->reach(stream.peek_failure()); }
  bool seen_outside() const override { return record_->needed(); }

 private:
  std::shared_ptr<Record> record_;
};

class WaitTask : public Task {
 public:
  explicit WaitTask(std::shared_ptr<Record> record) : record_(std::move(record)) {}
  const char* name() const override { return kName; }
  Status run(Stream&) override {
    record_->wait(kForever);
    return {};
  }
  static constexpr const char* kName = "event wait";
  bool need() const { return !record_->reached() && record_->need(); }

 private:
  std::shared_ptr<Record> record_;
};

// The same for an event of several processes.
class SharedRecordTask : public Task {
 public:
  SharedRecordTask(std::shared_ptr<SharedEvent> event, std::uint64_t recording)
      : event_(std::move(event)), recording_(recording) {}
  const char* name() const override { return "event record"; }
  bool seen_outside() const override { return true; }
  Status run(Stream& stream) override {
    skip(stream);
    return {};
  }
  void skip(Stream&) override { event_->reach(recording_); }

 private:
  const std::shared_ptr<SharedEvent> event_;
  const std::uint64_t recording_;
};

class SharedWaitTask : public Task {
 public:
  SharedWaitTask(std::shared_ptr<SharedEvent> event, std::uint64_t recording)
      : event_(std::move(event)), recording_(recording) {}
  const char* name() const override { return "event wait"; }
  Status run(Stream& stream) override { return event_->wait(recording_, kForever, &stream); }

 private:
  const std::shared_ptr<SharedEvent> event_;
  const std::uint64_t recording_;
};

// What a stream does to a signal.
class SignalTask : public Task {
 public:
  enum class Action { kSet, kWait, kClear };
  SignalTask(std::shared_ptr<Signal> signal, Action action) : signal_(std::move(signal)), action_(action) {}
  const char* name() const override {
    return action_ == Action::kWait  ? "external event wait"
           : action_ == Action::kSet ? "external event record"
                                     : "external event reset";
  }
  Status run(Stream& stream) override {
    if (action_ == Action::kWait) {
      signal_->wait(stream);
    } else {
      signal_->set(action_ == Action::kSet);
    }
    return {};
  }

 private:
  const std::shared_ptr<Signal> signal_;
  const Action action_;
};

}  // namespace

Status Stream::start() {
  const SignalsBlocked blocked;
  const int code = thread_.start([this] { work(); });
  if (code == 0) return {};
  return failure(ACL_ERROR_RT_NO_STREAM_RESOURCE, "the host cannot start a thread for the stream: %s",
                 std::strerror(code));
}

bool Stream::pause(std::int32_t milliseconds) {
  std::unique_lock<std::mutex> lock(mutex_);
  return !ending_.wait_for(lock, milliseconds, [this] { return closing_ || dropping_; });
}

Status Stream::submit(std::unique_ptr<Task> task) {
  if (diverted_.load(std::memory_order_acquire)) {
    if (const std::shared_ptr<GroupUpdate> group = update(); group != nullptr)
      return group->add(std::move(task));
    if (const std::shared_ptr<Graph> graph = capture(); graph != nullptr) {
      return graph->append(std::move(task), *this);
    }
  }
  if (Races::instance().on()) {
    if (Status status = Races::instance().access(id_, task->name(), task->touched()); !status.ok())
      return status;
  }
  if (task->is_kernel()) task->meet(Faults::instance().next_kernel());
  if (std::unique_ptr<Task> renewed = task->renewed(); renewed != nullptr) task = std::move(renewed);
  if (Profiling::instance().on()) task->set_asked(Profiling::asked());
  return enqueue(std::move(task));
}

Status Stream::enqueue(std::unique_ptr<Task> task) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (queue_.size() >= kLongestQueue && !is_stream_thread) {
    ++waiters_;
    progress_.wait(lock, [this] { return queue_.size() < kLongestQueue || closing_; });
    --waiters_;
  } else {
    asked_of_streams.fetch_add(1, std::memory_order_relaxed);
  }
  if (refusing_ && task->seen_outside()) {
    return failure(
        ACL_ERROR_RT_STREAM_ABORT,
        "the program has ended, and what was queued is being skipped: no '%s' can be asked for any more",
        task->name());
  }
  if (closing_) return failure(ACL_ERROR_RT_INVALID_HANDLE, "the stream is being destroyed");
  queue_.push_back(std::move(task));
  ++submitted_;
  Refusals::instance().launch_passed();
  if (sleeping_) {
    sleeping_ = false;
    lock.unlock();
    wake_.notify_one();
  }
  return {};
}

std::shared_ptr<Graph> Stream::capture() const {
  if (!diverted_.load(std::memory_order_acquire)) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  return capture_;
}

void Stream::set_capture(std::shared_ptr<Graph> graph) {
  const std::lock_guard<std::mutex> lock(mutex_);
  capture_.swap(graph);
  diverted_.store(capture_ != nullptr || update_ != nullptr, std::memory_order_release);
}

std::shared_ptr<GroupUpdate> Stream::update() const {
  if (!diverted_.load(std::memory_order_acquire)) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  return update_;
}

void Stream::set_update(std::shared_ptr<GroupUpdate> update) {
  const std::lock_guard<std::mutex> lock(mutex_);
  update_.swap(update);
  diverted_.store(capture_ != nullptr || update_ != nullptr, std::memory_order_release);
}

Status Stream::refuse_captured(const char* what) const {
  if (capture() == nullptr) return {};
  return failure(ACL_ERROR_RT_STREAM_CAPTURED,
                 "stream %d is being captured and must not %s; end the capture first (aclmdlRICaptureEnd)",
                 id_, what);
}

std::uint64_t Stream::asked() { return asked_of_streams.load(std::memory_order_relaxed); }

void Stream::refuse_seen() {
  const std::lock_guard<std::mutex> lock(mutex_);
  refusing_ = true;
}

bool Stream::mark_needed() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::uint64_t first = submitted_ - queue_.size() + 1;  // the number of the first in the queue
  std::size_t count = queue_.size();
  while (count > 0 && !queue_[count - 1]->seen_outside()) --count;
  if (count > 0) needed_ = first + count - 1;
  const auto need = [](const Task* task) {
    return task != nullptr && task->name() == WaitTask::kName && static_cast<const WaitTask*>(task)->need();
  };
  bool more = count > 0 && need(running_);
  for (std::size_t index = 0; index < count; ++index) more = need(queue_[index].get()) || more;
  return more;
}

std::uint64_t Stream::drop_unneeded() {
  std::uint64_t dropped = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const std::uint64_t last_kept = std::max(needed_, submitted_ - queue_.size());
    dropped = submitted_ - last_kept;
    dropping_ = true;
  }
  ending_.notify_all();
  return dropped;
}

Status Stream::drain(std::int32_t timeout_ms) {
  if (is_stream_thread) {
    return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                   "a function that runs on a stream must not wait for a stream");
  }
  if (capture() != nullptr) return {};  // it has nothing queued
  const Clock clock = Races::instance().on() ? Races::instance().now(id_) : Clock();
  std::unique_lock<std::mutex> lock(mutex_);
  const std::uint64_t target = submitted_;
  ++waiters_;
  const bool done = progress_.wait_for(lock, timeout_ms, [&] { return completed_ >= target; });
  --waiters_;
  if (done && Races::instance().on()) Races::instance().host_waited(clock);
  if (done) return {};
  return failure(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "stream %d of device %d still has %llu tasks after %d ms",
                 id_, device_, static_cast<unsigned long long>(target - completed_), timeout_ms);
}

bool Stream::idle() const {
  const Clock clock = Races::instance().on() ? Races::instance().now(id_) : Clock();
  const std::lock_guard<std::mutex> lock(mutex_);
  const bool idle = completed_ == submitted_;
  if (idle && Races::instance().on()) Races::instance().host_waited(clock);
  return idle;
}

Status Stream::take_failure() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (failure_.ok()) return Faults::instance().device_failure(device_);
  return stop_on_failure_ ? failure_ : std::exchange(failure_, Status{});
}

void Stream::forget_failure() {
  const std::lock_guard<std::mutex> lock(mutex_);
  failure_ = {};
}

Status Stream::peek_failure() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return failure_;
}

void Stream::close() {
  if (const std::shared_ptr<Graph> graph = capture(); graph != nullptr) graph->abandon();
  set_update(nullptr);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  progress_.notify_all();
  ending_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Stream::abandon() {
  abandoned_ = true;
  close();
}

bool Stream::on_stream_thread() { return is_stream_thread; }

void Stream::work() {
  is_stream_thread = true;
  const std::string name = "npu" + std::to_string(device_) + "-stream" + std::to_string(id_);
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    if (queue_.empty()) {
      if (closing_) return;
      sleeping_ = true;
      wake_.wait(lock, [this] { return !queue_.empty() || closing_; });
      sleeping_ = false;
      continue;
    }
    const bool dropped = dropping_ && submitted_ - queue_.size() + 1 > needed_;
    std::unique_ptr<Task> task = std::move(queue_.front());
    queue_.pop_front();
    running_ = task.get();
    lock.unlock();
    run_one(*task, dropped);
    lock.lock();
    running_ = nullptr;
    lock.unlock();
    task.reset();  // before the task counts as done: what it holds must be gone when a synchronize returns
    lock.lock();
    ++completed_;
    if (waiters_ > 0) progress_.notify_all();
  }
}

Status Stream::run_profiled(Task& task, const Asked& asked) {
  task.set_asked(asked);  // one of a graph is asked for anew with each replay
  if (asked.time == 0 || task.stands_for_others()) return task.run(*this);
  const std::uint64_t begun = Profiling::now();
  Status status = task.run(*this);
  Profiling::instance().ran(device_, id_, task.name(), task.is_kernel(), asked, begun);
  return status;
}

void Stream::run_one(Task& task, bool dropped) noexcept {
  Status status;
  if (dropped || abandoned_ || !Faults::instance().device_failure(device_).ok() ||
      (stop_on_failure_ && !peek_failure().ok())) {
    task.skip(*this);
    return;
  }
  try {
    status = run_profiled(task, task.asked());
  } catch (const std::exception& error) {
    status = failure(ACL_ERROR_RT_AICORE_EXCEPTION, "%s", error.what());
  } catch (...) {
    status = failure(ACL_ERROR_RT_AICORE_EXCEPTION, "an exception of unknown type");
  }
  if (status.ok()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!failure_.ok()) return;
  failure_ = {status.code, std::string(task.name()) + " failed on stream " + std::to_string(id_) +
                               " of device " + std::to_string(device_) + ": " + status.message};
}

void Record::reach(Status failure) {
  const std::lock_guard<std::mutex> lock(mutex_);
  time_ = std::chrono::steady_clock::now();
  failure_ = std::move(failure);
  reached_ = true;
  passed_.notify_all();
}

bool Record::reached() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return reached_;
}

bool Record::wait(std::int32_t timeout_ms) const {
  std::unique_lock<std::mutex> lock(mutex_);
  return passed_.wait_for(lock, timeout_ms, [this] { return reached_; });
}

void Signal::set(bool on) {
  const std::lock_guard<std::mutex> lock(mutex_);
  on_ = on;
  changed_.notify_all();
}

bool Signal::wait(Stream& stream) {
  constexpr std::int32_t kLook = 20;  // ms until it is seen that the stream ends
  std::unique_lock<std::mutex> lock(mutex_);
  while (!changed_.wait_for(lock, kLook, [this] { return on_; })) {
    if (!stream.pause(0)) return false;
  }
  return true;
}

std::shared_ptr<Record> Event::latest() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return latest_;
}

Status Event::record(Stream& stream) {
  // Submitting inside the lock keeps "newest" true when two threads record one event.
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::shared_ptr<Graph> graph = stream.capture();
  if (signal_ != nullptr) {
    Status status = stream.submit(std::make_unique<SignalTask>(signal_, SignalTask::Action::kSet));
    if (!status.ok() || graph != nullptr) return status;
  } else if (graph != nullptr) {
    captured_in_ = graph;
    captured_at_ = graph->clock(stream);
    return {};
  }
  captured_in_.reset();
  if (shared_ != nullptr)
    return stream.submit(std::make_unique<SharedRecordTask>(shared_, shared_->record()));
  auto record = std::make_shared<Record>();
  if (Races::instance().on()) record->set_clock(Races::instance().recorded(stream.id()));
  if (Status status = stream.submit(std::make_unique<RecordTask>(record)); !status.ok()) return status;
  latest_ = std::move(record);
  return {};
}

Status Event::reset(Stream& stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (signal_ != nullptr) {
    return stream.submit(std::make_unique<SignalTask>(signal_, SignalTask::Action::kClear));
  }
  // A wait that is queued already keeps what it waits for, so the event can be forgotten at once.
  latest_.reset();
  return {};
}

Status Event::wait_on(Stream& stream, bool is_default) {
  if (signal_ != nullptr) {
    return stream.submit(std::make_unique<SignalTask>(signal_, SignalTask::Action::kWait));
  }
  if (shared_ != nullptr && stream.capture() == nullptr) {
    const std::uint64_t recording = shared_->latest();
    if (shared_->reached(recording)) return {};
    return stream.submit(std::make_unique<SharedWaitTask>(shared_, recording));
  }
  std::shared_ptr<Record> record;
  std::shared_ptr<Graph> graph;
  Clock clock;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    record = latest_;
    graph = captured_in_.lock();
    clock = captured_at_;
  }
  if (graph != nullptr && graph->capturing()) {
    if (!is_default) return graph->join(stream, clock);
    return failure(ACL_ERROR_RT_STREAM_CAPTURE_IMPLICIT,
                   "the default stream waits for an event of a capture, which it cannot come into");
  }
  if (record == nullptr) return {};
  if (stream.capture() != nullptr) {
    return failure(
        ACL_ERROR_RT_CAPTURE_DEPENDENCY,
        "stream %d is being captured and waits for an event that was recorded outside of the capture; "
        "record it on a stream of the capture, or wait before the capture begins",
        stream.id());
  }
  if (Races::instance().on()) Races::instance().stream_waited(stream.id(), record->clock());
  if (record->reached()) return {};
  return stream.submit(std::make_unique<WaitTask>(std::move(record)));
}

Status Event::refuse_captured() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::shared_ptr<Graph> graph = captured_in_.lock();
  if (graph == nullptr || !graph->capturing()) return {};
  return failure(
      ACL_ERROR_RT_EVENT_CAPTURED,
      "the event was recorded in a capture that is going on: nothing of it has run; end the capture first");
}

}  // namespace cann_simulator
