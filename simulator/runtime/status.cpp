#include "status.h"

#include <pthread.h>

#include <atomic>
#include <cstdarg>

#include "cann_simulator/formatted.h"
#include "refusals.h"

namespace cann_simulator {
namespace {

struct Messages {
  std::string recent;
  std::string taken;
  aclError code = ACL_SUCCESS;
};

Messages& messages() {
  thread_local Messages of_thread;
  return of_thread;
}

// Lock-free: the child of a fork reads it before it touches anything that could be locked.
std::atomic<bool> in_bad_fork{false};

}  // namespace

Status failure(aclError code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Status status{code, formatted(format, arguments), false};
  va_end(arguments);
  return status;
}

Status lacking(aclError code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Status status{code, formatted(format, arguments), true};
  va_end(arguments);
  return status;
}

aclError report(const char* function, const Status& status) {
  if (status.ok()) return status.code;
  messages().code = status.code;
  messages().recent = function == nullptr ? status.message : std::string(function) + ": " + status.message;
  if (status.lacking) Refusals::instance().refused(std::string("function ") + function, messages().recent);
  return status.code;
}

const std::string& recent_message() { return messages().recent; }

const char* take_message() {
  Messages& of_thread = messages();
  if (of_thread.recent.empty()) return nullptr;
  of_thread.taken = std::move(of_thread.recent);
  of_thread.recent.clear();
  return of_thread.taken.c_str();
}

aclError take_code() { return std::exchange(messages().code, ACL_SUCCESS); }

aclError peek_code() { return messages().code; }

bool forked_after_use() { return in_bad_fork.load(std::memory_order_relaxed); }

void watch_fork() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { in_bad_fork.store(true); });
  if (registered != 0) throw std::bad_alloc();
}

}  // namespace cann_simulator
