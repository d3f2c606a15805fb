// Device memory: out of the host's reach, checked on every copy, given back when freed.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "cann_simulator/runtime.h"
#include "check.h"
#include "gate.h"

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

char* allocate(std::size_t size) {
  void* pointer = nullptr;
  CHECK_OK(aclrtMalloc(&pointer, size, ACL_MEM_MALLOC_HUGE_FIRST));
  return static_cast<char*>(pointer);
}

std::size_t free_memory() {
  std::size_t free = 0;
  std::size_t total = 0;
  CHECK_OK(aclrtGetMemInfo(ACL_HBM_MEM, &free, &total));
  CHECK(total == 64 * kMiB);
  return free;
}

TEST_CASE(a_host_access_to_device_memory_faults) {
  char* pointer = allocate(4096);
  for (const bool write : {false, true}) {
    const pid_t child = fork();
    if (child == 0) {
      std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would turn the fault into an exit
      volatile char* address = pointer;
      if (write) {
        *address = 1;
      } else {
        (void)*address;
      }
      _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  }
  CHECK_OK(aclrtFree(pointer));
}

TEST_CASE(data_survives_the_way_to_the_device_and_back) {
  const std::size_t size = 3 * kMiB + 17;
  std::vector<char> sent(size);
  for (std::size_t index = 0; index < size; ++index) sent[index] = static_cast<char>(index * 31);
  std::vector<char> received(size);
  char* first = allocate(size);
  CHECK_OK(aclrtSetDevice(1));
  char* second = allocate(size);
  CHECK_OK(aclrtMemcpyAsync(first, size, sent.data(), size, ACL_MEMCPY_HOST_TO_DEVICE, nullptr));
  CHECK_OK(aclrtMemcpyAsync(second, size, first, size, ACL_MEMCPY_DEVICE_TO_DEVICE, nullptr));
  CHECK_OK(aclrtMemsetAsync(second, size, 7, 10, nullptr));
  CHECK_OK(aclrtMemcpyAsync(received.data(), size, second, size, ACL_MEMCPY_DEVICE_TO_HOST, nullptr));
  CHECK_OK(aclrtSynchronizeStream(nullptr));
  CHECK(received[0] == 7 && received[9] == 7);
  CHECK(std::memcmp(received.data() + 10, sent.data() + 10, size - 10) == 0);
  CHECK_OK(aclrtFree(second));
  CHECK_OK(aclrtSetDevice(0));
  CHECK_OK(aclrtMemcpy(received.data(), size, first, size, ACL_MEMCPY_DEFAULT));
  CHECK(received == sent);
  CHECK_OK(aclrtFree(first));
}

TEST_CASE(an_asynchronous_copy_reads_the_host_when_the_stream_gets_there) {
  char* device = allocate(4);
  char sent[4] = {1, 1, 1, 1};
  char received[4] = {};
  Gate gate;
  gate.block(nullptr);
  CHECK_OK(aclrtMemcpyAsync(device, 4, sent, 4, ACL_MEMCPY_HOST_TO_DEVICE, nullptr));
  std::memset(sent, 2, 4);
  gate.open();
  CHECK_OK(aclrtSynchronizeStream(nullptr));
  CHECK_OK(aclrtMemcpy(received, 4, device, 4, ACL_MEMCPY_DEVICE_TO_HOST));
  CHECK(received[0] == 2);
  CHECK_OK(aclrtFree(device));
}

TEST_CASE(a_copy_of_the_wrong_kind_is_refused) {
  char host[64] = {};
  char* device = allocate(64);
  CHECK_FAILS(aclrtMemcpy(device, 64, device, 64, ACL_MEMCPY_HOST_TO_DEVICE),
              ACL_ERROR_RT_INVALID_MEMORY_TYPE, "src");
  CHECK_FAILS(aclrtMemcpy(host, 64, host, 64, ACL_MEMCPY_HOST_TO_DEVICE), ACL_ERROR_RT_INVALID_MEMORY_TYPE,
              "dst");
  CHECK_FAILS(aclrtMemcpy(host, 64, device, 64, ACL_MEMCPY_HOST_TO_HOST), ACL_ERROR_RT_INVALID_MEMORY_TYPE,
              "src");
  CHECK_FAILS(aclrtMemcpy(host, 64, device, 64, static_cast<aclrtMemcpyKind>(9)), ACL_ERROR_INVALID_PARAM,
              "kind 9");
  CHECK_FAILS(aclrtMemcpy(nullptr, 64, device, 64, ACL_MEMCPY_DEVICE_TO_HOST), ACL_ERROR_INVALID_PARAM,
              "dst is NULL");
  CHECK_FAILS(aclrtMemset(host, 64, 0, 64), ACL_ERROR_RT_INVALID_MEMORY_TYPE, "devPtr");
  CHECK_OK(aclrtFree(device));
}

TEST_CASE(a_copy_stays_inside_one_allocation) {
  std::vector<char> host(4096);
  char* device = allocate(1024);
  char* next = allocate(1024);
  CHECK(next == device + 1024);  // neighbors, and still no copy may run from one into the other
  const auto to_host = [&](const char* from, std::size_t count, std::size_t room) {
    return aclrtMemcpyAsync(host.data(), room, from, count, ACL_MEMCPY_DEVICE_TO_HOST, nullptr);
  };
  CHECK_OK(to_host(device + 24, 1000, 1000));
  CHECK_FAILS(to_host(device + 25, 1000, 1000), ACL_ERROR_RT_PARAM_INVALID, "one live allocation");
  CHECK_FAILS(to_host(device, 2048, 4096), ACL_ERROR_RT_PARAM_INVALID, "one live allocation");
  CHECK_FAILS(to_host(device, 1000, 999), ACL_ERROR_RT_PARAM_INVALID, "do not fit");
  CHECK_FAILS(aclrtMemset(device, 1000, 0, 1001), ACL_ERROR_RT_PARAM_INVALID, "do not fit");
  CHECK_OK(aclrtFree(device));
  CHECK_FAILS(to_host(device, 1, 1), ACL_ERROR_RT_PARAM_INVALID, "one live allocation");
  CHECK(cann_simulator_alias(device, 1, nullptr) == nullptr);
  CHECK_OK(aclrtFree(next));
}

TEST_CASE(freeing_wrong_pointers_is_refused) {
  char* device = allocate(1024);
  char host = 0;
  CHECK_FAILS(aclrtFree(device + 512), ACL_ERROR_RT_MEMORY_FREE, "not the start");
  CHECK_FAILS(aclrtFree(&host), ACL_ERROR_RT_MEMORY_FREE, "not device memory");
  CHECK_OK(aclrtFree(device));
  CHECK_FAILS(aclrtFree(device), ACL_ERROR_RT_MEMORY_FREE, "freed before");
  CHECK_FAILS(aclrtFree(nullptr), ACL_ERROR_INVALID_PARAM, "NULL");
  void* pointer = nullptr;
  CHECK_FAILS(aclrtMalloc(&pointer, 0, ACL_MEM_MALLOC_HUGE_FIRST), ACL_ERROR_INVALID_PARAM, "size is 0");
}

TEST_CASE(out_of_memory_says_what_is_free) {
  const std::size_t before = free_memory();
  CHECK(before == 64 * kMiB);
  char* block = allocate(40 * kMiB);
  CHECK(free_memory() == 24 * kMiB);
  void* pointer = &pointer;
  CHECK_FAILS(aclrtMalloc(&pointer, 24 * kMiB + 1, ACL_MEM_MALLOC_HUGE_FIRST), ACL_ERROR_RT_MEMORY_ALLOCATION,
              "25165824 of 67108864 bytes are free");
  CHECK(pointer == nullptr);
  char* rest = allocate(24 * kMiB);
  CHECK(free_memory() == 0);
  CHECK_OK(aclrtFree(block));
  CHECK_OK(aclrtFree(rest));
  CHECK(free_memory() == before);
}

TEST_CASE(freed_neighbors_become_one_block) {
  std::vector<char*> blocks;
  for (int index = 0; index < 8; ++index) blocks.push_back(allocate(8 * kMiB));
  for (const int index : {1, 3, 5, 7, 0, 4, 2, 6})
    CHECK_OK(aclrtFree(blocks[static_cast<std::size_t>(index)]));
  char* whole = allocate(64 * kMiB);
  CHECK_OK(aclrtFree(whole));
}

TEST_CASE(freeing_gives_the_pages_back) {
  char* block = allocate(32 * kMiB);
  CHECK_OK(aclrtMemset(block, 32 * kMiB, 1, 32 * kMiB));
  CHECK_OK(aclrtFree(block));
  char* again = allocate(32 * kMiB);
  CHECK(again == block);
  std::vector<char> host(32 * kMiB, 9);
  CHECK_OK(aclrtMemcpy(host.data(), host.size(), again, host.size(), ACL_MEMCPY_DEVICE_TO_HOST));
  CHECK(host[0] == 0 && host.back() == 0);  // fresh pages: the old ones are gone
  CHECK_OK(aclrtFree(again));
}

TEST_CASE(freeing_waits_for_streams_that_may_use_the_memory) {
  static char received[4];
  char* device = allocate(4);
  CHECK_OK(aclrtMemset(device, 4, 5, 4));
  aclrtStream stream = nullptr;
  CHECK_OK(aclrtCreateStream(&stream));
  Gate gate;
  gate.block(stream);
  CHECK_OK(aclrtMemcpyAsync(received, 4, device, 4, ACL_MEMCPY_DEVICE_TO_HOST, stream));
  gate.open();
  CHECK_OK(aclrtFree(device));
  CHECK(received[3] == 5);
  CHECK_OK(aclrtDestroyStream(stream));
}

TEST_CASE(pointers_tell_where_they_belong) {
  void* pinned = nullptr;
  CHECK_OK(aclrtMallocHost(&pinned, 100));
  CHECK_OK(aclrtSetDevice(1));
  char* device = allocate(64);
  CHECK_OK(aclrtSetDevice(0));
  aclrtPtrAttributes attributes;
  CHECK_OK(aclrtPointerGetAttributes(device + 63, &attributes));
  CHECK(attributes.location.type == ACL_MEM_LOCATION_TYPE_DEVICE && attributes.location.id == 1);
  CHECK_OK(aclrtPointerGetAttributes(static_cast<char*>(pinned) + 99, &attributes));
  CHECK(attributes.location.type == ACL_MEM_LOCATION_TYPE_HOST);
  CHECK_OK(aclrtPointerGetAttributes(&attributes, &attributes));
  CHECK(attributes.location.type == ACL_MEM_LOCATION_TYPE_UNREGISTERED);
  CHECK_OK(aclrtFreeHost(pinned));
  CHECK_FAILS(aclrtFreeHost(pinned), ACL_ERROR_RT_MEMORY_FREE, "aclrtMallocHost");
  CHECK_OK(aclrtFree(device));
}

}  // namespace

int main(int argc, char** argv) {
  setenv("CANN_SIMULATOR_MEMORY", "64M", 1);
  return test::run_on_device(argc, argv);
}
