// Device memory of one process in another, without a name that could be left behind: the exporting process
// keeps a small memfd that says what it shares, and others find both through /proc/<pid>/fd. With the process
// all goes.
#ifndef CANN_SIMULATOR_SHARING_H_
#define CANN_SIMULATOR_SHARING_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "status.h"
#include "virtual_memory.h"

namespace cann_simulator {

// The process in the upper half, a number of its own in the lower one; never 0.
using ShareId = std::uint64_t;

class Exports {
 public:
  ~Exports() = default;

  // Offers [offset, offset + size) of a memfd of this process. With `anyone` false only processes that
  // permit() names may take it.
  Status offer(int device, int file, std::size_t offset, std::size_t size, bool anyone, ShareId* id);
  Status permit(ShareId id, const std::int32_t* pids, std::size_t count);
  // False when this process offers no such thing.
  bool withdraw(ShareId id);
  void clear();

 private:
  std::mutex mutex_;
  std::uint32_t next_ = 1;
  std::map<ShareId, int> files_;  // the memfds that say what is shared
};

// What another process, or this one, offers; `device` is the importing process's.
Status import_memory(ShareId id, int device, std::shared_ptr<Physical>* physical);

// "cann-simulator-<id in hexadecimal>", as the key of aclrtIpcMem*.
std::string share_key(ShareId id);
Status parse_share_key(const char* key, ShareId* id);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_SHARING_H_
