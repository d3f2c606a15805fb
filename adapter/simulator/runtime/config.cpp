#include "config.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>

namespace cann_simulator {
namespace {

constexpr std::size_t kSmallestMemory = std::size_t{1} << 20;
constexpr std::size_t kLargestMemory = std::size_t{1} << 40;

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

// Digits only (no sign, no blank); *rest is what follows them. False when there are none or too many.
bool parse_digits(const char* text, std::uint64_t* number, const char** rest) {
  const char* digit = text;
  std::uint64_t value = 0;
  for (; *digit >= '0' && *digit <= '9'; ++digit) {
    if (value > std::numeric_limits<std::uint64_t>::max() / 10 - 1) return false;
    value = value * 10 + static_cast<std::uint64_t>(*digit - '0');
  }
  *number = value;
  *rest = digit;
  return digit != text;
}

Status read_device_count(int* count) {
  const char* text = variable("CANN_SIMULATOR_DEVICES");
  if (text == nullptr) return {};
  std::uint64_t number = 0;
  const char* rest = nullptr;
  if (!parse_digits(text, &number, &rest) || *rest != '\0' || number < 1 || number > 64) {
    return failure(ACL_ERROR_INVALID_PARAM,
                   "CANN_SIMULATOR_DEVICES is '%s'; it must be a number from 1 to 64", text);
  }
  *count = static_cast<int>(number);
  return {};
}

Status read_memory(std::size_t* bytes) {
  const char* text = variable("CANN_SIMULATOR_MEMORY");
  if (text == nullptr) return {};
  std::uint64_t number = 0;
  const char* rest = nullptr;
  bool understood = parse_digits(text, &number, &rest);
  if (understood && *rest != '\0') {
    const std::string units = "KMGT";
    const std::size_t power = units.find(static_cast<char>(*rest & ~0x20));
    // The bound on the number keeps the shift inside 64 bits for every size that could pass below.
    understood =
        power != std::string::npos && rest[1] == '\0' && number <= (kLargestMemory >> (10 * (power + 1)));
    if (understood) number <<= 10 * (power + 1);
  }
  if (!understood || number < kSmallestMemory || number > kLargestMemory) {
    return failure(ACL_ERROR_INVALID_PARAM,
                   "CANN_SIMULATOR_MEMORY is '%s'; it must be a size from 1M to 1T, such as 512M or 2G",
                   text);
  }
  *bytes = number;
  return {};
}

std::vector<int> visible_devices(int physical_devices) {
  std::vector<int> visible;
  const char* text = std::getenv("ASCEND_RT_VISIBLE_DEVICES");
  if (text == nullptr) {
    for (int device = 0; device < physical_devices; ++device) visible.push_back(device);
    return visible;
  }
  while (true) {
    std::uint64_t number = 0;
    const char* rest = nullptr;
    while (*text == ' ') ++text;
    if (!parse_digits(text, &number, &rest) || number >= static_cast<std::uint64_t>(physical_devices)) break;
    const int device = static_cast<int>(number);
    if (std::find(visible.begin(), visible.end(), device) != visible.end()) break;
    visible.push_back(device);
    while (*rest == ' ') ++rest;
    if (*rest != ',') break;
    text = rest + 1;
  }
  return visible;
}

}  // namespace

Status read_config(Config* config) {
  if (Status status = read_device_count(&config->physical_devices); !status.ok()) return status;
  if (Status status = read_memory(&config->memory); !status.ok()) return status;
  if (const char* soc = variable("CANN_SIMULATOR_SOC")) config->soc = soc;
  if (const char* cann = variable("CANN_SIMULATOR_CANN")) config->cann = cann;
  config->visible = visible_devices(config->physical_devices);
  return {};
}

}  // namespace cann_simulator
