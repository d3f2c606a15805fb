// Virtual memory: ranges of device addresses, and physical memory that is mapped into them.
//
// As in the heap, the addresses handed out are out of the host's reach; what kernels use is an alias at a
// constant distance, in which each mapping is a piece of a memfd.
#ifndef CANN_SIMULATOR_VIRTUAL_MEMORY_H_
#define CANN_SIMULATOR_VIRTUAL_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>

#include "heap.h"
#include "status.h"

namespace cann_simulator {

// Sizes and offsets of physical memory are multiples of it, as of the huge pages of a device.
constexpr std::size_t kGranularity = std::size_t{2} << 20;

// A piece of a memfd: taken from a device's heap, or shared by another process.
class Physical {
 public:
  static Status allocate(int device, Heap* heap, std::size_t size, std::shared_ptr<Physical>* physical);
  // Takes ownership of the file. `offset` need not be the start of a page.
  Physical(int device, int file, std::size_t offset, std::size_t size)
      : device_(device), file_(file), offset_(offset), size_(size) {}
  ~Physical();
  Physical(const Physical&) = delete;
  Physical& operator=(const Physical&) = delete;

  int device() const { return device_; }
  int file() const { return heap_ == nullptr ? file_ : heap_->file(); }
  std::size_t offset() const { return offset_; }
  std::size_t size() const { return size_; }

 private:
  const int device_;
  const int file_;
  const std::size_t offset_;
  const std::size_t size_;
  Heap* heap_ = nullptr;  // where it goes back to; nullptr when it came from another process
  void* block_ = nullptr;
  std::uint64_t life_ = 0;
};

class VirtualMemory {
 public:
  VirtualMemory() = default;
  VirtualMemory(const VirtualMemory&) = delete;
  VirtualMemory& operator=(const VirtualMemory&) = delete;

  Status reserve(int device, std::size_t size, void** start);
  // Everything in the range must be unmapped.
  Status release(void* start);
  // The caller has made sure that no stream uses what it unmaps.
  Status map(void* start, std::size_t size, std::size_t offset, std::shared_ptr<Physical> physical);
  Status unmap(void* start);
  // Reserves just enough, maps all of it; *start is its first byte. Ends with one release_mapped().
  Status reserve_and_map(std::shared_ptr<Physical> physical, void** start);
  Status release_mapped(void* start);
  // Unmaps and releases what is a device's, everything when `device` is negative.
  void clear(int device);

  // Whether the address lies in a reserved range; the device of what is mapped there, else of the range.
  bool owns(const void* pointer, int* device) const;
  // The readable address; nullptr unless all of the range is mapped.
  char* alias(const void* pointer, std::size_t size) const;

 private:
  struct Mapping {
    std::size_t size;
    std::shared_ptr<Physical> physical;
  };
  struct Range {
    int device;
    std::size_t size;
    char* readable;  // the alias of the start
    std::map<char*, Mapping> mappings;
  };
  using Ranges = std::map<char*, Range>;

  Ranges::iterator range_of(const void* pointer);
  Ranges::const_iterator range_of(const void* pointer) const;
  Status release_locked(Ranges::iterator range);

  mutable std::shared_mutex mutex_;
  std::atomic<bool> used_{false};  // most programs reserve nothing: their every look-up ends here
  Ranges ranges_;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_VIRTUAL_MEMORY_H_
