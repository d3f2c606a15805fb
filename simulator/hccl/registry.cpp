#include "registry.h"

#include <unistd.h>

#include <cstdlib>

#include "endpoint.h"

namespace cann_simulator::hccl {
namespace {

// What is queued at the end of a program has this long to end; then the others learn that this rank has gone.
constexpr int kLastSeconds = 2;

}  // namespace

Registry& Registry::instance() {
  static Registry* const registry = new Registry;
  return *registry;
}

HcclComm Registry::add(std::shared_ptr<Communicator> communicator) {
  // Later than the runtime's own handler, and so run before it: a stream must not wait for ranks then.
  static const int registered = std::atexit(&Registry::end_of_process);
  (void)registered;
  const std::lock_guard<std::mutex> lock(mutex_);
  process_ = getpid();
  HcclComm handle = communicator.get();
  communicators_[handle] = std::move(communicator);
  return handle;
}

Result Registry::find(HcclComm handle, std::shared_ptr<Communicator>* communicator) const {
  if (handle == nullptr) return failure(HCCL_E_PTR, "comm is NULL");
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = communicators_.find(handle);
  if (found == communicators_.end()) {
    return failure(HCCL_E_NOT_FOUND, "%p is no live communicator; it was destroyed, or never was one",
                   handle);
  }
  *communicator = found->second;
  return {};
}

Result Registry::find(const std::string& name, HcclComm* handle) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& item : communicators_) {
    if (item.second->membership().name != name) continue;
    *handle = item.first;
    return {};
  }
  return failure(HCCL_E_NOT_FOUND, "there is no communicator '%s'", name.c_str());
}

Result Registry::remove(HcclComm handle, std::shared_ptr<Communicator>* communicator) {
  Result result = find(handle, communicator);
  const std::lock_guard<std::mutex> lock(mutex_);
  communicators_.erase(handle);
  return result;
}

void Registry::end_of_process() {
  Registry& registry = instance();
  if (registry.process_ != getpid()) return;  // a fork: the communicators are its parent's
  std::map<HcclComm, std::shared_ptr<Communicator>> last;
  {
    const std::lock_guard<std::mutex> lock(registry.mutex_);
    last.swap(registry.communicators_);
  }
  const Deadline deadline = Deadline::in_seconds(kLastSeconds);
  for (const auto& item : last) item.second->destroy(deadline);
  Endpoint::stop();
}

}  // namespace cann_simulator::hccl
