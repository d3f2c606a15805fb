// Copies and fills, by what arrives.
#include "support.h"

namespace {

constexpr size_t kSize = 10000;

std::vector<char> make_pattern() {
  std::vector<char> pattern(kSize);
  for (size_t i = 0; i < kSize; ++i) pattern[i] = static_cast<char>(i * 7);
  return pattern;
}

bool is_done(int64_t stream) {
  int32_t done = -1;
  CHECK_OK(npu_stream_query(0, stream, &done));
  return done == 1;
}

}  // namespace

// Ordinary host memory may be freed by its owner as soon as the call returns.
TEST_CASE(pageable_memory_is_done_when_the_call_returns) {
  const std::vector<char> pattern = make_pattern();
  std::vector<char> source = pattern;
  std::vector<char> target(kSize);
  void* there = device_malloc(kSize);
  CHECK_OK(npu_memset_async(there, 0, kSize, 0, 0));
  CHECK_OK(npu_memcpy_async(there, source.data(), kSize, 1, 0, 0));
  source.assign(kSize, 1);
  CHECK_OK(npu_memcpy_async(target.data(), there, kSize, 2, 0, 0));
  CHECK(target == pattern);
}

TEST_CASE(pageable_memory_waits_for_the_stream) {
  std::vector<char> target(kSize);
  void* there = device_malloc(kSize);
  int milliseconds = 20;
  void* handle = nullptr;
  CHECK_OK(npu_stream_handle(0, 1, &handle));
  CHECK_OK(npu_init());
  CHECK_EQUAL(CANN(aclrtLaunchHostFunc, handle, &sleep_in_stream, static_cast<void*>(&milliseconds)),
              ACL_SUCCESS);
  CHECK_OK(npu_memset_async(there, 3, kSize, 0, 1));
  CHECK_OK(npu_memcpy_async(target.data(), there, kSize, 2, 0, 1));
  CHECK(target == std::vector<char>(kSize, 3));
}

TEST_CASE(pinned_memory_is_copied_behind_the_caller) {
  char* pinned = nullptr;
  CHECK_OK(npu_host_malloc(kSize, reinterpret_cast<void**>(&pinned)));
  std::memset(pinned, 0, kSize);
  void* there = device_malloc(kSize);
  Gate gate(0, 1);
  CHECK_OK(npu_memset_async(there, 9, kSize, 0, 1));
  CHECK_OK(npu_memcpy_async(pinned, there, kSize, 2, 0, 1));
  CHECK(!is_done(1));
  CHECK_EQUAL(pinned[kSize - 1], 0);
  gate.open();
  CHECK_OK(npu_stream_synchronize(0, 1));
  CHECK_EQUAL(pinned[kSize - 1], 9);
}

TEST_CASE(copies_within_and_between_devices) {
  const std::vector<char> pattern = make_pattern();
  void* first = device_malloc(kSize);
  void* second = device_malloc(kSize);
  void* elsewhere = device_malloc(kSize, 0, 1);
  void* back = device_malloc(kSize);
  CHECK_OK(npu_memcpy_async(first, pattern.data(), kSize, 1, 0, 0));
  CHECK_OK(npu_memcpy_async(second, first, kSize, 3, 0, 0));
  CHECK_OK(npu_memcpy_async(elsewhere, second, kSize, 3, 0, 0));
  CHECK_OK(npu_stream_synchronize(0, 0));
  CHECK_OK(npu_memcpy_async(back, elsewhere, kSize, 3, 1, 2));
  CHECK_OK(npu_stream_synchronize(1, 2));
  std::vector<char> target(kSize);
  CHECK_OK(npu_memcpy_async(target.data(), back, kSize, 2, 0, 0));
  CHECK(target == pattern);
  CHECK_EQUAL(npu_current_device(), 0);
}

TEST_CASE(bad_arguments_are_refused) {
  char byte = 0;
  void* there = device_malloc(8);
  CHECK_OK(npu_memcpy_async(nullptr, nullptr, 0, 1, 0, 0));
  CHECK_OK(npu_memset_async(nullptr, 0, 0, 0, 0));
  CHECK_EQUAL(npu_memcpy_async(there, nullptr, 1, 1, 0, 0), NPU_ERR_BAD_ARGUMENT);
  CHECK_MESSAGE("src is NULL");
  CHECK_EQUAL(npu_memcpy_async(there, &byte, 1, 0, 0, 0), NPU_ERR_BAD_ARGUMENT);
  CHECK_EQUAL(npu_memcpy_async(there, &byte, 1, 4, 0, 0), NPU_ERR_BAD_ARGUMENT);
  CHECK_MESSAGE("kind 4");
  CHECK_EQUAL(npu_memset_async(nullptr, 0, 1, 0, 0), NPU_ERR_BAD_ARGUMENT);
}

// Memory of the host where the device's is expected is CANN's to notice.
TEST_CASE(errors_of_cann_come_through) {
  std::vector<char> host(kSize);
  npu_status status = npu_memset_async(host.data(), 1, kSize, 0, 0);
  if (status == NPU_OK) status = npu_stream_synchronize(0, 0);
  CHECK_EQUAL(status, NPU_ERR_ACL);
  CHECK_MESSAGE("failed with");
}
