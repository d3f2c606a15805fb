// Graphs: captured streams do not run, replays run what they were given, and what cannot be captured or
// replayed is an error.
#include "cann/acl_graph.h"

#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "check.h"
#include "children.h"
#include "gate.h"
#include "kernels.h"

namespace {

constexpr auto kGlobal = ACL_MODEL_RI_CAPTURE_MODE_GLOBAL;
constexpr auto kThread = ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL;
constexpr auto kRelaxed = ACL_MODEL_RI_CAPTURE_MODE_RELAXED;

struct Fixture {
  Fixture() {
    CHECK_OK(aclrtCreateStream(&stream));
    CHECK_OK(aclrtCreateStream(&other));
    CHECK_OK(aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC));
    CHECK_OK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_NORMAL_ONLY));
    CHECK_OK(aclrtMallocHost(&host, 64));
    std::memset(host, 0, 64);
    kernels_run = 0;
  }
  ~Fixture() {
    CHECK_OK(aclrtFree(memory));
    CHECK_OK(aclrtFreeHost(host));
    CHECK_OK(aclrtDestroyEvent(event));
    CHECK_OK(aclrtDestroyStream(other));
    CHECK_OK(aclrtDestroyStream(stream));
  }
  std::uint64_t number() const {
    std::uint64_t value = 0;
    CHECK_OK(aclrtMemcpy(&value, sizeof value, memory, sizeof value, ACL_MEMCPY_DEVICE_TO_HOST));
    return value;
  }
  void write(std::uint64_t value) const {
    CHECK_OK(aclrtMemcpy(memory, sizeof value, &value, sizeof value, ACL_MEMCPY_HOST_TO_DEVICE));
  }
  void replay(aclmdlRI graph) const {
    CHECK_OK(aclmdlRIExecuteAsync(graph, other));
    CHECK_OK(aclrtSynchronizeStream(other));
  }

  aclrtStream stream = nullptr;
  aclrtStream other = nullptr;
  aclrtEvent event = nullptr;
  void* memory = nullptr;
  void* host = nullptr;
};

aclmdlRICaptureStatus status_of(aclrtStream stream) {
  aclmdlRICaptureStatus status;
  CHECK_OK(aclmdlRICaptureGetInfo(stream, &status, nullptr));
  return status;
}

TEST_CASE(a_captured_stream_runs_nothing_and_each_replay_all) {
  Fixture f;
  aclmdlRI graph = nullptr, captured = nullptr;
  aclmdlRICaptureStatus status;
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(aclmdlRICaptureGetInfo(f.stream, &status, &captured));
  CHECK(status == ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE);
  for (int kernel = 0; kernel < 3; ++kernel) CHECK_OK(launch(f.stream, "count"));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  CHECK(graph == captured);
  CHECK(status_of(f.stream) == ACL_MODEL_RI_CAPTURE_STATUS_NONE);
  CHECK_OK(aclrtSynchronizeStream(f.stream));
  CHECK(kernels_run == 0);
  f.replay(graph);
  f.replay(graph);
  CHECK(kernels_run == 6);
  CHECK_OK(aclmdlRIDestroy(graph));
}

TEST_CASE(a_replay_reads_what_the_same_addresses_hold_by_then) {
  Fixture f;
  aclmdlRI graph = nullptr;
  auto* pinned = static_cast<std::uint64_t*>(f.host);
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(aclrtMemcpyAsync(f.memory, 8, pinned, 8, ACL_MEMCPY_HOST_TO_DEVICE, f.stream));
  CHECK_OK(aclrtMemcpyAsync(pinned + 1, 8, f.memory, 8, ACL_MEMCPY_DEVICE_TO_HOST, f.stream));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  for (const std::uint64_t value : {7, 8}) {
    pinned[0] = value;
    f.replay(graph);
    CHECK(pinned[1] == value && f.number() == value);
  }
  CHECK_OK(aclmdlRIDestroy(graph));
}

TEST_CASE(a_stream_comes_into_a_capture_by_an_event_and_back) {
  Fixture f;
  aclmdlRI graph = nullptr;
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(aclrtRecordEvent(f.event, f.stream));
  CHECK_OK(aclrtStreamWaitEvent(f.other, f.event));
  CHECK(status_of(f.other) == ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE);
  CHECK_OK(launch(f.other, "count"));
  CHECK_OK(aclrtRecordEvent(f.event, f.other));
  aclrtEventRecordedStatus recorded;
  CHECK_FAILS(aclrtQueryEventStatus(f.event, &recorded), ACL_ERROR_RT_EVENT_CAPTURED, "going on");
  CHECK_FAILS(aclrtSynchronizeEvent(f.event), ACL_ERROR_RT_EVENT_CAPTURED, "going on");
  CHECK_OK(aclrtStreamWaitEvent(f.stream, f.event));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  CHECK(status_of(f.other) == ACL_MODEL_RI_CAPTURE_STATUS_NONE);
  CHECK(kernels_run == 0);
  f.replay(graph);
  CHECK(kernels_run == 1);
  CHECK_OK(aclrtSynchronizeEvent(f.event));  // outside it was never recorded
  CHECK_OK(aclmdlRIDestroy(graph));
}

TEST_CASE(a_stream_that_does_not_come_back_spoils_the_capture) {
  Fixture f;
  aclmdlRI graph = nullptr;
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(aclrtRecordEvent(f.event, f.stream));
  CHECK_OK(aclrtStreamWaitEvent(f.other, f.event));
  CHECK_OK(launch(f.other, "count"));
  CHECK_FAILS(aclmdlRICaptureEnd(f.stream, &graph), ACL_ERROR_RT_STREAM_UNJOINED, "does not wait");
  CHECK(graph == nullptr);
  for (aclrtStream stream : {f.stream, f.other}) CHECK_OK(launch(stream, "count"));
  CHECK_OK(aclrtSynchronizeDevice());
  CHECK(kernels_run == 2);
}

TEST_CASE(what_waits_is_refused_during_a_capture) {
  Fixture f;
  aclmdlRI graph = nullptr;
  char pageable[8] = "";
  aclrtStreamStatus status;
  CHECK_OK(launch(f.other, "count"));
  CHECK_OK(aclrtRecordEvent(f.event, f.other));
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_FAILS(aclrtSynchronizeStream(f.stream), ACL_ERROR_RT_STREAM_CAPTURED, "being captured");
  CHECK_FAILS(aclrtSynchronizeDevice(), ACL_ERROR_RT_STREAM_CAPTURED, "being captured");
  CHECK_FAILS(aclrtStreamQuery(f.stream, &status), ACL_ERROR_RT_STREAM_CAPTURED, "being captured");
  CHECK_FAILS(aclrtDestroyStream(f.stream), ACL_ERROR_RT_STREAM_CAPTURED, "destroyed");
  CHECK_FAILS(aclmdlRICaptureBegin(f.stream, kGlobal), ACL_ERROR_RT_STREAM_CAPTURED, "once more");
  CHECK_FAILS(aclrtMemcpy(f.memory, 8, pageable, 8, ACL_MEMCPY_HOST_TO_DEVICE),
              ACL_ERROR_RT_CAPTURE_MODE_NOT_SUPPORT, "synchronous copy");
  CHECK_FAILS(aclrtMemset(f.memory, 8, 0, 8), ACL_ERROR_RT_CAPTURE_MODE_NOT_SUPPORT, "memset");
  CHECK_FAILS(aclrtMemcpyAsync(f.memory, 8, pageable, 8, ACL_MEMCPY_HOST_TO_DEVICE, f.stream),
              ACL_ERROR_RT_CAPTURE_MODE_NOT_SUPPORT, "not pinned");
  CHECK_FAILS(aclrtStreamWaitEvent(f.stream, f.event), ACL_ERROR_RT_CAPTURE_DEPENDENCY, "outside");
  CHECK_OK(aclrtSynchronizeStream(f.other));  // what is not captured goes on
  CHECK_OK(launch(f.stream, "count"));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  f.replay(graph);
  CHECK(kernels_run == 2);
  CHECK_OK(aclmdlRIDestroy(graph));
}

TEST_CASE(modes_say_which_threads_may_copy_at_once) {
  Fixture f;
  const auto copies = [&] {
    char value[8] = "";
    CHECK_OK(aclrtSetDevice(0));
    const aclError code = aclrtMemcpy(f.memory, 8, value, 8, ACL_MEMCPY_HOST_TO_DEVICE);
    CHECK_OK(aclrtResetDevice(0));
    return code == ACL_SUCCESS;
  };
  const auto elsewhere = [&](aclmdlRICaptureMode mode) {
    bool copied = false;
    std::thread([&] {
      CHECK_OK(aclmdlRICaptureThreadExchangeMode(&mode));
      copied = copies();
    }).join();
    return copied;
  };
  const auto capture = [&](aclmdlRICaptureMode mode, bool here, bool global, bool local) {
    aclmdlRI graph = nullptr;
    CHECK_OK(aclmdlRICaptureBegin(f.stream, mode));
    CHECK(copies() == here);
    CHECK(elsewhere(kGlobal) == global);
    CHECK(elsewhere(kThread) == local);
    CHECK(elsewhere(kRelaxed));
    CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
    CHECK_OK(aclmdlRIDestroy(graph));
  };
  capture(kGlobal, false, false, true);
  capture(kThread, false, true, true);
  capture(kRelaxed, true, true, true);
  aclmdlRICaptureMode mode = kRelaxed;
  CHECK_OK(aclmdlRICaptureThreadExchangeMode(&mode));
  capture(kGlobal, true, false, true);
  CHECK_OK(aclmdlRICaptureThreadExchangeMode(&mode));
  CHECK(mode == kRelaxed);
}

TEST_CASE(wrong_ends_and_beginnings_are_errors) {
  Fixture f;
  aclmdlRI graph = nullptr;
  CHECK_FAILS(aclmdlRICaptureBegin(nullptr, kGlobal), ACL_ERROR_RT_STREAM_CAPTURE_IMPLICIT, "default stream");
  CHECK_FAILS(aclmdlRICaptureBegin(f.stream, static_cast<aclmdlRICaptureMode>(3)), ACL_ERROR_INVALID_PARAM,
              "does not exist");
  CHECK_FAILS(aclmdlRICaptureEnd(f.stream, &graph), ACL_ERROR_RT_STREAM_NOT_CAPTURED, "not being captured");
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(aclrtRecordEvent(f.event, f.stream));
  CHECK_OK(aclrtStreamWaitEvent(f.other, f.event));
  CHECK_FAILS(aclrtStreamWaitEvent(nullptr, f.event), ACL_ERROR_RT_STREAM_CAPTURE_IMPLICIT, "default stream");
  CHECK_FAILS(aclmdlRICaptureEnd(f.other, &graph), ACL_ERROR_RT_STREAM_CAPTURE_UNMATCHED, "begun on stream");
  std::thread([&] {
    CHECK_OK(aclrtSetDevice(0));
    aclmdlRI none = nullptr;
    CHECK_FAILS(aclmdlRICaptureEnd(f.stream, &none), ACL_ERROR_RT_STREAM_CAPTURE_WRONG_THREAD,
                "thread that began");
    CHECK_OK(aclrtResetDevice(0));
  }).join();
  aclmdlRI going = nullptr;
  aclmdlRICaptureStatus status;
  CHECK_OK(aclmdlRICaptureGetInfo(f.stream, &status, &going));
  CHECK_FAILS(aclmdlRIExecuteAsync(going, nullptr), ACL_ERROR_RT_MODEL_CAPTURED, "end that first");
  CHECK_FAILS(aclmdlRIDestroy(going), ACL_ERROR_RT_MODEL_CAPTURED, "end that first");
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  CHECK_OK(aclmdlRIDestroy(graph));
}

TEST_CASE(a_graph_that_is_gone_or_foreign_is_an_error) {
  Fixture f;
  aclmdlRI graph = nullptr;
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(launch(f.stream, "count"));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  CHECK_OK(aclmdlRIDestroy(graph));
  CHECK_FAILS(aclmdlRIExecuteAsync(graph, f.stream), ACL_ERROR_RT_INVALID_HANDLE, "no graph of this process");
  CHECK_FAILS(aclmdlRIDestroy(graph), ACL_ERROR_RT_INVALID_HANDLE, "no graph");
  int of_another_process = 0;
  CHECK_FAILS(aclmdlRIExecuteAsync(&of_another_process, f.stream), ACL_ERROR_RT_INVALID_HANDLE, "no graph");
}

TEST_CASE(memory_that_was_freed_fails_the_replay_and_not_the_program) {
  Fixture f;
  aclmdlRI graph = nullptr;
  void* gone = nullptr;
  void* host = nullptr;
  CHECK_OK(aclrtMalloc(&gone, 64, ACL_MEM_MALLOC_NORMAL_ONLY));
  CHECK_OK(aclrtMallocHost(&host, 64));
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(launch(f.stream, "count", {{gone, 64, true}}));
  CHECK_OK(aclrtMemcpyAsync(f.memory, 8, host, 8, ACL_MEMCPY_HOST_TO_DEVICE, f.stream));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  f.replay(graph);
  CHECK_OK(aclrtFreeHost(host));
  CHECK_FAILS(aclmdlRIExecuteAsync(graph, f.other), ACL_ERROR_RT_PARAM_INVALID, "pinned memory");
  CHECK_OK(aclrtFree(gone));
  CHECK_FAILS(aclmdlRIExecuteAsync(graph, f.other), ACL_ERROR_RT_PARAM_INVALID, "freed");
  CHECK_OK(aclrtSynchronizeStream(f.other));
  CHECK(kernels_run == 1);
  CHECK_OK(aclmdlRIDestroy(graph));
}

TEST_CASE(a_failure_in_a_replay_names_its_task) {
  Fixture f;
  aclmdlRI graph = nullptr;
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(cann_simulator_launch(
      f.stream, "aclnnBad",
      [](void*, char* message, size_t capacity) -> aclError {
        std::snprintf(message, capacity, "index 7 is out of bounds");
        return ACL_ERROR_RT_AICORE_EXCEPTION;
      },
      nullptr, [](void*) {}));
  CHECK_OK(launch(f.stream, "count"));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  CHECK_OK(aclmdlRIExecuteAsync(graph, f.other));
  CHECK_FAILS(aclrtSynchronizeStream(f.other), ACL_ERROR_RT_AICORE_EXCEPTION, "aclnnBad: index 7");
  CHECK(kernels_run == 0);
  CHECK_OK(aclmdlRIDestroy(graph));
}

// A kernel that adds its argument to a sum.
std::atomic<int> sum{0};
aclError add(aclrtStream stream, std::intptr_t number, const char* name = "add") {
  return cann_simulator_launch(
      stream, name,
      [](void* argument, char*, size_t) -> aclError {
        sum += static_cast<int>(reinterpret_cast<std::intptr_t>(argument));
        return ACL_SUCCESS;
      },
      reinterpret_cast<void*>(number), [](void*) {});
}

TEST_CASE(a_task_group_gets_other_arguments_while_the_graph_waits) {
  Fixture f;
  aclmdlRI graph = nullptr;
  aclrtTaskGrp group = nullptr;
  f.write(0);
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(aclrtValueWait(f.memory, 1, 1, f.stream));
  CHECK_OK(aclrtValueWrite(f.memory, 0, 0, f.stream));
  CHECK_OK(aclmdlRICaptureTaskGrpBegin(f.stream));
  CHECK_OK(add(f.stream, 1));
  CHECK_OK(add(f.stream, 2));
  CHECK_OK(aclmdlRICaptureTaskGrpEnd(f.stream, &group));
  CHECK_OK(add(f.stream, 100));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  sum = 0;
  CHECK_OK(aclmdlRIExecuteAsync(graph, f.stream));
  CHECK_OK(aclmdlRICaptureTaskUpdateBegin(f.other, group));
  CHECK_OK(add(f.other, 10));
  CHECK_OK(add(f.other, 20));
  CHECK_OK(aclmdlRICaptureTaskUpdateEnd(f.other));
  CHECK_OK(aclrtValueWrite(f.memory, 1, 0, f.other));
  CHECK_OK(aclrtSynchronizeStream(f.stream));
  CHECK_EQUAL(sum, 130);
  CHECK_OK(aclrtValueWrite(f.memory, 1, 0, f.other));
  f.replay(graph);
  CHECK_EQUAL(sum, 260);
  CHECK_OK(aclmdlRIDestroy(graph));
  CHECK_FAILS(aclmdlRICaptureTaskUpdateBegin(f.other, group), ACL_ERROR_RT_INVALID_HANDLE, "no task group");
}

TEST_CASE(a_task_group_keeps_its_kinds_and_holds_operators_only) {
  Fixture f;
  aclmdlRI graph = nullptr;
  aclrtTaskGrp group = nullptr;
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_FAILS(aclmdlRICaptureTaskGrpEnd(f.stream, &group), ACL_ERROR_STREAM_TASK_GROUP_STATUS, "begun no");
  CHECK_OK(aclmdlRICaptureTaskGrpBegin(f.stream));
  CHECK_FAILS(aclmdlRICaptureTaskGrpBegin(f.stream), ACL_ERROR_STREAM_TASK_GROUP_STATUS, "not ended");
  CHECK_OK(add(f.stream, 1));
  CHECK_OK(aclmdlRICaptureTaskGrpEnd(f.stream, &group));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  sum = 0;
  CHECK_OK(aclmdlRICaptureTaskUpdateBegin(f.other, group));
  CHECK_FAILS(
      aclrtLaunchHostFunc(f.other, [](void*) {}, nullptr), ACL_ERROR_RT_TASK_TYPE_NOT_SUPPORT, "operators");
  CHECK_OK(add(f.other, 5, "subtract"));
  CHECK_FAILS(aclmdlRICaptureTaskUpdateEnd(f.other), ACL_ERROR_STREAM_TASK_GROUP_STATUS, "[add]");
  CHECK_FAILS(aclmdlRICaptureTaskUpdateEnd(f.other), ACL_ERROR_STREAM_TASK_GROUP_STATUS, "updates no");
  f.replay(graph);
  CHECK_EQUAL(sum, 1);
  CHECK_OK(aclmdlRIDestroy(graph));

  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(aclmdlRICaptureTaskGrpBegin(f.stream));
  CHECK_FAILS(aclrtMemsetAsync(f.memory, 8, 0, 8, f.stream), ACL_ERROR_RT_TASK_TYPE_NOT_SUPPORT,
              "operators only");
  CHECK(status_of(f.stream) == ACL_MODEL_RI_CAPTURE_STATUS_INVALIDATED);
  CHECK_FAILS(aclmdlRICaptureEnd(f.stream, &graph), ACL_ERROR_RT_STREAM_CAPTURE_INVALIDATED,
              "operators only");
  CHECK(status_of(f.stream) == ACL_MODEL_RI_CAPTURE_STATUS_NONE);
}

TEST_CASE(conditions_choose_branches_and_repeat_them) {
  Fixture f;
  for (const auto type :
       {ACL_MODEL_RI_COND_TYPE_IF, ACL_MODEL_RI_COND_TYPE_WHILE, ACL_MODEL_RI_COND_TYPE_SWITCH}) {
    aclmdlRI graph = nullptr, parent = nullptr, ended = nullptr, branches[3] = {};
    aclmdlRICaptureStatus status;
    aclmdlRICondHandle condition = nullptr;
    std::uint64_t* number = nullptr;
    const uint32_t count = type == ACL_MODEL_RI_COND_TYPE_IF      ? 2
                           : type == ACL_MODEL_RI_COND_TYPE_WHILE ? 1
                                                                  : 3;
    CHECK_OK(aclmdlRICaptureBegin(f.stream, kRelaxed));
    CHECK_OK(aclmdlRICaptureGetInfo(f.stream, &status, &parent));
    CHECK_OK(aclmdlRICondHandleCreate(parent, 0, ACL_MODEL_RI_COND_HANDLE_ASSIGN_DEFAULT, &condition));
    CHECK_OK(aclmdlRICondHandleGetCondPtr(condition, &number));
    CHECK_OK(aclrtMemcpyAsync(number, 8, f.memory, 8, ACL_MEMCPY_DEVICE_TO_DEVICE, f.stream));
    CHECK_FAILS(aclmdlRIAddCondTask({condition, type, 0, branches}, f.stream, 0), ACL_ERROR_INVALID_PARAM,
                "does not exist");
    CHECK_OK(aclmdlRIAddCondTask({condition, type, count, branches}, f.stream, 0));
    for (uint32_t branch = 0; branch < count; ++branch) {
      CHECK_OK(aclmdlRICaptureToModelRIBegin(f.other, branches[branch], kRelaxed));
      CHECK_OK(add(f.other, branch == 0 ? 1 : branch == 1 ? 10 : 100));
      if (type == ACL_MODEL_RI_COND_TYPE_WHILE) CHECK_OK(aclrtMemsetAsync(number, 8, 0, 8, f.other));
      CHECK_OK(aclmdlRICaptureEnd(f.other, &ended));
      CHECK(ended == branches[branch]);
      CHECK_FAILS(aclmdlRIDestroy(ended), ACL_ERROR_RT_PARAM_INVALID, "branch");
    }
    CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
    sum = 0;
    for (const std::uint64_t value : {0, 1, 2, 3}) {
      f.write(value);
      f.replay(graph);
    }
    CHECK_EQUAL(sum, type == ACL_MODEL_RI_COND_TYPE_IF ? 13 : type == ACL_MODEL_RI_COND_TYPE_WHILE ? 3 : 111);
    CHECK_OK(aclmdlRIDestroy(graph));
    CHECK_FAILS(aclmdlRICondHandleGetCondPtr(condition, &number), ACL_ERROR_RT_INVALID_HANDLE,
                "no condition");
  }
}

TEST_CASE(external_events_are_part_of_every_replay) {
  Fixture f;
  aclrtEvent external = nullptr;
  aclmdlRI graph = nullptr;
  CHECK_OK(aclrtCreateEventWithFlag(&external, ACL_EVENT_EXTERNAL));
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(aclrtStreamWaitEvent(f.stream, external));
  CHECK_OK(aclrtResetEvent(external, f.stream));
  CHECK_OK(launch(f.stream, "count"));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  for (int replay = 1; replay <= 2; ++replay) {
    CHECK_OK(aclmdlRIExecuteAsync(graph, f.stream));
    CHECK_EQUAL(aclrtSynchronizeStreamWithTimeout(f.stream, 5), ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
    CHECK_OK(aclrtRecordEvent(external, f.other));
    CHECK_OK(aclrtSynchronizeStream(f.stream));
    CHECK(kernels_run == replay);
  }
  CHECK_OK(aclmdlRIDestroy(graph));
  CHECK_OK(aclrtDestroyEvent(external));
}

TEST_CASE(values_are_waited_for_in_four_ways) {
  Fixture f;
  const struct {
    uint32_t flag;
    std::uint64_t value, waits, goes_on;
  } ways[] = {{0, 5, 4, 6}, {1, 5, 6, 5}, {2, 6, 9, 2}, {3, ~std::uint64_t{1}, 1, 2}};
  for (const auto& way : ways) {
    f.write(way.waits);
    CHECK_OK(aclrtValueWait(f.memory, way.value, way.flag, f.stream));
    CHECK_EQUAL(aclrtSynchronizeStreamWithTimeout(f.stream, 5), ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
    CHECK_OK(aclrtValueWrite(f.memory, way.goes_on, 0, f.other));
    CHECK_OK(aclrtSynchronizeStream(f.stream));
  }
  CHECK_FAILS(aclrtValueWait(f.memory, 0, 4, f.stream), ACL_ERROR_INVALID_PARAM, "does not exist");
  CHECK_FAILS(aclrtValueWrite(f.host, 0, 0, f.stream), ACL_ERROR_RT_PARAM_INVALID, "live device memory");
  CHECK_FAILS(aclrtValueWrite(static_cast<char*>(f.memory) + 1, 0, 0, f.stream), ACL_ERROR_RT_PARAM_INVALID,
              "aligned");
}

TEST_CASE(a_graph_is_written_as_json) {
  Fixture f;
  aclmdlRI graph = nullptr;
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  CHECK_OK(launch(f.stream, "aclnnAdd"));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  char path[] = "/tmp/graph_test_XXXXXX";
  close(mkstemp(path));
  CHECK_OK(aclmdlRIDebugJsonPrint(graph, path, 0));
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  unlink(path);
  CHECK(text.str().find("\"type\": \"kernel\", \"name\": \"aclnnAdd\"") != std::string::npos);
  CHECK_FAILS(aclmdlRIDebugJsonPrint(graph, "/dev/null/graph.json", 0), ACL_ERROR_INVALID_PARAM, "/dev/null");
  CHECK_OK(aclmdlRIDestroy(graph));
}

TEST_CASE(many_streams_replay_one_graph_at_once) {
  Fixture f;
  aclmdlRI graph = nullptr;
  CHECK_OK(aclmdlRICaptureBegin(f.stream, kGlobal));
  for (int kernel = 0; kernel < 10; ++kernel) CHECK_OK(launch(f.stream, "count"));
  CHECK_OK(aclmdlRICaptureEnd(f.stream, &graph));
  std::vector<std::thread> threads;
  for (int index = 0; index < 4; ++index) {
    threads.emplace_back([&] {
      CHECK_OK(aclrtSetDevice(0));
      aclrtStream own = nullptr;
      CHECK_OK(aclrtCreateStream(&own));
      for (int replay = 0; replay < 25; ++replay) CHECK_OK(aclmdlRIExecuteAsync(graph, own));
      CHECK_OK(aclrtSynchronizeStream(own));
      CHECK_OK(aclrtDestroyStream(own));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(kernels_run == 1000);
  CHECK_OK(aclmdlRIDestroy(graph));
}

TEST_CASE(a_reset_of_the_device_ends_captures_and_graphs) {
  aclrtStream stream = nullptr;
  aclmdlRI graph = nullptr;
  CHECK_OK(aclrtSetDevice(1));
  CHECK_OK(aclrtCreateStream(&stream));
  CHECK_OK(aclmdlRICaptureBegin(stream, kGlobal));
  CHECK_OK(launch(stream, "count"));
  CHECK_OK(aclmdlRICaptureEnd(stream, &graph));
  CHECK_OK(aclmdlRICaptureBegin(stream, kGlobal));
  CHECK_OK(aclrtResetDevice(1));
  CHECK_OK(aclrtSetDevice(0));
  CHECK_FAILS(aclmdlRIExecuteAsync(graph, nullptr), ACL_ERROR_RT_INVALID_HANDLE, "no graph");
  CHECK_OK(aclrtSynchronizeDevice());
}

}  // namespace

int main(int argc, char** argv) { return test::run_on_device(argc, argv); }
