#include "refusals.h"

#include <pthread.h>
#include <strings.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace cann_simulator {
namespace {

constexpr const char* kStopped =
    "no result is valid any more: the adapter's task queue stopped at a launch that failed, and drops what "
    "the "
    "program asks for since; with TASK_QUEUE_ENABLE=0 only the call that fails is lost. The launch was: ";

thread_local bool queue_has_stopped = false;

// Adapters name the thread so in every version that has a queue; case has varied.
bool on_queue_of_adapter() {
  char name[16] = "";
  return pthread_getname_np(pthread_self(), name, sizeof name) == 0 && strcasecmp(name, "acl_thread") == 0;
}

}  // namespace

Refusals& Refusals::instance() {
  static Refusals* const refusals = new Refusals;
  return *refusals;
}

void Refusals::refused(const std::string& what, const std::string& message) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto known = std::find_if(refusals_.begin(), refusals_.end(),
                                  [&](const Refusal& refusal) { return refusal.what == what; });
  if (known != refusals_.end()) {
    ++known->count;
  } else {
    refusals_.push_back({what, message, 1});
  }
}

std::vector<Refusals::Refusal> Refusals::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(refusals_, {});
}

void Refusals::launch_failed(const Status& status) {
  if (queue_has_stopped || !on_queue_of_adapter()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  queue_has_stopped = true;
  if (stopped_queues_ == 0) stop_ = status;
  stopped_queues_.fetch_add(1, std::memory_order_release);
}

void Refusals::launch_passed() {
  if (!queue_has_stopped) return;
  queue_has_stopped = false;
  stopped_queues_.fetch_sub(1, std::memory_order_release);
}

Status Refusals::describe_stop() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  // Some adapters keep the message of a failed wait to themselves, so it is said here, too, once.
  if (!stop_told_) std::fprintf(stderr, "cann-simulator: %s%s\n", kStopped, stop_.message.c_str());
  stop_told_ = true;
  return {stop_.code, kStopped + stop_.message.substr(0, stop_.message.find("; ")), false};
}

bool Refusals::summarize(bool ends_well, int exit_code) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const bool stopped = stopped_queues_ > 0;
  if (mode_ == RefusalMode::kIgnore || (refusals_.empty() && !stopped)) return false;
  std::string text;
  for (const Refusal& refusal : refusals_) {
    text += (text.empty() ? "" : ", ") + refusal.what + " (" + std::to_string(refusal.count) + ")";
  }
  if (!text.empty()) std::fprintf(stderr, "cann-simulator: refused, with how often: %s\n", text.c_str());
  const std::string& first = stopped ? stop_.message : refusals_.front().message;
  std::fprintf(stderr, "cann-simulator: %s: %s\n",
               stopped ? "the adapter's task queue stopped, and dropped what came after it, at" : "the first",
               first.c_str());
  if (ends_well) {
    std::fprintf(stderr,
                 "cann-simulator: the program ended as if nothing had happened; exit code %d "
                 "(--refusals ignore leaves it at 0)\n",
                 exit_code);
  }
  return true;
}

aclError launched(aclError code) noexcept {
  if (code != ACL_SUCCESS) Refusals::instance().launch_failed({code, recent_message()});
  return code;
}

}  // namespace cann_simulator
