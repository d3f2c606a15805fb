// Whether this process may use CANN: not yet used, in use, forked after use, shut down. Knows nothing of
// CANN.
#ifndef NPU_CORE_PHASE_H_
#define NPU_CORE_PHASE_H_

#include <atomic>
#include <mutex>

#include "error.h"

namespace npu {

enum class Phase : int { kUnused, kReady, kForked, kShutDown };
extern std::atomic<Phase> phase;

// The check on every fast path: CANN is initialized and this process may use it.
inline bool is_ready() { return phase.load(std::memory_order_acquire) == Phase::kReady; }
inline bool in_bad_fork() { return phase.load(std::memory_order_acquire) == Phase::kForked; }

// Held while the phase changes, except by a fork.
std::mutex& phase_mutex();

// To be called before CANN is initialized: a child forked in the middle is as lost as one forked afterwards.
void mark_used();

// Lives while a library is being opened. A child forked at that moment inherits a lock that nobody will
// release, so it can never use CANN.
class LoadingScope {
 public:
  LoadingScope();
  ~LoadingScope();
  LoadingScope(const LoadingScope&) = delete;
  LoadingScope& operator=(const LoadingScope&) = delete;
};

// NPU_ERR_FORKED or NPU_ERR_SHUT_DOWN when this process may not use CANN (any more).
npu_status check_usable();

// NPU_ERR_FORKED in a child that was forked while a library was being opened, before it waits for that lock
// for ever.
npu_status refuse_half_loaded();

}  // namespace npu

#endif  // NPU_CORE_PHASE_H_
