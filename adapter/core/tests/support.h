// What the tests of the core share beside the frame (cann/testing): CANN by name, and a stream that is busy
// for exactly as long as a test wants it to be.
#ifndef NPU_CORE_TESTS_SUPPORT_H_
#define NPU_CORE_TESTS_SUPPORT_H_

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "cann/acl.h"
#include "npu_core.h"

#define TEST_LAST_MESSAGE() npu_last_error()
#include "testing/cases.h"
#include "testing/gate.h"

// Calls a function of CANN by its name, as the code above the core does. The declaration gives its type
// alone: no test is linked to CANN.
template <typename Function, typename... Arguments>
int call_cann(const char* name, Arguments... arguments) {
  auto function = reinterpret_cast<Function>(npu_find_symbol(name));
  CHECK(function != nullptr);
  return function(arguments...);
}
#define CANN(function, ...) call_cann<decltype(&::function)>(#function, __VA_ARGS__)

// Keeps a stream busy until it is opened.
class Gate {
 public:
  Gate(int32_t device, int64_t stream) {
    void* handle = nullptr;
    CHECK_OK(npu_set_device(device));
    CHECK_OK(npu_stream_handle(device, stream, &handle));
    CHECK_OK(CANN(aclrtLaunchHostFunc, handle, &test::Gate::wait, &gate_));
  }
  ~Gate() { open(); }

  // Returns when the stream has left the gate.
  void open() {
    gate_.open();
    gate_.await_passage();
  }

 private:
  test::Gate gate_;
};

// A task for aclrtLaunchHostFunc: keeps its stream busy for some milliseconds.
inline void sleep_in_stream(void* milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(*static_cast<int*>(milliseconds)));
}

inline void* device_malloc(size_t size, int64_t stream = 0, int32_t device = 0) {
  void* pointer = nullptr;
  CHECK_OK(npu_malloc(device, stream, size, &pointer));
  return pointer;
}

inline npu_memory_stats memory_stats(int32_t device = 0) {
  npu_memory_stats stats;
  CHECK_OK(npu_get_memory_stats(device, &stats));
  return stats;
}

// The bytes that a request is counted with: 32 more for operators that touch what lies behind a
// tensor, rounded up to 512.
constexpr int64_t block_size(int64_t size) { return (size + 32 + 511) / 512 * 512; }

constexpr size_t kMiB = size_t{1} << 20;

int main(int argc, char** argv) { return test::run(argc, argv); }

#endif  // NPU_CORE_TESTS_SUPPORT_H_
