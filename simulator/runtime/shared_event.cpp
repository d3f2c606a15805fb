#include "shared_event.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>

#include "stream.h"

namespace cann_simulator {
namespace {

constexpr char kMagic[16] = "cann-sim-event";

// What a handle of CANN holds here.
struct Handle {
  char magic[16];
  std::int32_t process;
  std::int32_t file;
  std::uint64_t key;
};
static_assert(sizeof(Handle) <= sizeof(aclrtIpcEventHandle), "a handle has 64 bytes");

std::uint64_t random_key() {
  std::uint64_t key = 0;
  while (syscall(SYS_getrandom, &key, sizeof key, 0) != sizeof key) {
  }
  return key;
}

// A process that has ended may still be there for its parent to ask about.
bool has_ended(std::int32_t process) {
  if (kill(process, 0) != 0 && errno == ESRCH) return true;
  char text[512] = "";
  const int file = open(("/proc/" + std::to_string(process) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  const char* const state = size > 0 ? std::strrchr(text, ')') : nullptr;  // "pid (name) state"
  return state != nullptr && state[1] == ' ' && state[2] == 'Z';
}

}  // namespace

Status SharedEvent::map(int file, std::shared_ptr<SharedEvent>* event) {
  void* const memory = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) {
    close(file);
    return failure(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host cannot share an event: %s",
                   std::strerror(errno));
  }
  event->reset(new SharedEvent(file, static_cast<Page*>(memory)));
  return {};
}

Status SharedEvent::create(std::shared_ptr<SharedEvent>* event) {
  const int file = static_cast<int>(syscall(SYS_memfd_create, "cann-simulator-event", MFD_CLOEXEC));
  if (file < 0 || ftruncate(file, sizeof(Page)) != 0) {
    if (file >= 0) close(file);
    return failure(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host cannot share an event: %s",
                   std::strerror(errno));
  }
  Status status = map(file, event);
  if (status.ok()) (*event)->page_->key = random_key();
  return status;
}

Status SharedEvent::open(const aclrtIpcEventHandle& handle, std::shared_ptr<SharedEvent>* event) {
  Handle said;
  std::memcpy(&said, &handle, sizeof said);
  if (std::memcmp(said.magic, kMagic, sizeof kMagic) != 0) {
    return failure(ACL_ERROR_RT_INVALID_HANDLE, "these 64 bytes are no handle of aclrtIpcGetEventHandle");
  }
  const std::string path = "/proc/" + std::to_string(said.process) + "/fd/" + std::to_string(said.file);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  std::uint64_t key = 0;
  if (file < 0 || pread(file, &key, sizeof key, 0) != sizeof key || key != said.key) {
    if (file >= 0) close(file);
    return failure(ACL_ERROR_RT_INVALID_HANDLE,
                   "process %d shares no such event; it has ended, or has destroyed it", said.process);
  }
  return map(file, event);
}

SharedEvent::~SharedEvent() {
  munmap(page_, sizeof(Page));
  close(file_);
}

void SharedEvent::describe(aclrtIpcEventHandle* handle) const {
  Handle said{{}, static_cast<std::int32_t>(getpid()), file_, page_->key};
  std::memcpy(said.magic, kMagic, sizeof kMagic);
  std::memset(handle, 0, sizeof *handle);
  std::memcpy(handle, &said, sizeof said);
}

std::uint64_t SharedEvent::record() {
  page_->recorder = static_cast<std::int32_t>(getpid());
  return page_->recorded.fetch_add(1) + 1;
}

void SharedEvent::reach(std::uint64_t recording) {
  std::uint64_t passed = page_->passed.load();
  while (passed < recording && !page_->passed.compare_exchange_weak(passed, recording)) {
  }
  ++page_->changes;
  syscall(SYS_futex, &page_->changes, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

std::uint64_t SharedEvent::latest() const { return page_->recorded.load(); }

bool SharedEvent::reached(std::uint64_t recording) const { return page_->passed.load() >= recording; }

Status SharedEvent::wait(std::uint64_t recording, std::int32_t timeout_ms, Stream* stream) const {
  const auto begin = std::chrono::steady_clock::now();
  constexpr long kLook = 50'000'000;  // ns until it is seen that the other process, or this stream, has ended
  while (true) {
    const std::uint32_t changes = page_->changes.load();
    if (reached(recording)) return {};
    const std::int32_t recorder = page_->recorder.load();
    if (has_ended(recorder) && !reached(recording)) {
      return failure(ACL_ERROR_RT_EVENT_NOT_COMPLETE, "process %d ended before its stream came to the event",
                     recorder);
    }
    const std::chrono::duration<double, std::milli> waited = std::chrono::steady_clock::now() - begin;
    if (timeout_ms >= 0 && waited.count() >= timeout_ms) {
      return failure(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, "the event was not reached in %d ms", timeout_ms);
    }
    if (stream != nullptr && !stream->pause(0)) return {};
    const timespec look = {0, timeout_ms >= 0 && timeout_ms < 50 ? timeout_ms * 1'000'000L + 1 : kLook};
    syscall(SYS_futex, &page_->changes, FUTEX_WAIT, changes, &look, nullptr, 0);
  }
}

}  // namespace cann_simulator
