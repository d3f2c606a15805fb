#include "event.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "binding.h"
#include "loader.h"
#include "npu_graph.h"
#include "stream.h"
#include "wait_check.h"

struct npu_event {
  npu_event(int32_t device_index, bool with_timing) : device(device_index), timing(with_timing) {}

  const int32_t device;
  const bool timing;
  aclrtEvent handle = nullptr;
  std::atomic<bool> recorded{false};
};

namespace npu {
namespace {

struct DeviceEvents {
  std::mutex mutex;
  std::vector<aclrtEvent> idle;     // of the pool: complete, without timing
  std::vector<aclrtEvent> retired;  // given back by their owner before they were complete
};

DeviceEvents& events_of(int32_t device) {
  // Leaked: events are given back until the very end of the process.
  static DeviceEvents* events = new DeviceEvents[kMaxDevices];
  return events[device];
}

// "Ex" events may be recorded again without a reset; only an old CANN lacks them.
npu_status create_event(bool timing, aclrtEvent* event) {
  const uint32_t flags = ACL_EVENT_SYNC | (timing ? ACL_EVENT_TIME_LINE : 0U);
  if (acl().aclrtCreateEventExWithFlag == nullptr) return NPU_ACL(aclrtCreateEventWithFlag, event, flags);
  return NPU_ACL(aclrtCreateEventExWithFlag, event, flags);
}

bool is_done(aclrtEvent event) {
  bool done = false;
  return query_event(event, &done) == NPU_OK && done;
}

// CANN forbids to destroy an event that a stream still has to pass. The events that were given back
// too early wait here, looked at whenever a new one is made.
void destroy_retired_events(DeviceEvents* events) {
  const std::lock_guard<std::mutex> lock(events->mutex);
  auto& retired = events->retired;
  const auto pending = std::partition(retired.begin(), retired.end(), is_done);
  std::for_each(retired.begin(), pending, acl().aclrtDestroyEvent);
  retired.erase(retired.begin(), pending);
}

npu_status check_event(const npu_event* event, const char* call) {
  return event != nullptr ? NPU_OK : fail(NPU_ERR_BAD_ARGUMENT, "%s: the event is NULL", call);
}

npu_status event_create(int32_t device, bool timing, npu_event** event) {
  if (event == nullptr) return fail(NPU_ERR_BAD_ARGUMENT, "npu_event_create: event is NULL");
  *event = nullptr;
  NPU_ON_DEVICE(device);
  destroy_retired_events(&events_of(device));
  auto created = std::make_unique<npu_event>(device, timing);
  NPU_RETURN_IF_ERROR(create_event(timing, &created->handle));
  *event = created.release();
  return NPU_OK;
}

npu_status event_destroy(npu_event* event) {
  NPU_ON_DEVICE(event->device);
  if (!event->recorded.load() || is_done(event->handle)) return NPU_ACL(aclrtDestroyEvent, event->handle);
  DeviceEvents& events = events_of(event->device);
  const std::lock_guard<std::mutex> lock(events.mutex);
  events.retired.push_back(event->handle);
  return NPU_OK;
}

npu_status event_record(npu_event* event, int64_t stream_id) {
  NPU_RETURN_IF_ERROR(check_event(event, "npu_event_record"));
  NPU_ON_DEVICE(event->device);
  aclrtStream stream = nullptr;
  NPU_RETURN_IF_ERROR(stream_handle(event->device, stream_id, &stream));
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtRecordEvent, event->handle, stream));
  event->recorded.store(true);
  return NPU_OK;
}

npu_status event_block(npu_event* event, int32_t device, int64_t stream_id) {
  NPU_RETURN_IF_ERROR(check_event(event, "npu_event_block"));
  NPU_ON_DEVICE(device);
  // CANN would wait for a record still to come, which may never come.
  if (!event->recorded.load()) return NPU_OK;
  aclrtStream stream = nullptr;
  NPU_RETURN_IF_ERROR(stream_handle(device, stream_id, &stream));
  return NPU_ACL(aclrtStreamWaitEvent, stream, event->handle);
}

// `waiting` goes on after what `running` was given so far.
npu_status wait_for_stream(int32_t device, int64_t running, int64_t waiting) {
  if (running == waiting || !stream_exists(device, running) || npu_is_captured(device, running) != 0)
    return NPU_OK;
  npu_event* event = nullptr;
  NPU_RETURN_IF_ERROR(event_create(device, /*timing=*/false, &event));
  npu_status status = event_record(event, running);
  if (status == NPU_OK) status = event_block(event, device, waiting);
  npu_event_destroy(event);
  return status;
}

npu_status wait_for_all(int32_t device, int64_t stream_id) {
  NPU_RETURN_IF_ERROR(check_stream_id(stream_id));
  for (int64_t other = 0; other < kStreamCount; ++other) {
    NPU_RETURN_IF_ERROR(wait_for_stream(device, other, stream_id));
  }
  return NPU_OK;
}

npu_status all_wait_for(int32_t device, int64_t stream_id) {
  NPU_RETURN_IF_ERROR(check_stream_id(stream_id));
  for (int64_t other = 0; other < kStreamCount; ++other) {
    if (!stream_exists(device, other) || npu_is_captured(device, other) != 0) continue;
    NPU_RETURN_IF_ERROR(wait_for_stream(device, stream_id, other));
  }
  return NPU_OK;
}

npu_status event_synchronize(npu_event* event) {
  NPU_RETURN_IF_ERROR(check_event(event, "npu_event_synchronize"));
  NPU_ON_DEVICE(event->device);
  if (!event->recorded.load()) return NPU_OK;
  return believed(NPU_ACL(aclrtSynchronizeEvent, event->handle));
}

npu_status event_query(npu_event* event, int32_t* done) {
  NPU_RETURN_IF_ERROR(check_event(event, "npu_event_query"));
  if (done == nullptr) return fail(NPU_ERR_BAD_ARGUMENT, "npu_event_query: done is NULL");
  NPU_ON_DEVICE(event->device);
  bool answer = true;
  if (event->recorded.load()) NPU_RETURN_IF_ERROR(query_event(event->handle, &answer));
  *done = answer ? 1 : 0;
  return answer ? believed(NPU_OK) : npu_status{NPU_OK};
}

npu_status check_measurable(npu_event* event, const char* which) {
  NPU_RETURN_IF_ERROR(check_event(event, "npu_event_elapsed_ms"));
  if (!event->timing) {
    return fail(NPU_ERR_BAD_ARGUMENT,
                "the %s event was made without timing; make both events with timing enabled", which);
  }
  if (!event->recorded.load()) {
    return fail(NPU_ERR_BAD_ARGUMENT,
                "the %s event was never recorded; record both events before asking for the time", which);
  }
  int32_t done = 0;
  NPU_RETURN_IF_ERROR(event_query(event, &done));
  if (done != 0) return NPU_OK;
  return fail(NPU_ERR_BAD_ARGUMENT,
              "the %s event is not complete yet; synchronize it before asking for the time", which);
}

npu_status event_elapsed(npu_event* start, npu_event* end, double* milliseconds) {
  if (milliseconds == nullptr)
    return fail(NPU_ERR_BAD_ARGUMENT, "npu_event_elapsed_ms: milliseconds is NULL");
  NPU_RETURN_IF_ERROR(check_measurable(start, "start"));
  NPU_RETURN_IF_ERROR(check_measurable(end, "end"));
  if (start->device != end->device) {
    return fail(NPU_ERR_BAD_ARGUMENT,
                "the events are of two devices (%d and %d), which have no clock in common", start->device,
                end->device);
  }
  NPU_ON_DEVICE(start->device);
  float answer = 0;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtEventElapsedTime, &answer, start->handle, end->handle));
  *milliseconds = answer;
  return NPU_OK;
}

}  // namespace

npu_status record_pooled_event(int32_t device, int64_t stream_id, aclrtEvent* event) {
  aclrtStream stream = nullptr;
  NPU_RETURN_IF_ERROR(stream_handle(device, stream_id, &stream));
  DeviceEvents& events = events_of(device);
  {
    const std::lock_guard<std::mutex> lock(events.mutex);
    *event = nullptr;
    if (!events.idle.empty()) {
      *event = events.idle.back();
      events.idle.pop_back();
    }
  }
  if (*event == nullptr) NPU_RETURN_IF_ERROR(create_event(/*timing=*/false, event));
  const npu_status status = NPU_ACL(aclrtRecordEvent, *event, stream);
  if (status != NPU_OK) release_event(device, *event);
  return status;
}

void release_event(int32_t device, aclrtEvent event) {
  DeviceEvents& events = events_of(device);
  const std::lock_guard<std::mutex> lock(events.mutex);
  events.idle.push_back(event);
}

npu_status query_event(aclrtEvent event, bool* done) {
  aclrtEventRecordedStatus status = ACL_EVENT_RECORDED_STATUS_NOT_READY;
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtQueryEventStatus, event, &status));
  *done = status == ACL_EVENT_RECORDED_STATUS_COMPLETE;
  return NPU_OK;
}

void destroy_events_at_shutdown(int32_t device) {
  DeviceEvents& events = events_of(device);
  const std::lock_guard<std::mutex> lock(events.mutex);
  for (auto* handles : {&events.idle, &events.retired}) {
    std::for_each(handles->begin(), handles->end(), acl().aclrtDestroyEvent);
    handles->clear();
  }
}

}  // namespace npu

extern "C" {

npu_status npu_event_create(int32_t device, int32_t timing, npu_event** event) {
  return npu::guarded([&] { return npu::event_create(device, timing != 0, event); });
}

void npu_event_destroy(npu_event* event) {
  if (event == nullptr) return;
  // After a fork or the shutdown only the record of it is left to be freed.
  if (npu::is_ready()) npu::guarded([&] { return npu::event_destroy(event); });
  delete event;
}

npu_status npu_event_record(npu_event* event, int64_t stream_id) {
  return npu::guarded([&] { return npu::event_record(event, stream_id); });
}

npu_status npu_event_block(npu_event* event, int32_t device, int64_t stream_id) {
  return npu::guarded([&] { return npu::event_block(event, device, stream_id); });
}

npu_status npu_event_synchronize(npu_event* event) {
  return npu::guarded([&] { return npu::event_synchronize(event); });
}

npu_status npu_event_query(npu_event* event, int32_t* done) {
  return npu::guarded([&] { return npu::event_query(event, done); });
}

npu_status npu_event_elapsed_ms(npu_event* start, npu_event* end, double* milliseconds) {
  return npu::guarded([&] { return npu::event_elapsed(start, end, milliseconds); });
}

npu_status npu_stream_wait_for_all(int32_t device, int64_t stream_id) {
  return npu::guarded([&] { return npu::wait_for_all(device, stream_id); });
}

npu_status npu_all_streams_wait(int32_t device, int64_t stream_id) {
  return npu::guarded([&] { return npu::all_wait_for(device, stream_id); });
}

int32_t npu_event_device(const npu_event* event) { return event != nullptr ? event->device : -1; }

void* npu_event_handle(const npu_event* event) { return event != nullptr ? event->handle : nullptr; }

}  // extern "C"
