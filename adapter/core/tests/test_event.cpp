// Events: order between streams, waiting, time.
#include "support.h"

namespace {

npu_event* create(bool timing = false, int32_t device = 0) {
  npu_event* event = nullptr;
  CHECK_OK(npu_event_create(device, timing ? 1 : 0, &event));
  return event;
}

bool is_done(npu_event* event) {
  int32_t done = -1;
  CHECK_OK(npu_event_query(event, &done));
  return done == 1;
}

bool stream_is_done(int32_t device, int64_t stream) {
  int32_t done = -1;
  CHECK_OK(npu_stream_query(device, stream, &done));
  return done == 1;
}

}  // namespace

TEST_CASE(never_recorded_counts_as_done) {
  npu_event* event = create();
  CHECK(is_done(event));
  CHECK_OK(npu_event_synchronize(event));
  CHECK_OK(npu_event_block(event, 0, 1));
  CHECK_OK(npu_stream_synchronize(0, 1));
  CHECK_EQUAL(npu_event_device(event), 0);
  npu_event_destroy(event);
}

TEST_CASE(record_completes_with_its_stream) {
  npu_event* event = create();
  Gate gate(0, 1);
  CHECK_OK(npu_event_record(event, 1));
  CHECK(!is_done(event));
  gate.open();
  CHECK_OK(npu_event_synchronize(event));
  CHECK(is_done(event));
  npu_event_destroy(event);
}

TEST_CASE(block_makes_another_stream_wait) {
  for (const int32_t device : {0, 1}) {
    npu_event* event = create();
    Gate gate(0, 1);
    CHECK_OK(npu_event_record(event, 1));
    CHECK_OK(npu_event_block(event, device, 2));
    CHECK(!stream_is_done(device, 2));
    gate.open();
    CHECK_OK(npu_stream_synchronize(device, 2));
    CHECK(is_done(event));
    npu_event_destroy(event);
  }
}

// The second stream reads what the first one writes late.
TEST_CASE(order_shows_in_the_data) {
  void* from = device_malloc(4096);
  void* pinned = nullptr;
  CHECK_OK(npu_host_malloc(4096, &pinned));
  CHECK_OK(npu_memset_async(from, 1, 4096, 0, 1));
  CHECK_OK(npu_stream_synchronize(0, 1));
  npu_event* event = create();
  Gate gate(0, 1);
  CHECK_OK(npu_memset_async(from, 2, 4096, 0, 1));
  CHECK_OK(npu_event_record(event, 1));
  CHECK_OK(npu_event_block(event, 0, 2));
  CHECK_OK(npu_memcpy_async(pinned, from, 4096, 2, 0, 2));
  gate.open();
  CHECK_OK(npu_stream_synchronize(0, 2));
  CHECK_EQUAL(static_cast<char*>(pinned)[4095], 2);
  npu_event_destroy(event);
}

TEST_CASE(destroy_does_not_wait_for_the_stream) {
  Gate gate(0, 1);
  for (int i = 0; i < 10; ++i) {
    npu_event* event = create();
    CHECK_OK(npu_event_record(event, 1));
    CHECK_OK(npu_event_block(event, 0, 2));
    npu_event_destroy(event);
  }
  CHECK(!stream_is_done(0, 1));
  gate.open();
  CHECK_OK(npu_stream_synchronize(0, 2));
}

TEST_CASE(elapsed_time_is_that_between_the_records) {
  npu_event* start = create(true);
  npu_event* end = create(true);
  void* handle = nullptr;
  int milliseconds = 20;
  CHECK_OK(npu_event_record(start, 4));
  CHECK_OK(npu_stream_handle(0, 4, &handle));
  CHECK_EQUAL(CANN(aclrtLaunchHostFunc, handle, &sleep_in_stream, static_cast<void*>(&milliseconds)),
              ACL_SUCCESS);
  CHECK_OK(npu_event_record(end, 4));
  CHECK_OK(npu_event_synchronize(end));
  double elapsed = 0;
  CHECK_OK(npu_event_elapsed_ms(start, end, &elapsed));
  CHECK(elapsed >= 20.0);
  npu_event_destroy(start);
  npu_event_destroy(end);
}

TEST_CASE(elapsed_time_needs_two_finished_timed_events_of_a_device) {
  npu_event* start = create(true);
  npu_event* end = create(true);
  double elapsed = 0;
  CHECK_EQUAL(npu_event_elapsed_ms(start, end, &elapsed), NPU_ERR_BAD_ARGUMENT);
  CHECK_MESSAGE("start event was never recorded");
  CHECK_OK(npu_event_record(start, 0));
  CHECK_OK(npu_event_synchronize(start));
  Gate gate(0, 0);
  CHECK_OK(npu_event_record(end, 0));
  CHECK_EQUAL(npu_event_elapsed_ms(start, end, &elapsed), NPU_ERR_BAD_ARGUMENT);
  CHECK_MESSAGE("end event is not complete");
  npu_event* untimed = create(false);
  CHECK_EQUAL(npu_event_elapsed_ms(start, untimed, &elapsed), NPU_ERR_BAD_ARGUMENT);
  CHECK_MESSAGE("without timing");
  npu_event* elsewhere = create(true, 1);
  CHECK_OK(npu_event_record(elsewhere, 0));
  CHECK_OK(npu_event_synchronize(elsewhere));
  CHECK_EQUAL(npu_event_elapsed_ms(start, elsewhere, &elapsed), NPU_ERR_BAD_ARGUMENT);
  CHECK_MESSAGE("two devices");
  for (npu_event* event : {start, end, untimed, elsewhere}) npu_event_destroy(event);
}

TEST_CASE(null_is_refused) {
  CHECK_EQUAL(npu_event_record(nullptr, 0), NPU_ERR_BAD_ARGUMENT);
  CHECK_EQUAL(npu_event_create(0, 0, nullptr), NPU_ERR_BAD_ARGUMENT);
  CHECK_EQUAL(npu_event_device(nullptr), -1);
  npu_event_destroy(nullptr);
}
