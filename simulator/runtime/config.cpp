#include "config.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
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

// A number, or one with K, M, G or T after it for powers of 1024; false when it is none or beyond `largest`.
bool parse_size(const char* text, std::uint64_t largest, std::uint64_t* size) {
  const char* rest = nullptr;
  if (!parse_digits(text, size, &rest)) return false;
  if (*rest != '\0') {
    const std::string units = "KMGT";
    const std::size_t power = units.find(static_cast<char>(*rest & ~0x20));
    if (power == std::string::npos || rest[1] != '\0') return false;
    // The bound on the number keeps the shift inside 64 bits.
    if (*size > (largest >> (10 * (power + 1)))) return false;
    *size <<= 10 * (power + 1);
  }
  return *size <= largest;
}

Status read_memory(std::size_t* bytes) {
  const char* text = variable("CANN_SIMULATOR_MEMORY");
  if (text == nullptr) return {};
  std::uint64_t number = 0;
  if (!parse_size(text, kLargestMemory, &number) || number < kSmallestMemory) {
    return failure(ACL_ERROR_INVALID_PARAM,
                   "CANN_SIMULATOR_MEMORY is '%s'; it must be a size from 1M to 1T, such as 512M or 2G",
                   text);
  }
  *bytes = number;
  return {};
}

// One item of CANN_SIMULATOR_FAULT; false when it is none.
bool parse_fault(const std::string& item, FaultPlan* plan) {
  const std::size_t mark = item.find_first_of("@=");
  if (mark == std::string::npos) return false;
  // From pointers: substr() needs a newer libstdc++ than manylinux2014 has.
  const std::string name(item.data(), item.data() + mark + 1);
  const char* const value = item.c_str() + mark + 1;
  if (name == "copy=") {
    return parse_size(value, kLargestMemory, &plan->copy_bytes_per_second) && plan->copy_bytes_per_second > 0;
  }
  std::uint64_t number = 0;
  const char* rest = nullptr;
  if (!parse_digits(value, &number, &rest) || number == 0) return false;
  if (name == "oom@" && std::strcmp(rest, "+") == 0) {
    std::uint64_t& from = plan->failing_allocations_from;
    from = from == 0 ? number : std::min(from, number);
    return true;
  }
  if (*rest != '\0') return false;
  std::vector<std::uint64_t>* numbers = name == "oom@"      ? &plan->failing_allocations
                                        : name == "device@" ? &plan->failing_kernels
                                        : name == "hang@"   ? &plan->hanging_kernels
                                                            : nullptr;
  if (numbers != nullptr) numbers->push_back(number);
  return numbers != nullptr;
}

Status read_refusals(RefusalMode* mode) {
  const char* text = variable("CANN_SIMULATOR_REFUSALS");
  if (text == nullptr) return {};
  const std::string word = text;
  if (word == "report" || word == "ignore") {
    *mode = word == "ignore" ? RefusalMode::kIgnore : RefusalMode::kReport;
    return {};
  }
  return failure(ACL_ERROR_INVALID_PARAM, "CANN_SIMULATOR_REFUSALS is '%s'; it must be report or ignore",
                 text);
}

Status read_drain(int* seconds) {
  constexpr std::uint64_t kMost = 24 * 60 * 60;
  const char* text = variable("CANN_SIMULATOR_DRAIN");
  if (text == nullptr) return {};
  std::uint64_t number = 0;
  const char* rest = nullptr;
  if (!parse_digits(text, &number, &rest) || *rest != '\0' || number > kMost) {
    return failure(ACL_ERROR_INVALID_PARAM, "CANN_SIMULATOR_DRAIN is '%s'; it must be seconds, 0 to 86400",
                   text);
  }
  *seconds = static_cast<int>(number);
  return {};
}

}  // namespace

Status parse_faults(const char* text, FaultPlan* plan) {
  const std::string list = text;
  FaultPlan parsed;
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string item(list.data() + begin, list.data() + end);
    if (!parse_fault(item, &parsed) || end + 1 == list.size()) {
      return failure(
          ACL_ERROR_INVALID_PARAM,
          "CANN_SIMULATOR_FAULT has '%s'; it must be a list, with commas, of oom@N, oom@N+, device@N, hang@N "
          "and copy=SIZE, such as oom@3,copy=100M",
          end + 1 == list.size() ? "" : item.c_str());
    }
    begin = end + 1;
  }
  *plan = parsed;
  return {};
}

Status parse_check(const char* text, CheckMode* mode) {
  const std::string word = text;
  if (!word.empty() && word != "report" && word != "error") {
    return failure(ACL_ERROR_INVALID_PARAM, "CANN_SIMULATOR_CHECK is '%s'; it must be report or error", text);
  }
  *mode = word.empty() ? CheckMode::kOff : word == "error" ? CheckMode::kError : CheckMode::kReport;
  return {};
}

std::vector<int> read_visible_devices(int physical_devices) {
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

Status read_config(Config* config) {
  if (Status status = read_device_count(&config->physical_devices); !status.ok()) return status;
  if (Status status = read_memory(&config->memory); !status.ok()) return status;
  const char* const faults = std::getenv("CANN_SIMULATOR_FAULT");
  if (Status status = parse_faults(faults ? faults : "", &config->faults); !status.ok()) return status;
  const char* const check = std::getenv("CANN_SIMULATOR_CHECK");
  if (Status status = parse_check(check ? check : "", &config->check); !status.ok()) return status;
  if (Status status = read_refusals(&config->refusals); !status.ok()) return status;
  if (Status status = read_drain(&config->drain_seconds); !status.ok()) return status;
  if (const char* soc = variable("CANN_SIMULATOR_SOC")) config->soc = soc;
  if (const char* cann = variable("CANN_SIMULATOR_CANN")) config->cann = cann;
  return {};
}

}  // namespace cann_simulator
