// Streams run behind the caller and in order; events order them.
#include <atomic>
#include <thread>
#include <vector>

#include "cann/acl_device.h"
#include "check.h"
#include "gate.h"

namespace {

aclrtStream new_stream() {
  aclrtStream stream = nullptr;
  CHECK_OK(aclrtCreateStream(&stream));
  return stream;
}

aclrtEvent new_event() {
  aclrtEvent event = nullptr;
  CHECK_OK(aclrtCreateEvent(&event));
  return event;
}

bool complete(aclrtStream stream) {
  aclrtStreamStatus status;
  CHECK_OK(aclrtStreamQuery(stream, &status));
  return status == ACL_STREAM_STATUS_COMPLETE;
}

bool complete_event(aclrtEvent event) {
  aclrtEventRecordedStatus status;
  CHECK_OK(aclrtQueryEventStatus(event, &status));
  return status == ACL_EVENT_RECORDED_STATUS_COMPLETE;
}

TEST_CASE(launching_returns_before_the_task_has_run) {
  aclrtStream stream = new_stream();
  Gate gate;
  gate.block(stream);
  CHECK(!complete(stream));  // the caller is here, the task is at the gate
  CHECK_EQUAL(aclrtSynchronizeStreamWithTimeout(stream, 1), ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
  gate.open();
  CHECK_OK(aclrtSynchronizeStream(stream));
  CHECK(complete(stream));
  CHECK_OK(aclrtDestroyStream(stream));
}

TEST_CASE(tasks_of_a_stream_run_in_order) {
  static std::vector<int> order;
  struct Step {
    static void run(void* index) {
      order.push_back(static_cast<int>(reinterpret_cast<std::intptr_t>(index)));
    }
  };
  aclrtStream stream = new_stream();
  for (std::intptr_t index = 0; index < 5000; ++index) {  // more than the queue holds
    CHECK_OK(aclrtLaunchHostFunc(stream, &Step::run, reinterpret_cast<void*>(index)));
  }
  CHECK_OK(aclrtSynchronizeStream(stream));
  CHECK(order.size() == 5000);
  for (int index = 0; index < 5000; ++index) CHECK(order[static_cast<std::size_t>(index)] == index);
  CHECK_OK(aclrtDestroyStream(stream));
}

TEST_CASE(a_stream_waits_for_an_event_of_another) {
  aclrtStream producer = new_stream();
  aclrtStream consumer = new_stream();
  aclrtEvent event = new_event();
  static std::atomic<int> value{0};
  static int seen = -1;
  Gate gate;
  gate.block(producer);
  CHECK_OK(aclrtLaunchHostFunc(producer, [](void*) { value = 42; }, nullptr));
  CHECK_OK(aclrtRecordEvent(event, producer));
  CHECK_OK(aclrtStreamWaitEvent(consumer, event));
  CHECK_OK(aclrtLaunchHostFunc(consumer, [](void*) { seen = value; }, nullptr));
  // A handle is not needed by what is queued.
  CHECK(!complete_event(event));
  CHECK_OK(aclrtDestroyEvent(event));
  CHECK(!complete(consumer));
  gate.open();
  CHECK_OK(aclrtSynchronizeStream(consumer));
  CHECK(seen == 42);
  CHECK_OK(aclrtDestroyStream(producer));
  CHECK_OK(aclrtDestroyStream(consumer));
}

TEST_CASE(a_wait_is_for_the_recording_made_before_it) {
  aclrtStream first = new_stream();
  aclrtStream second = new_stream();
  aclrtStream waiting = new_stream();
  aclrtEvent event = new_event();
  Gate first_gate;
  Gate second_gate;
  first_gate.block(first);
  second_gate.block(second);
  CHECK_OK(aclrtRecordEvent(event, first));
  CHECK_OK(aclrtStreamWaitEvent(waiting, event));
  CHECK_OK(aclrtRecordEvent(event, second));
  first_gate.open();
  CHECK_OK(aclrtSynchronizeStream(waiting));  // would hang if it waited for the newer recording
  CHECK(!complete_event(event));              // the event itself stands for the newer one
  second_gate.open();
  CHECK_OK(aclrtSynchronizeEvent(event));
  CHECK(complete_event(event));
  for (aclrtStream stream : {first, second, waiting}) CHECK_OK(aclrtDestroyStream(stream));
  CHECK_OK(aclrtDestroyEvent(event));
}

TEST_CASE(an_event_that_was_never_recorded_is_complete) {
  aclrtStream stream = new_stream();
  aclrtEvent event = new_event();
  CHECK(complete_event(event));
  CHECK_OK(aclrtSynchronizeEvent(event));
  CHECK_OK(aclrtStreamWaitEvent(stream, event));
  CHECK_OK(aclrtSynchronizeStream(stream));
  CHECK_OK(aclrtDestroyEvent(event));
  CHECK_OK(aclrtDestroyStream(stream));
}

TEST_CASE(elapsed_time_needs_two_timed_and_passed_events) {
  aclrtStream stream = new_stream();
  aclrtEvent start = new_event();
  aclrtEvent end = new_event();
  aclrtEvent untimed = nullptr;
  CHECK_FAILS(aclrtCreateEventExWithFlag(&untimed, ACL_EVENT_IPC | ACL_EVENT_SYNC), ACL_ERROR_INVALID_PARAM,
              "of several processes");
  CHECK_OK(
      aclrtCreateEventExWithFlag(&untimed, 0x4));  // what published adapters pass for copies between devices
  CHECK_OK(aclrtDestroyEvent(untimed));
  CHECK_OK(aclrtCreateEventExWithFlag(&untimed, ACL_EVENT_SYNC));
  float elapsed = -1;
  CHECK_FAILS(aclrtEventElapsedTime(&elapsed, start, end), ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID,
              "never recorded");
  CHECK_OK(aclrtRecordEvent(start, stream));
  CHECK_OK(aclrtRecordEvent(untimed, stream));
  CHECK_OK(aclrtSynchronizeStream(stream));
  Gate gate;
  gate.block(stream);
  CHECK_OK(aclrtRecordEvent(end, stream));
  CHECK_FAILS(aclrtEventElapsedTime(&elapsed, start, end), ACL_ERROR_RT_EVENT_NOT_COMPLETE, "end event");
  gate.open();
  CHECK_OK(aclrtSynchronizeEvent(end));
  CHECK_OK(aclrtEventElapsedTime(&elapsed, start, end));
  CHECK(elapsed > 0);
  CHECK_FAILS(aclrtEventElapsedTime(&elapsed, untimed, end), ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID,
              "TIME_LINE");
  for (aclrtEvent event : {start, end, untimed}) CHECK_OK(aclrtDestroyEvent(event));
  CHECK_OK(aclrtDestroyStream(stream));
}

TEST_CASE(the_device_is_done_when_all_its_streams_are) {
  static std::atomic<int> done{0};
  done = 0;
  aclrtStream streams[3] = {nullptr, new_stream(), new_stream()};  // NULL is the default stream
  for (aclrtStream stream : streams) CHECK_OK(aclrtLaunchHostFunc(stream, [](void*) { ++done; }, nullptr));
  CHECK_OK(aclrtSynchronizeDevice());
  CHECK(done == 3);
  CHECK_OK(aclrtDestroyStream(streams[1]));
  CHECK_OK(aclrtDestroyStream(streams[2]));
}

TEST_CASE(destroying_a_stream_runs_what_it_holds) {
  static std::atomic<int> done{0};
  done = 0;
  aclrtStream stream = new_stream();
  Gate gate;
  gate.block(stream);
  for (int task = 0; task < 10; ++task) CHECK_OK(aclrtLaunchHostFunc(stream, [](void*) { ++done; }, nullptr));
  std::thread opener([&] {
    gate.await_arrival();
    gate.open();
  });
  CHECK_OK(aclrtDestroyStream(stream));
  CHECK(done == 10);
  opener.join();
  CHECK_FAILS(aclrtSynchronizeStream(stream), ACL_ERROR_RT_INVALID_HANDLE, "no live stream");
}

TEST_CASE(a_stream_belongs_to_its_context) {
  aclrtStream stream = new_stream();
  CHECK_OK(aclrtSetDevice(1));
  CHECK_FAILS(aclrtSynchronizeStream(stream), ACL_ERROR_RT_STREAM_CONTEXT, "another context");
  CHECK_OK(aclrtSetDevice(0));
  CHECK_OK(aclrtDestroyStream(stream));
}

TEST_CASE(waiting_inside_a_stream_is_refused) {
  static int code = 0;
  CHECK_OK(aclrtLaunchHostFunc(
      nullptr,
      [](void*) {
        CHECK_OK(aclrtSetDevice(0));
        code = aclrtSynchronizeStream(nullptr);
      },
      nullptr));
  CHECK_OK(aclrtSynchronizeStream(nullptr));
  CHECK(code == ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
}

TEST_CASE(many_threads_may_use_one_device) {
  static std::atomic<int> done{0};
  done = 0;
  aclrtEvent shared = new_event();
  std::vector<std::thread> threads;
  for (int index = 0; index < 4; ++index) {
    threads.emplace_back([&] {
      CHECK_OK(aclrtSetDevice(0));
      aclrtStream own = new_stream();
      for (int round = 0; round < 100; ++round) {
        CHECK_OK(aclrtRecordEvent(shared, own));
        CHECK_OK(aclrtStreamWaitEvent(own, shared));
        CHECK_OK(aclrtLaunchHostFunc(own, [](void*) { ++done; }, nullptr));
      }
      CHECK_OK(aclrtSynchronizeStream(own));
      CHECK_OK(aclrtDestroyStream(own));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(done == 400);
  CHECK_OK(aclrtDestroyEvent(shared));
}

TEST_CASE(limits_on_cores_are_kept_where_they_were_set) {
  aclrtStream stream = new_stream();
  const auto cube = ACL_RT_DEV_RES_CUBE_CORE;
  const auto vector = ACL_RT_DEV_RES_VECTOR_CORE;
  uint32_t all = 0, value = 0;
  CHECK_OK(aclrtGetDeviceResLimit(0, cube, &all));
  CHECK_FAILS(aclrtSetStreamResLimit(stream, cube, all + 1), ACL_ERROR_RT_PARAM_INVALID,
              "as many as device 0 has");
  CHECK_FAILS(aclrtSetStreamResLimit(stream, cube, 0), ACL_ERROR_RT_PARAM_INVALID, "limit of 0");
  CHECK_FAILS(aclrtSetStreamResLimit(stream, static_cast<aclrtDevResLimitType>(7), 1),
              ACL_ERROR_INVALID_PARAM, "resource 7");
  CHECK_OK(aclrtSetStreamResLimit(stream, cube, 5));
  CHECK_OK(aclrtGetStreamResLimit(stream, cube, &value));
  CHECK(value == 5);
  CHECK_OK(aclrtGetResInCurrentThread(cube, &value));
  CHECK(value == all);
  CHECK_OK(aclrtUseStreamResInCurrentThread(stream));
  CHECK_OK(aclrtGetResInCurrentThread(cube, &value));
  CHECK(value == 5);
  CHECK_OK(aclrtUnuseStreamResInCurrentThread(stream));
  CHECK_OK(aclrtSetDeviceResLimit(0, vector, 3));
  CHECK_OK(aclrtGetResInCurrentThread(vector, &value));
  CHECK(value == 3);
  CHECK_OK(aclrtGetStreamResLimit(stream, vector, &value));
  CHECK(value == 3);
  CHECK_OK(aclrtResetDeviceResLimit(0));
  CHECK_OK(aclrtResetStreamResLimit(stream));
  CHECK_OK(aclrtGetStreamResLimit(stream, cube, &value));
  CHECK(value == all);
  CHECK_OK(aclrtUseStreamResInCurrentThread(stream));
  CHECK_OK(aclrtDestroyStream(stream));
  CHECK_OK(aclrtGetResInCurrentThread(cube, &value));  // of a stream that is gone nothing is left
}

}  // namespace

int main(int argc, char** argv) { return test::run_on_device(argc, argv); }
