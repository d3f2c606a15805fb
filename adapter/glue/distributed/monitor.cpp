#include "distributed/monitor.h"

#if NPU_HAS_GROUP_NAMES

#include <torch/csrc/distributed/c10d/Utils.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "distributed/hccl.h"

namespace npu::hccl {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{100};
// How long a program may take to notice a failure itself, with a traceback of its own.
constexpr std::chrono::seconds kGrace{10};
// HCCL's own limit is the same and its message names the ranks, so it is let go first.
constexpr std::chrono::seconds kAfterHccl{2};
constexpr int kExitCode = 1;

thread_local bool looking = false;  // waits of the monitor itself ask no monitor

struct Looking {
  Looking() : before(looking) { looking = true; }
  ~Looking() { looking = before; }
  bool before;
};

// The variable is that of other builds of torch_npu: 0 leaves the process alone.
bool may_end_the_process() {
  const char* value = std::getenv("HCCL_ASYNC_ERROR_HANDLING");
  return value == nullptr || std::string(value) != "0";
}

class Watch {
 public:
  static Watch& instance() {
    static Watch* const watch = new Watch;  // leaked: its thread runs until the process ends
    return *watch;
  }

  void add(const std::shared_ptr<Monitor>& monitor) {
    const std::lock_guard<std::mutex> lock(mutex_);
    monitors_.push_back(monitor);
    stopped_ = false;
    if (!started_) std::thread([this] { run(); }).detach();
    started_ = true;
    npu_set_wait_check(&refusal);
  }

  void remove(const std::shared_ptr<Monitor>& monitor) {
    const std::lock_guard<std::mutex> lock(mutex_);
    monitors_.erase(std::remove(monitors_.begin(), monitors_.end(), monitor), monitors_.end());
    if (monitors_.empty()) npu_set_wait_check(nullptr);
  }

  void stop() {
    const std::lock_guard<std::mutex> lock(mutex_);
    npu_set_wait_check(nullptr);
    monitors_.clear();
    stopped_ = true;
    wake_.notify_all();
  }

 private:
  std::vector<std::shared_ptr<Monitor>> monitors() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return monitors_;
  }

  static const char* refusal() {
    if (looking) return nullptr;
    const Looking scope;
    thread_local std::string message;
    for (const std::shared_ptr<Monitor>& monitor : instance().monitors()) {
      monitor->look();
      if (!monitor->failed()) continue;
      message = monitor->failure();
      return message.c_str();
    }
    return nullptr;
  }

  void run() {
    const Looking scope;
    while (true) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait_for(lock, kBetweenLooks);
        if (stopped_) continue;
      }
      for (const std::shared_ptr<Monitor>& monitor : monitors()) {
        monitor->look();
        if (monitor->failed()) end_after_grace(*monitor);
      }
    }
  }

  static void end_after_grace(Monitor& monitor) {
    if (Clock::now() - monitor.failed_at() < kGrace || !monitor.has_operations() || !may_end_the_process())
      return;
    std::fprintf(stderr,
                 "torch_npu: %s\ntorch_npu: this process did not react within %lld seconds, and ends. Call "
                 "torch.distributed.destroy_process_group() after such an error to go on without the group; "
                 "HCCL_ASYNC_ERROR_HANDLING=0 leaves the process alone.\n",
                 monitor.failure().c_str(), static_cast<long long>(kGrace.count()));
    std::fflush(stderr);
    std::_Exit(kExitCode);
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::shared_ptr<Monitor>> monitors_;
  bool started_ = false;
  bool stopped_ = false;
};

}  // namespace

bool Event::reached() const {
  const Looking scope;
  int32_t done = 0;
  npu::check(npu_event_query(event_, &done));
  return done != 0;
}

void Event::check_passed() const {
  const Looking scope;
  npu::check(npu_event_synchronize(event_));
}

std::string Operation::text() const {
  std::string text = "operation " + std::to_string(number) + " (" + c10d::opTypeToString(type);
  if (elements > 0) text += " of " + std::to_string(elements) + " elements";
  return text + ")";
}

std::shared_ptr<Monitor> Monitor::start(Identity identity) {
  auto monitor = std::make_shared<Monitor>(std::move(identity));
  Watch::instance().add(monitor);
  return monitor;
}

void Monitor::stop(const std::shared_ptr<Monitor>& monitor) { Watch::instance().remove(monitor); }

void Monitor::watch(std::shared_ptr<Operation> operation) {
  const std::lock_guard<std::mutex> lock(mutex_);
  operations_.push_back(std::move(operation));
}

void Monitor::add(HcclComm comm) {
  const std::lock_guard<std::mutex> lock(mutex_);
  communicators_.push_back(comm);
}

void Monitor::remove(HcclComm comm) {
  const std::lock_guard<std::mutex> lock(mutex_);
  communicators_.erase(std::remove(communicators_.begin(), communicators_.end(), comm), communicators_.end());
}

bool Monitor::has_operations() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !operations_.empty();
}

void Monitor::fail(const std::string& message) {
  const std::lock_guard<std::mutex> lock(failing_);
  if (failed()) return;
  failure_ = "process group " + identity_.name + " (hccl, rank " + std::to_string(identity_.rank) + " of " +
             std::to_string(identity_.size) + "): " + message;
  failed_at_ = Clock::now();
  failed_.store(true, std::memory_order_release);
}

void Monitor::raise_if_failed() const {
  if (C10_UNLIKELY(failed())) C10_THROW_ERROR(DistBackendError, std::string(failure_));
}

bool Monitor::communicators_are_well(std::string* problem) {
  if (functions().HcclGetCommAsyncError == nullptr) return true;
  for (HcclComm comm : communicators_) {
    HcclResult error = HCCL_SUCCESS;
    if (functions().HcclGetCommAsyncError(comm, &error) != HCCL_SUCCESS || error == HCCL_SUCCESS) continue;
    const std::string text = recent_message();
    *problem = std::string(functions().HcclGetErrorString(error)) + (text.empty() ? "" : ": " + text);
    return false;
  }
  return true;
}

void Monitor::look() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (failed() || operations_.empty() || npu_is_initialized() == 0) return;
  try {
    const auto ended = std::stable_partition(operations_.begin(), operations_.end(),
                                             [](const auto& operation) { return !operation->end.reached(); });
    std::for_each(ended, operations_.end(), [](const auto& operation) { operation->end.check_passed(); });
    operations_.erase(ended, operations_.end());
    // A rank that has ended is missed only by what still runs.
    std::string problem;
    if (!operations_.empty() && !communicators_are_well(&problem)) return fail(problem);
  } catch (const c10::Error& error) {
    return fail(error.what_without_backtrace());
  }
  for (const auto& operation : operations_) {
    const auto lasted = Clock::now() - operation->started;
    if (lasted < operation->timeout + kAfterHccl) continue;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lasted).count();
    return fail(operation->text() + " is not done after " + std::to_string(seconds) +
                " seconds; the group's timeout is " + std::to_string(operation->timeout.count()) +
                " ms. A rank did not call it, or has ended.");
  }
}

void stop_monitoring() { Watch::instance().stop(); }

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
