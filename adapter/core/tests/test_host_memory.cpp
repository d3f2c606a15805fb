// Pinned host memory: the cache, and blocks that a stream still uses.
#include "support.h"

namespace {

void* host_malloc(size_t size) {
  void* pointer = nullptr;
  CHECK_OK(npu_host_malloc(size, &pointer));
  return pointer;
}

}  // namespace

TEST_CASE(freed_block_of_the_same_size_is_handed_out_again) {
  void* pointer = host_malloc(3000);
  npu_host_free(pointer);
  CHECK(host_malloc(4096) == pointer);  // both are blocks of 4096
  CHECK(host_malloc(4096) != pointer);
}

TEST_CASE(size_zero_is_null) {
  CHECK(host_malloc(0) == nullptr);
  npu_host_free(nullptr);
}

TEST_CASE(pinned_is_told_from_other_memory) {
  char* pointer = static_cast<char*>(host_malloc(5000));
  char on_the_stack = 0;
  CHECK_EQUAL(npu_host_is_pinned(pointer), 1);
  CHECK_EQUAL(npu_host_is_pinned(pointer + 4999), 1);
  CHECK_EQUAL(npu_host_is_pinned(pointer + 8192), 0);
  CHECK_EQUAL(npu_host_is_pinned(&on_the_stack), 0);
  CHECK_EQUAL(npu_host_is_pinned(device_malloc(64)), 0);
  npu_host_free(pointer);
  CHECK_EQUAL(npu_host_is_pinned(pointer), 0);
}

TEST_CASE(block_in_use_is_not_handed_out) {
  char* pointer = static_cast<char*>(host_malloc(4096));
  Gate gate(1, 3);
  CHECK_OK(npu_host_record(pointer + 100, 1, 3));
  npu_host_free(pointer);
  void* meanwhile = host_malloc(4096);
  CHECK(meanwhile != pointer);
  gate.open();
  CHECK_OK(npu_stream_synchronize(1, 3));
  CHECK(host_malloc(4096) == pointer);
}

TEST_CASE(every_recorded_stream_is_waited_for) {
  void* pointer = host_malloc(4096);
  Gate here(0, 1);
  Gate there(1, 1);
  CHECK_OK(npu_host_record(pointer, 0, 1));
  CHECK_OK(npu_host_record(pointer, 1, 1));
  npu_host_free(pointer);
  here.open();
  CHECK_OK(npu_stream_synchronize(0, 1));
  CHECK(host_malloc(4096) != pointer);
  there.open();
  CHECK_OK(npu_stream_synchronize(1, 1));
  CHECK(host_malloc(4096) == pointer);
}

TEST_CASE(uses_end_with_the_owner) {
  void* pointer = host_malloc(4096);
  CHECK_OK(npu_host_record(pointer, 0, 1));
  npu_host_free(pointer);
  CHECK_OK(npu_stream_synchronize(0, 1));
  CHECK(host_malloc(4096) == pointer);
  Gate gate(0, 1);
  npu_host_free(pointer);  // the new owner never used it on stream 1
  CHECK(host_malloc(4096) == pointer);
}

TEST_CASE(asynchronous_copy_records_the_block) {
  char* pinned = static_cast<char*>(host_malloc(4096));
  void* device_memory = device_malloc(4096);
  Gate gate(0, 0);
  std::memset(pinned, 5, 4096);
  CHECK_OK(npu_memcpy_async(device_memory, pinned, 4096, 1, 0, 0));
  npu_host_free(pinned);
  CHECK(host_malloc(4096) != pinned);
}

TEST_CASE(unknown_pointers_are_refused) {
  char* pointer = static_cast<char*>(host_malloc(4096));
  CHECK_EQUAL(npu_host_record(pointer + 4096, 0, 0), NPU_ERR_BAD_ARGUMENT);
  CHECK_EQUAL(npu_host_record(pointer, 2, 0), NPU_ERR_BAD_DEVICE);
  CHECK_EQUAL(npu_host_record(pointer, 0, 65), NPU_ERR_BAD_ARGUMENT);
  npu_host_free(pointer + 1);
  CHECK_MESSAGE("npu_host_free");
  npu_host_free(pointer);
  npu_host_free(pointer);  // twice: says so, and the block is not cached twice
  CHECK(host_malloc(4096) != host_malloc(4096));
}

TEST_CASE(emptied_cache_gives_back_what_is_idle_and_counts_it) {
  void* kept = host_malloc(4096);
  npu_host_free(host_malloc(8192));
  npu_memory_stats stats{};
  CHECK_OK(npu_get_host_stats(&stats));
  CHECK_EQUAL(stats.allocated_bytes.current, 4096);
  CHECK_EQUAL(stats.reserved_bytes.current, 4096 + 8192);
  CHECK_OK(npu_host_empty_cache());
  CHECK_OK(npu_get_host_stats(&stats));
  CHECK_EQUAL(stats.reserved_bytes.current, 4096);
  CHECK_EQUAL(stats.reserved_bytes.peak, 4096 + 8192);
  CHECK_EQUAL(npu_host_is_pinned(kept), 1);
  CHECK_OK(npu_reset_host_stats(1));
  CHECK_OK(npu_get_host_stats(&stats));
  CHECK_EQUAL(stats.reserved_bytes.peak, 4096);
}

TEST_CASE(emptied_cache_leaves_what_a_stream_uses) {
  void* pointer = host_malloc(4096);
  Gate gate(0, 1);
  CHECK_OK(npu_host_record(pointer, 0, 1));
  npu_host_free(pointer);
  CHECK_OK(npu_host_empty_cache());
  npu_memory_stats stats{};
  CHECK_OK(npu_get_host_stats(&stats));
  CHECK_EQUAL(stats.reserved_bytes.current, 4096);
}
