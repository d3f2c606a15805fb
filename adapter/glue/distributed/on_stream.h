// A scope in which a stream and its device are the calling thread's current ones.
#ifndef NPU_GLUE_DISTRIBUTED_ON_STREAM_H_
#define NPU_GLUE_DISTRIBUTED_ON_STREAM_H_

#include "runtime/device.h"

namespace npu::hccl {

class OnStream {
 public:
  OnStream(c10::DeviceIndex device, int64_t stream)
      : scope_(device), device_(device), before_(npu_current_stream(device)) {
    npu_set_current_stream(device, stream);
  }
  ~OnStream() { npu_set_current_stream(device_, before_); }
  OnStream(const OnStream&) = delete;
  OnStream& operator=(const OnStream&) = delete;

 private:
  const DeviceScope scope_;
  const c10::DeviceIndex device_;
  const int64_t before_;
};

}  // namespace npu::hccl

#endif  // NPU_GLUE_DISTRIBUTED_ON_STREAM_H_
