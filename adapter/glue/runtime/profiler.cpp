// Device times for torch.profiler: an event before and after each operator, on its stream.
#include "compat.h"

#if NPU_HAS_PROFILER_STUBS
#include <torch/csrc/profiler/stubs/base.h>

#include <chrono>
#include <memory>

#include "runtime/device.h"

namespace npu {
namespace {

using torch::profiler::impl::ProfilerStubs;
using torch::profiler::impl::ProfilerVoidEventStub;

// Torch changed the type of the device's index.
template <class Record>
struct IndexOf;
template <class Index>
struct IndexOf<void (ProfilerStubs::*)(Index*, ProfilerVoidEventStub*, int64_t*) const> {
  using type = Index;
};

class Events final : public ProfilerStubs {
 public:
  void record(IndexOf<decltype(&ProfilerStubs::record)>::type* device, ProfilerVoidEventStub* event,
              int64_t* host_time) const override {
    const int32_t current = npu_current_device();
    npu_event* made = nullptr;
    check(npu_event_create(current, /*timing=*/1, &made));
    *event = ProfilerVoidEventStub(
        made, [](void* pointer) { npu_event_destroy(static_cast<npu_event*>(pointer)); });
    check(npu_event_record(made, npu_current_stream(current)));
    if (device != nullptr) *device = static_cast<std::remove_pointer_t<decltype(device)>>(current);
    if (host_time == nullptr) return;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    *host_time = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  }

  // Microseconds; waits for the second event.
  float elapsed(const ProfilerVoidEventStub* first, const ProfilerVoidEventStub* second) const override {
    auto* start = static_cast<npu_event*>(first->get());
    auto* end = static_cast<npu_event*>(second->get());
    check(npu_event_synchronize(start));
    check(npu_event_synchronize(end));
    double milliseconds = 0;
    check(npu_event_elapsed_ms(start, end, &milliseconds));
    return static_cast<float>(milliseconds * 1000.0);
  }

  void onEachDevice(std::function<void(int)> act) const override {
    const c10::DeviceIndex count = device_count();
    for (c10::DeviceIndex device = 0; device < count; ++device) {
      const DeviceScope scope(device);
      act(device);
    }
  }

  void synchronize() const override { check(npu_synchronize_device(npu_current_device())); }
  bool enabled() const override { return true; }
  // Ranges are for tools of the vendor's; torch.npu.mstx has them.
  void mark(const char*) const override {}
  void rangePush(const char*) const override {}
  void rangePop() const override {}
};

struct Registered {
  Registered() {
    static Events events;
    torch::profiler::impl::registerPrivateUse1Methods(&events);
  }
} registered;

}  // namespace
}  // namespace npu
#endif
