// Eight threads at once on everything; also what the sanitizers are run on.
#include <random>
#include <thread>

#include "support.h"

namespace {

constexpr int kThreads = 8;

template <typename Body>
void in_threads(Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([body, i] { body(i); });
  for (auto& thread : threads) thread.join();
}

void check_nothing_is_left() {
  CHECK_OK(npu_empty_cache(-1));
  for (const int32_t device : {0, 1}) {
    const npu_memory_stats stats = memory_stats(device);
    CHECK_EQUAL(stats.allocated_bytes.current, 0);
    CHECK_EQUAL(stats.allocations.allocated, stats.allocations.freed);
    CHECK_EQUAL(stats.reserved_bytes.current, 0);
    CHECK_OK(npu_synchronize_device(device));
  }
}

// Fills a block with the thread's mark on the device and reads it back: a block that two threads held
// at once would show another's mark.
void check_private(char* pointer, size_t size, int mark, int32_t device, int64_t stream, char* pinned) {
  CHECK_OK(npu_memset_async(pointer, mark, size, device, stream));
  CHECK_OK(npu_memcpy_async(pinned, pointer + size - 1, 1, 2, device, stream));
  CHECK_OK(npu_stream_synchronize(device, stream));
  CHECK_EQUAL(*pinned, mark);
}

void allocate_and_use(int index) {
  std::mt19937 random(static_cast<uint32_t>(index));
  const int32_t device = index % 2;
  CHECK_OK(npu_set_device(device));
  void* pinned = nullptr;
  CHECK_OK(npu_host_malloc(1, &pinned));
  for (int round = 0; round < 300; ++round) {
    const int64_t stream = random() % 4;
    const size_t size = 1 + random() % (random() % 8 == 0 ? 3 * kMiB : 40000);
    char* pointer = static_cast<char*>(device_malloc(size, stream, device));
    if (round % 4 == 0) check_private(pointer, size, index + 1, device, stream, static_cast<char*>(pinned));
    if (round % 8 == 1) CHECK_OK(npu_record_stream(pointer, random() % 4));
    if (round % 50 == 2) CHECK_OK(npu_empty_cache(device));
    npu_free(pointer);
    CHECK_EQUAL(npu_current_device(), device);
  }
  npu_host_free(pinned);
}

}  // namespace

TEST_CASE(first_use_may_come_from_all_at_once) {
  in_threads([](int index) {
    CHECK_OK(npu_set_device(index % 2));
    void* handle = nullptr;
    CHECK_OK(npu_stream_handle(index % 2, 1, &handle));
    npu_free(device_malloc(100, 0, index % 2));
  });
  check_nothing_is_left();
}

TEST_CASE(memory_stays_private) {
  in_threads(allocate_and_use);
  check_nothing_is_left();
}

// Together they ask for more than there is, but none for more than all others leave once they have
// waited: nobody may fail for memory that another thread is just giving back.
TEST_CASE(reclaiming_threads_do_not_starve_each_other) {
  in_threads([](int index) {
    for (int round = 0; round < 30; ++round) {
      const size_t size = (11 + static_cast<size_t>((index * 7 + round) % 10)) * kMiB;
      void* pointer = device_malloc(size, index);
      CHECK_OK(npu_record_stream(pointer, index + 8));
      npu_free(pointer);
    }
  });
  CHECK_EQUAL(memory_stats().num_ooms, 0);
  check_nothing_is_left();
}

TEST_CASE(blocks_may_be_freed_by_other_threads) {
  std::vector<void*> blocks[kThreads];
  in_threads([&blocks](int index) {
    for (int i = 0; i < 200; ++i) blocks[index].push_back(device_malloc(1 + i * 97, index % 3, index % 2));
  });
  in_threads([&blocks](int index) {
    for (void* pointer : blocks[(index + 3) % kThreads]) npu_free(pointer);
  });
  check_nothing_is_left();
}

TEST_CASE(pinned_memory_stays_private) {
  in_threads([](int index) {
    CHECK_OK(npu_set_device(index % 2));
    void* device_memory = device_malloc(8192, 0, index % 2);
    for (int round = 0; round < 200; ++round) {
      void* pinned = nullptr;
      CHECK_OK(npu_host_malloc(1 + (round * 41) % 8192, &pinned));
      std::memset(pinned, index, 1 + (round * 41) % 8192);
      CHECK_OK(npu_memcpy_async(device_memory, pinned, 1, 1, index % 2, index));
      CHECK_EQUAL(*static_cast<char*>(pinned), index);
      npu_host_free(pinned);
    }
    CHECK_OK(npu_synchronize_device(index % 2));
    npu_free(device_memory);
  });
  check_nothing_is_left();
}

TEST_CASE(events_order_across_threads) {
  in_threads([](int index) {
    for (int round = 0; round < 100; ++round) {
      npu_event* event = nullptr;
      CHECK_OK(npu_event_create(index % 2, round % 2, &event));
      CHECK_OK(npu_event_record(event, index));
      CHECK_OK(npu_event_block(event, (index + 1) % 2, index + 8));
      int32_t done = 0;
      CHECK_OK(npu_event_query(event, &done));
      npu_event_destroy(event);
    }
  });
  check_nothing_is_left();
}
