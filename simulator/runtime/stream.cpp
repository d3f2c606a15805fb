#include "stream.h"

#include <pthread.h>
#include <signal.h>

#include <cstring>
#include <exception>
#include <utility>

#include "faults.h"
#include "refusals.h"

namespace cann_simulator {
namespace {

thread_local bool is_stream_thread = false;

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
  RecordTask(std::shared_ptr<Record> record, const Stream& stream)
      : record_(std::move(record)), stream_(stream) {}
  const char* name() const override { return "event record"; }
  Status run() override {
    skip();
    return {};
  }
  void skip() override { record_->reach(stream_.peek_failure()); }

 private:
  std::shared_ptr<Record> record_;
  const Stream& stream_;  // runs this task, so it is there
};

class WaitTask : public Task {
 public:
  explicit WaitTask(std::shared_ptr<Record> record) : record_(std::move(record)) {}
  const char* name() const override { return "event wait"; }
  Status run() override {
    record_->wait(kForever);
    return {};
  }

 private:
  std::shared_ptr<Record> record_;
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
  return !ending_.wait_for(lock, milliseconds, [this] { return closing_; });
}

Status Stream::submit(std::unique_ptr<Task> task) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (queue_.size() >= kLongestQueue && !is_stream_thread) {
    ++waiters_;
    progress_.wait(lock, [this] { return queue_.size() < kLongestQueue || closing_; });
    --waiters_;
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

Status Stream::drain(std::int32_t timeout_ms) {
  if (is_stream_thread) {
    return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                   "a function that runs on a stream must not wait for a stream");
  }
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
    std::unique_ptr<Task> task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    run_one(*task);
    task.reset();  // before the task counts as done: what it holds must be gone when a synchronize returns
    lock.lock();
    ++completed_;
    if (waiters_ > 0) progress_.notify_all();
  }
}

void Stream::run_one(Task& task) noexcept {
  Status status;
  if (abandoned_ || !Faults::instance().device_failure(device_).ok() ||
      (stop_on_failure_ && !peek_failure().ok())) {
    task.skip();
    return;
  }
  try {
    status = task.run();
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

std::shared_ptr<Record> Event::latest() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return latest_;
}

Status Event::record(Stream& stream) {
  // Submitting inside the lock keeps "newest" true when two threads record one event.
  const std::lock_guard<std::mutex> lock(mutex_);
  auto record = std::make_shared<Record>();
  if (Races::instance().on()) record->set_clock(Races::instance().recorded(stream.id()));
  if (Status status = stream.submit(std::make_unique<RecordTask>(record, stream)); !status.ok())
    return status;
  latest_ = std::move(record);
  return {};
}

void Event::reset() {
  const std::lock_guard<std::mutex> lock(mutex_);
  latest_.reset();
}

Status wait_event(Stream& stream, const Event& event) {
  std::shared_ptr<Record> record = event.latest();
  if (record == nullptr) return {};
  if (Races::instance().on()) Races::instance().stream_waited(stream.id(), record->clock());
  if (record->reached()) return {};
  return stream.submit(std::make_unique<WaitTask>(std::move(record)));
}

}  // namespace cann_simulator
