#include "binding.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>

#include "loader.h"
#include "wait_check.h"

namespace npu {
namespace {

constexpr int32_t kUnbound = -1;
constexpr int32_t kNotAsked = -1;

thread_local int32_t device_of_thread = 0;
thread_local int32_t bound_device = kUnbound;

std::atomic<int32_t> device_count{kNotAsked};
std::atomic<bool> device_used[kMaxDevices];

// Asks CANN how many devices there are; needs no initialized CANN.
npu_status ask_device_count(int32_t* count) {
  NPU_RETURN_IF_ERROR(require_cann());
  uint32_t answer = 0;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtGetDeviceCount, &answer));
  *count = static_cast<int32_t>(std::min<uint32_t>(answer, kMaxDevices));
  // "None" is not kept: a device that is being reset may answer later.
  if (*count > 0) device_count.store(*count);
  return NPU_OK;
}

npu_status initialize_cann() {
  const std::lock_guard<std::mutex> lock(phase_mutex());
  if (phase.load() != Phase::kUnused) return check_usable();
  mark_used();
  const aclError code = acl().aclInit(nullptr);
  // Another library of this process (a collective, a profiler) may have been first.
  if (code != ACL_ERROR_REPEAT_INITIALIZE) NPU_RETURN_IF_ERROR(check_acl(code, "aclInit"));
  phase.store(Phase::kReady, std::memory_order_release);
  return NPU_OK;
}

npu_status bind(int32_t device) {
  if (bound_device == device) return NPU_OK;
  bound_device = kUnbound;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtSetDevice, device));
  device_used[device].store(true);
  bound_device = device;
  return NPU_OK;
}

npu_status synchronize_device(int32_t device) {
  NPU_ON_DEVICE(device);
  return believed(NPU_ACL(aclrtSynchronizeDevice));
}

npu_status device_name(int32_t device, char* name, size_t size) {
  if (name == nullptr || size == 0) return fail(NPU_ERR_BAD_ARGUMENT, "npu_device_name: no room for a name");
  NPU_ON_DEVICE(device);
  const char* soc = acl().aclrtGetSocName();
  if (soc == nullptr) return fail(NPU_ERR_ACL, "aclrtGetSocName gave no name for device %d", device);
  std::snprintf(name, size, "%s%s", soc, acl().cann_simulator_version != nullptr ? " (simulated)" : "");
  return NPU_OK;
}

npu_status memory_info(int32_t device, size_t* free_bytes, size_t* total_bytes) {
  if (free_bytes == nullptr || total_bytes == nullptr) {
    return fail(NPU_ERR_BAD_ARGUMENT, "npu_memory_info: free_bytes or total_bytes is NULL");
  }
  NPU_ON_DEVICE(device);
  return NPU_ACL(aclrtGetMemInfo, ACL_HBM_MEM, free_bytes, total_bytes);
}

}  // namespace

int32_t known_device_count() { return std::max(device_count.load(std::memory_order_relaxed), 0); }

int32_t current_device() { return device_of_thread; }

bool was_used(int32_t device) { return device_used[device].load(); }

npu_status check_device(int32_t device) {
  NPU_RETURN_IF_ERROR(check_usable());
  int32_t count = known_device_count();
  if (count == 0) NPU_RETURN_IF_ERROR(ask_device_count(&count));
  if (count == 0) {
    return fail(
        NPU_ERR_NO_DEVICE,
        "CANN %s is installed but finds no NPU. Check that 'npu-smi info' lists a device, that this user may "
        "open /dev/davinci* and that ASCEND_RT_VISIBLE_DEVICES does not hide it.",
        load_cann().version.c_str());
  }
  if (device < 0 || device >= count) {
    return fail(NPU_ERR_BAD_DEVICE, "there is no NPU %d: this machine has %d, with the indices 0 to %d",
                device, count, count - 1);
  }
  return NPU_OK;
}

npu_status ensure_ready(int32_t device) {
  if (is_ready() && device >= 0 && device < known_device_count()) return NPU_OK;
  NPU_RETURN_IF_ERROR(check_device(device));
  return initialize_cann();
}

BindingScope::BindingScope(int32_t device) : previous_(bound_device), status_(ensure_ready(device)) {
  if (status_ == NPU_OK) status_ = bind(device);
}

BindingScope::~BindingScope() {
  // A failure leaves the thread unbound, and the next call that needs a device reports it.
  if (previous_ != kUnbound && previous_ != bound_device && is_ready()) bind(previous_);
}

}  // namespace npu

extern "C" {

npu_status npu_device_count(int32_t* count) {
  return npu::guarded([&]() -> npu_status {
    if (count == nullptr) return npu::fail(NPU_ERR_BAD_ARGUMENT, "npu_device_count: count is NULL");
    *count = npu::known_device_count();
    if (npu::check_usable() != NPU_OK) *count = 0;
    // A question, not a use: without CANN or when no device answers, the answer is none.
    if (*count == 0 && npu::check_usable() == NPU_OK && npu::ask_device_count(count) != NPU_OK) *count = 0;
    return NPU_OK;
  });
}

int32_t npu_current_device(void) { return npu::device_of_thread; }

npu_status npu_set_device(int32_t device) {
  return npu::guarded([&]() -> npu_status {
    NPU_RETURN_IF_ERROR(npu::ensure_ready(device));
    NPU_RETURN_IF_ERROR(npu::bind(device));
    npu::device_of_thread = device;
    return NPU_OK;
  });
}

npu_status npu_init(void) {
  if (npu::is_ready() && npu::bound_device == npu::device_of_thread) return NPU_OK;
  return npu_set_device(npu::device_of_thread);
}

npu_status npu_synchronize_device(int32_t device) {
  return npu::guarded([&] { return npu::synchronize_device(device); });
}

npu_status npu_device_name(int32_t device, char* name, size_t size) {
  return npu::guarded([&] { return npu::device_name(device, name, size); });
}

npu_status npu_memory_info(int32_t device, size_t* free_bytes, size_t* total_bytes) {
  return npu::guarded([&] { return npu::memory_info(device, free_bytes, total_bytes); });
}

}  // extern "C"
