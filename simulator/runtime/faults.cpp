#include "faults.h"

#include <algorithm>
#include <cinttypes>

namespace cann_simulator {
namespace {

bool contains(const std::vector<std::uint64_t>& numbers, std::uint64_t number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

}  // namespace

Faults& Faults::instance() {
  static Faults* const faults = new Faults;
  return *faults;
}

Status Faults::next_allocation() {
  if (plan_.failing_allocations.empty()) return {};
  const std::uint64_t number = ++allocations_;
  if (!contains(plan_.failing_allocations, number)) return {};
  return failure(ACL_ERROR_RT_MEMORY_ALLOCATION,
                 "out of memory, as asked for: allocation %" PRIu64 " of CANN_SIMULATOR_FAULT", number);
}

KernelFault Faults::next_kernel() {
  if (plan_.failing_kernels.empty() && plan_.hanging_kernels.empty()) return KernelFault::kNone;
  const std::uint64_t number = ++kernels_;
  if (contains(plan_.failing_kernels, number)) return KernelFault::kFails;
  return contains(plan_.hanging_kernels, number) ? KernelFault::kHangs : KernelFault::kNone;
}

std::int32_t Faults::copy_milliseconds(std::size_t size) const {
  if (plan_.copy_bytes_per_second == 0) return 0;
  const double milliseconds =
      1000.0 * static_cast<double>(size) / static_cast<double>(plan_.copy_bytes_per_second);
  return static_cast<std::int32_t>(std::min(milliseconds, 1e9));
}

Status Faults::fail_device(int device, const char* kernel) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto index = static_cast<std::size_t>(device);
  reasons_[index] = "device " + std::to_string(device) + " failed in " + kernel +
                    ", as CANN_SIMULATOR_FAULT asked for; it does nothing more until it is reset";
  failed_[index] = true;
  return {ACL_ERROR_RT_AICORE_EXCEPTION, reasons_[index]};
}

Status Faults::device_failure(int device) const {
  const auto index = static_cast<std::size_t>(device);
  if (!failed_[index].load(std::memory_order_acquire)) return {};
  const std::lock_guard<std::mutex> lock(mutex_);
  return {ACL_ERROR_RT_AICORE_EXCEPTION, reasons_[index]};
}

void Faults::device_reset(int device) { failed_[static_cast<std::size_t>(device)] = false; }

}  // namespace cann_simulator
