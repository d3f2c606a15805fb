// The communicators of this process, as handles.
#ifndef CANN_SIMULATOR_HCCL_REGISTRY_H_
#define CANN_SIMULATOR_HCCL_REGISTRY_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "communicator.h"

namespace cann_simulator::hccl {

class Registry {
 public:
  // Never destroyed: threads of the host program may still call while it ends.
  static Registry& instance();

  HcclComm add(std::shared_ptr<Communicator> communicator);
  // HCCL_E_PTR for NULL, HCCL_E_NOT_FOUND for what is no live communicator. What a caller passes is looked
  // up, never dereferenced.
  Result find(HcclComm handle, std::shared_ptr<Communicator>* communicator) const;
  Result find(const std::string& name, HcclComm* handle) const;
  Result remove(HcclComm handle, std::shared_ptr<Communicator>* communicator);

 private:
  Registry() = default;
  static void end_of_process();

  mutable std::mutex mutex_;
  int process_ = 0;  // whose communicators they are
  std::map<HcclComm, std::shared_ptr<Communicator>> communicators_;
};

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_REGISTRY_H_
