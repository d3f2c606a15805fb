// Counters of memory: how they move, and how they start again.
#ifndef NPU_CORE_STATS_H_
#define NPU_CORE_STATS_H_

#include <algorithm>
#include <array>

#include "npu_core.h"

namespace npu {

inline void increase(npu_stat* stat, int64_t amount) {
  stat->current += amount;
  stat->allocated += amount;
  stat->peak = std::max(stat->peak, stat->current);
}

inline void decrease(npu_stat* stat, int64_t amount) {
  stat->current -= amount;
  stat->freed += amount;
}

inline std::array<npu_stat*, 4> all_of(npu_memory_stats* stats) {
  return {&stats->allocated_bytes, &stats->reserved_bytes, &stats->allocations, &stats->segments};
}

inline void reset_peak(npu_memory_stats* stats) {
  for (npu_stat* stat : all_of(stats)) stat->peak = stat->current;
}

inline void reset_accumulated(npu_memory_stats* stats) {
  for (npu_stat* stat : all_of(stats)) stat->allocated = stat->freed = 0;
  stats->num_alloc_retries = 0;
  stats->num_ooms = 0;
}

}  // namespace npu

#endif  // NPU_CORE_STATS_H_
