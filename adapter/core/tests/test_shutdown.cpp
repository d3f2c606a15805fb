// The end: what is freed after it is ignored, what needs CANN is refused.
#include <thread>

#include "support.h"

TEST_CASE(frees_after_it_do_nothing) {
  void* pointer = device_malloc(4096);
  void* cached = device_malloc(30 * kMiB);
  void* pinned = nullptr;
  CHECK_OK(npu_host_malloc(4096, &pinned));
  npu_event* event = nullptr;
  CHECK_OK(npu_event_create(1, 1, &event));
  CHECK_OK(npu_event_record(event, 2));
  npu_free(cached);
  npu_shutdown();
  npu_free(pointer);
  npu_host_free(pinned);
  npu_event_destroy(event);
  npu_shutdown();
  CHECK_EQUAL(npu_is_initialized(), 0);
}

TEST_CASE(calls_after_it_are_refused) {
  CHECK_OK(npu_init());
  npu_shutdown();
  CHECK_EQUAL(npu_init(), NPU_ERR_SHUT_DOWN);
  CHECK_MESSAGE("shut down");
  void* pointer = nullptr;
  CHECK_EQUAL(npu_malloc(0, 0, 8, &pointer), NPU_ERR_SHUT_DOWN);
  CHECK_EQUAL(npu_synchronize_device(0), NPU_ERR_SHUT_DOWN);
  int32_t count = -1;
  CHECK_OK(npu_device_count(&count));
  CHECK_EQUAL(count, 0);
}

TEST_CASE(before_first_use_it_still_ends_everything) {
  npu_shutdown();
  CHECK_EQUAL(npu_init(), NPU_ERR_SHUT_DOWN);
}

TEST_CASE(work_and_waiting_memory_are_finished_first) {
  void* pointer = device_malloc(kMiB);
  CHECK_OK(npu_record_stream(pointer, 1));
  for (int i = 0; i < 20; ++i) CHECK_OK(npu_memset_async(pointer, i, kMiB, 0, 1));
  npu_free(pointer);  // waits for stream 1
  npu_event* event = nullptr;
  CHECK_OK(npu_event_create(0, 0, &event));
  CHECK_OK(npu_event_record(event, 1));
  npu_event_destroy(event);  // perhaps before the stream has passed it
  npu_shutdown();
  CHECK_EQUAL(CANN(aclrtSetDevice, 0), ACL_ERROR_UNINITIALIZE);  // CANN was finalized
}

TEST_CASE(process_may_end_with_live_memory_and_threads) {
  device_malloc(4096);
  std::thread([] {
    while (true) {
      void* pointer = nullptr;
      if (npu_malloc(0, 0, 1 << 12, &pointer) != NPU_OK) return;
      npu_free(pointer);
    }
  }).detach();
  npu_shutdown();
  CHECK_EQUAL(npu_init(), NPU_ERR_SHUT_DOWN);
}
