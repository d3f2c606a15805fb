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

void Faults::plan(const FaultPlan& plan) {
  const std::lock_guard<std::mutex> lock(mutex_);
  plan_ = plan;
  allocations_ = kernels_ = 0;
  for (std::atomic<bool>& failed : failed_) failed = false;
  allocations_fail_ = !plan.failing_allocations.empty() || plan.failing_allocations_from > 0;
  kernels_fail_ = !plan.failing_kernels.empty() || !plan.hanging_kernels.empty();
  copy_bytes_per_second_ = plan.copy_bytes_per_second;
  ++plans_;
}

Status Faults::next_allocation() {
  if (!allocations_fail_.load(std::memory_order_relaxed)) return {};
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::uint64_t number = ++allocations_;
  const bool all = plan_.failing_allocations_from > 0 && number >= plan_.failing_allocations_from;
  if (!all && !contains(plan_.failing_allocations, number)) return {};
  return failure(ACL_ERROR_RT_MEMORY_ALLOCATION,
                 "out of memory, as asked for: allocation %" PRIu64 " of CANN_SIMULATOR_FAULT", number);
}

KernelFault Faults::next_kernel() {
  if (!kernels_fail_.load(std::memory_order_relaxed)) return KernelFault::kNone;
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::uint64_t number = ++kernels_;
  if (contains(plan_.failing_kernels, number)) return KernelFault::kFails;
  return contains(plan_.hanging_kernels, number) ? KernelFault::kHangs : KernelFault::kNone;
}

std::int32_t Faults::copy_milliseconds(std::size_t size) const {
  const std::uint64_t speed = copy_bytes_per_second_.load(std::memory_order_relaxed);
  if (speed == 0) return 0;
  const double milliseconds = 1000.0 * static_cast<double>(size) / static_cast<double>(speed);
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
