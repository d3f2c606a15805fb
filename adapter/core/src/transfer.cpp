// Copies and fills.
#include <atomic>

#include "binding.h"
#include "host_allocator.h"
#include "loader.h"
#include "pointer_table.h"
#include "stream.h"
#include "wait_check.h"

namespace npu {
namespace {

std::atomic<bool> peers[kMaxDevices][kMaxDevices];  // [device][peer]: the device may reach the peer

// With `device` bound.
npu_status enable_peer(int32_t device, int32_t peer) {
  if (device == peer || peers[device][peer].load(std::memory_order_acquire)) return NPU_OK;
  if (acl().aclrtDeviceCanAccessPeer == nullptr) return npu_missing_symbol("aclrtDeviceCanAccessPeer");
  if (acl().aclrtDeviceEnablePeerAccess == nullptr) return npu_missing_symbol("aclrtDeviceEnablePeerAccess");
  int32_t possible = 0;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtDeviceCanAccessPeer, &possible, device, peer));
  if (possible == 0) {
    return fail(NPU_ERR_ACL, "NPU %d cannot reach the memory of NPU %d; copy through host memory instead",
                device, peer);
  }
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtDeviceEnablePeerAccess, peer, 0));
  peers[device][peer].store(true, std::memory_order_release);
  return NPU_OK;
}

// Both ways, as CANN wants it before a copy between two devices, whichever of them runs it.
npu_status enable_peers_of(const void* dst, const void* src) {
  const int32_t to = device_of_address(dst);
  const int32_t from = device_of_address(src);
  if (to == from || to < 0 || from < 0) return NPU_OK;
  {
    NPU_ON_DEVICE(from);
    NPU_RETURN_IF_ERROR(enable_peer(from, to));
  }
  NPU_ON_DEVICE(to);
  return enable_peer(to, from);
}

struct Copy {
  void* dst;
  const void* src;
  size_t size;
  aclrtMemcpyKind kind;
};

// CANN copies asynchronously from and to pinned memory only.
npu_status copy_pageable(const Copy& copy, aclrtStream stream) {
  NPU_RETURN_IF_ERROR(believed(NPU_ACL(aclrtSynchronizeStream, stream)));
  return NPU_ACL(aclrtMemcpy, copy.dst, copy.size, copy.src, copy.size, copy.kind);
}

npu_status memcpy_async(const Copy& copy, int32_t device, int64_t stream_id) {
  if (copy.size == 0) return NPU_OK;
  if (copy.dst == nullptr || copy.src == nullptr) {
    return fail(NPU_ERR_BAD_ARGUMENT, "npu_memcpy_async: %s is NULL", copy.dst == nullptr ? "dst" : "src");
  }
  if (copy.kind < ACL_MEMCPY_HOST_TO_DEVICE || copy.kind > ACL_MEMCPY_DEVICE_TO_DEVICE) {
    return fail(NPU_ERR_BAD_ARGUMENT, "npu_memcpy_async: kind %d is none of 1, 2 and 3",
                static_cast<int>(copy.kind));
  }
  aclrtStream stream = nullptr;
  NPU_RETURN_IF_ERROR(stream_handle(device, stream_id, &stream));
  if (copy.kind == ACL_MEMCPY_DEVICE_TO_DEVICE) NPU_RETURN_IF_ERROR(enable_peers_of(copy.dst, copy.src));
  NPU_ON_DEVICE(device);
  if (copy.kind != ACL_MEMCPY_DEVICE_TO_DEVICE) {
    const void* host = copy.kind == ACL_MEMCPY_HOST_TO_DEVICE ? copy.src : copy.dst;
    if (!record_host_use(host, device, stream_id)) return copy_pageable(copy, stream);
  }
  return NPU_ACL(aclrtMemcpyAsync, copy.dst, copy.size, copy.src, copy.size, copy.kind, stream);
}

npu_status memset_async(void* dst, int32_t value, size_t size, int32_t device, int64_t stream_id) {
  if (size == 0) return NPU_OK;
  if (dst == nullptr) return fail(NPU_ERR_BAD_ARGUMENT, "npu_memset_async: dst is NULL");
  aclrtStream stream = nullptr;
  NPU_RETURN_IF_ERROR(stream_handle(device, stream_id, &stream));
  NPU_ON_DEVICE(device);
  return NPU_ACL(aclrtMemsetAsync, dst, size, value, size, stream);
}

}  // namespace
}  // namespace npu

extern "C" {

npu_status npu_memcpy_async(void* dst, const void* src, size_t size, int32_t kind, int32_t device,
                            int64_t stream_id) {
  return npu::guarded([&] {
    return npu::memcpy_async({dst, src, size, static_cast<aclrtMemcpyKind>(kind)}, device, stream_id);
  });
}

npu_status npu_memset_async(void* dst, int32_t value, size_t size, int32_t device, int64_t stream_id) {
  return npu::guarded([&] { return npu::memset_async(dst, value, size, device, stream_id); });
}

}  // extern "C"
