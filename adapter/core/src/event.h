// CANN's events: the pool that the allocators draw from, and the events of the C API.
#ifndef NPU_CORE_EVENT_H_
#define NPU_CORE_EVENT_H_

#include "cann/acl.h"
#include "error.h"

namespace npu {

// Records an event without timing on a stream. The event comes from the device's pool and has to go
// back with release_event once it is complete: nothing waits for it on a stream, so it can be used
// again at once. The caller has the device bound.
npu_status record_pooled_event(int32_t device, int64_t stream_id, aclrtEvent* event);
void release_event(int32_t device, aclrtEvent event);

// The caller has the event's device bound.
npu_status query_event(aclrtEvent event, bool* done);

// With the device bound and synchronized.
void destroy_events_at_shutdown(int32_t device);

}  // namespace npu

#endif  // NPU_CORE_EVENT_H_
