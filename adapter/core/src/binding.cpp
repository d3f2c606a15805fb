#include "device.h"

#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

#include "event.h"
#include "host_allocator.h"
#include "loader.h"
#include "memory.h"
#include "stream.h"

namespace npu {

std::atomic<Phase> phase{Phase::kUnused};

namespace {

constexpr int32_t kUnbound = -1;
constexpr int32_t kNotAsked = -1;

thread_local int32_t current_device = 0;
thread_local int32_t bound_device = kUnbound;

// Set before CANN is initialized: a child forked in the middle is as lost as one forked afterwards.
std::atomic<bool> used{false};
std::atomic<int32_t> device_count{kNotAsked};
std::atomic<bool> device_used[kMaxDevices];

// Leaked, like every lock and pool of the core: threads may still be here while exit() destroys
// static objects.
std::mutex& InitMutex() {
  static std::mutex& mutex = *new std::mutex;
  return mutex;
}

void AfterForkInChild() {
  const bool lost = used.load() || LoadingCann();
  if (lost && phase.load() != Phase::kShutDown) phase.store(Phase::kForked);
}

// Registered when the library is loaded, so that no fork can come earlier.
[[maybe_unused]] const int fork_watch = pthread_atfork(nullptr, nullptr, AfterForkInChild);

// Asks CANN how many devices there are; needs no initialized CANN.
npu_status AskDeviceCount(int32_t* count) {
  NPU_RETURN_IF_ERROR(RequireCann());
  uint32_t answer = 0;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtGetDeviceCount, &answer));
  *count = static_cast<int32_t>(std::min<uint32_t>(answer, kMaxDevices));
  // "None" is not kept: a device that is being reset may answer later.
  if (*count > 0) device_count.store(*count);
  return NPU_OK;
}

npu_status InitializeCann() {
  const std::lock_guard<std::mutex> lock(InitMutex());
  if (phase.load() != Phase::kUnused) return CheckUsable();
  used.store(true);
  const aclError code = Acl().aclInit(nullptr);
  // Another library of this process (a collective, a profiler) may have been first.
  if (code != ACL_ERROR_REPEAT_INITIALIZE) NPU_RETURN_IF_ERROR(CheckAcl(code, "aclInit"));
  phase.store(Phase::kReady, std::memory_order_release);
  return NPU_OK;
}

npu_status Bind(int32_t device) {
  if (bound_device == device) return NPU_OK;
  bound_device = kUnbound;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtSetDevice, device));
  device_used[device].store(true);
  bound_device = device;
  return NPU_OK;
}

npu_status SynchronizeDevice(int32_t device) {
  NPU_ON_DEVICE(device);
  return NPU_ACL(aclrtSynchronizeDevice);
}

npu_status DeviceName(int32_t device, char* name, size_t size) {
  if (name == nullptr || size == 0) return Fail(NPU_ERR_BAD_ARGUMENT, "npu_device_name: no room for a name");
  NPU_ON_DEVICE(device);
  const char* soc = Acl().aclrtGetSocName();
  if (soc == nullptr) return Fail(NPU_ERR_ACL, "aclrtGetSocName gave no name for device %d", device);
  std::snprintf(name, size, "%s%s", soc, Acl().cann_simulator_version != nullptr ? " (simulated)" : "");
  return NPU_OK;
}

npu_status MemoryInfo(int32_t device, size_t* free_bytes, size_t* total_bytes) {
  if (free_bytes == nullptr || total_bytes == nullptr) {
    return Fail(NPU_ERR_BAD_ARGUMENT, "npu_memory_info: free_bytes or total_bytes is NULL");
  }
  NPU_ON_DEVICE(device);
  return NPU_ACL(aclrtGetMemInfo, ACL_HBM_MEM, free_bytes, total_bytes);
}

// Everything that needs CANN goes while CANN is still up, in the reverse order of its coming. Errors
// have nobody to be told to at exit, and the process's end frees what was left.
void ShutDownDevices() {
  const int32_t count = KnownDeviceCount();
  for (int32_t device = 0; device < count; ++device) {
    if (!device_used[device].load() || Acl().aclrtSetDevice(device) != ACL_SUCCESS) continue;
    Acl().aclrtSynchronizeDevice();
    ReleaseCachedMemoryAtShutdown(device);
    DestroyEventsAtShutdown(device);
    DestroyStreamsAtShutdown(device);
  }
  ReleaseHostMemoryAtShutdown();
  for (int32_t device = 0; device < count; ++device) {
    if (device_used[device].load()) Acl().aclrtResetDevice(device);
  }
  Acl().aclFinalize();
}

void ShutDown() {
  const std::lock_guard<std::mutex> lock(InitMutex());
  const Phase before = phase.load();
  if (before == Phase::kForked || before == Phase::kShutDown) return;
  phase.store(Phase::kShutDown, std::memory_order_release);
  if (before == Phase::kReady) ShutDownDevices();
}

}  // namespace

int32_t KnownDeviceCount() { return std::max(device_count.load(std::memory_order_relaxed), 0); }

int32_t CurrentDevice() { return current_device; }

npu_status RefuseHalfLoaded() { return LoadingCann() && InBadFork() ? CheckUsable() : npu_status{NPU_OK}; }

npu_status CheckUsable() {
  switch (phase.load(std::memory_order_acquire)) {
    case Phase::kForked:
      return Fail(
          NPU_ERR_FORKED,
          "this process was forked from one that had already used an NPU, and a forked process cannot use "
          "it. "
          "Start the process with the 'spawn' start method (multiprocessing.set_start_method('spawn'), or "
          "multiprocessing_context='spawn' of a data loader), or fork before the NPU is first used.");
    case Phase::kShutDown:
      return Fail(NPU_ERR_SHUT_DOWN, "the NPU runtime was shut down: the program is ending");
    default:
      return NPU_OK;
  }
}

npu_status CheckDevice(int32_t device) {
  NPU_RETURN_IF_ERROR(CheckUsable());
  int32_t count = KnownDeviceCount();
  if (count == 0) NPU_RETURN_IF_ERROR(AskDeviceCount(&count));
  if (count == 0) {
    return Fail(
        NPU_ERR_NO_DEVICE,
        "CANN %s is installed but finds no NPU. Check that 'npu-smi info' lists a device, that this user may "
        "open /dev/davinci* and that ASCEND_RT_VISIBLE_DEVICES does not hide it.",
        LoadCann().version.c_str());
  }
  if (device < 0 || device >= count) {
    return Fail(NPU_ERR_BAD_DEVICE, "there is no NPU %d: this machine has %d, with the indices 0 to %d",
                device, count, count - 1);
  }
  return NPU_OK;
}

npu_status EnsureReady(int32_t device) {
  if (IsReady() && device >= 0 && device < KnownDeviceCount()) return NPU_OK;
  NPU_RETURN_IF_ERROR(CheckDevice(device));
  return InitializeCann();
}

DeviceScope::DeviceScope(int32_t device) : previous_(bound_device), status_(EnsureReady(device)) {
  if (status_ == NPU_OK) status_ = Bind(device);
}

DeviceScope::~DeviceScope() {
  // A failure leaves the thread unbound, and the next call that needs a device reports it.
  if (previous_ != kUnbound && previous_ != bound_device && IsReady()) Bind(previous_);
}

}  // namespace npu

extern "C" {

npu_status npu_device_count(int32_t* count) {
  return npu::Guarded([&]() -> npu_status {
    if (count == nullptr) return npu::Fail(NPU_ERR_BAD_ARGUMENT, "npu_device_count: count is NULL");
    *count = npu::KnownDeviceCount();
    if (npu::CheckUsable() != NPU_OK) *count = 0;
    // A question, not a use: without CANN or when no device answers, the answer is none.
    if (*count == 0 && npu::CheckUsable() == NPU_OK && npu::AskDeviceCount(count) != NPU_OK) *count = 0;
    return NPU_OK;
  });
}

int32_t npu_current_device(void) { return npu::current_device; }

npu_status npu_set_device(int32_t device) {
  return npu::Guarded([&]() -> npu_status {
    NPU_RETURN_IF_ERROR(npu::EnsureReady(device));
    NPU_RETURN_IF_ERROR(npu::Bind(device));
    npu::current_device = device;
    return NPU_OK;
  });
}

npu_status npu_init(void) {
  if (npu::IsReady() && npu::bound_device == npu::current_device) return NPU_OK;
  return npu_set_device(npu::current_device);
}

int32_t npu_is_initialized(void) { return npu::IsReady() ? 1 : 0; }

int32_t npu_in_bad_fork(void) { return npu::InBadFork() ? 1 : 0; }

npu_status npu_synchronize_device(int32_t device) {
  return npu::Guarded([&] { return npu::SynchronizeDevice(device); });
}

npu_status npu_device_name(int32_t device, char* name, size_t size) {
  return npu::Guarded([&] { return npu::DeviceName(device, name, size); });
}

npu_status npu_memory_info(int32_t device, size_t* free_bytes, size_t* total_bytes) {
  return npu::Guarded([&] { return npu::MemoryInfo(device, free_bytes, total_bytes); });
}

void npu_shutdown(void) {
  npu::Guarded([] {
    // Before the lock: in a forked child it may be held by a thread that does not exist there.
    if (!npu::InBadFork()) npu::ShutDown();
    return npu_status{NPU_OK};
  });
}

}  // extern "C"
