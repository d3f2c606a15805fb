// The device guard: current device, streams and events behind PyTorch's device-generic interface.
#include "compat.h"
#include "runtime/device.h"

namespace npu {
namespace {

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kType; }

  c10::Device exchangeDevice(c10::Device device) const override {
    const c10::Device before = getDevice();
    if (device.index() != before.index()) setDevice(device);
    return before;
  }
  c10::Device getDevice() const override { return {kType, current_device()}; }
  void setDevice(c10::Device device) const override { check(npu_set_device(device.index())); }
  void uncheckedSetDevice(c10::Device device) const noexcept override { npu_set_device(device.index()); }
  c10::DeviceIndex deviceCount() const noexcept override {
    int32_t count = 0;
    npu_device_count(&count);  // a missing CANN counts as no devices
    return static_cast<c10::DeviceIndex>(count);
  }

  // Stream ids are the core's: 0 the default stream, then the pools.
  c10::Stream getStream(c10::Device device) const NPU_GUARD_NOEXCEPT override {
    const c10::DeviceIndex index = index_of(device);
    return stream_of(index, npu_current_stream(index));
  }
  c10::Stream getDefaultStream(c10::Device device) const override { return stream_of(index_of(device), 0); }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool high_priority) const override {
    int64_t id = 0;
    check(npu_stream_from_pool(index_of(device), high_priority, &id));
    return stream_of(index_of(device), id);
  }
  c10::Stream exchangeStream(c10::Stream stream) const NPU_GUARD_NOEXCEPT override {
    const c10::Stream before = getStream(stream.device());
    npu_set_current_stream(stream.device_index(), stream.id());
    return before;
  }
  bool queryStream(const c10::Stream& stream) const override {
    int32_t done = 0;
    check(npu_stream_query(stream.device_index(), stream.id(), &done));
    return done != 0;
  }
  void synchronizeStream(const c10::Stream& stream) const override {
    check(npu_stream_synchronize(stream.device_index(), stream.id()));
  }
  void recordDataPtrOnStream(const c10::DataPtr& data, const c10::Stream& stream) const override {
    if (data.get() != nullptr) check(npu_record_stream(data.get(), stream.id()));
  }

  // An event comes into being on the device of the stream that first records it.
  void record(void** event, const c10::Stream& stream, const c10::DeviceIndex device,
              const c10::EventFlag flag) const override {
    TORCH_CHECK(device == -1 || device == stream.device_index(), "event of npu:", device,
                " cannot be recorded on a stream of npu:", stream.device_index());
    if (*event == nullptr) {
      npu_event* created = nullptr;
      check(npu_event_create(stream.device_index(), flag == c10::EventFlag::BACKEND_DEFAULT, &created));
      *event = created;
    }
    check(npu_event_record(static_cast<npu_event*>(*event), stream.id()));
  }
  void block(void* event, const c10::Stream& stream) const override {
    if (event == nullptr) return;  // never recorded: nothing to wait for
    check(npu_event_block(static_cast<npu_event*>(event), stream.device_index(), stream.id()));
  }
  bool queryEvent(void* event) const override {
    if (event == nullptr) return true;
    int32_t done = 0;
    check(npu_event_query(static_cast<npu_event*>(event), &done));
    return done != 0;
  }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override {
    if (event != nullptr) npu_event_destroy(static_cast<npu_event*>(event));
  }

#if NPU_GUARD_HAS_TIMING
  c10::Stream getNewStream(c10::Device device, int priority) const override {
    return getStreamFromGlobalPool(device, priority < 0);
  }
  void synchronizeEvent(void* event) const override {
    if (event != nullptr) check(npu_event_synchronize(static_cast<npu_event*>(event)));
  }
  double elapsedTime(void* start, void* end, const c10::DeviceIndex) const override {
    TORCH_CHECK(start != nullptr && end != nullptr,
                "both events must be recorded before their time is taken");
    double milliseconds = 0;
    check(npu_event_elapsed_ms(static_cast<npu_event*>(start), static_cast<npu_event*>(end), &milliseconds));
    return milliseconds;
  }
#endif
#if NPU_GUARD_SYNCHRONIZES
  void synchronizeDevice(const c10::DeviceIndex device) const override {
    check(npu_synchronize_device(device));
  }
#endif
#if NPU_GUARD_HAS_HANDLE
  void* getStreamNativeHandle(const c10::Stream stream) const override {
    void* handle = nullptr;
    check(npu_stream_handle(stream.device_index(), stream.id(), &handle));
    return handle;
  }
#endif

 private:
  static c10::Stream stream_of(c10::DeviceIndex device, int64_t id) {
    return c10::Stream(c10::Stream::UNSAFE, {kType, device}, id);
  }
};

C10_REGISTER_GUARD_IMPL(NPU_KEY, Guard)

}  // namespace
}  // namespace npu
