// Streams of an NPU: which is current, and CANN's handle of it.
#pragma once

#include <c10/core/DeviceGuard.h>
#include <c10/core/Stream.h>

#include <functional>

#include "torch_npu/csrc/core/npu/NPUMacros.h"

namespace c10_npu {

// A stream by its device and id; nothing is created before its handle is asked for. Throws c10::Error where
// CANN refuses, and for a stream of another kind of device.
class C10_NPU_API NPUStream {
 public:
  enum Unchecked { UNCHECKED };

  explicit NPUStream(c10::Stream stream);
  explicit NPUStream(Unchecked, c10::Stream stream) : stream_(stream) {}
  // Written out because it decides how functions give a stream back: in memory, as extensions of the
  // published package expect it, and not in registers.
  ~NPUStream() {}
  NPUStream(const NPUStream&) = default;
  NPUStream& operator=(const NPUStream&) = default;

  bool operator==(const NPUStream& other) const noexcept { return stream_ == other.stream_; }
  bool operator!=(const NPUStream& other) const noexcept { return stream_ != other.stream_; }
  operator aclrtStream() const { return stream(); }
  operator c10::Stream() const { return stream_; }

  c10::DeviceType device_type() const { return c10::DeviceType::PrivateUse1; }
  c10::DeviceIndex device_index() const { return stream_.device_index(); }
  c10::Device device() const { return stream_.device(); }
  c10::StreamId id() const { return stream_.id(); }
  c10::Stream unwrap() const { return stream_; }

  // CANN's handle. This adapter queues nothing before CANN, so both forms give it at once.
  aclrtStream stream() const;
  aclrtStream stream(bool need_empty) const;

  bool query() const;
  void synchronize() const;
  void validate() const;
  bool isSyncLaunchStream() const;

 private:
  c10::Stream stream_;
};

// -1 is the current device. A stream from the pool may be one that others use, too.
C10_NPU_API NPUStream getCurrentNPUStream(c10::DeviceIndex device_index = -1);
C10_NPU_API NPUStream getDefaultNPUStream(c10::DeviceIndex device_index = -1);
C10_NPU_API NPUStream getNPUStreamFromPool(c10::DeviceIndex device = -1);
C10_NPU_API NPUStream getStreamFromPool(bool is_high_priority, c10::DeviceIndex device_index);
C10_NPU_API void setCurrentNPUStream(NPUStream stream);  // for the calling thread
C10_NPU_API bool npuSynchronizeDevice(bool check_error = true);

}  // namespace c10_npu

namespace std {
template <>
struct hash<c10_npu::NPUStream> {
  size_t operator()(c10_npu::NPUStream stream) const noexcept {
    return std::hash<c10::Stream>{}(stream.unwrap());
  }
};
}  // namespace std
