#include "npu_graph.h"

#include "binding.h"
#include "device_allocator.h"
#include "loader.h"
#include "memory.h"
#include "phase.h"
#include "stream.h"

namespace npu {
namespace {

npu_status check_graphs() {
  if (acl().aclmdlRICaptureBegin == nullptr) return npu_missing_symbol("aclmdlRICaptureBegin");
  if (acl().aclmdlRICaptureGetInfo == nullptr) return npu_missing_symbol("aclmdlRICaptureGetInfo");
  if (acl().aclmdlRICaptureEnd == nullptr) return npu_missing_symbol("aclmdlRICaptureEnd");
  if (acl().aclmdlRIExecuteAsync == nullptr) return npu_missing_symbol("aclmdlRIExecuteAsync");
  if (acl().aclmdlRIDestroy == nullptr) return npu_missing_symbol("aclmdlRIDestroy");
  return NPU_OK;
}

npu_status stream_to_capture(int32_t device, int64_t stream_id, aclrtStream* stream) {
  NPU_RETURN_IF_ERROR(ensure_ready(device));
  NPU_RETURN_IF_ERROR(check_graphs());
  NPU_RETURN_IF_ERROR(check_stream_id(stream_id));
  if (stream_id == 0) {
    return fail(NPU_ERR_BAD_ARGUMENT,
                "the default stream cannot be captured; make another one current, as torch.npu.graph does");
  }
  return stream_handle(device, stream_id, stream);
}

npu_status begin(int32_t device, int64_t stream_id, int32_t mode, uint64_t pool) {
  aclrtStream stream = nullptr;
  NPU_RETURN_IF_ERROR(stream_to_capture(device, stream_id, &stream));
  NPU_ON_DEVICE(device);
  NPU_RETURN_IF_ERROR(NPU_ACL(aclmdlRICaptureBegin, stream, static_cast<aclmdlRICaptureMode>(mode)));
  aclmdlRICaptureStatus status = ACL_MODEL_RI_CAPTURE_STATUS_NONE;
  aclmdlRI graph = nullptr;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclmdlRICaptureGetInfo, stream, &status, &graph));
  allocator_of(device).begin_capture(graph, pool);
  return NPU_OK;
}

// A capture that became invalid has no graph any more, but one that must be forgotten.
npu_status end(int32_t device, int64_t stream_id, void** graph) {
  *graph = nullptr;
  aclrtStream stream = nullptr;
  NPU_RETURN_IF_ERROR(stream_to_capture(device, stream_id, &stream));
  NPU_ON_DEVICE(device);
  aclmdlRICaptureStatus status = ACL_MODEL_RI_CAPTURE_STATUS_NONE;
  aclmdlRI captured = nullptr;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclmdlRICaptureGetInfo, stream, &status, &captured));
  aclmdlRI made = nullptr;
  const npu_status ended = NPU_ACL(aclmdlRICaptureEnd, stream, &made);
  allocator_of(device).end_capture(captured);
  if (ended == NPU_OK) *graph = made;
  return ended;
}

npu_status replay(void* graph, int32_t device, int64_t stream_id) {
  NPU_RETURN_IF_ERROR(ensure_ready(device));
  NPU_RETURN_IF_ERROR(check_graphs());
  NPU_ON_DEVICE(device);
  aclrtStream stream = nullptr;
  NPU_RETURN_IF_ERROR(stream_handle(device, stream_id, &stream));
  return NPU_ACL(aclmdlRIExecuteAsync, graph, stream);
}

npu_status destroy(void* graph, int32_t device) {
  NPU_RETURN_IF_ERROR(check_usable());
  NPU_RETURN_IF_ERROR(check_graphs());
  NPU_ON_DEVICE(device);
  return NPU_ACL(aclmdlRIDestroy, graph);
}

}  // namespace
}  // namespace npu

extern "C" {

npu_status npu_capture_begin(int32_t device, int64_t stream_id, int32_t mode, uint64_t pool) {
  return npu::guarded([&] { return npu::begin(device, stream_id, mode, pool); });
}

npu_status npu_capture_end(int32_t device, int64_t stream_id, void** graph) {
  return npu::guarded([&]() -> npu_status {
    if (graph == nullptr) return npu::fail(NPU_ERR_BAD_ARGUMENT, "npu_capture_end: graph is NULL");
    return npu::end(device, stream_id, graph);
  });
}

int32_t npu_is_captured(int32_t device, int64_t stream_id) {
  if (!npu::is_ready() || device < 0 || device >= npu::kMaxDevices) return 0;
  return npu::allocator_of(device).is_captured(stream_id) ? 1 : 0;
}

npu_status npu_graph_replay(void* graph, int32_t device, int64_t stream_id) {
  return npu::guarded([&] { return npu::replay(graph, device, stream_id); });
}

npu_status npu_graph_destroy(void* graph, int32_t device) {
  return npu::guarded([&] { return npu::destroy(graph, device); });
}

npu_status npu_pool_release(int32_t device, uint64_t pool) {
  return npu::guarded([&]() -> npu_status {
    NPU_RETURN_IF_ERROR(npu::ensure_ready(device));
    npu::allocator_of(device).release_pool(pool);
    return NPU_OK;
  });
}

}  // extern "C"
