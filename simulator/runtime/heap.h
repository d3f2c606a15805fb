// The memory of one simulated device.
//
// The addresses handed out lie in a reserved range that nobody may touch (PROT_NONE): a host read of a
// device pointer faults, as it would on hardware. Kernels and copies add a constant and reach the alias, a
// mapping of a memfd that commits a page when it is first touched and gives it back when it is freed.
#ifndef CANN_SIMULATOR_HEAP_H_
#define CANN_SIMULATOR_HEAP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <shared_mutex>
#include <utility>

#include "status.h"

namespace cann_simulator {

class Heap {
 public:
  Heap() = default;
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // Reserves the address ranges; commits nothing.
  Status open(int device, std::size_t capacity);

  // Best fit, aligned to 512 bytes or more. ACL_ERROR_RT_MEMORY_ALLOCATION says what is free.
  Status allocate(std::size_t size, void** pointer, std::size_t alignment = 512);
  // `pointer` must be what allocate() returned, once. The caller has made sure that no stream uses it.
  Status release(void* pointer);
  void release_all();

  // True for every address of the device's range, allocated or not.
  bool owns(const void* pointer) const;
  // The readable address of [pointer, pointer + size); nullptr unless it lies inside one live allocation.
  char* alias(const void* pointer, std::size_t size) const;

  // For mappings of one's own: the memfd, and where an allocation lies in it.
  int file() const { return file_; }
  std::size_t offset(const void* pointer) const { return offset_of(pointer); }
  // Another number after every release_all(): what was allocated before is gone.
  std::uint64_t life() const { return life_.load(); }
  // Start and size of the live allocation around an address; false when there is none.
  bool allocation(const void* pointer, void** start, std::size_t* size) const;

  std::size_t capacity() const { return capacity_; }
  // Where the memfd is mapped to be read and written.
  const char* readable() const { return readable_; }
  std::size_t free_bytes() const;

 private:
  using Offset = std::size_t;

  std::size_t offset_of(const void* pointer) const { return static_cast<const char*>(pointer) - reserved_; }
  void add_free(Offset offset, std::size_t size);
  void remove_free(std::map<Offset, std::size_t>::iterator block);
  void give_back(Offset begin, Offset end, Offset free_begin, Offset free_end);

  int device_ = 0;
  int file_ = -1;
  char* reserved_ = nullptr;  // handed out, PROT_NONE
  char* readable_ = nullptr;  // the alias
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
  std::atomic<std::uint64_t> life_{0};
  mutable std::shared_mutex mutex_;
  std::map<Offset, std::size_t> live_;
  std::map<Offset, std::size_t> free_;
  std::set<std::pair<std::size_t, Offset>> free_by_size_;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_HEAP_H_
