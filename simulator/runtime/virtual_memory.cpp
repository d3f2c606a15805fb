#include "virtual_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "ranges.h"

namespace cann_simulator {
namespace {

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

char* reserve_addresses(std::size_t size) {
  void* address = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return address == MAP_FAILED ? nullptr : static_cast<char*>(address);
}

Status host_failure(const char* what) {
  return failure(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host cannot %s: %s", what, std::strerror(errno));
}

}  // namespace

Status Physical::allocate(int device, Heap* heap, std::size_t size, std::shared_ptr<Physical>* physical) {
  void* block = nullptr;
  if (Status status = heap->allocate(size, &block, page_size()); !status.ok()) return status;
  *physical = std::make_shared<Physical>(device, -1, heap->offset(block), size);
  (*physical)->heap_ = heap;
  (*physical)->block_ = block;
  (*physical)->life_ = heap->life();
  return {};
}

Physical::~Physical() {
  if (heap_ != nullptr && heap_->life() == life_) (void)heap_->release(block_);
  if (heap_ == nullptr) close(file_);
}

Status VirtualMemory::reserve(int device, std::size_t bytes, void** start) {
  const std::size_t size = (bytes + page_size() - 1) / page_size() * page_size();
  char* addresses = reserve_addresses(size);
  char* readable = addresses == nullptr ? nullptr : reserve_addresses(size);
  if (readable == nullptr) {
    Status status = host_failure("reserve addresses");
    if (addresses != nullptr) munmap(addresses, size);
    return status;
  }
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  ranges_.emplace(addresses, Range{device, size, readable, {}});
  used_.store(true, std::memory_order_release);
  *start = addresses;
  return {};
}

VirtualMemory::Ranges::iterator VirtualMemory::range_of(const void* pointer) {
  auto* const address = static_cast<char*>(const_cast<void*>(pointer));
  const auto range = last_from(ranges_, address);
  return range != ranges_.end() && address < range->first + range->second.size ? range : ranges_.end();
}

VirtualMemory::Ranges::const_iterator VirtualMemory::range_of(const void* pointer) const {
  return const_cast<VirtualMemory*>(this)->range_of(pointer);
}

Status VirtualMemory::release_locked(Ranges::iterator range) {
  if (!range->second.mappings.empty()) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "%p still has %zu mappings; unmap them first",
                   static_cast<void*>(range->first), range->second.mappings.size());
  }
  munmap(range->first, range->second.size);
  munmap(range->second.readable, range->second.size);
  ranges_.erase(range);
  return {};
}

Status VirtualMemory::release(void* start) {
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  const auto range = ranges_.find(static_cast<char*>(start));
  if (range != ranges_.end()) return release_locked(range);
  return failure(ACL_ERROR_RT_PARAM_INVALID, "%p is not the start of reserved addresses", start);
}

Status VirtualMemory::map(void* start, std::size_t size, std::size_t offset,
                          std::shared_ptr<Physical> physical) {
  char* const begin = static_cast<char*>(start);
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  const auto range = range_of(start);
  if (range == ranges_.end() || size > static_cast<std::size_t>(range->first + range->second.size - begin)) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "%zu bytes at %p do not lie inside reserved addresses", size,
                   start);
  }
  if (offset > physical->size() || size > physical->size() - offset) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "%zu bytes from %zu on do not lie inside memory of %zu bytes",
                   size, offset, physical->size());
  }
  auto& mappings = range->second.mappings;
  const auto next = mappings.lower_bound(begin);
  const bool before =
      next != mappings.begin() && std::prev(next)->first + std::prev(next)->second.size > begin;
  if (before || (next != mappings.end() && next->first < begin + size)) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "%zu bytes at %p are mapped already, in part or all", size,
                   start);
  }
  char* const readable = range->second.readable + (begin - range->first);
  const std::size_t position = physical->offset() + offset;
  const std::size_t inside = position % page_size();  // of the first page: not 0 for what was imported
  if (mmap(readable - inside, size + inside, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, physical->file(),
           static_cast<off_t>(position - inside)) == MAP_FAILED) {
    return host_failure("map memory");
  }
  mappings.emplace(begin, Mapping{size, std::move(physical)});
  return {};
}

Status VirtualMemory::unmap(void* start) {
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  const auto range = range_of(start);
  if (range != ranges_.end()) {
    auto& mappings = range->second.mappings;
    const auto mapping = mappings.find(static_cast<char*>(start));
    if (mapping != mappings.end()) {
      char* const readable = range->second.readable + (mapping->first - range->first);
      char* const page = readable - reinterpret_cast<std::uintptr_t>(readable) % page_size();
      const std::size_t size = mapping->second.size + static_cast<std::size_t>(readable - page);
      if (mmap(page, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
          MAP_FAILED) {
        return host_failure("unmap memory");
      }
      mappings.erase(mapping);
      return {};
    }
  }
  return failure(ACL_ERROR_RT_PARAM_INVALID, "%p is not the start of a mapping", start);
}

Status VirtualMemory::reserve_and_map(std::shared_ptr<Physical> physical, void** start) {
  const std::size_t inside = physical->offset() % page_size();
  const std::size_t size = physical->size();
  void* range = nullptr;
  if (Status status = reserve(physical->device(), size + inside, &range); !status.ok()) return status;
  *start = static_cast<char*>(range) + inside;
  Status status = map(*start, size, 0, std::move(physical));
  if (!status.ok()) (void)release(range);
  return status;
}

Status VirtualMemory::release_mapped(void* start) {
  if (Status status = unmap(start); !status.ok()) return status;
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  return release_locked(range_of(start));
}

void VirtualMemory::clear(int device) {
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  for (auto range = ranges_.begin(); range != ranges_.end();) {
    const auto current = range++;
    if (device >= 0 && current->second.device != device) continue;
    current->second.mappings.clear();
    (void)release_locked(current);
  }
}

bool VirtualMemory::owns(const void* pointer, int* device) const {
  if (!used_.load(std::memory_order_acquire)) return false;
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  const auto range = range_of(pointer);
  if (range == ranges_.end()) return false;
  if (device == nullptr) return true;
  *device = range->second.device;
  const auto& mappings = range->second.mappings;
  const auto mapping = last_from(mappings, static_cast<char*>(const_cast<void*>(pointer)));
  if (mapping == mappings.end()) return true;
  if (pointer < mapping->first + mapping->second.size) *device = mapping->second.physical->device();
  return true;
}

char* VirtualMemory::alias(const void* pointer, std::size_t size) const {
  if (!used_.load(std::memory_order_acquire)) return nullptr;
  char* const begin = static_cast<char*>(const_cast<void*>(pointer));
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  const auto range = range_of(pointer);
  if (range == ranges_.end()) return nullptr;
  const auto& mappings = range->second.mappings;
  auto mapping = last_from(mappings, begin);
  if (mapping == mappings.end()) return nullptr;
  char* mapped = mapping->first;  // up to where memory is mapped without a hole
  for (; mapping != mappings.end() && mapping->first == mapped; ++mapping) {
    mapped = mapping->first + mapping->second.size;
    if (begin <= mapped && size <= static_cast<std::size_t>(mapped - begin)) {
      return range->second.readable + (begin - range->first);
    }
  }
  return nullptr;
}

}  // namespace cann_simulator
