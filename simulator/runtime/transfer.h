// Copies and fills: their checks, what they touch, and the work itself.
#ifndef CANN_SIMULATOR_TRANSFER_H_
#define CANN_SIMULATOR_TRANSFER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cann_simulator/abi.h"
#include "status.h"

namespace cann_simulator {

// Addresses are readable ones; `touched` has those of the device.
struct Copy {
  char* to = nullptr;
  const char* from = nullptr;
  std::size_t size = 0;
  std::vector<cann_simulator_range> touched;
  const void* host = nullptr;  // where host memory takes part
  bool to_host = false;

  static constexpr const char* kName = "copy";
  static constexpr const char* kNow = "a synchronous copy, or one of host memory that is not pinned,";
  void run() const;
  std::int32_t milliseconds() const;  // that it has to take
};

struct Fill {
  char* to = nullptr;
  int value = 0;
  std::size_t size = 0;
  std::vector<cann_simulator_range> touched;
  const void* host = nullptr;
  bool to_host = false;

  static constexpr const char* kName = "memset";
  static constexpr const char* kNow = "a synchronous memset";
  void run() const;
  std::int32_t milliseconds() const { return 0; }
};

// The kind of a copy must be true of both pointers, and each range must lie inside one live allocation.
Status prepare_copy(void* dst, std::size_t dst_size, const void* src, std::size_t count, aclrtMemcpyKind kind,
                    Copy* copy);
Status prepare_fill(void* pointer, std::size_t capacity, std::int32_t value, std::size_t count, Fill* fill);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_TRANSFER_H_
