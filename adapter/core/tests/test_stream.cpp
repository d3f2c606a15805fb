// Streams: names, the thread's current one, what runs beside what.
#include <set>
#include <thread>

#include "npu_graph.h"
#include "support.h"

namespace {

bool is_done(int64_t stream, int32_t device = 0) {
  int32_t done = -1;
  CHECK_OK(npu_stream_query(device, stream, &done));
  return done == 1;
}

}  // namespace

TEST_CASE(pools_are_handed_out_in_turn) {
  for (const int32_t high : {0, 1}) {
    std::set<int64_t> ids;
    int64_t id = 0;
    for (int i = 0; i < 32; ++i) {
      CHECK_OK(npu_stream_from_pool(0, high, &id));
      CHECK(high ? id >= 33 && id <= 64 : id >= 1 && id <= 32);
      ids.insert(id);
    }
    CHECK_EQUAL(ids.size(), 32);
    CHECK_OK(npu_stream_from_pool(0, high, &id));
    CHECK_EQUAL(id, *ids.begin());
  }
}

TEST_CASE(names_lead_to_different_handles) {
  std::set<void*> handles;
  for (const int32_t device : {0, 1}) {
    for (const int64_t id : {0, 1, 33}) {
      void* handle = nullptr;
      void* again = nullptr;
      CHECK_OK(npu_stream_handle(device, id, &handle));
      CHECK_OK(npu_stream_handle(device, id, &again));
      CHECK(handle != nullptr && handle == again);
      handles.insert(handle);
    }
  }
  CHECK_EQUAL(handles.size(), 6);
}

TEST_CASE(threads_get_one_handle_for_a_name) {
  std::vector<void*> handles(8);
  std::vector<std::thread> threads;
  for (auto& handle : handles)
    threads.emplace_back([&handle] { CHECK_OK(npu_stream_handle(1, 7, &handle)); });
  for (auto& thread : threads) thread.join();
  CHECK_EQUAL(std::set<void*>(handles.begin(), handles.end()).size(), 1);
}

TEST_CASE(ids_out_of_range_are_refused) {
  for (const int64_t id : {int64_t{-1}, int64_t{65}, int64_t{1} << 40}) {
    void* handle = nullptr;
    CHECK_EQUAL(npu_stream_handle(0, id, &handle), NPU_ERR_BAD_ARGUMENT);
    CHECK_MESSAGE("0 to 64");
    CHECK_EQUAL(npu_malloc(0, id, 8, &handle), NPU_ERR_BAD_ARGUMENT);
    npu_set_current_stream(0, id);
    CHECK_EQUAL(npu_current_stream(0), 0);
  }
}

TEST_CASE(current_stream_belongs_to_thread_and_device) {
  npu_set_current_stream(0, 5);
  npu_set_current_stream(1, 40);
  std::thread([] {
    CHECK_EQUAL(npu_current_stream(0), 0);
    npu_set_current_stream(0, 9);
  }).join();
  CHECK_EQUAL(npu_current_stream(0), 5);
  CHECK_EQUAL(npu_current_stream(1), 40);
}

TEST_CASE(a_thread_that_has_set_no_stream_has_the_chosen_one) {
  npu_set_current_stream(0, 5);
  npu_set_stream_chooser([](int32_t device) -> int64_t { return device == 0 ? 7 : 0; });
  CHECK_EQUAL(npu_current_stream(0), 5);
  std::thread([] {
    CHECK_EQUAL(npu_current_stream(0), 7);
    CHECK_EQUAL(npu_current_stream(1), 0);
    npu_set_current_stream(0, 9);
    CHECK_EQUAL(npu_current_stream(0), 9);
    npu_set_current_stream(0, 7);  // put back, as a guard does
    npu_set_stream_chooser(nullptr);
    CHECK_EQUAL(npu_current_stream(0), 0);
  }).join();
  CHECK_EQUAL(npu_current_stream(0), 5);
}

TEST_CASE(query_tells_busy_from_idle) {
  CHECK(is_done(3));
  Gate gate(0, 3);
  CHECK(!is_done(3));
  gate.open();
  CHECK_OK(npu_stream_synchronize(0, 3));
  CHECK(is_done(3));
}

TEST_CASE(streams_do_not_wait_for_each_other) {
  Gate gate(0, 0);
  void* pointer = device_malloc(4096, 2);
  CHECK_OK(npu_memset_async(pointer, 7, 4096, 0, 2));
  CHECK_OK(npu_stream_synchronize(0, 2));
  CHECK_OK(npu_synchronize_device(1));
  CHECK(!is_done(0));
}

TEST_CASE(device_synchronize_waits_for_every_stream) {
  Gate first(0, 1);
  Gate second(0, 34);
  std::thread opener([&] {
    first.open();
    second.open();
  });
  CHECK_OK(npu_synchronize_device(0));
  CHECK(is_done(1) && is_done(34));
  opener.join();
}

TEST_CASE(a_stream_waits_for_all_others) {
  Gate first(0, 1);
  Gate second(0, 34);
  CHECK_OK(npu_stream_wait_for_all(0, 0));
  CHECK(is_done(5));
  first.open();
  CHECK(!is_done(0));
  second.open();
  CHECK_OK(npu_stream_synchronize(0, 0));
}

TEST_CASE(all_others_wait_for_a_stream) {
  CHECK(is_done(1) && is_done(34));  // both have handles now
  Gate gate(0, 0);
  CHECK_OK(npu_all_streams_wait(0, 0));
  CHECK(!is_done(1) && !is_done(34));
  gate.open();
  CHECK_OK(npu_stream_synchronize(0, 34));
  CHECK_OK(npu_stream_synchronize(0, 1));
}

TEST_CASE(no_stream_waits_for_one_that_does_not_exist) {
  for (const int64_t id : {int64_t{-1}, int64_t{65}}) {
    CHECK_EQUAL(npu_stream_wait_for_all(0, id), NPU_ERR_BAD_ARGUMENT);
    CHECK_EQUAL(npu_all_streams_wait(0, id), NPU_ERR_BAD_ARGUMENT);
  }
}
