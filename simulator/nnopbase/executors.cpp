#include <cstdint>
#include <mutex>
#include <new>
#include <unordered_map>

#include "cann_simulator/abi.h"

namespace {

struct Executor {
  const void* kind;
  void* content;
  void (*release)(void*);
};

// The handle is a number that is never given out twice, so a second use of one is noticed for certain,
// whatever the allocator does with addresses.
class Executors {
 public:
  static Executors& instance() {
    static Executors* const executors = new Executors;
    return *executors;
  }

  aclOpExecutor* add(const Executor& executor) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto* handle = reinterpret_cast<aclOpExecutor*>(next_);
    live_.emplace(handle, executor);
    next_ += 16;
    return handle;
  }

  // False unless the handle is live and of that kind (of any, when kind is NULL).
  bool take(aclOpExecutor* handle, const void* kind, Executor* executor) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = live_.find(handle);
    if (found == live_.end() || (kind != nullptr && found->second.kind != kind)) return false;
    *executor = found->second;
    live_.erase(found);
    return true;
  }

 private:
  std::mutex mutex_;
  std::uintptr_t next_ = 16;
  std::unordered_map<aclOpExecutor*, Executor> live_;
};

}  // namespace

extern "C" {

aclOpExecutor* cann_simulator_keep_executor(const void* kind, void* content, void (*release)(void*)) {
  try {
    return Executors::instance().add({kind, content, release});
  } catch (const std::bad_alloc&) {
    release(content);
    return nullptr;
  }
}

void* cann_simulator_take_executor(aclOpExecutor* handle, const void* kind) {
  Executor executor{};
  return Executors::instance().take(handle, kind, &executor) ? executor.content : nullptr;
}

aclnnStatus aclDestroyAclOpExecutor(aclOpExecutor* handle) {
  Executor executor{};
  if (handle == nullptr || !Executors::instance().take(handle, nullptr, &executor)) {
    return cann_simulator_fail_no_launch(
        ACLNN_ERR_PARAM_INVALID,
        "aclDestroyAclOpExecutor: the executor was used or destroyed before, or never was one");
  }
  executor.release(executor.content);
  return ACL_SUCCESS;
}

}  // extern "C"
