// Properties of the allocator that have to hold after any sequence of calls. The seeds are fixed, so a
// failure can be repeated.
#include <map>
#include <random>

#include "support.h"

namespace {

struct LiveBlock {
  int64_t size;
  int32_t device;
  int64_t user;  // the one stream that writes to it
};

class Model {
 public:
  explicit Model(uint32_t seed) : random_(seed) {}

  void step() {
    const uint32_t choice = random_() % 100;
    if (choice < 52 || live_.empty()) return allocate();
    if (choice < 94) return free();
    if (choice < 98) return use();
    CHECK_OK(npu_empty_cache(static_cast<int32_t>(random_() % 3) - 1));
  }

  void check_invariants() {
    int64_t bytes[2] = {0, 0};
    int64_t count[2] = {0, 0};
    const char* end_of_last = nullptr;
    for (const auto& entry : live_) {
      CHECK(entry.first >= end_of_last);  // no two blocks overlap
      end_of_last = entry.first + entry.second.size;
      int32_t device = -1;
      CHECK_EQUAL(npu_pointer_device(end_of_last - 1, &device), 1);
      CHECK_EQUAL(device, entry.second.device);
      bytes[device] += block_size(entry.second.size);
      ++count[device];
    }
    for (const int32_t device : {0, 1}) check_statistics(memory_stats(device), bytes[device], count[device]);
  }

  void free_all() {
    while (!live_.empty()) free();
  }

 private:
  static void check_statistics(const npu_memory_stats& stats, int64_t bytes, int64_t count) {
    CHECK_EQUAL(stats.allocated_bytes.current, bytes);
    CHECK_EQUAL(stats.allocations.current, count);
    CHECK(stats.reserved_bytes.current >= bytes);
    CHECK(stats.reserved_bytes.current <= static_cast<int64_t>(256 * kMiB));
    for (const npu_stat& stat :
         {stats.allocated_bytes, stats.reserved_bytes, stats.allocations, stats.segments}) {
      CHECK_EQUAL(stat.allocated - stat.freed, stat.current);
      CHECK(stat.peak >= stat.current && stat.current >= 0);
    }
  }

  // Small, medium and large, none more likely than it is in a training step.
  size_t random_size() {
    const uint32_t kind = random_() % 10;
    if (kind < 6) return 1 + random_() % (64 * 1024);
    if (kind < 8) return 1 + random_() % kMiB;
    return 1 + random_() % (kind < 9 ? 8 * kMiB : 24 * kMiB);
  }

  void allocate() {
    const LiveBlock block{static_cast<int64_t>(random_size()), static_cast<int32_t>(random_() % 2),
                          static_cast<int64_t>(random_() % 3)};
    const int64_t stream = random_() % 3;
    void* pointer = nullptr;
    const npu_status status = npu_malloc(block.device, stream, static_cast<size_t>(block.size), &pointer);
    if (status == NPU_ERR_OUT_OF_MEMORY) {
      for (int i = 0; i < 8 && !live_.empty(); ++i) free();
      return;
    }
    CHECK_OK(status);
    CHECK_EQUAL(reinterpret_cast<uintptr_t>(pointer) % 512, 0);
    CHECK(live_.emplace(static_cast<char*>(pointer), block).second);
  }

  std::map<char*, LiveBlock>::iterator random_block() {
    auto block = live_.begin();
    std::advance(block, random_() % live_.size());
    return block;
  }

  void free() {
    const auto block = random_block();
    npu_free(block->first);
    live_.erase(block);
  }

  // Writes on the block's user stream. Two streams would write to the same memory unordered if it were
  // handed out too early, which the thread sanitizer sees.
  void use() {
    const auto found = random_block();
    const LiveBlock& block = found->second;
    CHECK_OK(npu_memset_async(found->first, 1, static_cast<size_t>(block.size), block.device, block.user));
    CHECK_OK(npu_record_stream(found->first, block.user));
  }

  std::mt19937 random_;
  std::map<char*, LiveBlock> live_;
};

void run(uint32_t seed) {
  std::fprintf(stderr, "seed %u\n", seed);
  Model model(seed);
  for (int step = 0; step < 3000; ++step) {
    model.step();
    if (step % 16 == 0) model.check_invariants();
  }
  model.free_all();
  model.check_invariants();
  CHECK_OK(npu_empty_cache(-1));
  for (const int32_t device : {0, 1}) {
    CHECK_EQUAL(memory_stats(device).reserved_bytes.current, 0);
    CHECK_EQUAL(memory_stats(device).segments.current, 0);
    size_t free_bytes = 0;
    size_t total = 0;
    CHECK_OK(npu_memory_info(device, &free_bytes, &total));
    CHECK_EQUAL(free_bytes, total);
  }
  CHECK_OK(npu_synchronize_device(0));  // no kernel ran on memory that was gone
  CHECK_OK(npu_synchronize_device(1));
}

}  // namespace

TEST_CASE(invariants_hold_for_random_sequences) {
  for (const uint32_t seed : {1U, 2U, 20240607U, 4294967295U}) run(seed);
}
