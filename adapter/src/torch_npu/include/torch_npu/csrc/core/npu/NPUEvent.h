// Events between streams.
#pragma once

#include <cstdint>

#include "torch_npu/csrc/core/npu/NPUFunctions.h"
#include "torch_npu/csrc/core/npu/NPUGuard.h"
#include "torch_npu/csrc/core/npu/NPUStream.h"

namespace c10_npu {

// Comes into being on the device of the stream that first records it; every later stream must be of that
// device. `flags` are CANN's: ACL_EVENT_TIME_LINE (8) for elapsed_time().
struct C10_NPU_API NPUEvent {
  NPUEvent();
  explicit NPUEvent(unsigned int flags);
  ~NPUEvent();
  NPUEvent(const NPUEvent&) = delete;
  NPUEvent& operator=(const NPUEvent&) = delete;
  NPUEvent(NPUEvent&& other);
  NPUEvent& operator=(NPUEvent&& other);

  operator aclrtEvent() const { return event_; }
  aclrtEvent event() const { return event_; }  // null before it is recorded
  bool isCreated() const { return is_created_; }
  c10::DeviceIndex device_index() const { return device_index_; }

  bool query() const;  // never recorded counts as done
  void record();       // on the current stream
  void record(const NPUStream& stream);
  void recordOnce(const NPUStream& stream);
  void block(const NPUStream& stream);              // the stream waits
  float elapsed_time(const NPUEvent& other) const;  // milliseconds from this event to `other`
  void synchronize() const;

 private:
  // In this order they are what extensions know that were compiled with the published package's headers.
  unsigned int flags_;
  bool is_created_ = false;
  bool was_recorded_ = false;
  c10::DeviceIndex device_index_ = -1;
  aclrtEvent event_ = nullptr;
  bool is_waited_ = false;

  void createEvent(c10::DeviceIndex device_index);
  void moveHelper(NPUEvent&& other);
};

}  // namespace c10_npu
