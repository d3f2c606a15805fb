// Devices, contexts, initialization, failures on a stream, and fork.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "cann/acl_device.h"
#include "cann_simulator/runtime.h"
#include "check.h"
#include "gate.h"

namespace {

// What the streams of the parent held is nobody's in the child; LeakSanitizer, where it is on, asks this.
bool in_child_of_fork = false;

void nothing(void*) {}

aclError failing_kernel(void*, char* message, size_t capacity) {
  std::snprintf(message, capacity, "index 7 is out of bounds");
  return ACL_ERROR_RT_AICORE_EXCEPTION;
}

aclError good_kernel(void*, char*, size_t) { return ACL_SUCCESS; }

TEST_CASE(settings_of_the_process_need_no_initialization) {
  uint64_t milliseconds = 0;
  CHECK_OK(aclrtSetOpWaitTimeout(1800));
  CHECK_OK(aclrtSetOpExecuteTimeOut(60));
  CHECK_OK(aclrtSetOpExecuteTimeOutV2(60000, &milliseconds));
  CHECK(milliseconds == 60000);
  int64_t option = -1;
  CHECK_OK(aclrtSetSysParamOpt(ACL_OPT_DETERMINISTIC, 1));
  CHECK_OK(aclrtGetSysParamOpt(ACL_OPT_DETERMINISTIC, &option));
  CHECK(option == 1);
  aclrtFloatOverflowMode mode = ACL_RT_OVERFLOW_MODE_INFNAN;
  CHECK_OK(aclrtSetDeviceSatMode(ACL_RT_OVERFLOW_MODE_SATURATION));
  CHECK_OK(aclrtGetDeviceSatMode(&mode));
  CHECK(mode == ACL_RT_OVERFLOW_MODE_SATURATION);
  CHECK_OK(aclrtSetDeviceSatMode(ACL_RT_OVERFLOW_MODE_INFNAN));
}

TEST_CASE(questions_need_no_initialization) {
  uint32_t count = 0;
  CHECK_OK(aclrtGetDeviceCount(&count));
  CHECK(count == 2);
  CHECK(std::strcmp(aclrtGetSocName(), "Ascend910B1") == 0);
  aclrtRunMode run_mode = ACL_DEVICE;
  CHECK_OK(aclrtGetRunMode(&run_mode));
  int64_t cores = 0;
  CHECK_OK(aclrtGetDeviceInfo(0, ACL_DEV_ATTR_AICORE_CORE_NUM, &cores));
  int32_t active = -1;
  CHECK_OK(aclrtGetPrimaryCtxState(0, nullptr, &active));
  CHECK(active == 0);
  int32_t reachable = -1;
  CHECK_OK(aclrtDeviceCanAccessPeer(&reachable, 0, 1));
  aclrtPtrAttributes attributes;
  CHECK_OK(aclrtPointerGetAttributes(&count, &attributes));
  CHECK(attributes.location.type == ACL_MEM_LOCATION_TYPE_UNREGISTERED);
}

TEST_CASE(a_device_opens_after_initialization_only) {
  aclrtContext context = nullptr;
  CHECK_FAILS(aclrtSetDevice(0), ACL_ERROR_UNINITIALIZE, "aclInit");
  CHECK_FAILS(aclrtCreateContext(&context, 0), ACL_ERROR_UNINITIALIZE, "aclInit");
  CHECK_FAILS(aclFinalize(), ACL_ERROR_REPEAT_FINALIZE, "not initialized");
}

// What works on a device finds none, whatever else is wrong with the call.
TEST_CASE(without_initialization_there_is_no_device_to_work_on) {
  int32_t device = -1;
  size_t bytes = 0;
  int64_t option = 0;
  void* pointer = nullptr;
  char host[8] = "";
  const auto copy = ACL_MEMCPY_HOST_TO_HOST;
  for (const aclError code : {aclrtGetDevice(&device),
                              aclrtGetCurrentContext(&pointer),
                              aclrtSetCurrentContext(host),
                              aclrtSynchronizeDevice(),
                              aclrtDeviceEnablePeerAccess(1, 0),
                              aclrtMalloc(&pointer, 64, {}),
                              aclrtMallocHost(&pointer, 64),
                              aclrtFree(host),
                              aclrtFreeHost(host),
                              aclrtGetMemInfo(ACL_HBM_MEM, &bytes, &bytes),
                              aclrtMemcpy(host, 8, host, 8, copy),
                              aclrtMemcpyAsync(host, 8, host, 8, copy, nullptr),
                              aclrtMemcpy(host, 0, host, 0, copy),
                              aclrtMemset(host, 8, 0, 8),
                              aclrtCreateStream(&pointer),
                              aclrtDestroyStream(host),
                              aclrtSynchronizeStream(nullptr),
                              aclrtLaunchHostFunc(nullptr, nothing, nullptr),
                              aclrtCreateEvent(&pointer),
                              aclrtRecordEvent(host, nullptr),
                              aclrtSynchronizeEvent(host),
                              aclrtCtxGetSysParamOpt(ACL_OPT_DETERMINISTIC, &option)}) {
    CHECK(code == ACL_ERROR_RT_CONTEXT_NULL);
  }
  CHECK_FAILS(aclrtSynchronizeDevice(), ACL_ERROR_RT_CONTEXT_NULL, "call aclInit and aclrtSetDevice first");
  CHECK_FAILS(aclrtResetDevice(0), ACL_ERROR_RT_PARAM_INVALID, "device 0 is not set");
}

TEST_CASE(initialization_happens_once) {
  CHECK_OK(aclInit(nullptr));
  CHECK_FAILS(aclInit(nullptr), ACL_ERROR_REPEAT_INITIALIZE, "already");
}

TEST_CASE(a_message_belongs_to_its_thread_and_is_read_once) {
  CHECK(aclrtSetDevice(99) == ACL_ERROR_RT_INVALID_DEVICEID);
  std::thread([] { CHECK(aclGetRecentErrMsg() == nullptr); }).join();
  const char* message = aclGetRecentErrMsg();
  CHECK(message != nullptr &&
        std::strstr(message, "device 99 does not exist; this process sees 2") != nullptr);
  CHECK(aclGetRecentErrMsg() == nullptr);
}

TEST_CASE(a_thread_has_no_device_until_it_sets_one) {
  CHECK_OK(aclrtSetDevice(1));
  std::thread([] {
    int32_t device = -1;
    CHECK_FAILS(aclrtGetDevice(&device), ACL_ERROR_RT_CONTEXT_NULL, "aclrtSetDevice");
    void* pointer = nullptr;
    CHECK_EQUAL(aclrtMalloc(&pointer, 64, ACL_MEM_MALLOC_HUGE_FIRST), ACL_ERROR_RT_CONTEXT_NULL);
    CHECK_OK(aclrtSetDevice(0));
    CHECK_OK(aclrtGetDevice(&device));
    CHECK(device == 0);
  }).join();
  int32_t device = -1;
  CHECK_OK(aclrtGetDevice(&device));
  CHECK(device == 1);
  CHECK_OK(aclrtSetDevice(0));
}

TEST_CASE(contexts_switch_and_die) {
  aclrtContext own = nullptr;
  aclrtContext created = nullptr;
  CHECK_OK(aclrtGetCurrentContext(&own));
  CHECK_OK(aclrtCreateContext(&created, 1));
  int32_t device = -1;
  CHECK_OK(aclrtGetDevice(&device));
  CHECK(device == 1);
  CHECK_OK(aclrtLaunchHostFunc(nullptr, nothing, nullptr));
  CHECK_OK(aclrtDestroyContext(created));
  CHECK_FAILS(aclrtSynchronizeStream(nullptr), ACL_ERROR_RT_CONTEXT_NULL, "destroyed");
  CHECK_FAILS(aclrtSetCurrentContext(created), ACL_ERROR_RT_CONTEXT_NULL, "no live context");
  CHECK_FAILS(aclrtDestroyContext(own), ACL_ERROR_RT_PARAM_INVALID, "aclrtResetDevice");
  CHECK_OK(aclrtSetCurrentContext(own));
}

TEST_CASE(a_failure_on_a_stream_stays_until_it_is_reported) {
  aclrtStream stream = nullptr;
  aclrtEvent event = nullptr;
  CHECK_OK(aclrtCreateStream(&stream));
  CHECK_OK(aclrtCreateEvent(&event));
  static int released = 0;
  const auto release = [](void*) { ++released; };
  CHECK_OK(cann_simulator_launch(stream, "aclnnBad", failing_kernel, nullptr, release));
  CHECK_OK(cann_simulator_launch(stream, "aclnnGood", good_kernel, nullptr, release));
  CHECK_OK(aclrtRecordEvent(event, stream));
  CHECK_FAILS(aclrtSynchronizeEvent(event), ACL_ERROR_RT_AICORE_EXCEPTION, "aclnnBad failed");
  CHECK_FAILS(aclrtSynchronizeStream(stream), ACL_ERROR_RT_AICORE_EXCEPTION, "index 7 is out of bounds");
  CHECK(released == 2);
  CHECK_OK(aclrtSynchronizeStream(stream));
  CHECK_OK(cann_simulator_launch(stream, "aclnnBad", failing_kernel, nullptr, release));
  CHECK_FAILS(aclrtSynchronizeDevice(), ACL_ERROR_RT_AICORE_EXCEPTION, "aclnnBad failed");
  CHECK_OK(aclrtDestroyEvent(event));
  CHECK_OK(aclrtDestroyStream(stream));
  CHECK_EQUAL(cann_simulator_launch(stream, "aclnnGood", good_kernel, nullptr, release),
              ACL_ERROR_RT_INVALID_HANDLE);
  CHECK(released == 4);  // also when the launch is refused
}

TEST_CASE(devices_reach_each_other) {
  int32_t reachable = -1;
  CHECK_OK(aclrtDeviceCanAccessPeer(&reachable, 0, 1));
  CHECK(reachable == 1);
  CHECK_OK(aclrtDeviceCanAccessPeer(&reachable, 0, 0));
  CHECK(reachable == 0);
  CHECK_FAILS(aclrtDeviceCanAccessPeer(&reachable, 0, 2), ACL_ERROR_RT_INVALID_DEVICEID, "device 2");
  CHECK_OK(aclrtDeviceEnablePeerAccess(1, 0));
  CHECK_FAILS(aclrtDeviceEnablePeerAccess(0, 0), ACL_ERROR_INVALID_PARAM, "peer of itself");
}

TEST_CASE(what_is_missing_says_so) {
  using Unsupported = aclError (*)(void*, size_t);
  const auto function = reinterpret_cast<Unsupported>(dlsym(RTLD_DEFAULT, "aclrtCmoAsync"));
  CHECK(function != nullptr);
  CHECK_FAILS(function(nullptr, 0), ACL_ERROR_API_NOT_SUPPORT, "aclrtCmoAsync");
}

TEST_CASE(resetting_a_device_frees_what_it_has) {
  CHECK_OK(aclrtSetDevice(1));
  while (aclrtResetDevice(1) == ACL_SUCCESS) {
  }
  (void)aclGetRecentErrMsg();
  CHECK_FAILS(aclrtSynchronizeDevice(), ACL_ERROR_RT_CONTEXT_NULL, "reset");
  CHECK_OK(aclrtSetDevice(1));
  void* pointer = nullptr;
  aclrtStream stream = nullptr;
  CHECK_OK(aclrtMalloc(&pointer, 1024, ACL_MEM_MALLOC_HUGE_FIRST));
  CHECK_OK(aclrtCreateStream(&stream));
  CHECK_OK(aclrtResetDevice(1));
  CHECK_OK(aclrtSetDevice(1));
  CHECK_EQUAL(aclrtFree(pointer), ACL_ERROR_RT_MEMORY_FREE);
  CHECK_EQUAL(aclrtSynchronizeStream(stream), ACL_ERROR_RT_INVALID_HANDLE);
  CHECK_OK(aclrtSetDevice(0));
}

// The child must neither hang (a lock of a thread that it does not have) nor crash.
TEST_CASE(a_child_of_fork_gets_errors) {
  Gate gate;
  gate.block(nullptr);
  gate.await_arrival();
  const pid_t child = fork();
  if (child == 0) {
    in_child_of_fork = true;
    alarm(20);
    void* pointer = nullptr;
    uint32_t count = 0;
    CHECK_FAILS(aclrtSetDevice(0), ACL_ERROR_RT_INTERNAL_ERROR, "forked");
    CHECK_EQUAL(aclrtMalloc(&pointer, 64, ACL_MEM_MALLOC_HUGE_FIRST), ACL_ERROR_RT_INTERNAL_ERROR);
    CHECK_EQUAL(aclrtSynchronizeDevice(), ACL_ERROR_RT_INTERNAL_ERROR);
    CHECK_EQUAL(aclrtGetDeviceCount(&count), ACL_ERROR_RT_INTERNAL_ERROR);
    std::exit(0);  // with the exit handlers
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  gate.open();
  CHECK_OK(aclrtSynchronizeDevice());
}

TEST_CASE(after_the_end_everything_is_refused_and_it_may_begin_anew) {
  void* pointer = nullptr;
  CHECK_OK(aclrtMalloc(&pointer, 1024, ACL_MEM_MALLOC_HUGE_FIRST));
  CHECK_OK(aclrtLaunchHostFunc(nullptr, nothing, nullptr));
  CHECK_OK(aclFinalize());
  CHECK_EQUAL(aclrtFree(pointer), ACL_ERROR_RT_CONTEXT_NULL);
  CHECK_EQUAL(aclrtSynchronizeDevice(), ACL_ERROR_RT_CONTEXT_NULL);
  CHECK_EQUAL(aclrtSetDevice(0), ACL_ERROR_UNINITIALIZE);
  CHECK_OK(aclInit(nullptr));
  CHECK_OK(aclrtSetDevice(0));
  CHECK_EQUAL(aclrtFree(pointer), ACL_ERROR_RT_MEMORY_FREE);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int __lsan_is_turned_off() {
  return in_child_of_fork ? 1 : 0;
}

int main(int argc, char** argv) {
  const int failures = test::run(argc, argv);
  // Left as a program leaves it that never finalizes: work is pending while the process ends.
  CHECK_OK(aclrtLaunchHostFunc(nullptr, nothing, nullptr));
  return failures;
}
