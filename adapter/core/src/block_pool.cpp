#include "block_pool.h"

#include <algorithm>

namespace npu {

Block* BlockPool::take(const Request& request) {
  FreeList& list = list_of(request.stream, request.small);
  Block key{};
  key.size = request.size;  // address NULL: below every block of that size
  const auto found = list.lower_bound(&key);
  if (found == list.end()) return nullptr;
  Block* block = *found;
  list.erase(found);
  block->idle = false;
  cut_to_size(block, request.size);
  return block;
}

Block* BlockPool::take_from_new_segment(const Segment& segment, const Request& request) {
  Block* block = new Block{};
  block->address = segment.address;
  block->size = segment.size;
  block->stream = request.stream;
  block->device = device_;
  block->pool = this;
  block->small = request.small;
  ++segments_;
  cut_to_size(block, request.size);
  return block;
}

// What is left over becomes an idle block, however small: it joins its neighbor again as soon as
// that is freed, and the statistics stay exact.
void BlockPool::cut_to_size(Block* block, size_t size) {
  if (block->size == size) return;
  Block* rest = new Block{};
  rest->address = block->address + size;
  rest->size = block->size - size;
  rest->stream = block->stream;
  rest->device = device_;
  rest->pool = this;
  rest->small = block->small;
  rest->idle = true;
  rest->previous = block;
  rest->next = block->next;
  if (rest->next != nullptr) rest->next->previous = rest;
  block->next = rest;
  block->size = size;
  list_of(rest->stream, rest->small).insert(rest);
}

void BlockPool::absorb_next(Block* block) {
  Block* absorbed = block->next;
  block->size += absorbed->size;
  block->next = absorbed->next;
  if (block->next != nullptr) block->next->previous = block;
  delete absorbed;
}

void BlockPool::give(Block* block) {
  FreeList& list = list_of(block->stream, block->small);
  if (block->next != nullptr && block->next->idle) {
    list.erase(block->next);
    absorb_next(block);
  }
  if (block->previous != nullptr && block->previous->idle) {
    block = block->previous;
    list.erase(block);
    absorb_next(block);
  }
  block->idle = true;
  block->users.reset();
  list.insert(block);
}

namespace {

// An idle block with neighbors shares its segment with blocks in use.
bool is_whole_segment(const Block& block) { return block.previous == nullptr && block.next == nullptr; }

}  // namespace

bool BlockPool::has_idle_segment() const {
  for (const auto& lists : lists_) {
    for (const FreeList& list : lists) {
      if (std::any_of(list.begin(), list.end(), [](const Block* block) { return is_whole_segment(*block); }))
        return true;
    }
  }
  return false;
}

std::vector<Segment> BlockPool::remove_idle_segments() {
  std::vector<Segment> removed;
  for (auto& lists : lists_) {
    for (FreeList& list : lists) {
      for (auto it = list.begin(); it != list.end();) {
        Block* block = *it;
        if (!is_whole_segment(*block)) {
          ++it;
          continue;
        }
        removed.push_back({block->address, block->size});
        it = list.erase(it);
        delete block;
        --segments_;
      }
    }
  }
  return removed;
}

}  // namespace npu
