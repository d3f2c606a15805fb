// Faults on demand: what goes wrong when, so that a program can be tested against it.
#ifndef CANN_SIMULATOR_FAULTS_H_
#define CANN_SIMULATOR_FAULTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "status.h"

namespace cann_simulator {

// CANN_SIMULATOR_FAULT, a list with commas; counts are of the process and begin at 1:
//   oom@N     the Nth allocation of device memory fails; oom@N+: and all after it
//   device@N  the Nth kernel fails, and its device with it until it is reset
//   hang@N    the Nth kernel never ends
//   copy=SIZE copies move SIZE bytes a second, such as 100M
struct FaultPlan {
  std::vector<std::uint64_t> failing_allocations;
  std::uint64_t failing_allocations_from = 0;  // 0: none
  std::vector<std::uint64_t> failing_kernels;
  std::vector<std::uint64_t> hanging_kernels;
  std::uint64_t copy_bytes_per_second = 0;  // 0: as fast as they are
};

enum class KernelFault { kNone, kFails, kHangs };

class Faults {
 public:
  static Faults& instance();

  // Replaces what goes wrong. Counts begin anew, failed devices work again, and kernels that hang go on.
  void plan(const FaultPlan& plan);

  // Counts an allocation, or a kernel; what happens to it.
  Status next_allocation();
  KernelFault next_kernel();
  // Which plan this is: a kernel hangs until there is another one.
  std::uint64_t plans() const { return plans_.load(std::memory_order_acquire); }
  // How long a copy has to take, in milliseconds.
  std::int32_t copy_milliseconds(std::size_t size) const;

  // A device that failed refuses everything until it is reset.
  Status fail_device(int device, const char* kernel);
  Status device_failure(int device) const;
  void device_reset(int device);

 private:
  static constexpr int kMostDevices = 64;

  // What is asked without the lock, since it is asked for every allocation, kernel and copy.
  std::atomic<bool> allocations_fail_{false};
  std::atomic<bool> kernels_fail_{false};
  std::atomic<std::uint64_t> copy_bytes_per_second_{0};
  std::atomic<std::uint64_t> plans_{0};
  std::array<std::atomic<bool>, kMostDevices> failed_{};
  mutable std::mutex mutex_;
  FaultPlan plan_;
  std::uint64_t allocations_ = 0;
  std::uint64_t kernels_ = 0;
  std::array<std::string, kMostDevices> reasons_;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_FAULTS_H_
