#include "heap.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>

#include "ranges.h"

namespace cann_simulator {
namespace {

constexpr std::size_t kGrain = 512;  // sizes and addresses are multiples of it

std::size_t page_size() {
  static const std::size_t size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

std::size_t round_up(std::size_t size, std::size_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

char* map(std::size_t size, int protection, int flags, int file) {
  void* address = mmap(nullptr, size, protection, flags | MAP_NORESERVE, file, 0);
  return address == MAP_FAILED ? nullptr : static_cast<char*>(address);
}

}  // namespace

Heap::~Heap() {
  if (reserved_ != nullptr) munmap(reserved_, capacity_);
  if (readable_ != nullptr) munmap(readable_, capacity_);
  if (file_ >= 0) close(file_);
}

Status Heap::open(int device, std::size_t capacity) {
  device_ = device;
  capacity_ = round_up(capacity, page_size());
  const std::string name = "cann-simulator-device" + std::to_string(device);
  // The system call itself: the C library has a function for it since 2.27 only.
  file_ = static_cast<int>(syscall(SYS_memfd_create, name.c_str(), MFD_CLOEXEC));
  if (file_ >= 0 && ftruncate(file_, static_cast<off_t>(capacity_)) == 0) {
    reserved_ = map(capacity_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    // Shared, so that a fork of the host program copies neither the memory nor its page tables.
    readable_ = map(capacity_, PROT_READ | PROT_WRITE, MAP_SHARED, file_);
  }
  if (reserved_ == nullptr || readable_ == nullptr) {
    return failure(ACL_ERROR_RT_MEMORY_ALLOCATION,
                   "cannot reserve %zu bytes of address space for device %d: %s; "
                   "lower CANN_SIMULATOR_MEMORY or CANN_SIMULATOR_DEVICES",
                   capacity_, device, std::strerror(errno));
  }
  add_free(0, capacity_);
  return {};
}

Status Heap::allocate(std::size_t size, void** pointer, std::size_t alignment) {
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  const std::size_t rounded = round_up(std::max(size, std::size_t{1}), kGrain);
  auto fitting = size > capacity_ ? free_by_size_.end() : free_by_size_.lower_bound({rounded, 0});
  while (fitting != free_by_size_.end() &&
         round_up(fitting->second, alignment) + rounded > fitting->second + fitting->first) {
    ++fitting;
  }
  if (fitting == free_by_size_.end()) {
    const std::size_t largest = free_by_size_.empty() ? 0 : free_by_size_.rbegin()->first;
    return failure(ACL_ERROR_RT_MEMORY_ALLOCATION,
                   "out of memory on device %d: asked for %zu bytes, %zu of %zu bytes are free, "
                   "the largest free block has %zu bytes",
                   device_, size, capacity_ - used_, capacity_, largest);
  }
  const auto best = free_.find(fitting->second);
  const Offset begin = best->first;
  const Offset end = begin + best->second;
  const Offset offset = round_up(begin, alignment);
  remove_free(best);
  if (offset > begin) add_free(begin, offset - begin);
  if (end > offset + rounded) add_free(offset + rounded, end - offset - rounded);
  live_.emplace(offset, rounded);
  used_ += rounded;
  *pointer = reserved_ + offset;
  return {};
}

Status Heap::release(void* pointer) {
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  const auto block = live_.find(offset_of(pointer));
  if (block == live_.end()) {
    return failure(
        ACL_ERROR_RT_MEMORY_FREE,
        "%p on device %d is not the start of a live allocation; it was freed before, or lies inside one",
        pointer, device_);
  }
  Offset begin = block->first;
  Offset end = begin + block->second;
  used_ -= block->second;
  live_.erase(block);

  const Offset freed_begin = begin;
  const Offset freed_end = end;
  auto next = free_.lower_bound(begin);
  if (next != free_.end() && next->first == end) {
    end += next->second;
    remove_free(next);
  }
  next = free_.lower_bound(begin);
  if (next != free_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == begin) {
      begin = previous->first;
      remove_free(previous);
    }
  }
  add_free(begin, end - begin);
  give_back(freed_begin, freed_end, begin, end);
  return {};
}

void Heap::release_all() {
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  ++life_;
  live_.clear();
  free_.clear();
  free_by_size_.clear();
  used_ = 0;
  add_free(0, capacity_);
  give_back(0, capacity_, 0, capacity_);
}

bool Heap::owns(const void* pointer) const {
  return reserved_ != nullptr && pointer >= reserved_ && pointer < reserved_ + capacity_;
}

char* Heap::alias(const void* pointer, std::size_t size) const {
  if (!owns(pointer)) return nullptr;
  const Offset offset = offset_of(pointer);
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  const auto block = last_from(live_, offset);
  if (block == live_.end()) return nullptr;
  const std::size_t inside = offset - block->first;
  return inside <= block->second && size <= block->second - inside ? readable_ + offset : nullptr;
}

bool Heap::allocation(const void* pointer, void** start, std::size_t* size) const {
  if (!owns(pointer)) return false;
  const Offset offset = offset_of(pointer);
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  const auto block = last_from(live_, offset);
  if (block == live_.end() || offset >= block->first + block->second) return false;
  *start = reserved_ + block->first;
  *size = block->second;
  return true;
}

std::size_t Heap::free_bytes() const {
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  return capacity_ - used_;
}

void Heap::add_free(Offset offset, std::size_t size) {
  free_.emplace(offset, size);
  free_by_size_.emplace(size, offset);
}

void Heap::remove_free(std::map<Offset, std::size_t>::iterator block) {
  free_by_size_.erase({block->second, block->first});
  free_.erase(block);
}

// Returns the pages that [begin, end) touches to the host, those of them that lie wholly in free memory.
void Heap::give_back(Offset begin, Offset end, Offset free_begin, Offset free_end) {
  const std::size_t page = page_size();
  const Offset first = std::max(begin / page * page, round_up(free_begin, page));
  const Offset last = std::min(round_up(end, page), free_end / page * page);
  if (first >= last) return;
  // A kernel without hole punching keeps the pages: more memory stays committed, nothing else changes.
  (void)fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(first),
                  static_cast<off_t>(last - first));
}

}  // namespace cann_simulator
