// What the operations of a process group have come to: who failed, what ran out of time.
//
// An operation between ranks runs on a stream. When it fails, streams that wait for it go on, and the host
// would read what nobody wrote. So each wait for a device asks the monitors first (npu_set_wait_check), and a
// thread looks at them meanwhile: for time-outs, and to end a process that waits for a rank that is gone.
#ifndef NPU_GLUE_DISTRIBUTED_MONITOR_H_
#define NPU_GLUE_DISTRIBUTED_MONITOR_H_

#include "compat.h"

#if NPU_HAS_GROUP_NAMES

#include <torch/csrc/distributed/c10d/Types.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cann/hccl.h"
#include "runtime/device.h"

namespace npu::hccl {

using Clock = std::chrono::steady_clock;

// A mark in a stream.
class Event {
 public:
  explicit Event(c10::DeviceIndex device) { npu::check(npu_event_create(device, /*timing=*/0, &event_)); }
  ~Event() { npu_event_destroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(int64_t stream) { npu::check(npu_event_record(event_, stream)); }
  void block(c10::DeviceIndex device, int64_t stream) const {
    npu::check(npu_event_block(event_, device, stream));
  }
  bool reached() const;
  // Of one that was reached: throws when its stream had failed before.
  void check_passed() const;

 private:
  npu_event* event_ = nullptr;
};

// One operation that was queued.
struct Operation {
  Operation(c10d::OpType kind, uint64_t place, c10::DeviceIndex index, std::chrono::milliseconds limit)
      : type(kind), number(place), device(index), timeout(limit), end(index) {}

  std::string text() const;  // "operation 7 (ALLREDUCE of 4 elements)"

  const c10d::OpType type;
  const uint64_t number;  // of the group, from 1
  const c10::DeviceIndex device;
  const std::chrono::milliseconds timeout;
  int64_t elements = 0;
  const Clock::time_point started = Clock::now();
  Event end;
};

// What is to be known of a group to speak of it.
struct Identity {
  std::string name;
  int rank;
  int size;
};

class Monitor {
 public:
  explicit Monitor(Identity identity) : identity_(std::move(identity)) {}

  // Begins and ends to be looked at by the process's thread and waits.
  static std::shared_ptr<Monitor> start(Identity identity);
  static void stop(const std::shared_ptr<Monitor>& monitor);

  void watch(std::shared_ptr<Operation> operation);
  void add(HcclComm comm);
  // After it nothing asks the communicator any more.
  void remove(HcclComm comm);

  // The first failure counts. `message` begins with a verb or noun; the group's name is put before it.
  void fail(const std::string& message);
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // Throws c10::DistBackendError when something has failed.
  void raise_if_failed() const;
  // Valid as long as the monitor; only when it failed.
  const std::string& failure() const { return failure_; }
  Clock::time_point failed_at() const { return failed_at_; }
  const Identity& identity() const { return identity_; }
  bool has_operations();

  // Forgets operations that ended well; fails for what did not.
  void look();

 private:
  bool communicators_are_well(std::string* problem);

  const Identity identity_;
  std::mutex mutex_;  // of the three below
  std::vector<std::shared_ptr<Operation>> operations_;
  std::vector<HcclComm> communicators_;
  std::mutex failing_;
  std::string failure_;
  Clock::time_point failed_at_;
  std::atomic<bool> failed_{false};
};

// No monitor looks at its group after this: CANN is about to end.
void stop_monitoring();

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
#endif  // NPU_GLUE_DISTRIBUTED_MONITOR_H_
