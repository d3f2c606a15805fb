// The end of a program: what nobody can see is not waited for, what somebody can see is complete.
#include <sys/mman.h>

#include <chrono>
#include <thread>

#include "cann_simulator/runtime.h"
#include "check.h"
#include "children.h"
#include "kernels.h"

namespace {

// Shared with the children, which tell by it what ran.
struct Seen {
  std::atomic<int> kernels{0};
  std::atomic<int> functions{0};
  std::uint64_t copied = 0;
};
Seen* seen = nullptr;

aclError slow_kernel(void*, char*, size_t) {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  ++seen->kernels;
  return ACL_SUCCESS;
}

void launch_slow(aclrtStream stream) {
  CHECK_OK(cann_simulator_launch(stream, "slow", slow_kernel, nullptr, [](void*) {}));
}

struct Device {
  Device() {
    CHECK_OK(aclInit(nullptr));
    CHECK_OK(aclrtSetDevice(0));
    CHECK_OK(aclrtCreateStream(&stream));
    CHECK_OK(aclrtCreateStream(&other));
    CHECK_OK(aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC));
    CHECK_OK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_NORMAL_ONLY));
  }
  aclrtStream stream = nullptr;
  aclrtStream other = nullptr;
  aclrtEvent event = nullptr;
  void* memory = nullptr;
};

TEST_CASE(work_that_nobody_will_see_is_not_waited_for) {
  std::string output;
  seen->kernels = 0;
  with(
      "CANN_SIMULATOR_DRAIN", "0",
      [] {
        Device device;
        for (int kernel = 0; kernel < 500; ++kernel) launch_slow(device.stream);
      },
      0, &output);
  CHECK(seen->kernels < 100);
  CHECK(output.find("tasks whose results nobody can see") != std::string::npos);
}

TEST_CASE(a_copy_to_the_host_is_complete_with_all_that_it_needs) {
  seen->kernels = 0;
  seen->copied = 0;
  with("CANN_SIMULATOR_DRAIN", "0", [] {
    Device device;
    // On another stream, behind an event: the copy needs it.
    for (int kernel = 0; kernel < 3; ++kernel) launch_slow(device.other);
    CHECK_OK(aclrtMemsetAsync(device.memory, 64, 0x11, 64, device.other));
    CHECK_OK(aclrtRecordEvent(device.event, device.other));
    for (int kernel = 0; kernel < 300; ++kernel) launch_slow(device.other);
    CHECK_OK(aclrtStreamWaitEvent(device.stream, device.event));
    launch_slow(device.stream);
    CHECK_OK(aclrtMemcpyAsync(&seen->copied, 8, device.memory, 8, ACL_MEMCPY_DEVICE_TO_HOST, device.stream));
    for (int kernel = 0; kernel < 300; ++kernel) launch_slow(device.stream);
  });
  CHECK(seen->copied == 0x1111111111111111);
  CHECK(seen->kernels >= 4 && seen->kernels < 100);
}

TEST_CASE(functions_of_the_host_run) {
  seen->functions = 0;
  with("CANN_SIMULATOR_DRAIN", "0", [] {
    Device device;
    launch_slow(device.stream);
    CHECK_OK(aclrtLaunchHostFunc(device.stream, [](void*) { ++seen->functions; }, nullptr));
    for (int kernel = 0; kernel < 300; ++kernel) launch_slow(device.stream);
  });
  CHECK(seen->functions == 1);
}

TEST_CASE(what_is_done_in_time_runs_whole) {
  std::string output;
  seen->kernels = 0;
  with(
      "CANN_SIMULATOR_DRAIN", "60",
      [] {
        Device device;
        for (int kernel = 0; kernel < 5; ++kernel) launch_slow(device.stream);
      },
      0, &output);
  CHECK(seen->kernels == 5);
  CHECK(output.empty());
}

TEST_CASE(a_kernel_that_hangs_ends_with_the_program) {
  setenv("CANN_SIMULATOR_FAULT", "hang@1", 1);
  with("CANN_SIMULATOR_DRAIN", "0", [] {
    Device device;
    CHECK_OK(launch(device.stream, "hangs"));
  });
  unsetenv("CANN_SIMULATOR_FAULT");
}

TEST_CASE(a_result_that_is_asked_for_too_late_is_refused) {
  with("CANN_SIMULATOR_DRAIN", "0", [] {
    static Device device;
    // Runs before the end of the simulator, after its time is over.
    CHECK(std::atexit([] {
            for (int kernel = 0; kernel < 300; ++kernel) launch_slow(device.stream);
            cann_simulator_begin_ending();
            CHECK_OK(aclrtSynchronizeStream(device.stream));
            std::uint64_t number = 0;
            CHECK_FAILS(aclrtMemcpy(&number, 8, device.memory, 8, ACL_MEMCPY_DEVICE_TO_HOST),
                        ACL_ERROR_RT_STREAM_ABORT, "skipped");
            CHECK_FAILS(
                aclrtMemcpyAsync(&number, 8, device.memory, 8, ACL_MEMCPY_DEVICE_TO_HOST, device.stream),
                ACL_ERROR_RT_STREAM_ABORT, "skipped");
          }) == 0);
  });
}

}  // namespace

int main(int argc, char** argv) {
  seen = new (mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Seen;
  return test::run(argc, argv);
}
