// Fork: harmless before the first use, a clear error and never a hang after it.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "support.h"

namespace {

// Runs `body` in a forked child and gives its exit code; a child that hangs is killed by its alarm.
template <typename Body>
int in_child(Body body) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(20);
    body();
    std::_Exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

void use_device() {
  void* pointer = device_malloc(1 << 16);
  CHECK_OK(npu_memset_async(pointer, 1, 1 << 16, 0, 0));
  CHECK_OK(npu_stream_synchronize(0, 0));
  npu_free(pointer);
}

void check_everything_is_refused(void* pointer, void* pinned, npu_event* event) {
  CHECK_EQUAL(npu_in_bad_fork(), 1);
  CHECK_EQUAL(npu_is_initialized(), 0);
  CHECK_EQUAL(npu_init(), NPU_ERR_FORKED);
  CHECK_MESSAGE("'spawn'");
  CHECK_EQUAL(npu_set_device(1), NPU_ERR_FORKED);
  void* fresh = nullptr;
  CHECK_EQUAL(npu_malloc(0, 0, 512, &fresh), NPU_ERR_FORKED);
  CHECK_EQUAL(npu_host_malloc(512, &fresh), NPU_ERR_FORKED);
  CHECK_EQUAL(npu_stream_synchronize(0, 0), NPU_ERR_FORKED);
  CHECK_EQUAL(npu_synchronize_device(0), NPU_ERR_FORKED);
  CHECK_EQUAL(npu_record_stream(pointer, 1), NPU_ERR_FORKED);
  CHECK_EQUAL(npu_event_record(event, 0), NPU_ERR_FORKED);
  CHECK_EQUAL(npu_memset_async(pointer, 0, 8, 0, 0), NPU_ERR_FORKED);
  CHECK_EQUAL(npu_empty_cache(-1), NPU_ERR_FORKED);
  int32_t count = -1;
  CHECK_OK(npu_device_count(&count));
  CHECK_EQUAL(count, 0);
  npu_free(pointer);
  npu_host_free(pinned);
  npu_event_destroy(event);
  npu_shutdown();
}

}  // namespace

TEST_CASE(before_first_use_is_fine) {
  npu_cann_info info;
  CHECK_OK(npu_cann(&info));
  int32_t count = 0;
  CHECK_OK(npu_device_count(&count));  // a question is no use
  CHECK_EQUAL(in_child([] {
                CHECK_EQUAL(npu_in_bad_fork(), 0);
                use_device();
              }),
              0);
  use_device();
}

TEST_CASE(after_use_is_refused_in_the_child_only) {
  use_device();
  void* pointer = device_malloc(4096);
  void* pinned = nullptr;
  CHECK_OK(npu_host_malloc(4096, &pinned));
  npu_event* event = nullptr;
  CHECK_OK(npu_event_create(0, 0, &event));
  CHECK_OK(npu_event_record(event, 0));
  CHECK_EQUAL(in_child([=] { check_everything_is_refused(pointer, pinned, event); }), 0);
  CHECK_EQUAL(npu_in_bad_fork(), 0);
  CHECK_OK(npu_event_synchronize(event));
  npu_event_destroy(event);
  npu_host_free(pinned);
  npu_free(pointer);
  use_device();
}

TEST_CASE(grandchildren_are_refused_too) {
  use_device();
  CHECK_EQUAL(in_child([] { CHECK_EQUAL(in_child([] { CHECK_EQUAL(npu_init(), NPU_ERR_FORKED); }), 0); }), 0);
}

// At the moment of the fork other threads hold the allocator's locks, which nobody will release in the
// child.
TEST_CASE(locks_of_other_threads_do_not_hang_the_child) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&stop] {
      while (!stop.load()) npu_free(device_malloc(1 << 12));
    });
  }
  void* pointer = device_malloc(4096);
  void* pinned = nullptr;
  CHECK_OK(npu_host_malloc(4096, &pinned));
  npu_event* event = nullptr;
  CHECK_OK(npu_event_create(0, 0, &event));
  for (int round = 0; round < 20; ++round) {
    CHECK_EQUAL(in_child([=] { check_everything_is_refused(pointer, pinned, event); }), 0);
  }
  stop.store(true);
  for (auto& thread : threads) thread.join();
  npu_event_destroy(event);
}
