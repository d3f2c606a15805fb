// Calls that failed and were passed over: a refusal gives the program another exit code, and after a failed
// launch on an adapter's queue nothing that would show its results succeeds.
#include <pthread.h>

#include <cstring>
#include <thread>

#include "cann/acl_device.h"
#include "cann/acl_graph.h"
#include "cann/acl_op.h"
#include "check.h"
#include "children.h"
#include "kernels.h"

extern "C" aclError aclrtGetHardwareSyncAddr(void);  // lacking, whatever it is called with

namespace {

constexpr int kRaces = 66;
constexpr int kRefusals = 67;

void set_up() {
  CHECK_OK(aclInit(nullptr));
  CHECK_OK(aclrtSetDevice(0));
}

aclError ask_by_name(const char* name) {
  return aclopCompileAndExecute(name, 0, nullptr, nullptr, 0, nullptr, nullptr, nullptr, 0, 0, nullptr,
                                nullptr);
}

// Runs the body on a thread of that name, to its end.
template <class Body>
void on_thread(const char* name, Body body) {
  std::thread([=] {
    CHECK(pthread_setname_np(pthread_self(), name) == 0);
    CHECK_OK(aclrtSetDevice(0));
    body();
  }).join();
}

// What a child that ends well, with that body, said; it must end with `code`.
template <class Body>
std::string said(int code, Body body, const char* mode = "report") {
  std::string output;
  with(
      "CANN_SIMULATOR_REFUSALS", mode,
      [&] {
        set_up();
        body();
      },
      code, &output);
  return output;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

TEST_CASE(a_refusal_that_was_passed_over_is_told_at_the_end) {
  const std::string output = said(kRefusals, [] {
    CHECK(ask_by_name("Sqrt") == ACL_ERROR_API_NOT_SUPPORT);
    CHECK(ask_by_name("Sqrt") == ACL_ERROR_API_NOT_SUPPORT);
    CHECK(aclrtGetHardwareSyncAddr() == ACL_ERROR_API_NOT_SUPPORT);
  });
  CHECK(has(output, "operator Sqrt (2), function aclrtGetHardwareSyncAddr (1)"));
  CHECK(has(output, "the first: aclopCompileAndExecute: the CANN simulator has no operator 'Sqrt'"));
  CHECK(has(output, "exit code 67"));
}

TEST_CASE(an_answer_is_no_refusal) {
  CHECK(said(0, [] {
          int64_t value = 0;
          CHECK(aclrtGetDeviceInfo(0, static_cast<aclrtDevAttr>(9999), &value) != ACL_SUCCESS);
          CHECK(aclrtSetDevice(99) == ACL_ERROR_RT_INVALID_DEVICEID);
          CHECK(aclrtMemcpyAsync(nullptr, 1, nullptr, 1, ACL_MEMCPY_HOST_TO_DEVICE, nullptr) != ACL_SUCCESS);
        }).empty());
}

TEST_CASE(nothing_is_said_when_it_is_to_be_ignored) {
  CHECK(said(0, [] { CHECK(ask_by_name("Sqrt") == ACL_ERROR_API_NOT_SUPPORT); }, "ignore").empty());
}

TEST_CASE(the_programs_own_failure_stays) {
  const std::string output = said(37, [] {
    CHECK(ask_by_name("Sqrt") == ACL_ERROR_API_NOT_SUPPORT);
    std::exit(37);
  });
  CHECK(has(output, "operator Sqrt (1)"));
  CHECK(!has(output, "exit code"));
}

TEST_CASE(races_and_refusals_are_both_told) {
  std::string both;
  setenv("CANN_SIMULATOR_CHECK", "report", 1);
  with(
      "CANN_SIMULATOR_REFUSALS", "report",
      [] {
        set_up();
        aclrtStream streams[2];
        void* memory = nullptr;
        CHECK_OK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST));
        for (aclrtStream& stream : streams) {
          CHECK_OK(aclrtCreateStream(&stream));
          CHECK_OK(launch(stream, "aclnnAdd", {{memory, 64, true}}));
        }
        CHECK(ask_by_name("Sqrt") == ACL_ERROR_API_NOT_SUPPORT);
      },
      kRaces, &both);
  unsetenv("CANN_SIMULATOR_CHECK");
  CHECK(has(both, "found 1 races"));
  CHECK(has(both, "operator Sqrt (1)"));
}

TEST_CASE(a_child_of_fork_does_not_answer_for_its_parent) {
  said(kRefusals, [] {
    CHECK(ask_by_name("Sqrt") == ACL_ERROR_API_NOT_SUPPORT);
    with("UNUSED", "", [] {}, 0);
  });
}

// Every call by which a program would come to a result.
void expect_no_result(void* memory, aclrtStream stream, aclrtEvent event, const char* part) {
  const aclError code = ACL_ERROR_API_NOT_SUPPORT;
  char host[64];
  aclrtStreamStatus of_stream;
  aclrtEventRecordedStatus of_event;
  aclrtEventWaitStatus of_wait;
  aclrtEvent another;
  CHECK_FAILS(aclrtSynchronizeStream(stream), code, part);
  CHECK_FAILS(aclrtSynchronizeStreamWithTimeout(stream, 1000), code, part);
  CHECK_FAILS(aclrtSynchronizeDevice(), code, part);
  CHECK_FAILS(aclrtSynchronizeDeviceWithTimeout(1000), code, part);
  CHECK_FAILS(aclrtSynchronizeEvent(event), code, part);
  CHECK_FAILS(aclrtSynchronizeEventWithTimeout(event, 1000), code, part);
  CHECK_FAILS(aclrtStreamQuery(stream, &of_stream), code, part);
  CHECK_FAILS(aclrtQueryEventStatus(event, &of_event), code, part);
  CHECK_FAILS(aclrtQueryEventWaitStatus(event, &of_wait), code, part);
  CHECK_FAILS(aclrtCreateEvent(&another), code, part);
  CHECK_FAILS(aclrtCreateEventExWithFlag(&another, ACL_EVENT_SYNC), code, part);
  CHECK_OK(aclrtCreateEventExWithFlag(&another, ACL_EVENT_CAPTURE_STREAM_PROGRESS));  // an allocator's
  CHECK_FAILS(aclrtMemcpy(host, 64, memory, 64, ACL_MEMCPY_DEVICE_TO_HOST), code, part);
  CHECK_FAILS(aclrtMemcpy(host, 64, memory, 64, ACL_MEMCPY_DEFAULT), code, part);
  CHECK_FAILS(aclrtMemcpyAsync(host, 64, memory, 64, ACL_MEMCPY_DEVICE_TO_HOST, stream), code, part);
}

TEST_CASE(after_a_failed_launch_on_the_queue_there_are_no_results) {
  const std::string output = said(kRefusals, [] {
    aclrtStream stream = nullptr;
    aclrtEvent event = nullptr;
    void* memory = nullptr;
    CHECK_OK(aclrtCreateStream(&stream));
    CHECK_OK(aclrtCreateEvent(&event));
    CHECK_OK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST));
    on_thread("acl_thread", [=] {
      CHECK_OK(launch(stream, "aclnnAdd"));
      CHECK(ask_by_name("Svd") == ACL_ERROR_API_NOT_SUPPORT);
    });
    expect_no_result(memory, stream, event, "has no operator 'Svd'");
    expect_no_result(memory, stream, event, "TASK_QUEUE_ENABLE=0");
    CHECK_OK(aclrtSetDevice(1));  // what comes from the other devices may go through this one
    CHECK_FAILS(aclrtSynchronizeDevice(), ACL_ERROR_API_NOT_SUPPORT, "'Svd'");
    CHECK_OK(aclrtMemset(memory, 64, 0, 64));  // no result
  });
  CHECK(has(output, "operator Svd (1)"));
  const char* const once = "no result is valid any more: ";
  CHECK(has(output, once) && output.find(once) == output.rfind(once));
  CHECK(has(output, "task queue stopped, and dropped what came after it"));
}

TEST_CASE(any_launch_that_fails_stops_the_queue) {
  const std::string output = said(kRefusals, [] {
    on_thread("ACL_thread", [] {
      CHECK(aclrtMemcpyAsync(nullptr, 1, nullptr, 1, ACL_MEMCPY_HOST_TO_DEVICE, nullptr) != ACL_SUCCESS);
    });
    CHECK_FAILS(aclrtSynchronizeDevice(), ACL_ERROR_INVALID_PARAM, "aclrtMemcpyAsync: ");
  });
  CHECK(!has(output, "refused, with how often"));
  CHECK(has(output, "at: aclrtMemcpyAsync: "));
}

TEST_CASE(a_queue_that_goes_on_has_not_stopped) {
  said(kRefusals, [] {
    on_thread("acl_thread", [] {
      CHECK(ask_by_name("Sqrt") == ACL_ERROR_API_NOT_SUPPORT);
      CHECK(aclrtSynchronizeDevice() == ACL_ERROR_API_NOT_SUPPORT);
      CHECK_OK(launch(nullptr, "aclnnAdd"));
    });
    CHECK_OK(aclrtSynchronizeDevice());
  });
}

// The caller has the error in its hands.
TEST_CASE(a_launch_without_a_queue_fails_alone) {
  said(kRefusals, [] {
    CHECK(ask_by_name("Sqrt") == ACL_ERROR_API_NOT_SUPPORT);
    on_thread("python", [] { CHECK(ask_by_name("Sqrt") == ACL_ERROR_API_NOT_SUPPORT); });
    CHECK_OK(aclrtSynchronizeDevice());
  });
}

TEST_CASE(a_question_of_the_queue_is_no_launch) {
  CHECK(said(0, [] {
          on_thread("acl_thread", [] {
            CHECK(aclrtSetDevice(99) == ACL_ERROR_RT_INVALID_DEVICEID);
            CHECK(aclSetCompileopt(static_cast<aclCompileOpt>(99), "1") == ACL_ERROR_INVALID_PARAM);
            CHECK(aclDestroyTensor(nullptr) != ACL_SUCCESS);  // adapters do so on the queue
          });
          CHECK_OK(aclrtSynchronizeDevice());
        }).empty());
}

TEST_CASE(a_mode_that_makes_no_sense_is_refused) {
  with("CANN_SIMULATOR_REFUSALS", "yes",
       [] { CHECK_FAILS(aclInit(nullptr), ACL_ERROR_INVALID_PARAM, "report or ignore"); });
}

}  // namespace

int main(int argc, char** argv) { return test::run(argc, argv); }
