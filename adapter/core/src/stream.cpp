#include "stream.h"

#include <atomic>
#include <mutex>

#include "binding.h"
#include "loader.h"
#include "npu_graph.h"
#include "wait_check.h"

namespace npu {
namespace {

// CANN counts priorities from 0, the most urgent, to 7. Its own default is 0, so what is not urgent
// has to be put below.
constexpr uint32_t kHighPriority = 0;
constexpr uint32_t kNormalPriority = 1;

struct DeviceStreams {
  std::mutex creating;
  std::atomic<aclrtStream> handles[kStreamCount];
  std::atomic<uint32_t> next[2];  // round-robin counters: normal, high priority
};

DeviceStreams& streams_of(int32_t device) {
  // Leaked: streams are asked for until the very end of the process.
  static DeviceStreams* streams = new DeviceStreams[kMaxDevices]();
  return streams[device];
}

thread_local int64_t current_stream[kMaxDevices] = {};  // 0: whichever is chosen for the thread
std::atomic<npu_stream_chooser> chooser{nullptr};

int64_t chosen_stream(int32_t device) {
  const npu_stream_chooser choose = chooser.load(std::memory_order_acquire);
  return choose == nullptr ? 0 : choose(device);
}

bool is_stream_id(int64_t id) { return id >= 0 && id < kStreamCount; }
bool is_device_index(int32_t device) { return device >= 0 && device < kMaxDevices; }

npu_status create_stream(int64_t id, aclrtStream* handle) {
  const uint32_t priority = id > kStreamsPerPool ? kHighPriority : kNormalPriority;
  if (acl().aclrtCreateStreamWithConfig == nullptr) return NPU_ACL(aclrtCreateStream, handle);
  return NPU_ACL(aclrtCreateStreamWithConfig, handle, priority,
                 ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC);
}

// The default stream is created like any other: CANN's own default (a NULL handle) would mean another
// stream in every thread that is bound to another device.
npu_status create_named_stream(int32_t device, int64_t id, aclrtStream* handle) {
  NPU_ON_DEVICE(device);
  DeviceStreams& streams = streams_of(device);
  const std::lock_guard<std::mutex> lock(streams.creating);
  *handle = streams.handles[id].load(std::memory_order_acquire);
  if (*handle != nullptr) return NPU_OK;
  NPU_RETURN_IF_ERROR(create_stream(id, handle));
  streams.handles[id].store(*handle, std::memory_order_release);
  return NPU_OK;
}

npu_status stream_from_pool(int32_t device, bool high_priority, int64_t* id) {
  if (id == nullptr) return fail(NPU_ERR_BAD_ARGUMENT, "npu_stream_from_pool: id is NULL");
  NPU_RETURN_IF_ERROR(ensure_ready(device));
  const uint32_t turn = streams_of(device).next[high_priority].fetch_add(1, std::memory_order_relaxed);
  *id = 1 + (high_priority ? kStreamsPerPool : 0) + turn % kStreamsPerPool;
  aclrtStream handle = nullptr;
  return stream_handle(device, *id, &handle);
}

npu_status stream_synchronize(int32_t device, int64_t id) {
  aclrtStream handle = nullptr;
  NPU_RETURN_IF_ERROR(stream_handle(device, id, &handle));
  NPU_ON_DEVICE(device);
  return believed(NPU_ACL(aclrtSynchronizeStream, handle));
}

npu_status stream_query(int32_t device, int64_t id, int32_t* done) {
  if (done == nullptr) return fail(NPU_ERR_BAD_ARGUMENT, "npu_stream_query: done is NULL");
  aclrtStream handle = nullptr;
  NPU_RETURN_IF_ERROR(stream_handle(device, id, &handle));
  if (acl().aclrtStreamQuery == nullptr) return npu_missing_symbol("aclrtStreamQuery");
  NPU_ON_DEVICE(device);
  aclrtStreamStatus status = ACL_STREAM_STATUS_NOT_READY;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtStreamQuery, handle, &status));
  *done = status == ACL_STREAM_STATUS_COMPLETE ? 1 : 0;
  return *done != 0 ? believed(NPU_OK) : npu_status{NPU_OK};
}

}  // namespace

npu_status check_stream_id(int64_t id) {
  if (is_stream_id(id)) return NPU_OK;
  return fail(NPU_ERR_BAD_ARGUMENT, "there is no stream %lld: stream ids go from 0 to %lld",
              static_cast<long long>(id), static_cast<long long>(kStreamCount - 1));
}

npu_status stream_handle(int32_t device, int64_t id, aclrtStream* handle) {
  NPU_RETURN_IF_ERROR(ensure_ready(device));
  NPU_RETURN_IF_ERROR(check_stream_id(id));
  *handle = streams_of(device).handles[id].load(std::memory_order_acquire);
  return *handle != nullptr ? NPU_OK : create_named_stream(device, id, handle);
}

bool stream_exists(int32_t device, int64_t id) {
  return is_device_index(device) && is_stream_id(id) &&
         streams_of(device).handles[id].load(std::memory_order_acquire) != nullptr;
}

void destroy_streams_at_shutdown(int32_t device) {
  DeviceStreams& streams = streams_of(device);
  const std::lock_guard<std::mutex> lock(streams.creating);
  for (auto& slot : streams.handles) {
    if (aclrtStream handle = slot.exchange(nullptr)) acl().aclrtDestroyStream(handle);
  }
}

}  // namespace npu

extern "C" {

npu_status npu_stream_from_pool(int32_t device, int32_t high_priority, int64_t* id) {
  return npu::guarded([&] { return npu::stream_from_pool(device, high_priority != 0, id); });
}

int64_t npu_current_stream(int32_t device) {
  if (!npu::is_device_index(device)) return 0;
  const int64_t id = npu::current_stream[device];
  return id != 0 ? id : npu::chosen_stream(device);
}

void npu_set_current_stream(int32_t device, int64_t id) {
  if (!npu::is_device_index(device) || !npu::is_stream_id(id)) return;
  // Who puts back what was chosen for this thread leaves the choice open.
  npu::current_stream[device] = id == npu::chosen_stream(device) ? 0 : id;
}

void npu_set_stream_chooser(npu_stream_chooser chooser) {
  npu::chooser.store(chooser, std::memory_order_release);
}

npu_status npu_stream_handle(int32_t device, int64_t id, void** handle) {
  return npu::guarded([&]() -> npu_status {
    if (handle == nullptr) return npu::fail(NPU_ERR_BAD_ARGUMENT, "npu_stream_handle: handle is NULL");
    return npu::stream_handle(device, id, handle);
  });
}

npu_status npu_stream_synchronize(int32_t device, int64_t id) {
  return npu::guarded([&] { return npu::stream_synchronize(device, id); });
}

npu_status npu_stream_query(int32_t device, int64_t id, int32_t* done) {
  return npu::guarded([&] { return npu::stream_query(device, id, done); });
}

}  // extern "C"
