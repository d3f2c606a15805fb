// libhccl inside one process: every rank is a thread with a device of its own, so that a sanitizer sees all
// of it. Ranks as processes, and what happens when they die, are test_hccl.py's.
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "cann/hccl.h"
#include "cann_simulator/threads.h"
#include "check.h"

using cann_simulator::Thread;

namespace {

constexpr uint32_t kRanks = 3;
constexpr uint64_t kLarge = 30011;  // announced in device memory; 4 bytes each
constexpr uint64_t kSmall = 5;      // behind its frame

struct Rank {
  uint32_t rank;
  HcclComm comm;
  aclrtStream stream;
  // Freed after all ranks have ended: aclrtFree waits for every stream of the process, so for operations
  // that wait for the rank that frees.
  std::vector<void*>* buffers;

  float* put(const std::vector<float>& values) const {
    void* pointer = nullptr;
    const std::size_t size = values.size() * sizeof(float);
    CHECK_OK(aclrtMalloc(&pointer, size, ACL_MEM_MALLOC_HUGE_FIRST));
    buffers->push_back(pointer);
    CHECK_OK(aclrtMemcpy(pointer, size, values.data(), size, ACL_MEMCPY_HOST_TO_DEVICE));
    return static_cast<float*>(pointer);
  }
  // Waits for the stream and compares all elements.
  void expect(const float* pointer, const std::vector<float>& wanted) const {
    CHECK_OK(aclrtSynchronizeStream(stream));
    std::vector<float> found(wanted.size());
    const std::size_t size = wanted.size() * sizeof(float);
    CHECK_OK(aclrtMemcpy(found.data(), size, pointer, size, ACL_MEMCPY_DEVICE_TO_HOST));
    CHECK(found == wanted);
  }
};

// Runs the program of every rank at the same time, with a communicator of all.
void with_ranks(const std::function<void(const Rank&)>& program) {
  HcclRootInfo info;
  CHECK_OK(aclrtSetDevice(0));
  CHECK_OK(HcclGetRootInfo(&info));
  std::vector<void*> buffers[kRanks];
  Thread threads[kRanks];
  for (uint32_t number = 0; number < kRanks; ++number) {
    const int problem = threads[number].start([&, number] {
      Rank rank{number, nullptr, nullptr, &buffers[number]};
      CHECK_OK(aclrtSetDevice(static_cast<int32_t>(number)));
      CHECK_OK(aclrtCreateStream(&rank.stream));
      CHECK_OK(HcclCommInitRootInfo(kRanks, &info, number, &rank.comm));
      program(rank);
      CHECK_OK(HcclCommDestroy(rank.comm));
      CHECK_OK(aclrtDestroyStream(rank.stream));
    });
    CHECK(problem == 0);
  }
  for (Thread& thread : threads) thread.join();
  for (const std::vector<void*>& of_rank : buffers) {
    for (void* buffer : of_rank) CHECK_OK(aclrtFree(buffer));
  }
}

std::vector<float> filled(uint64_t count, float value) { return std::vector<float>(count, value); }

void every_kind_of_operation(const Rank& rank) {
  const float own = static_cast<float>(rank.rank + 1);
  const auto type = HCCL_DATA_TYPE_FP32;
  const uint32_t next = (rank.rank + 1) % kRanks;
  const uint32_t before = (rank.rank + kRanks - 1) % kRanks;
  for (const uint64_t count : {kSmall, kLarge}) {
    float* buffer = rank.put(filled(count, own));
    CHECK_OK(HcclAllReduce(buffer, buffer, count, type, HCCL_REDUCE_SUM, rank.comm, rank.stream));
    CHECK_OK(HcclBroadcast(buffer, count, type, 1, rank.comm, rank.stream));
    rank.expect(buffer, filled(count, 6));

    float* part = rank.put(filled(count, own));
    float* whole = rank.put(filled(count * kRanks, 0));
    CHECK_OK(HcclAllGather(part, whole, count, type, rank.comm, rank.stream));
    CHECK_OK(HcclReduceScatter(whole, part, count, type, HCCL_REDUCE_MAX, rank.comm, rank.stream));
    rank.expect(part, filled(count, own));

    float* sent = rank.put(filled(count, own));
    float* received = rank.put(filled(count, 0));
    HcclSendRecvItem items[] = {{HCCL_SEND, sent, count, type, next},
                                {HCCL_RECV, received, count, type, before}};
    CHECK_OK(HcclBatchSendRecv(items, 2, rank.comm, rank.stream));
    CHECK_OK(HcclBarrier(rank.comm, rank.stream));
    rank.expect(sent, filled(count, own));
    rank.expect(received, filled(count, static_cast<float>(before + 1)));
  }
}

TEST_CASE(operations_through_shared_memory) { with_ranks(every_kind_of_operation); }

TEST_CASE(operations_through_the_network) {
  setenv("HCCL_INTRA_ROCE_ENABLE", "1", 1);
  with_ranks(every_kind_of_operation);
  unsetenv("HCCL_INTRA_ROCE_ENABLE");
}

TEST_CASE(a_group_is_a_batch) {
  with_ranks([](const Rank& rank) {
    const uint32_t next = (rank.rank + 1) % kRanks;
    const uint32_t before = (rank.rank + kRanks - 1) % kRanks;
    float* sent = rank.put(filled(kLarge, static_cast<float>(rank.rank)));
    float* received = rank.put(filled(kLarge, 9));
    CHECK_OK(HcclGroupStart());
    CHECK_OK(HcclSend(sent, kLarge, HCCL_DATA_TYPE_FP32, next, rank.comm, rank.stream));
    CHECK_OK(HcclRecv(received, kLarge, HCCL_DATA_TYPE_FP32, before, rank.comm, rank.stream));
    CHECK_OK(HcclGroupEnd());
    rank.expect(received, filled(kLarge, static_cast<float>(before)));
    rank.expect(sent, filled(kLarge, static_cast<float>(rank.rank)));
    CHECK_FAILS(HcclGroupEnd(), HCCL_E_PARA, "no open group");
  });
}

// The ranks disagree: all of them fail, and later calls are refused.
TEST_CASE(a_failure_ends_the_communicator) {
  with_ranks([](const Rank& rank) {
    float* buffer = rank.put(filled(kSmall, 1));
    const auto reduction = rank.rank == 1 ? HCCL_REDUCE_MAX : HCCL_REDUCE_SUM;
    CHECK_OK(HcclAllReduce(buffer, buffer, kSmall, HCCL_DATA_TYPE_FP32, reduction, rank.comm, rank.stream));
    CHECK_FAILS(aclrtSynchronizeStream(rank.stream), ACL_ERROR_RT_AICPU_EXCEPTION, "disagree");
    CHECK_FAILS(HcclBarrier(rank.comm, rank.stream), HCCL_E_PARA, "has failed before");
    HcclResult code = HCCL_SUCCESS;
    CHECK_OK(HcclGetCommAsyncError(rank.comm, &code));
    CHECK(code == HCCL_E_PARA);
  });
}

// Rank 0 destroys its communicator; the others wait for it in an operation.
TEST_CASE(who_leaves_ends_the_wait) {
  with_ranks([](const Rank& rank) {
    if (rank.rank == 0) return;
    CHECK_OK(HcclBarrier(rank.comm, rank.stream));
    CHECK(aclrtSynchronizeStream(rank.stream) != ACL_SUCCESS);
    const char* message = aclGetRecentErrMsg();
    CHECK(message != nullptr && std::strstr(message, "has destroyed its communicator") != nullptr);
  });
}

// Ranks that cannot be a communicator: all of them are told the same, in whatever order they come.
void all_are_told(const std::vector<std::pair<uint32_t, uint32_t>>& ranks_and_numbers, const char* reason) {
  HcclRootInfo info;
  CHECK_OK(aclrtSetDevice(0));
  CHECK_OK(HcclGetRootInfo(&info));
  Thread threads[kRanks];
  for (uint32_t place = 0; place < kRanks; ++place) {
    const int problem = threads[place].start([&, place] {
      CHECK_OK(aclrtSetDevice(static_cast<int32_t>(place)));
      HcclComm comm = nullptr;
      const auto& [ranks, number] = ranks_and_numbers[place];
      CHECK_FAILS(HcclCommInitRootInfo(ranks, &info, number, &comm), HCCL_E_PARA, reason);
    });
    CHECK(problem == 0);
  }
  for (Thread& thread : threads) thread.join();
  HcclComm comm = nullptr;  // who comes late is told, too
  CHECK_FAILS(HcclCommInitRootInfo(kRanks, &info, 2, &comm), HCCL_E_PARA, reason);
}

TEST_CASE(a_rank_that_comes_twice_is_told_to_all) {
  all_are_told({{3, 0}, {3, 1}, {3, 1}}, "says twice that it is rank 1");
}

TEST_CASE(another_number_of_ranks_is_told_to_all) {
  all_are_told({{3, 0}, {3, 1}, {4, 2}}, "says that there are");
}

TEST_CASE(a_rank_that_does_not_exist_is_told_to_all) {
  all_are_told({{3, 0}, {3, 1}, {3, 3}}, "rank 3 of 3 does not exist");
}

// The set is complete: what comes behind it does no harm.
TEST_CASE(a_used_root_info_is_refused) {
  HcclRootInfo info;
  HcclComm comm = nullptr;
  HcclComm second = nullptr;
  CHECK_OK(aclrtSetDevice(0));
  CHECK_OK(HcclGetRootInfo(&info));
  CHECK_OK(HcclCommInitRootInfo(1, &info, 0, &comm));
  CHECK_FAILS(HcclCommInitRootInfo(1, &info, 0, &second), HCCL_E_PARA, "was used before");
  CHECK_OK(HcclBarrier(comm, nullptr));
  CHECK_OK(aclrtSynchronizeStream(nullptr));
  CHECK_OK(HcclCommDestroy(comm));
}

}  // namespace

int main(int argc, char** argv) {
  setenv("CANN_SIMULATOR_DEVICES", "3", 1);
  setenv("CANN_SIMULATOR_MEMORY", "32M", 1);
  CHECK_OK(aclInit(nullptr));
  const int code = test::run(argc, argv);
  CHECK_OK(aclFinalize());
  return code;
}
