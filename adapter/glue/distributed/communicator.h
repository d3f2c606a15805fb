// A communicator of HCCL for the ranks of a group, and the stream that its operations run on.
#ifndef NPU_GLUE_DISTRIBUTED_COMMUNICATOR_H_
#define NPU_GLUE_DISTRIBUTED_COMMUNICATOR_H_

#include "compat.h"

#if NPU_HAS_GROUP_NAMES

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <memory>
#include <string>

#include "distributed/monitor.h"

namespace npu::hccl {

// What a program may choose for a group.
struct Settings {
  std::string name;
  std::chrono::milliseconds timeout;
  int64_t buffer_mib = 0;  // of HCCL, for each communicator; 0: HCCL's own choice
  bool high_priority = false;
};

class Communicator {
 public:
  // Meets the other ranks through the store: under `key`, which no other communicator of the group has.
  // Throws c10::DistBackendError that names ranks that do not come within the timeout, or that use one
  // device.
  Communicator(const c10::intrusive_ptr<c10d::Store>& store, const std::string& key, const Settings& settings,
               std::shared_ptr<Monitor> monitor, c10::DeviceIndex device);
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  HcclComm handle() const { return handle_; }
  c10::DeviceIndex device() const { return device_; }
  int64_t stream() const { return stream_; }
  aclrtStream stream_handle() const { return stream_handle_; }
  // What is queued on the communicator's stream from now on waits for the current stream's work.
  void wait_for_current_stream();

 private:
  void meet(c10d::Store* store, const std::string& key, const Settings& settings);
  void connect(c10d::Store* store, const std::string& key, const Settings& settings);

  const std::shared_ptr<Monitor> monitor_;
  const c10::DeviceIndex device_;
  int64_t stream_ = 0;
  aclrtStream stream_handle_ = nullptr;
  HcclComm handle_ = nullptr;
  Event inputs_ready_;
};

// Leaves every communicator that still is: a program that ends without destroying its groups is no rank that
// crashed. To be called while CANN is up; nothing can be queued afterwards.
void destroy_communicators();

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
#endif  // NPU_GLUE_DISTRIBUTED_COMMUNICATOR_H_
