// Callbacks run on the thread that asked for them, and hold the stream when they are told to.
#include <pthread.h>

#include <atomic>
#include <thread>

#include "check.h"
#include "gate.h"

namespace {

std::atomic<int> calls{0};
std::thread::id called_on;

void count(void*) {
  called_on = std::this_thread::get_id();
  ++calls;
}

std::uint64_t this_thread() { return static_cast<std::uint64_t>(pthread_self()); }

aclrtStream make_stream() {
  aclrtStream stream = nullptr;
  CHECK_OK(aclrtCreateStream(&stream));
  return stream;
}

TEST_CASE(a_callback_runs_on_the_thread_that_processes_reports) {
  aclrtStream stream = make_stream();
  CHECK_FAILS(aclrtLaunchCallback(count, nullptr, ACL_CALLBACK_NO_BLOCK, stream),
              ACL_ERROR_RT_STREAM_NO_CB_REG, "aclrtSubscribeReport first");
  CHECK_OK(aclrtSubscribeReport(this_thread(), stream));
  CHECK_EQUAL(aclrtSubscribeReport(this_thread(), stream), ACL_ERROR_RT_STREAM_SUBSCRIBE);
  CHECK_OK(aclrtLaunchCallback(count, nullptr, ACL_CALLBACK_NO_BLOCK, stream));
  CHECK_OK(aclrtSynchronizeStream(stream));  // does not wait for it
  CHECK(calls == 0);
  CHECK_OK(aclrtProcessReport(-1));
  CHECK(calls == 1 && called_on == std::this_thread::get_id());
  CHECK_EQUAL(aclrtProcessReport(1), ACL_ERROR_RT_REPORT_TIMEOUT);
  CHECK_OK(aclrtUnSubscribeReport(this_thread(), stream));
  CHECK_EQUAL(aclrtUnSubscribeReport(this_thread(), stream), ACL_ERROR_RT_STREAM_SUBSCRIBE);
  CHECK_OK(aclrtDestroyStream(stream));
}

TEST_CASE(a_blocking_callback_holds_the_stream) {
  aclrtStream stream = make_stream();
  CHECK_OK(aclrtSubscribeReport(this_thread(), stream));
  CHECK_OK(aclrtLaunchCallback(count, nullptr, ACL_CALLBACK_BLOCK, stream));
  CHECK_EQUAL(aclrtSynchronizeStreamWithTimeout(stream, 5), ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
  CHECK_OK(aclrtProcessReport(-1));
  CHECK_OK(aclrtSynchronizeStream(stream));
  CHECK_OK(aclrtLaunchCallback(count, nullptr, ACL_CALLBACK_BLOCK, stream));
  CHECK_OK(aclrtUnSubscribeReport(this_thread(), stream));
  CHECK_OK(aclrtDestroyStream(stream));  // nobody processes it any more, and still the stream ends
}

TEST_CASE(a_thread_without_a_stream_has_no_reports) {
  std::thread([] { CHECK_EQUAL(aclrtProcessReport(-1), ACL_ERROR_RT_THREAD_SUBSCRIBE); }).join();
}

TEST_CASE(a_reset_event_is_waited_for_no_more) {
  aclrtStream stream = make_stream();
  aclrtEvent event = nullptr;
  CHECK_OK(aclrtCreateEvent(&event));
  Gate gate;
  gate.block(stream);
  CHECK_OK(aclrtRecordEvent(event, stream));
  aclrtEventWaitStatus status = ACL_EVENT_WAIT_STATUS_COMPLETE;
  CHECK_OK(aclrtQueryEventWaitStatus(event, &status));
  CHECK(status == ACL_EVENT_WAIT_STATUS_NOT_READY);
  CHECK_OK(aclrtResetEvent(event, stream));
  CHECK_OK(aclrtSynchronizeEvent(event));
  gate.open();
  CHECK_OK(aclrtDestroyStream(stream));
  CHECK_OK(aclrtDestroyEvent(event));
}

}  // namespace

int main(int argc, char** argv) { return test::run_on_device(argc, argv); }
