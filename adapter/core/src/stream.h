// Streams by name: (device, id), the handles behind them made when first asked for.
#ifndef NPU_CORE_STREAM_H_
#define NPU_CORE_STREAM_H_

#include "cann/acl.h"
#include "error.h"

namespace npu {

constexpr int64_t kStreamsPerPool = 32;
constexpr int64_t kStreamCount = 1 + 2 * kStreamsPerPool;  // the default stream, normal, high priority

// NPU_OK when `id` may name a stream of any device.
npu_status check_stream_id(int64_t id);

// The handle behind a name, created if need be. The device becomes ready by it.
npu_status stream_handle(int32_t device, int64_t id, aclrtStream* handle);

// Whether something was ever given to the stream: it has a handle.
bool stream_exists(int32_t device, int64_t id);

// With the device bound and synchronized.
void destroy_streams_at_shutdown(int32_t device);

}  // namespace npu

#endif  // NPU_CORE_STREAM_H_
