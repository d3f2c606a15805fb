// Faults that were asked for come when they were, and look as those of a device.
#include <cstring>

#include "check.h"
#include "children.h"
#include "kernels.h"

namespace {

void begin() {
  CHECK_OK(aclInit(nullptr));
  CHECK_OK(aclrtSetDevice(0));
}

aclrtStream make_stream() {
  aclrtStream stream = nullptr;
  CHECK_OK(aclrtCreateStream(&stream));
  return stream;
}

TEST_CASE(the_nth_allocation_fails_and_only_it) {
  with("CANN_SIMULATOR_FAULT", "oom@2,oom@4", [] {
    begin();
    void* pointer = nullptr;
    for (const bool fails : {false, true, false, true, false}) {
      const aclError code = aclrtMalloc(&pointer, 512, ACL_MEM_MALLOC_HUGE_FIRST);
      CHECK(code == (fails ? ACL_ERROR_RT_MEMORY_ALLOCATION : ACL_SUCCESS));
      CHECK((pointer == nullptr) == fails);
    }
  });
}

TEST_CASE(all_allocations_fail_from_the_nth_on) {
  with("CANN_SIMULATOR_FAULT", "oom@3+", [] {
    begin();
    void* pointer = nullptr;
    for (const bool fails : {false, false, true, true, true}) {
      const aclError code = aclrtMalloc(&pointer, 512, ACL_MEM_MALLOC_HUGE_FIRST);
      CHECK(code == (fails ? ACL_ERROR_RT_MEMORY_ALLOCATION : ACL_SUCCESS));
    }
  });
}

TEST_CASE(a_device_fails_and_stays_failed_until_it_is_reset) {
  with("CANN_SIMULATOR_FAULT", "device@2", [] {
    begin();
    void* pointer = nullptr;
    CHECK_OK(aclrtMalloc(&pointer, 512, ACL_MEM_MALLOC_HUGE_FIRST));
    aclrtStream stream = make_stream();
    CHECK_OK(launch(stream, "aclnnAdd"));
    CHECK_OK(launch(stream, "aclnnMul"));
    (void)launch(stream, "aclnnSub");  // queued, or refused: the device may have failed by now
    CHECK_FAILS(aclrtSynchronizeStream(stream), ACL_ERROR_RT_AICORE_EXCEPTION, "aclnnMul");
    CHECK(kernels_run == 1);
    CHECK_FAILS(launch(stream, "aclnnSub"), ACL_ERROR_RT_AICORE_EXCEPTION, "until it is reset");
    char host = 0;
    CHECK_EQUAL(aclrtMemcpy(&host, 1, pointer, 1, ACL_MEMCPY_DEVICE_TO_HOST), ACL_ERROR_RT_AICORE_EXCEPTION);
    CHECK_EQUAL(aclrtMalloc(&pointer, 512, ACL_MEM_MALLOC_HUGE_FIRST), ACL_ERROR_RT_AICORE_EXCEPTION);
    CHECK_EQUAL(aclrtSynchronizeDevice(), ACL_ERROR_RT_AICORE_EXCEPTION);
    // The other device is well.
    CHECK_OK(aclrtSetDevice(1));
    CHECK_OK(launch(nullptr, "aclnnAdd"));
    CHECK_OK(aclrtSynchronizeDevice());
    CHECK_OK(aclrtResetDevice(0));
    CHECK_OK(aclrtSetDevice(0));
    CHECK_OK(launch(nullptr, "aclnnAdd"));
    CHECK_OK(aclrtSynchronizeDevice());
    CHECK(kernels_run == 3);
  });
}

TEST_CASE(a_stream_hangs_and_the_program_can_still_end) {
  with("CANN_SIMULATOR_FAULT", "hang@1", [] {
    begin();
    aclrtStream hung = make_stream();
    aclrtStream other = make_stream();
    CHECK_OK(launch(hung, "aclnnMm"));
    CHECK_OK(launch(other, "aclnnAdd"));
    CHECK_OK(aclrtSynchronizeStream(other));
    CHECK_FAILS(aclrtSynchronizeStreamWithTimeout(hung, 20), ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "1 tasks");
    CHECK_EQUAL(aclrtSynchronizeDeviceWithTimeout(20), ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
    CHECK_OK(aclrtDestroyStreamForce(hung));
    CHECK_OK(aclrtSynchronizeDevice());
    CHECK_OK(launch(other, "aclnnAdd"));
    CHECK_OK(aclrtSynchronizeStream(other));
    CHECK(kernels_run == 2);
  });
  with("CANN_SIMULATOR_FAULT", "hang@1", [] {
    begin();
    CHECK_OK(launch(nullptr, "aclnnMm"));  // and the process ends
  });
}

TEST_CASE(slow_copies_take_their_time_in_the_stream) {
  with("CANN_SIMULATOR_FAULT", "copy=100", [] {
    begin();
    static char host[200] = {7};
    void* device = nullptr;
    CHECK_OK(aclrtMalloc(&device, sizeof host, ACL_MEM_MALLOC_HUGE_FIRST));
    CHECK_OK(aclrtMemcpyAsync(device, sizeof host, host, 200, ACL_MEMCPY_HOST_TO_DEVICE, nullptr));  // 2 s
    CHECK_EQUAL(aclrtSynchronizeStreamWithTimeout(nullptr, 1), ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
  });
}

}  // namespace

int main(int argc, char** argv) { return test::run(argc, argv); }
