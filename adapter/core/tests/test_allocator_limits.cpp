// Running out of memory: what is tried before, what is said, how it goes on.
#include "support.h"

namespace {

npu_status try_malloc(size_t size, void** pointer) { return npu_malloc(0, 0, size, pointer); }

}  // namespace

TEST_CASE(out_of_memory_says_what_is_where) {
  device_malloc(100 * kMiB);
  void* pointer = nullptr;
  CHECK_EQUAL(try_malloc(200 * kMiB, &pointer), NPU_ERR_OUT_OF_MEMORY);
  CHECK(pointer == nullptr);
  CHECK_MESSAGE("tried to allocate 200.00 MiB on NPU 0");
  CHECK_MESSAGE("256.00 MiB in total");
  CHECK_MESSAGE("allocated 100.00 MiB");
  CHECK_MESSAGE("reserved 102.00 MiB");
  CHECK_MESSAGE("smaller batch");
  CHECK_EQUAL(memory_stats().num_ooms, 1);
  CHECK_EQUAL(memory_stats().num_alloc_retries, 1);
  CHECK_EQUAL(memory_stats().allocated_bytes.current, block_size(100 * kMiB));
  CHECK_OK(npu_init());  // nothing is broken by it
}

TEST_CASE(recovers_after_free) {
  void* large = device_malloc(200 * kMiB);
  void* pointer = nullptr;
  CHECK_EQUAL(try_malloc(200 * kMiB, &pointer), NPU_ERR_OUT_OF_MEMORY);
  npu_free(large);
  CHECK_OK(try_malloc(200 * kMiB, &pointer));
  CHECK(pointer == large);
}

TEST_CASE(cache_is_emptied_to_serve_a_request) {
  npu_free(device_malloc(100 * kMiB));
  npu_free(device_malloc(120 * kMiB, 1));
  device_malloc(200 * kMiB);
  CHECK_EQUAL(memory_stats().num_alloc_retries, 1);
  CHECK_EQUAL(memory_stats().num_ooms, 0);
  CHECK_EQUAL(memory_stats().segments.current, 1);
}

TEST_CASE(memory_in_use_by_another_stream_is_waited_for) {
  void* pointer = device_malloc(200 * kMiB);
  for (int i = 0; i < 4; ++i) CHECK_OK(npu_memset_async(pointer, i, 200 * kMiB, 0, 1));
  CHECK_OK(npu_record_stream(pointer, 1));
  npu_free(pointer);
  CHECK(device_malloc(200 * kMiB) == pointer);
  CHECK_EQUAL(memory_stats().num_alloc_retries, 0);  // waiting was enough
  CHECK_OK(npu_synchronize_device(0));
}

TEST_CASE(medium_request_takes_the_last_few_megabytes) {
  device_malloc(246 * kMiB);  // leaves less than the 20 MiB that such requests usually share
  device_malloc(4 * kMiB);
  CHECK_EQUAL(memory_stats().num_alloc_retries, 0);
  CHECK_EQUAL(memory_stats().reserved_bytes.current, (248 + 6) * kMiB);
}

TEST_CASE(fraction_limits_what_is_reserved) {
  CHECK_OK(npu_set_memory_fraction(0, 0.5));
  void* first = device_malloc(100 * kMiB);
  void* pointer = nullptr;
  CHECK_EQUAL(try_malloc(40 * kMiB, &pointer), NPU_ERR_OUT_OF_MEMORY);
  CHECK_MESSAGE("limits it to 128.00 MiB");
  device_malloc(200 * kMiB, 0, 1);  // the other device has no limit
  npu_free(first);
  CHECK_OK(try_malloc(40 * kMiB, &pointer));
  CHECK_OK(npu_set_memory_fraction(0, 1.0));
  device_malloc(150 * kMiB);
}

TEST_CASE(fraction_out_of_range_is_refused) {
  for (const double fraction : {0.0, -0.5, 1.01, 0.0 / 0.0}) {
    CHECK_EQUAL(npu_set_memory_fraction(0, fraction), NPU_ERR_BAD_ARGUMENT);
    CHECK_MESSAGE("above 0 and at most 1");
  }
  CHECK_EQUAL(npu_set_memory_fraction(2, 0.5), NPU_ERR_BAD_DEVICE);
}

TEST_CASE(sizes_beyond_any_memory_do_not_wrap_around) {
  void* pointer = nullptr;
  for (const size_t size : {SIZE_MAX, SIZE_MAX - 31, SIZE_MAX / 2, size_t{1} << 60}) {
    CHECK_EQUAL(try_malloc(size, &pointer), NPU_ERR_OUT_OF_MEMORY);
    CHECK(pointer == nullptr);
  }
  npu_free(device_malloc(512));
}
