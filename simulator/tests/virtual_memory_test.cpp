// Virtual memory as an adapter's expandable segments use it, and memory that two processes share.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "cann/acl_virtual_memory.h"
#include "cann_simulator/runtime.h"
#include "check.h"
#include "gate.h"

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kPiece = 2 * kMiB;

char* reserve(std::size_t size) {
  void* start = nullptr;
  CHECK_OK(aclrtReserveMemAddress(&start, size, 0, nullptr, 1));
  return static_cast<char*>(start);
}

aclrtDrvMemHandle allocate(std::size_t size) {
  const aclrtPhysicalMemProp properties = {
      ACL_MEM_HANDLE_TYPE_NONE, ACL_MEM_ALLOCATION_TYPE_PINNED, 4, {0, ACL_MEM_LOCATION_TYPE_DEVICE}, 0};
  aclrtDrvMemHandle handle = nullptr;
  CHECK_OK(aclrtMallocPhysical(&handle, size, &properties, 0));
  return handle;
}

std::size_t free_memory() {
  std::size_t free = 0;
  std::size_t total = 0;
  CHECK_OK(aclrtGetMemInfo(ACL_HBM_MEM, &free, &total));
  return free;
}

TEST_CASE(memory_is_used_while_it_is_mapped) {
  const std::size_t before = free_memory();
  char* start = reserve(64 * kPiece);  // more than the device has: addresses cost nothing
  aclrtDrvMemHandle first = allocate(kPiece);
  aclrtDrvMemHandle second = allocate(kPiece);
  CHECK(free_memory() == before - 2 * kPiece);
  CHECK_OK(aclrtMapMem(start, kPiece, 0, first, 0));
  CHECK_OK(aclrtMapMem(start + kPiece, kPiece, 0, second, 0));
  // A tensor may lie across pieces that are mapped side by side.
  const std::string sent = "across the border of two pieces";
  char received[64] = "";
  char* middle = start + kPiece - 10;
  CHECK_OK(aclrtMemcpy(middle, 64, sent.c_str(), sent.size(), ACL_MEMCPY_HOST_TO_DEVICE));
  CHECK_OK(aclrtMemcpy(received, 64, middle, sent.size(), ACL_MEMCPY_DEVICE_TO_HOST));
  CHECK(sent == received);
  CHECK_FAILS(aclrtMemcpy(received, 64, start + 2 * kPiece - 1, 2, ACL_MEMCPY_DEVICE_TO_HOST),
              ACL_ERROR_RT_PARAM_INVALID, "live allocation");
  CHECK_OK(aclrtUnmapMem(start));
  CHECK_FAILS(aclrtMemcpy(received, 64, middle, 4, ACL_MEMCPY_DEVICE_TO_HOST), ACL_ERROR_RT_PARAM_INVALID,
              "live allocation");
  CHECK_FAILS(aclrtReleaseMemAddress(start), ACL_ERROR_RT_PARAM_INVALID, "1 mappings");
  CHECK_OK(aclrtFreePhysical(second));
  CHECK(free_memory() == before - 2 * kPiece);  // still mapped
  CHECK_OK(aclrtUnmapMem(start + kPiece));
  CHECK(free_memory() == before - kPiece);
  CHECK_OK(aclrtFreePhysical(first));
  CHECK(free_memory() == before);
  CHECK_OK(aclrtReleaseMemAddress(start));
}

TEST_CASE(the_same_memory_keeps_its_content_at_another_address) {
  char* start = reserve(2 * kPiece);
  aclrtDrvMemHandle memory = allocate(kPiece);
  CHECK_OK(aclrtMapMem(start, kPiece, 0, memory, 0));
  CHECK_OK(aclrtMemset(start, kPiece, 42, kPiece));
  CHECK_OK(aclrtUnmapMem(start));
  CHECK_OK(aclrtMapMem(start + kPiece, kPiece, 0, memory, 0));
  char value = 0;
  CHECK_OK(aclrtMemcpy(&value, 1, start + 2 * kPiece - 1, 1, ACL_MEMCPY_DEVICE_TO_HOST));
  CHECK(value == 42);
  CHECK_OK(aclrtUnmapMem(start + kPiece));
  CHECK_OK(aclrtFreePhysical(memory));
  CHECK_OK(aclrtReleaseMemAddress(start));
}

TEST_CASE(the_host_reaches_no_mapped_memory) {
  char* start = reserve(kPiece);
  aclrtDrvMemHandle memory = allocate(kPiece);
  CHECK_OK(aclrtMapMem(start, kPiece, 0, memory, 0));
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    _exit(*static_cast<volatile char*>(start));
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  CHECK_OK(aclrtUnmapMem(start));
  CHECK_OK(aclrtFreePhysical(memory));
  CHECK_OK(aclrtReleaseMemAddress(start));
}

TEST_CASE(unmapping_waits_for_streams) {
  static char received;
  char* start = reserve(kPiece);
  aclrtDrvMemHandle memory = allocate(kPiece);
  CHECK_OK(aclrtMapMem(start, kPiece, 0, memory, 0));
  CHECK_OK(aclrtMemset(start, kPiece, 5, 1));
  Gate gate;
  gate.block(nullptr);
  CHECK_OK(aclrtMemcpyAsync(&received, 1, start, 1, ACL_MEMCPY_DEVICE_TO_HOST, nullptr));
  gate.open();
  CHECK_OK(aclrtUnmapMem(start));
  CHECK(received == 5);
  CHECK_OK(aclrtFreePhysical(memory));
  CHECK_OK(aclrtReleaseMemAddress(start));
}

TEST_CASE(wrong_ranges_are_refused) {
  char* start = reserve(2 * kPiece);
  aclrtDrvMemHandle memory = allocate(kPiece);
  void* pointer = nullptr;
  CHECK_OK(aclrtReserveMemAddress(&pointer, 512, 0, nullptr, 0));  // adapters try with a few bytes
  CHECK_OK(aclrtReleaseMemAddress(pointer));
  CHECK_FAILS(aclrtMapMem(start, 512, 0, memory, 0), ACL_ERROR_RT_PARAM_INVALID, "multiple of 2097152");
  CHECK_FAILS(aclrtMapMem(start + kPiece, 2 * kPiece, 0, memory, 0), ACL_ERROR_RT_PARAM_INVALID,
              "inside reserved addresses");
  CHECK_FAILS(aclrtMapMem(start, 2 * kPiece, 0, memory, 0), ACL_ERROR_RT_PARAM_INVALID, "inside memory of");
  CHECK_OK(aclrtMapMem(start, kPiece, 0, memory, 0));
  CHECK_FAILS(aclrtMapMem(start, kPiece, 0, memory, 0), ACL_ERROR_RT_PARAM_INVALID, "mapped already");
  CHECK_FAILS(aclrtUnmapMem(start + kPiece), ACL_ERROR_RT_PARAM_INVALID, "not the start of a mapping");
  CHECK_OK(aclrtUnmapMem(start));
  CHECK_OK(aclrtFreePhysical(memory));
  CHECK_FAILS(aclrtFreePhysical(memory), ACL_ERROR_RT_PARAM_INVALID, "no live physical memory");
  CHECK_FAILS(aclrtFree(start), ACL_ERROR_RT_MEMORY_FREE, "not device memory of aclrtMalloc");
  CHECK_OK(aclrtReleaseMemAddress(start));
}

// What a process that imports does: exits with 0 when it has read 'a' and written 'b', and with the code's
// sign when it was refused.
struct Message {
  std::uint64_t handle;
  char key[65];
};

[[noreturn]] void importing_process(int from) {
  Message message;
  if (read(from, &message, sizeof message) != sizeof message) std::_Exit(2);  // the case is not run
  CHECK_OK(aclInit(nullptr));
  CHECK_OK(aclrtSetDevice(0));
  aclrtDrvMemHandle memory = nullptr;
  if (aclrtMemImportFromShareableHandle(message.handle, 0, &memory) != ACL_SUCCESS) {
    const std::string text = aclGetRecentErrMsg();
    std::_Exit(text.find("does not let process") != std::string::npos ? 7 : 1);
  }
  char* start = reserve(kPiece);
  CHECK_OK(aclrtMapMem(start, kPiece, 0, memory, 0));
  char value = 0;
  CHECK_OK(aclrtMemcpy(&value, 1, start + 100, 1, ACL_MEMCPY_DEVICE_TO_HOST));
  CHECK(value == 'a');
  CHECK_OK(aclrtMemset(start + 100, 1, 'b', 1));
  void* imported = nullptr;
  CHECK_OK(aclrtIpcMemImportByKey(&imported, message.key, 0));
  CHECK_OK(aclrtMemcpy(&value, 1, imported, 1, ACL_MEMCPY_DEVICE_TO_HOST));
  CHECK(value == 'k');
  CHECK(cann_simulator_alias(static_cast<char*>(imported) + 1000, 1, nullptr) == nullptr);  // its neighbors
  CHECK_OK(aclrtIpcMemClose(message.key));
  CHECK_EQUAL(aclrtIpcMemClose(message.key), ACL_ERROR_RT_PARAM_INVALID);
  CHECK_OK(aclFinalize());
  std::_Exit(0);
}

int exit_code(pid_t child) {
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
  return WEXITSTATUS(status);
}

pid_t start_importing_process(int* to) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[1]);  // so that the end of the parent is the end of the file
    importing_process(ends[0]);
  }
  close(ends[0]);
  *to = ends[1];
  return child;
}

// Forked before this process has a device; each maps what it is sent, or ends with another code.
struct ImportingProcess {
  int to = -1;
  pid_t pid = start_importing_process(&to);
};
ImportingProcess* first = nullptr;
ImportingProcess* second = nullptr;

TEST_CASE(processes_share_memory) {
  char* start = reserve(kPiece);
  aclrtDrvMemHandle memory = allocate(kPiece);
  CHECK_OK(aclrtMapMem(start, kPiece, 0, memory, 0));
  CHECK_OK(aclrtMemset(start + 100, 1, 'a', 1));
  void* small = nullptr;
  void* block = nullptr;
  CHECK_OK(aclrtMalloc(&small, 512, ACL_MEM_MALLOC_HUGE_FIRST));
  CHECK_OK(aclrtMalloc(&block, 1000, ACL_MEM_MALLOC_HUGE_FIRST));  // not at the start of a page
  CHECK_OK(aclrtMemset(block, 1000, 'k', 1000));
  Message message{};
  CHECK_OK(aclrtMemExportToShareableHandle(memory, ACL_MEM_HANDLE_TYPE_NONE, 0, &message.handle));
  CHECK_OK(aclrtIpcMemGetExportKey(block, 1000, message.key, sizeof message.key,
                                   ACL_RT_IPC_MEM_EXPORT_FLAG_DISABLE_PID_VALIDATION));
  CHECK(write(first->to, &message, sizeof message) == sizeof message);
  CHECK(exit_code(first->pid) == 7);  // not named yet
  std::int32_t pid = second->pid;
  CHECK_OK(aclrtMemSetPidToShareableHandle(message.handle, &pid, 1));
  CHECK(write(second->to, &message, sizeof message) == sizeof message);
  CHECK(exit_code(second->pid) == 0);
  char value = 0;
  CHECK_OK(aclrtMemcpy(&value, 1, start + 100, 1, ACL_MEMCPY_DEVICE_TO_HOST));
  CHECK(value == 'b');
  CHECK_OK(aclrtIpcMemClose(message.key));
  aclrtDrvMemHandle imported = nullptr;
  CHECK_FAILS(aclrtMemImportFromShareableHandle(message.handle + 1, 0, &imported), ACL_ERROR_RT_PARAM_INVALID,
              "shares no memory");
  void* pointer = nullptr;
  CHECK_FAILS(aclrtIpcMemImportByKey(&pointer, message.key, 0), ACL_ERROR_RT_PARAM_INVALID,
              "shares no memory");
  CHECK_FAILS(aclrtIpcMemImportByKey(&pointer, "other", 0), ACL_ERROR_RT_PARAM_INVALID, "no key");
  CHECK_OK(aclrtFree(block));
  CHECK_OK(aclrtFree(small));
}

}  // namespace

int main(int argc, char** argv) {
  setenv("CANN_SIMULATOR_MEMORY", "64M", 1);
  ImportingProcess processes[2];
  first = &processes[0];
  second = &processes[1];
  return test::run_on_device(argc, argv);
}
