// Devices: the count, the index, the calling thread's device, what CANN is told of it.
#include <thread>

#include "support.h"

namespace {

int32_t bound_device() {
  int32_t bound = -1;
  CHECK_EQUAL(CANN(aclrtGetDevice, &bound), ACL_SUCCESS);
  return bound;
}

}  // namespace

TEST_CASE(questions_do_not_initialize) {
  int32_t count = 0;
  CHECK_OK(npu_device_count(&count));
  CHECK_EQUAL(count, 2);
  CHECK_EQUAL(memory_stats().allocations.current, 0);
  CHECK_EQUAL(npu_current_stream(1), 0);
  CHECK_EQUAL(npu_is_initialized(), 0);
  CHECK_OK(npu_init());
  CHECK_EQUAL(npu_is_initialized(), 1);
}

TEST_CASE(index_out_of_range_is_refused) {
  for (const int32_t device : {-1, 2, 99, 1 << 30}) {
    CHECK_EQUAL(npu_set_device(device), NPU_ERR_BAD_DEVICE);
    CHECK_MESSAGE(("no NPU " + std::to_string(device)).c_str());
    CHECK_MESSAGE("0 to 1");
    void* pointer = nullptr;
    CHECK_EQUAL(npu_malloc(device, 0, 16, &pointer), NPU_ERR_BAD_DEVICE);
    CHECK_EQUAL(npu_synchronize_device(device), NPU_ERR_BAD_DEVICE);
    CHECK_EQUAL(npu_current_stream(device), 0);
  }
  CHECK_EQUAL(npu_current_device(), 0);
  CHECK_EQUAL(npu_is_initialized(), 0);  // a refused index costs nothing
  CHECK_OK(npu_init());
  npu_memory_stats stats;
  CHECK_EQUAL(npu_get_memory_stats(2, &stats), NPU_ERR_BAD_DEVICE);
}

TEST_CASE(current_device_belongs_to_the_thread) {
  CHECK_OK(npu_set_device(1));
  std::thread([] {
    CHECK_EQUAL(npu_current_device(), 0);
    CHECK_OK(npu_init());
    CHECK_EQUAL(bound_device(), 0);
  }).join();
  CHECK_EQUAL(npu_current_device(), 1);
  CHECK_EQUAL(bound_device(), 1);
}

// Kernels are launched on the device that CANN has bound to the thread, so a call for another device
// must not leave that one bound.
TEST_CASE(calls_for_another_device_leave_the_thread_bound) {
  CHECK_OK(npu_set_device(0));
  void* there = device_malloc(4096, 0, 1);
  int32_t device = -1;
  CHECK_EQUAL(npu_pointer_device(there, &device), 1);
  CHECK_EQUAL(device, 1);
  CHECK_EQUAL(bound_device(), 0);
  CHECK_OK(npu_stream_synchronize(1, 3));
  CHECK_OK(npu_synchronize_device(1));
  CHECK_EQUAL(bound_device(), 0);
  CHECK_EQUAL(npu_current_device(), 0);
  npu_free(there);
}

TEST_CASE(cann_may_have_been_initialized_by_another_library) {
  CHECK_EQUAL(CANN(aclInit, static_cast<const char*>(nullptr)), ACL_SUCCESS);
  CHECK_OK(npu_init());
  CHECK_EQUAL(npu_is_initialized(), 1);
  npu_free(device_malloc(64));
}

TEST_CASE(name_says_that_it_is_simulated) {
  char name[64];
  CHECK_OK(npu_device_name(1, name, sizeof(name)));
  CHECK(std::string(name) == "Ascend910B1 (simulated)");
  char cut[8];
  CHECK_OK(npu_device_name(0, cut, sizeof(cut)));
  CHECK(std::string(cut) == "Ascend9");
  CHECK_EQUAL(npu_device_name(0, nullptr, 0), NPU_ERR_BAD_ARGUMENT);
}

TEST_CASE(memory_info_follows_allocations) {
  size_t free_before = 0;
  size_t free_after = 0;
  size_t total = 0;
  CHECK_OK(npu_memory_info(1, &free_before, &total));
  CHECK_EQUAL(total, 256 * kMiB);
  device_malloc(64 * kMiB, 0, 1);
  CHECK_OK(npu_memory_info(1, &free_after, &total));
  CHECK(free_after + 64 * kMiB <= free_before);
}

TEST_CASE(threads_work_on_their_own_devices) {
  std::vector<std::thread> threads;
  for (int32_t i = 0; i < 8; ++i) {
    threads.emplace_back([i] {
      const int32_t mine = i % 2;
      CHECK_OK(npu_set_device(mine));
      for (int round = 0; round < 50; ++round) {
        npu_free(device_malloc(1 << 16, 0, 1 - mine));
        CHECK_OK(npu_stream_synchronize(1 - mine, 0));
        CHECK_EQUAL(npu_current_device(), mine);
        CHECK_EQUAL(bound_device(), mine);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}
