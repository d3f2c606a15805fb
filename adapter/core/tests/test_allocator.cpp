// The caching allocator: reuse, cutting and joining, statistics, streams.
#include "support.h"

TEST_CASE(freed_block_is_handed_out_again) {
  void* first = device_malloc(1000);
  npu_free(first);
  CHECK(device_malloc(900) == first);
  CHECK_EQUAL(memory_stats().segments.allocated, 1);
}

TEST_CASE(size_zero_is_null) {
  int pointed = 0;
  void* pointer = &pointed;
  CHECK_OK(npu_malloc(0, 0, 0, &pointer));
  CHECK(pointer == nullptr);
  npu_free(pointer);
  CHECK_OK(npu_record_stream(pointer, 1));
  CHECK_EQUAL(memory_stats().allocations.allocated, 0);
}

// CANN's operators may touch 32 bytes behind a tensor, which must not be another tensor's.
TEST_CASE(neighbours_leave_room_for_overruns) {
  char* first = static_cast<char*>(device_malloc(512));
  char* second = static_cast<char*>(device_malloc(480));
  char* third = static_cast<char*>(device_malloc(1));
  CHECK_EQUAL(second - first, 1024);
  CHECK_EQUAL(third - second, 512);
}

TEST_CASE(small_requests_share_a_segment) {
  for (int i = 0; i < 16; ++i) device_malloc(64 * 1024);
  CHECK_EQUAL(memory_stats().segments.current, 1);
  CHECK_EQUAL(memory_stats().reserved_bytes.current, 2 * kMiB);
}

TEST_CASE(segments_follow_the_size_of_requests) {
  device_malloc(kMiB);
  CHECK_EQUAL(memory_stats().reserved_bytes.current, 2 * kMiB);
  device_malloc(kMiB + 1);
  CHECK_EQUAL(memory_stats().reserved_bytes.current, (2 + 20) * kMiB);
  device_malloc(9 * kMiB);  // out of the same 20 MiB
  CHECK_EQUAL(memory_stats().reserved_bytes.current, (2 + 20) * kMiB);
  device_malloc(31 * kMiB);
  CHECK_EQUAL(memory_stats().reserved_bytes.current, (2 + 20 + 32) * kMiB);
}

TEST_CASE(best_fit_is_taken_and_cut) {
  void* large = device_malloc(18 * kMiB);
  void* fitting = device_malloc(12 * kMiB);
  npu_free(large);
  npu_free(fitting);
  CHECK(device_malloc(11 * kMiB) == fitting);
  CHECK(device_malloc(14 * kMiB) == large);
  // Of the two rests, of 3 and of 6 MiB, the smaller one that is large enough.
  CHECK(device_malloc(2 * kMiB) == static_cast<char*>(fitting) + block_size(11 * kMiB));
  CHECK(device_malloc(4 * kMiB) == static_cast<char*>(large) + block_size(14 * kMiB));
  CHECK_EQUAL(memory_stats().segments.current, 2);
}

TEST_CASE(neighbours_join_in_any_order_of_freeing) {
  const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : orders) {
    void* blocks[3];
    for (auto& block : blocks) block = device_malloc(6 * kMiB);
    CHECK_EQUAL(memory_stats().segments.current, 1);
    for (const int index : order) npu_free(blocks[index]);
    void* whole = device_malloc(19 * kMiB);
    CHECK(whole == blocks[0]);
    CHECK_EQUAL(memory_stats().segments.current, 2 - 1);
    npu_free(whole);
  }
  CHECK_EQUAL(memory_stats().segments.allocated, 1);
}

TEST_CASE(statistics_are_exact) {
  void* first = device_malloc(1000);
  void* second = device_malloc(5 * kMiB);
  npu_free(first);
  const npu_memory_stats stats = memory_stats();
  CHECK_EQUAL(stats.allocated_bytes.current, block_size(5 * kMiB));
  CHECK_EQUAL(stats.allocated_bytes.peak, block_size(1000) + block_size(5 * kMiB));
  CHECK_EQUAL(stats.allocated_bytes.allocated, block_size(1000) + block_size(5 * kMiB));
  CHECK_EQUAL(stats.allocated_bytes.freed, block_size(1000));
  CHECK_EQUAL(stats.reserved_bytes.current, 22 * kMiB);
  CHECK_EQUAL(stats.allocations.current, 1);
  CHECK_EQUAL(stats.allocations.allocated, 2);
  CHECK_EQUAL(stats.segments.current, 2);
  CHECK_EQUAL(memory_stats(1).reserved_bytes.allocated, 0);
  npu_free(second);
  CHECK_OK(npu_empty_cache(0));
  CHECK_EQUAL(memory_stats().reserved_bytes.current, 0);
  CHECK_EQUAL(memory_stats().reserved_bytes.freed, 22 * kMiB);
  CHECK_EQUAL(memory_stats().segments.freed, 2);
}

TEST_CASE(statistics_can_be_reset) {
  npu_free(device_malloc(5 * kMiB));
  device_malloc(1000);
  CHECK_OK(npu_reset_peak_stats(0));
  CHECK_EQUAL(memory_stats().allocated_bytes.peak, block_size(1000));
  CHECK_EQUAL(memory_stats().reserved_bytes.peak, 22 * kMiB);
  CHECK_OK(npu_reset_accumulated_stats(0));
  CHECK_EQUAL(memory_stats().allocated_bytes.allocated, 0);
  CHECK_EQUAL(memory_stats().allocations.freed, 0);
  CHECK_EQUAL(memory_stats().allocated_bytes.current, block_size(1000));
}

TEST_CASE(empty_cache_keeps_what_is_in_use) {
  void* kept = device_malloc(kMiB / 2);
  npu_free(device_malloc(30 * kMiB));
  void* on_the_other = device_malloc(1000, 0, 1);
  npu_free(on_the_other);
  CHECK_OK(npu_empty_cache(0));
  CHECK_EQUAL(memory_stats(0).reserved_bytes.current, 2 * kMiB);
  CHECK_EQUAL(memory_stats(1).reserved_bytes.current, 2 * kMiB);
  CHECK_OK(npu_empty_cache(-1));
  CHECK_EQUAL(memory_stats(1).reserved_bytes.current, 0);
  int32_t device = -1;
  CHECK_EQUAL(npu_pointer_device(kept, &device), 1);
  CHECK_EQUAL(npu_pointer_device(on_the_other, &device), 0);
}

TEST_CASE(memory_goes_back_to_cann_and_survives_its_kernels) {
  Gate gate(0, 0);
  void* pointer = device_malloc(30 * kMiB);
  CHECK_OK(npu_memset_async(pointer, 1, 30 * kMiB, 0, 0));
  npu_free(pointer);  // its own stream has not even started
  gate.open();
  CHECK_OK(npu_empty_cache(0));
  CHECK_OK(npu_synchronize_device(0));  // reports a kernel that ran on memory that was gone
  size_t free_bytes = 0;
  size_t total = 0;
  CHECK_OK(npu_memory_info(0, &free_bytes, &total));
  CHECK_EQUAL(free_bytes, total);
}

TEST_CASE(streams_have_their_own_pools) {
  void* first = device_malloc(1000, 1);
  npu_free(first);
  CHECK(device_malloc(1000, 2) != first);
  CHECK(device_malloc(1000, 1) == first);
}

TEST_CASE(own_stream_may_reuse_at_once) {
  Gate gate(0, 1);
  void* pointer = device_malloc(1000, 1);
  CHECK_OK(npu_memset_async(pointer, 1, 1000, 0, 1));
  CHECK_OK(npu_record_stream(pointer, 1));  // its own: nothing to wait for
  npu_free(pointer);
  CHECK(device_malloc(1000, 1) == pointer);
}

TEST_CASE(recorded_stream_delays_reuse) {
  void* pointer = device_malloc(1000, 1);
  Gate gate(0, 2);
  CHECK_OK(npu_memset_async(pointer, 1, 1000, 0, 2));
  CHECK_OK(npu_record_stream(pointer, 2));
  npu_free(pointer);
  CHECK_EQUAL(memory_stats().allocated_bytes.current, 0);
  void* meanwhile = device_malloc(1000, 1);
  CHECK(meanwhile != pointer);
  gate.open();
  CHECK_OK(npu_stream_synchronize(0, 2));
  npu_free(meanwhile);
  CHECK(device_malloc(1000, 1) == pointer);  // both joined again, and the segment starts with it
}

TEST_CASE(recorded_streams_end_with_the_owner) {
  void* pointer = device_malloc(1000, 1);
  CHECK_OK(npu_record_stream(pointer, 2));
  npu_free(pointer);
  CHECK_OK(npu_stream_synchronize(0, 2));
  CHECK(device_malloc(1000, 1) == pointer);
  Gate gate(0, 2);
  npu_free(pointer);  // the new owner never used it on stream 2
  CHECK(device_malloc(1000, 1) == pointer);
}

TEST_CASE(every_recorded_stream_is_waited_for) {
  void* pointer = device_malloc(30 * kMiB);
  Gate slow(0, 2);
  Gate slower(0, 33);
  CHECK_OK(npu_record_stream(pointer, 2));
  CHECK_OK(npu_record_stream(pointer, 33));
  npu_free(pointer);
  slow.open();
  CHECK_OK(npu_stream_synchronize(0, 2));
  void* meanwhile = device_malloc(30 * kMiB);
  CHECK(meanwhile != pointer);
  slower.open();
  CHECK_OK(npu_stream_synchronize(0, 33));
  CHECK(device_malloc(30 * kMiB) == pointer);
}

TEST_CASE(empty_cache_waits_for_recorded_streams) {
  void* pointer = device_malloc(30 * kMiB);
  for (int i = 0; i < 8; ++i) CHECK_OK(npu_memset_async(pointer, i, 30 * kMiB, 0, 2));
  CHECK_OK(npu_record_stream(pointer, 2));
  npu_free(pointer);
  CHECK_OK(npu_empty_cache(0));
  CHECK_EQUAL(memory_stats().reserved_bytes.current, 0);
  CHECK_OK(npu_synchronize_device(0));
}

TEST_CASE(addresses_inside_a_segment_are_known) {
  char* pointer = static_cast<char*>(device_malloc(1000, 0, 1));
  int32_t device = -1;
  CHECK_EQUAL(npu_pointer_device(pointer + 999, &device), 1);
  CHECK_EQUAL(device, 1);
  CHECK_EQUAL(npu_pointer_device(pointer + 2 * kMiB, &device), 0);
  CHECK_EQUAL(npu_pointer_device(&device, &device), 0);
  CHECK_EQUAL(npu_pointer_device(nullptr, &device), 0);
}

TEST_CASE(unknown_pointers_are_refused) {
  char* pointer = static_cast<char*>(device_malloc(1000));
  CHECK_EQUAL(npu_record_stream(pointer + 512, 1), NPU_ERR_BAD_ARGUMENT);
  npu_free(pointer + 512);
  CHECK_MESSAGE("npu_free");
  npu_free(pointer);
  npu_free(pointer);  // twice: says so, and does not corrupt the pool
  CHECK_MESSAGE("not the start of live device memory");
  CHECK_EQUAL(memory_stats().allocations.freed, 1);
  CHECK(device_malloc(1000) != device_malloc(1000));
}
