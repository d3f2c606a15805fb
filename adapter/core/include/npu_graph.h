// Graphs: what streams were given between the beginning and the end of a capture, run again by each replay.
// The rules of npu_core.h hold.
#ifndef NPU_GRAPH_H_
#define NPU_GRAPH_H_

#include "npu_core.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NPU_CAPTURE_GLOBAL = 0, NPU_CAPTURE_THREAD_LOCAL = 1, NPU_CAPTURE_RELAXED = 2 };

// Begins a capture on a stream that is not the default one. Until its end, memory that is asked for on a
// captured stream comes from the pool, a number of the caller's choice, and is handed out to nobody else
// until npu_pool_release() was called once for every capture that began with the pool: a replay uses the same
// addresses. Blocks of other streams that are freed meanwhile wait for the end.
NPU_API npu_status npu_capture_begin(int32_t device, int64_t stream_id, int32_t mode, uint64_t pool);
// *graph is NULL where the capture failed; the pool is still to be released.
NPU_API npu_status npu_capture_end(int32_t device, int64_t stream_id, void** graph);
// Whether what the stream is given is captured.
NPU_API int32_t npu_is_captured(int32_t device, int64_t stream_id);
// Names the current stream of threads that have set none, which may be one that is captured; NULL: the
// default stream. One per process.
typedef int64_t (*npu_stream_chooser)(int32_t device);
NPU_API void npu_set_stream_chooser(npu_stream_chooser chooser);
NPU_API npu_status npu_graph_replay(void* graph, int32_t device, int64_t stream_id);
NPU_API npu_status npu_graph_destroy(void* graph, int32_t device);
NPU_API npu_status npu_pool_release(int32_t device, uint64_t pool);

#ifdef __cplusplus
}
#endif
#endif  // NPU_GRAPH_H_
