// Events of several processes.
#include <sys/mman.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "check.h"
#include "children.h"
#include "gate.h"

namespace {

// What the processes of a case tell each other.
struct Board {
  aclrtIpcEventHandle handle;
  std::atomic<int> step{0};
};
Board* board = nullptr;

void await(int step) {
  while (board->step < step) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

struct Device {
  Device() {
    CHECK_OK(aclInit(nullptr));
    CHECK_OK(aclrtSetDevice(0));
    CHECK_OK(aclrtCreateStream(&stream));
  }
  aclrtStream stream = nullptr;
};

// Creates an event, tells its handle, and then does the rest.
template <class Rest>
pid_t exporter(Rest rest) {
  board->step = 0;
  const pid_t child = fork();
  if (child != 0) return child;
  Device device;
  aclrtEvent event = nullptr;
  CHECK_OK(aclrtCreateEventExWithFlag(&event, ACL_EVENT_IPC));
  CHECK_OK(aclrtIpcGetEventHandle(event, &board->handle));
  rest(device, event);
  std::exit(0);
}

void ended(pid_t child) {
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// In a process of its own: the runtime must not have been used when the exporters fork.
template <class Body>
void importing(Body body) {
  with("CANN_SIMULATOR_DEVICES", "2", [&] {
    Device device;
    body(device);
  });
}

TEST_CASE(a_stream_waits_for_that_of_another_process) {
  const pid_t child = exporter([](Device& device, aclrtEvent event) {
    Gate gate;
    gate.block(device.stream);
    CHECK_OK(aclrtRecordEvent(event, device.stream));
    board->step = 1;
    await(2);
    gate.open();
    CHECK_OK(aclrtSynchronizeStream(device.stream));
    await(3);
  });
  importing([](Device& device) {
    await(1);
    aclrtEvent event = nullptr;
    aclrtEventRecordedStatus status;
    CHECK_OK(aclrtIpcOpenEventHandle(board->handle, &event));
    CHECK_OK(aclrtQueryEventStatus(event, &status));
    CHECK(status == ACL_EVENT_RECORDED_STATUS_NOT_READY);
    CHECK_OK(aclrtStreamWaitEvent(device.stream, event));
    CHECK_EQUAL(aclrtSynchronizeStreamWithTimeout(device.stream, 20), ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
    CHECK_EQUAL(aclrtSynchronizeEventWithTimeout(event, 20), ACL_ERROR_RT_EVENT_SYNC_TIMEOUT);
    board->step = 2;
    CHECK_OK(aclrtSynchronizeStream(device.stream));
    CHECK_OK(aclrtSynchronizeEvent(event));
    CHECK_OK(aclrtDestroyEvent(event));
    board->step = 3;
  });
  ended(child);
}

TEST_CASE(a_process_that_ends_lets_nobody_wait) {
  const pid_t child = exporter([](Device& device, aclrtEvent event) {
    static Gate gate;  // never opened
    gate.block(device.stream);
    CHECK_OK(aclrtRecordEvent(event, device.stream));
    board->step = 1;
    await(2);
    _exit(0);
  });
  importing([](Device& device) {
    await(1);
    aclrtEvent event = nullptr;
    CHECK_OK(aclrtIpcOpenEventHandle(board->handle, &event));
    CHECK_OK(aclrtStreamWaitEvent(device.stream, event));
    board->step = 2;
    CHECK_FAILS(aclrtSynchronizeStream(device.stream), ACL_ERROR_RT_EVENT_NOT_COMPLETE, "ended before");
    CHECK_FAILS(aclrtSynchronizeEvent(event), ACL_ERROR_RT_EVENT_NOT_COMPLETE, "ended before");
  });
  ended(child);
}

TEST_CASE(handles_that_are_none_or_gone_are_errors) {
  const pid_t child = exporter([](Device&, aclrtEvent) {});
  ended(child);
  importing([](Device&) {
    aclrtEvent event = nullptr;
    CHECK_FAILS(aclrtIpcOpenEventHandle(board->handle, &event), ACL_ERROR_RT_INVALID_HANDLE, "has ended");
    aclrtIpcEventHandle garbage;
    std::memset(&garbage, 0x5a, sizeof garbage);
    CHECK_FAILS(aclrtIpcOpenEventHandle(garbage, &event), ACL_ERROR_RT_INVALID_HANDLE, "no handle");
    CHECK_OK(aclrtCreateEvent(&event));
    CHECK_FAILS(aclrtIpcGetEventHandle(event, &garbage), ACL_ERROR_RT_PARAM_INVALID, "ACL_EVENT_IPC");
    CHECK_OK(aclrtDestroyEvent(event));
  });
}

TEST_CASE(one_that_was_never_recorded_is_complete) {
  importing([](Device& device) {
    aclrtEvent event = nullptr, opened = nullptr;
    aclrtIpcEventHandle handle;
    CHECK_OK(aclrtCreateEventExWithFlag(&event, ACL_EVENT_IPC));
    CHECK_OK(aclrtIpcGetEventHandle(event, &handle));
    CHECK_OK(aclrtIpcOpenEventHandle(handle, &opened));  // the same process may, too
    CHECK_OK(aclrtStreamWaitEvent(device.stream, opened));
    CHECK_OK(aclrtRecordEvent(event, device.stream));
    CHECK_OK(aclrtSynchronizeEvent(opened));
    for (aclrtEvent one : {event, opened}) CHECK_OK(aclrtDestroyEvent(one));
  });
}

}  // namespace

int main(int argc, char** argv) {
  board = new (mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Board;
  return test::run(argc, argv);
}
