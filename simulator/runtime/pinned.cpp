#include "pinned.h"

#include <unistd.h>

#include <cstdlib>
#include <map>
#include <mutex>

#include "ranges.h"

namespace cann_simulator {
namespace {

struct Block {
  std::size_t size;
  bool owned;  // of aclrtMallocHost
};

struct Pinned {
  std::mutex mutex;
  std::map<char*, Block> live;
};

Pinned& pinned() {
  static Pinned* const kept = new Pinned;
  return *kept;
}

// Takes the block that begins there, when it is of that kind.
bool take(void* pointer, bool owned) {
  const std::lock_guard<std::mutex> lock(pinned().mutex);
  const auto found = pinned().live.find(static_cast<char*>(pointer));
  if (found == pinned().live.end() || found->second.owned != owned) return false;
  pinned().live.erase(found);
  return true;
}

}  // namespace

Status allocate_pinned(std::size_t size, void** pointer) {
  void* address = nullptr;
  if (posix_memalign(&address, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), size) != 0)
    throw std::bad_alloc();
  const std::lock_guard<std::mutex> lock(pinned().mutex);
  pinned().live[static_cast<char*>(address)] = {size, true};
  *pointer = address;
  return {};
}

Status release_pinned(void* pointer) {
  if (!take(pointer, true)) {
    return failure(ACL_ERROR_RT_MEMORY_FREE, "%p is not the start of live memory of aclrtMallocHost",
                   pointer);
  }
  std::free(pointer);
  return {};
}

Status register_pinned(void* pointer, std::size_t size) {
  const std::lock_guard<std::mutex> lock(pinned().mutex);
  char* const start = static_cast<char*>(pointer);
  auto next = pinned().live.lower_bound(start);
  const bool meets_next = next != pinned().live.end() && next->first < start + size;
  const bool meets_last =
      next != pinned().live.begin() && std::prev(next)->first + std::prev(next)->second.size > start;
  if (meets_next || meets_last) {
    return failure(ACL_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "some of the %zu bytes at %p are pinned already",
                   size, pointer);
  }
  pinned().live[start] = {size, false};
  return {};
}

Status unregister_pinned(void* pointer) {
  if (take(pointer, false)) return {};
  return failure(ACL_ERROR_HOST_MEMORY_NOT_REGISTERED, "%p is not the start of registered memory", pointer);
}

bool is_pinned(const void* pointer) {
  const std::lock_guard<std::mutex> lock(pinned().mutex);
  const auto block = last_from(pinned().live, static_cast<char*>(const_cast<void*>(pointer)));
  return block != pinned().live.end() &&
         static_cast<const char*>(pointer) < block->first + block->second.size;
}

}  // namespace cann_simulator
