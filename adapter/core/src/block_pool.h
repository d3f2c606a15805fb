// The address arithmetic of the caching allocator: segments cut into blocks, best fit, coalescing.
// Pure bookkeeping of one device: it never calls CANN and never reads the memory it manages. Not
// thread-safe.
#ifndef NPU_CORE_BLOCK_POOL_H_
#define NPU_CORE_BLOCK_POOL_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "stream.h"

namespace npu {

class BlockPool;

// What a block has to be: how large, for which stream, out of which kind of segment.
struct Request {
  size_t size;     // bytes, a multiple of the block granularity
  int64_t stream;  // whose free list serves it
  bool small;      // from the segments that small requests share
};

// A piece of a segment. The pieces of one segment form a list in the order of their addresses.
struct Block {
  char* address;
  size_t size;
  int64_t stream;
  int32_t device;
  BlockPool* pool;
  bool small;
  bool idle;        // in a free list
  Block* previous;  // the neighbors within the segment
  Block* next;
  std::bitset<kStreamCount> users;  // streams other than its own that were recorded
  int32_t pending_events;           // while it waits for those streams after being freed
};

struct Segment {
  char* address;
  size_t size;
};

class BlockPool {
 public:
  explicit BlockPool(int32_t device) : device_(device) {}
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // The smallest idle block that is large enough, cut to size; NULL when there is none.
  Block* take(const Request& request);

  // Makes a new segment's first block, cut to the size of the request, and takes it.
  Block* take_from_new_segment(const Segment& segment, const Request& request);

  // Puts a block back, joined with its idle neighbors.
  void give(Block* block);

  // Forgets every segment that is idle as a whole and returns them.
  std::vector<Segment> remove_idle_segments();
  bool has_idle_segment() const;
  size_t segments() const { return segments_; }

 private:
  struct BySize {
    bool operator()(const Block* a, const Block* b) const {
      return a->size != b->size ? a->size < b->size : a->address < b->address;
    }
  };
  using FreeList = std::set<Block*, BySize>;

  FreeList& list_of(int64_t stream, bool small) { return lists_[static_cast<size_t>(stream)][small ? 1 : 0]; }
  void cut_to_size(Block* block, size_t size);
  void absorb_next(Block* block);

  const int32_t device_;
  std::array<std::array<FreeList, 2>, kStreamCount> lists_;
  size_t segments_ = 0;
};

}  // namespace npu

#endif  // NPU_CORE_BLOCK_POOL_H_
