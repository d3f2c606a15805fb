// The end of CANN in this process. Above everything else of the core: it takes down what the others made.
#include <mutex>

#include "binding.h"
#include "event.h"
#include "host_allocator.h"
#include "loader.h"
#include "memory.h"
#include "phase.h"
#include "stream.h"

namespace npu {
namespace {

// Everything that needs CANN goes while CANN is still up, in the reverse order of its coming. Errors
// have nobody to be told to at exit, and the process's end frees what was left.
void shut_down_devices() {
  const int32_t count = known_device_count();
  for (int32_t device = 0; device < count; ++device) {
    if (!was_used(device) || acl().aclrtSetDevice(device) != ACL_SUCCESS) continue;
    acl().aclrtSynchronizeDevice();
    release_cached_memory_at_shutdown(device);
    destroy_events_at_shutdown(device);
    destroy_streams_at_shutdown(device);
  }
  release_host_memory_at_shutdown();
  for (int32_t device = 0; device < count; ++device) {
    if (was_used(device)) acl().aclrtResetDevice(device);
  }
  acl().aclFinalize();
}

void shut_down() {
  const std::lock_guard<std::mutex> lock(phase_mutex());
  const Phase before = phase.load();
  if (before == Phase::kForked || before == Phase::kShutDown) return;
  phase.store(Phase::kShutDown, std::memory_order_release);
  if (before == Phase::kReady) shut_down_devices();
}

}  // namespace
}  // namespace npu

extern "C" {

int32_t npu_is_initialized(void) { return npu::is_ready() ? 1 : 0; }

int32_t npu_in_bad_fork(void) { return npu::in_bad_fork() ? 1 : 0; }

void npu_shutdown(void) {
  npu::guarded([] {
    // Before the lock: in a forked child it may be held by a thread that does not exist there.
    if (!npu::in_bad_fork()) npu::shut_down();
    return npu_status{NPU_OK};
  });
}

}  // extern "C"
