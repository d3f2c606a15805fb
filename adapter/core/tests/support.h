// What the tests of the core share: cases and checks without a framework, and a stream that is busy
// for exactly as long as a test wants it to be.
#ifndef NPU_CORE_TESTS_SUPPORT_H_
#define NPU_CORE_TESTS_SUPPORT_H_

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cann/acl.h"
#include "npu_core.h"

inline std::map<std::string, void (*)()>& TestCases() {
  static std::map<std::string, void (*)()> cases;
  return cases;
}

// TEST_CASE(name) { ... }: run as `<executable> name`. CMake finds the cases by this macro at the start of a
// line.
#define TEST_CASE(name)                                                           \
  static void name();                                                             \
  static const bool registered_##name = TestCases().emplace(#name, &name).second; \
  static void name()

// Ends the process: a case is a process, and what follows a failed check has no meaning.
#define CHECK(condition)                                                                                  \
  do {                                                                                                    \
    if (!(condition)) {                                                                                   \
      std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n  last error: %s\n", __FILE__, __LINE__, #condition, \
                   npu_last_error());                                                                     \
      std::fflush(stderr);                                                                                \
      std::_Exit(1);                                                                                      \
    }                                                                                                     \
  } while (false)

#define CHECK_EQUAL(left, right)                                                                           \
  do {                                                                                                     \
    const auto left_ = static_cast<long long>(left);                                                       \
    const auto right_ = static_cast<long long>(right);                                                     \
    if (left_ != right_) {                                                                                 \
      std::fprintf(stderr, "%s:%d: %s is %lld, %s is %lld\n  last error: %s\n", __FILE__, __LINE__, #left, \
                   left_, #right, right_, npu_last_error());                                               \
      std::fflush(stderr);                                                                                 \
      std::_Exit(1);                                                                                       \
    }                                                                                                      \
  } while (false)

#define CHECK_OK(call) CHECK_EQUAL(call, NPU_OK)

#define CHECK_MESSAGE(part) CHECK(std::strstr(npu_last_error(), part) != nullptr)

// Calls a function of CANN by its name, as the code above the core does.
template <typename Function, typename... Arguments>
int CallCann(Function*, const char* name, Arguments... arguments) {
  auto* function = reinterpret_cast<Function*>(npu_find_symbol(name));
  CHECK(function != nullptr);
  return function(arguments...);
}
#define CANN(function, ...) CallCann(&::function, #function, __VA_ARGS__)

// Keeps a stream busy until it is opened.
class Gate {
 public:
  Gate(int32_t device, int64_t stream) {
    void* handle = nullptr;
    CHECK_OK(npu_set_device(device));
    CHECK_OK(npu_stream_handle(device, stream, &handle));
    auto* launch = reinterpret_cast<decltype(&aclrtLaunchHostFunc)>(npu_find_symbol("aclrtLaunchHostFunc"));
    CHECK(launch != nullptr);
    CHECK_EQUAL(launch(handle, &Gate::Wait, this), ACL_SUCCESS);
  }
  ~Gate() { Open(); }

  void Open() {
    std::unique_lock<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return passed_; });
  }

 private:
  static void Wait(void* self) {
    Gate* gate = static_cast<Gate*>(self);
    std::unique_lock<std::mutex> lock(gate->mutex_);
    gate->changed_.wait(lock, [gate] { return gate->open_; });
    gate->passed_ = true;
    gate->changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  bool passed_ = false;
};

// A task for aclrtLaunchHostFunc: keeps its stream busy for some milliseconds.
inline void Sleep(void* milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(*static_cast<int*>(milliseconds)));
}

inline void* Malloc(size_t size, int64_t stream = 0, int32_t device = 0) {
  void* pointer = nullptr;
  CHECK_OK(npu_malloc(device, stream, size, &pointer));
  return pointer;
}

inline npu_memory_stats Stats(int32_t device = 0) {
  npu_memory_stats stats;
  CHECK_OK(npu_get_memory_stats(device, &stats));
  return stats;
}

// The bytes that a request is counted with: 32 more for operators that touch what lies behind a
// tensor, rounded up to 512.
constexpr int64_t BlockSize(int64_t size) { return (size + 32 + 511) / 512 * 512; }

constexpr size_t kMiB = size_t{1} << 20;

int main(int argc, char** argv) {
  if (argc != 2 || TestCases().count(argv[1]) == 0) {
    std::fprintf(stderr, "usage: %s <case>; the cases are:\n", argv[0]);
    for (const auto& test_case : TestCases()) std::fprintf(stderr, "  %s\n", test_case.first.c_str());
    return 2;
  }
  TestCases()[argv[1]]();
  return 0;
}

#endif  // NPU_CORE_TESTS_SUPPORT_H_
