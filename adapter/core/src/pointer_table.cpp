#include "pointer_table.h"

#include <map>
#include <mutex>
#include <unordered_map>

namespace npu {
namespace {

// Blocks come and go with every tensor, so the table is split for threads not to meet.
constexpr size_t kShards = 16;

struct BlockHash {
  size_t operator()(const void* address) const {
    // Blocks start on multiples of 512: the low bits tell nothing.
    return static_cast<size_t>((reinterpret_cast<uintptr_t>(address) >> 9) * 0x9E3779B97F4A7C15ULL >> 20);
  }
};

struct Shard {
  std::mutex mutex;
  std::unordered_map<const void*, Block*, BlockHash> blocks;
  char apart[64];  // a cache line between the locks; alignas would need an operator new of GCC 7
};

Shard& shard_of(const void* address) {
  // Leaked, like the segments below: memory is freed until the very end of the process.
  static Shard* shards = new Shard[kShards];
  return shards[BlockHash()(address) % kShards];
}

struct OwnedSegment {
  const char* end;
  int32_t device;
};

struct SegmentMap {
  std::mutex mutex;
  std::map<const char*, OwnedSegment> by_start;
};

SegmentMap& segment_map() {
  static SegmentMap* segments = new SegmentMap;
  return *segments;
}

// With the map's lock held.
std::map<const char*, OwnedSegment>::const_iterator find_segment(const SegmentMap& segments,
                                                                 const void* address) {
  const auto* wanted = static_cast<const char*>(address);
  auto found = segments.by_start.upper_bound(wanted);
  if (found == segments.by_start.begin()) return segments.by_start.end();
  --found;
  return wanted < found->second.end ? found : segments.by_start.end();
}

}  // namespace

void insert_block(Block* block) {
  Shard& shard = shard_of(block->address);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  shard.blocks.emplace(block->address, block);
}

Block* find_block(const void* address) {
  Shard& shard = shard_of(address);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  const auto found = shard.blocks.find(address);
  return found == shard.blocks.end() ? nullptr : found->second;
}

Block* remove_block(const void* address) {
  Shard& shard = shard_of(address);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  const auto found = shard.blocks.find(address);
  if (found == shard.blocks.end()) return nullptr;
  Block* block = found->second;
  shard.blocks.erase(found);
  return block;
}

void register_segment(const Segment& segment, int32_t device) {
  SegmentMap& segments = segment_map();
  const std::lock_guard<std::mutex> lock(segments.mutex);
  segments.by_start[segment.address] = {segment.address + segment.size, device};
}

void unregister_segment(const Segment& segment) {
  SegmentMap& segments = segment_map();
  const std::lock_guard<std::mutex> lock(segments.mutex);
  segments.by_start.erase(segment.address);
}

int32_t device_of_address(const void* address) {
  SegmentMap& segments = segment_map();
  const std::lock_guard<std::mutex> lock(segments.mutex);
  const auto found = find_segment(segments, address);
  return found != segments.by_start.end() ? found->second.device : -1;
}

bool segment_of_address(const void* address, Segment* segment) {
  SegmentMap& segments = segment_map();
  const std::lock_guard<std::mutex> lock(segments.mutex);
  const auto found = find_segment(segments, address);
  if (found == segments.by_start.end()) return false;
  *segment = {const_cast<char*>(found->first), static_cast<size_t>(found->second.end - found->first)};
  return true;
}

}  // namespace npu
