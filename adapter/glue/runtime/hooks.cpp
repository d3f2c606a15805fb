// What PyTorch asks a backend through its hooks interface.
#include "compat.h"

#if NPU_HAS_HOOKS

#include "runtime/allocator.h"
#include "runtime/device.h"
#include "runtime/generator.h"

namespace npu {
namespace {

at::Device device_from_pointer(const void* pointer) {
  int32_t device = 0;
  TORCH_CHECK(npu_pointer_device(pointer, &device) != 0, "the pointer is not in memory of the npu backend");
  return {kType, static_cast<c10::DeviceIndex>(device)};
}

struct Hooks final : at::PrivateUse1HooksInterface {
  const at::Generator& getDefaultGenerator(c10::DeviceIndex device) NPU_HOOKS_CONST override {
    return default_generator(device);
  }
  at::Device getDeviceFromPtr(void* data) const override { return device_from_pointer(data); }

#if NPU_HOOKS_HAVE_CONTEXTS
  void NPU_HOOKS_INIT() const override { check(npu_init()); }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return npu_is_initialized() != 0; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return pinned_allocator(); }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    resize_storage(storage.unsafeGetStorageImpl(), bytes);
  }
#endif

#if NPU_HOOKS_HAVE_PINNED_MEMORY
  bool isPinnedPtr(const void* data) const override { return npu_host_is_pinned(data) != 0; }
#endif

#if NPU_HOOKS_HAVE_DEVICES
  c10::DeviceIndex deviceCount() const override {
    int32_t count = 0;
    npu_device_count(&count);  // a missing CANN counts as no devices
    return static_cast<c10::DeviceIndex>(count);
  }
  void setCurrentDevice(c10::DeviceIndex device) const override { check(npu_set_device(device)); }
  c10::DeviceIndex getCurrentDevice() const override { return current_device(); }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex device) const override {
    const c10::DeviceIndex before = current_device();
    if (device != before) check(npu_set_device(device));
    return before;
  }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex device) const override {
    return exchangeDevice(device);
  }
#endif

#if NPU_HOOKS_SAY_AVAILABLE
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return deviceCount() > 0; }
#endif

#if NPU_HAS_DEVICE_ALLOCATOR
  at::Generator getNewGenerator(c10::DeviceIndex device) const override { return make_generator(device); }
#endif
};

const bool kRegistered = [] {
  at::RegisterPrivateUse1HooksInterface(new Hooks);  // for the life of the process, as PyTorch's own
  return true;
}();

}  // namespace
}  // namespace npu

#endif  // NPU_HAS_HOOKS
