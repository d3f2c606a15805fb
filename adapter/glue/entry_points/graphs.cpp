// torch.ops.torch_npu.*: capture and replay of graphs, for torch_npu.npu.graphs.
#include <torch/library.h>

#include "npu_graph.h"
#include "runtime/device.h"

namespace npu {
namespace {

void capture_begin(int64_t device, int64_t stream, int64_t mode, int64_t pool) {
  check(npu_capture_begin(static_cast<int32_t>(device), stream, static_cast<int32_t>(mode),
                          static_cast<uint64_t>(pool)));
}

int64_t capture_end(int64_t device, int64_t stream) {
  void* graph = nullptr;
  check(npu_capture_end(static_cast<int32_t>(device), stream, &graph));
  return reinterpret_cast<int64_t>(graph);
}

bool is_captured(int64_t device, int64_t stream) {
  return npu_is_captured(static_cast<int32_t>(device), stream) != 0;
}

void graph_replay(int64_t graph, int64_t device, int64_t stream) {
  check(npu_graph_replay(reinterpret_cast<void*>(graph), static_cast<int32_t>(device), stream));
}

void graph_destroy(int64_t graph, int64_t device) {
  check(npu_graph_destroy(reinterpret_cast<void*>(graph), static_cast<int32_t>(device)));
}

void pool_release(int64_t device, int64_t pool) {
  check(npu_pool_release(static_cast<int32_t>(device), static_cast<uint64_t>(pool)));
}

TORCH_LIBRARY_FRAGMENT(torch_npu, m) {
  m.def("capture_begin(int device, int stream, int mode, int pool) -> ()", &capture_begin);
  m.def("capture_end(int device, int stream) -> int", &capture_end);
  m.def("is_captured(int device, int stream) -> bool", &is_captured);
  m.def("graph_replay(int graph, int device, int stream) -> ()", &graph_replay);
  m.def("graph_destroy(int graph, int device) -> ()", &graph_destroy);
  m.def("pool_release(int device, int pool) -> ()", &pool_release);
}

}  // namespace
}  // namespace npu
