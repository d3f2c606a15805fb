#include "sharing.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace cann_simulator {
namespace {

constexpr std::size_t kMostPids = 64;
constexpr std::uint32_t kAnyone = ~std::uint32_t{0};

// What a memfd of Exports holds.
struct Offer {
  std::int32_t file;  // number of the exporting process's memfd
  std::int32_t device;
  std::uint64_t offset;
  std::uint64_t size;
  std::uint32_t permitted;  // processes that may import; kAnyone: all
  std::int32_t pids[kMostPids];
};

std::string file_name(ShareId id) { return "cann-simulator-share-" + std::to_string(id & 0xffffffff); }

Status no_such_share(ShareId id) {
  return failure(ACL_ERROR_RT_PARAM_INVALID,
                 "process %" PRIu64 " shares no memory under number %" PRIu64
                 "; it has ended, or has freed or closed it",
                 id >> 32, id & 0xffffffff);
}

class File {
 public:
  explicit File(int number) : number_(number) {}
  ~File() {
    if (number_ >= 0) close(number_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  bool is_open() const { return number_ >= 0; }
  int number() const { return number_; }
  int take() { return std::exchange(number_, -1); }

 private:
  int number_;
};

// Opens the memfd of that name among the files of the process; -1 when there is none.
int open_by_name(std::uint64_t pid, const std::string& name) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  DIR* directory = opendir(folder.c_str());
  if (directory == nullptr) return -1;
  const std::string wanted = "/memfd:" + name + " (deleted)";
  int found = -1;
  while (const dirent* file = readdir(directory)) {
    char target[128];
    const std::string path = folder + "/" + file->d_name;
    const ssize_t length = readlink(path.c_str(), target, sizeof target);
    if (length < 0 || wanted != std::string(target, static_cast<std::size_t>(length))) continue;
    found = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    break;
  }
  closedir(directory);
  return found;
}

bool permitted(const Offer& offer, std::int32_t pid) {
  if (offer.permitted == kAnyone) return true;
  const std::int32_t* end = offer.pids + std::min<std::size_t>(offer.permitted, kMostPids);
  return std::find(offer.pids, end, pid) != end;
}

}  // namespace

Status Exports::offer(int device, int file, std::size_t offset, std::size_t size, bool anyone, ShareId* id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  *id = static_cast<ShareId>(getpid()) << 32 | next_;
  Offer offer{file, device, offset, size, anyone ? kAnyone : 0, {}};
  File said(static_cast<int>(syscall(SYS_memfd_create, file_name(*id).c_str(), MFD_CLOEXEC)));
  if (!said.is_open() || pwrite(said.number(), &offer, sizeof offer, 0) != sizeof offer) {
    return failure(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host cannot share memory: %s", std::strerror(errno));
  }
  files_[*id] = said.take();
  ++next_;
  return {};
}

Status Exports::permit(ShareId id, const std::int32_t* pids, std::size_t count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = files_.find(id);
  if (found == files_.end()) return no_such_share(id);
  Offer offer;
  if (pread(found->second, &offer, sizeof offer, 0) != sizeof offer) return no_such_share(id);
  if (offer.permitted == kAnyone) return {};
  if (count > kMostPids - offer.permitted) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "more than %zu processes may import one memory", kMostPids);
  }
  std::copy(pids, pids + count, offer.pids + offer.permitted);
  offer.permitted += static_cast<std::uint32_t>(count);
  if (pwrite(found->second, &offer, sizeof offer, 0) == sizeof offer) return {};
  return failure(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host cannot share memory: %s", std::strerror(errno));
}

bool Exports::withdraw(ShareId id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = files_.find(id);
  if (found == files_.end()) return false;
  close(found->second);
  files_.erase(found);
  return true;
}

void Exports::clear() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& item : files_) close(item.second);
  files_.clear();
}

Status import_memory(ShareId id, int device, std::shared_ptr<Physical>* physical) {
  const std::uint64_t pid = id >> 32;
  const File said(open_by_name(pid, file_name(id)));
  Offer offer;
  if (!said.is_open() || pread(said.number(), &offer, sizeof offer, 0) != sizeof offer)
    return no_such_share(id);
  if (!permitted(offer, static_cast<std::int32_t>(getpid()))) {
    return failure(ACL_ERROR_RT_PARAM_INVALID,
                   "process %" PRIu64
                   " does not let process %d import its memory; it must name it with "
                   "aclrtMemSetPidToShareableHandle or aclrtIpcMemSetImportPid, or export without validation",
                   pid, getpid());
  }
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(offer.file);
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "the memory of process %" PRIu64 " cannot be opened: %s", pid,
                   std::strerror(errno));
  }
  *physical = std::make_shared<Physical>(device, file, offer.offset, offer.size);
  return {};
}

std::string share_key(ShareId id) {
  char text[40];
  std::snprintf(text, sizeof text, "cann-simulator-%" PRIx64, id);
  return text;
}

Status parse_share_key(const char* key, ShareId* id) {
  int end = 0;
  if (std::sscanf(key, "cann-simulator-%" SCNx64 "%n", id, &end) == 1 && key[end] == '\0') return {};
  return failure(ACL_ERROR_RT_PARAM_INVALID, "'%.40s' is no key of aclrtIpcMemGetExportKey", key);
}

}  // namespace cann_simulator
