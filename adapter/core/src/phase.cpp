#include "phase.h"

#include <pthread.h>

namespace npu {

std::atomic<Phase> phase{Phase::kUnused};

namespace {

std::atomic<bool> used{false};
std::atomic<int> loading{0};

void after_fork_in_child() {
  const bool lost = used.load() || loading.load() != 0;
  if (lost && phase.load() != Phase::kShutDown) phase.store(Phase::kForked);
}

// Registered when the library is loaded, so that no fork can come earlier.
[[maybe_unused]] const int kForkWatch = pthread_atfork(nullptr, nullptr, after_fork_in_child);

}  // namespace

// Leaked, like every lock and pool of the core: threads may still be here while exit() destroys
// static objects.
std::mutex& phase_mutex() {
  static std::mutex& mutex = *new std::mutex;
  return mutex;
}

void mark_used() { used.store(true); }

LoadingScope::LoadingScope() { loading.fetch_add(1); }
LoadingScope::~LoadingScope() { loading.fetch_sub(1); }

npu_status check_usable() {
  switch (phase.load(std::memory_order_acquire)) {
    case Phase::kForked:
      return fail(
          NPU_ERR_FORKED,
          "this process was forked from one that had already used an NPU, and a forked process cannot use "
          "it. "
          "Start the process with the 'spawn' start method (multiprocessing.set_start_method('spawn'), or "
          "multiprocessing_context='spawn' of a data loader), or fork before the NPU is first used.");
    case Phase::kShutDown:
      return fail(NPU_ERR_SHUT_DOWN, "the NPU runtime was shut down: the program is ending");
    default:
      return NPU_OK;
  }
}

npu_status refuse_half_loaded() {
  return loading.load() != 0 && in_bad_fork() ? check_usable() : npu_status{NPU_OK};
}

}  // namespace npu
