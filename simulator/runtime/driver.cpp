// What adapters ask the driver below CANN (libascend_hal.so) before they profile: by which clock reports
// carry time.
#include <cstdint>

namespace {

constexpr std::int32_t kNotSupported = 0xFFFE;  // the driver's DRV_ERROR_NOT_SUPPORT
// The last version whose devices do not share a counter with the host: adapters then take the host's clock.
constexpr std::int32_t kVersion = 0x071904;

}  // namespace

extern "C" {

__attribute__((visibility("default"))) std::int32_t halGetAPIVersion(std::int32_t* version) {
  if (version == nullptr) return kNotSupported;
  *version = kVersion;
  return 0;
}

__attribute__((visibility("default"))) std::int32_t halGetDeviceInfo(std::uint32_t, std::int32_t,
                                                                     std::int32_t, std::int64_t*) {
  return kNotSupported;
}

}  // extern "C"
