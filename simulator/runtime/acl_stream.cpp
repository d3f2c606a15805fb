// Streams, events and what runs on them, of CANN's C ABI.
#include <cstdint>

#include "faults.h"
#include "process.h"
#include "refusals.h"

using namespace cann_simulator;

namespace {

Status find_event(aclrtEvent handle, std::shared_ptr<Event>* event) {
  Process& process = Process::instance();
  if (Status status = process.require_devices(); !status.ok()) return status;
  if (handle == nullptr) return null_argument("event");
  *event = process.events().find(handle);
  if (*event != nullptr) return {};
  return failure(ACL_ERROR_RT_INVALID_HANDLE, "%p is no live event; it was destroyed, or never was one",
                 handle);
}

Status create_event(aclrtEvent* handle, bool timing) {
  Process& process = Process::instance();
  if (handle == nullptr) return null_argument("event");
  std::shared_ptr<Context> context;
  if (Status status = process.current_context(&context); !status.ok()) return status;
  *handle = process.events().add(std::make_shared<Event>(timing));
  return {};
}

// An event to wait for, when nothing can be recorded on it any more: adapters wait for the recording on their
// own, for ever.
Status create_waited_event(aclrtEvent* handle, bool timing) {
  if (Status status = Refusals::instance().stopped(); !status.ok()) return status;
  return create_event(handle, timing);
}

Status create_event_with_flag(aclrtEvent* handle, uint32_t flag) {
  constexpr uint32_t kKnown = 0x3f;  // ACL_EVENT_SYNC to ACL_EVENT_EXTERNAL; only the time line is told apart
  if ((flag & ACL_EVENT_IPC) != 0) {
    return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "events between processes are not simulated");
  }
  if ((flag & ~kKnown) != 0) {
    return failure(ACL_ERROR_INVALID_PARAM, "event flags 0x%x are not supported; known are 0x%x", flag,
                   kKnown);
  }
  // Allocators poll theirs, which they create where an exception would end the program.
  const auto create = (flag & ACL_EVENT_SYNC) != 0 ? create_waited_event : create_event;
  return create(handle, (flag & ACL_EVENT_TIME_LINE) != 0);
}

// The point in time of a timed event that its stream has passed.
Status event_time(const char* name, aclrtEvent handle, std::chrono::steady_clock::time_point* time) {
  std::shared_ptr<Event> event;
  if (Status status = find_event(handle, &event); !status.ok()) return status;
  if (!event->timing()) {
    return failure(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "the %s was created without ACL_EVENT_TIME_LINE",
                   name);
  }
  const std::shared_ptr<Record> record = event->latest();
  if (record == nullptr)
    return failure(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "the %s was never recorded", name);
  if (!record->reached()) {
    return failure(ACL_ERROR_RT_EVENT_NOT_COMPLETE, "its stream has not passed the %s yet", name);
  }
  *time = record->time();
  return {};
}

Status synchronize_event(aclrtEvent handle, int32_t timeout_ms) {
  if (Status status = Refusals::instance().stopped(); !status.ok()) return status;
  std::shared_ptr<Event> event;
  if (Status status = find_event(handle, &event); !status.ok()) return status;
  const std::shared_ptr<Record> record = event->latest();
  if (record == nullptr) return {};
  if (Stream::on_stream_thread()) {
    return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                   "a function that runs on a stream must not wait for an event");
  }
  if (!record->wait(timeout_ms)) {
    return failure(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, "the event was not reached in %d ms", timeout_ms);
  }
  if (Races::instance().on()) Races::instance().host_waited(record->clock());
  return record->failure();
}

class KernelTask : public Task {
 public:
  KernelTask(const char* name, cann_simulator_kernel kernel, void* argument, void (*release)(void*))
      : name_(name), kernel_(kernel), argument_(argument), release_(release) {}
  // Decided when the kernel is queued, so that counting follows the program's order.
  void on(Stream* stream, KernelFault fault) {
    stream_ = stream;
    fault_ = fault;
  }
  ~KernelTask() override { release_(argument_); }
  const char* name() const override { return name_; }
  Status run() override {
    if (fault_ == KernelFault::kFails) return Faults::instance().fail_device(stream_->device(), name_);
    // Where the stream ends first, what was to be computed is nobody's.
    if (fault_ == KernelFault::kHangs && !hang()) return {};
    char message[2048] = "";
    const aclError code = kernel_(argument_, message, sizeof message);
    return {code, message};
  }

 private:
  // Until another plan of faults; false when the stream ends first.
  bool hang() {
    const std::uint64_t plan = Faults::instance().plans();
    while (Faults::instance().plans() == plan) {
      if (!stream_->pause(20)) return false;
    }
    return true;
  }

  const char* const name_;
  const cann_simulator_kernel kernel_;
  void* const argument_;
  void (*const release_)(void*);
  Stream* stream_ = nullptr;  // runs this task, so it is there
  KernelFault fault_ = KernelFault::kNone;
};

class HostFunctionTask : public Task {
 public:
  HostFunctionTask(aclrtHostFunc function, void* arguments) : function_(function), arguments_(arguments) {}
  const char* name() const override { return "host function"; }
  Status run() override {
    function_(arguments_);
    return {};
  }

 private:
  const aclrtHostFunc function_;
  void* const arguments_;
};

}  // namespace

extern "C" {

aclError aclrtCreateStream(aclrtStream* stream) { return aclrtCreateStreamWithConfig(stream, 0, 0); }

aclError aclrtCreateStreamWithConfig(aclrtStream* stream, uint32_t priority, uint32_t flag) {
  return entry(__func__, [=]() -> Status {
    constexpr uint32_t kLowestPriority = 7;
    constexpr uint32_t kKnown = ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC;
    if (stream == nullptr) return null_argument("stream");
    if (priority > kLowestPriority) {
      return failure(ACL_ERROR_INVALID_PARAM, "priority is %u; it must be 0 to %u", priority,
                     kLowestPriority);
    }
    if ((flag & ~kKnown) != 0) {
      return failure(ACL_ERROR_INVALID_PARAM, "stream flags 0x%x are not supported; known are 0x%x", flag,
                     kKnown);
    }
    return Process::instance().create_stream(stream);
  });
}

// Waits for what the stream still holds.
aclError aclrtDestroyStream(aclrtStream stream) {
  return entry(__func__, [=] { return Process::instance().destroy_stream(stream); });
}

// Skips what has not begun.
aclError aclrtDestroyStreamForce(aclrtStream stream) {
  return entry(__func__, [=] { return Process::instance().destroy_stream(stream, true); });
}

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream handle, int32_t timeout_ms) {
  return entry(__func__, [=]() -> Status {
    if (Status status = Refusals::instance().stopped(); !status.ok()) return status;
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    if (Status status = stream->drain(timeout_ms); !status.ok()) return status;
    return stream->take_failure();
  });
}

aclError aclrtSynchronizeStream(aclrtStream stream) {
  return aclrtSynchronizeStreamWithTimeout(stream, kForever);
}

aclError aclrtStreamQuery(aclrtStream handle, aclrtStreamStatus* status) {
  return entry(__func__, [=]() -> Status {
    if (status == nullptr) return null_argument("status");
    if (Status stop = Refusals::instance().stopped(); !stop.ok()) return stop;
    std::shared_ptr<Stream> stream;
    if (Status found = Process::instance().stream(handle, &stream); !found.ok()) return found;
    *status = stream->idle() ? ACL_STREAM_STATUS_COMPLETE : ACL_STREAM_STATUS_NOT_READY;
    return {};
  });
}

aclError aclrtStreamGetId(aclrtStream handle, int32_t* stream_id) {
  return entry(__func__, [=]() -> Status {
    if (stream_id == nullptr) return null_argument("streamId");
    std::shared_ptr<Stream> stream;
    Status status = Process::instance().stream(handle, &stream);
    if (status.ok()) *stream_id = stream->id();
    return status;
  });
}

aclError aclrtStreamWaitEvent(aclrtStream handle, aclrtEvent event_handle) {
  return launching(__func__, [=]() -> Status {
    std::shared_ptr<Event> event;
    if (Status status = find_event(event_handle, &event); !status.ok()) return status;
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    return wait_event(*stream, *event);
  });
}

aclError aclrtLaunchHostFunc(aclrtStream handle, aclrtHostFunc fn, void* args) {
  return launching(__func__, [=]() -> Status {
    if (fn == nullptr) return null_argument("fn");
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    return stream->submit(std::make_unique<HostFunctionTask>(fn, args));
  });
}

aclError cann_simulator_launch(aclrtStream stream, const char* name, cann_simulator_kernel kernel,
                               void* argument, void (*release)(void*)) {
  return cann_simulator_launch_touching(stream, name, nullptr, 0, kernel, argument, release);
}

aclError cann_simulator_launch_touching(aclrtStream handle, const char* name,
                                        const cann_simulator_range* ranges, size_t count,
                                        cann_simulator_kernel kernel, void* argument,
                                        void (*release)(void*)) {
  // Outside entry(): whatever goes wrong in there, the task's end releases the argument.
  std::unique_ptr<KernelTask> task(new (std::nothrow) KernelTask(name, kernel, argument, release));
  if (task == nullptr) release(argument);
  return launching(name, [&]() -> Status {
    if (task == nullptr) throw std::bad_alloc();
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    if (Races::instance().on()) {
      Status status = Races::instance().access(stream->id(), name, {ranges, ranges + count});
      if (!status.ok()) return status;
    }
    task->on(stream.get(), Faults::instance().next_kernel());
    return stream->submit(std::move(task));
  });
}

bool cann_simulator_checking(void) { return Races::instance().on(); }

aclError cann_simulator_fail(aclError code, const char* message) {
  return launched(report(nullptr, {code, message, false}));
}

aclError cann_simulator_fail_no_launch(aclError code, const char* message) {
  return report(nullptr, {code, message, false});
}

aclError cann_simulator_lack(const char* what, const char* message) {
  Refusals::instance().refused(what, message);
  return cann_simulator_fail(ACL_ERROR_API_NOT_SUPPORT, message);
}

aclError aclrtCreateEvent(aclrtEvent* event) {
  return entry(__func__, [=] { return create_waited_event(event, true); });
}

aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) {
  return entry(__func__, [=] { return create_event_with_flag(event, flag); });
}

aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) {
  return entry(__func__, [=] { return create_event_with_flag(event, flag); });
}

// A queued recording or wait goes on: it does not need the handle.
aclError aclrtDestroyEvent(aclrtEvent handle) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Event> event;
    Status status = find_event(handle, &event);
    if (status.ok()) Process::instance().events().remove(handle);
    return status;
  });
}

aclError aclrtRecordEvent(aclrtEvent event_handle, aclrtStream handle) {
  return launching(__func__, [=]() -> Status {
    std::shared_ptr<Event> event;
    if (Status status = find_event(event_handle, &event); !status.ok()) return status;
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    return event->record(*stream);
  });
}

// A wait that is queued already keeps what it waits for, so the event can be forgotten at once.
aclError aclrtResetEvent(aclrtEvent event_handle, aclrtStream handle) {
  return launching(__func__, [=]() -> Status {
    std::shared_ptr<Event> event;
    if (Status status = find_event(event_handle, &event); !status.ok()) return status;
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    event->reset();
    return {};
  });
}

aclError aclrtQueryEventWaitStatus(aclrtEvent event, aclrtEventWaitStatus* status) {
  if (status == nullptr) return entry(__func__, [] { return null_argument("status"); });
  aclrtEventRecordedStatus recorded = ACL_EVENT_RECORDED_STATUS_NOT_READY;
  const aclError code = aclrtQueryEventStatus(event, &recorded);
  *status = recorded == ACL_EVENT_RECORDED_STATUS_COMPLETE ? ACL_EVENT_WAIT_STATUS_COMPLETE
                                                           : ACL_EVENT_WAIT_STATUS_NOT_READY;
  return code;
}

aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t timeout_ms) {
  return entry(__func__, [=] { return synchronize_event(event, timeout_ms); });
}

aclError aclrtSynchronizeEvent(aclrtEvent event) {
  return entry(__func__, [=] { return synchronize_event(event, kForever); });
}

// An event that was never recorded counts as complete: there is nothing to wait for.
aclError aclrtQueryEventStatus(aclrtEvent handle, aclrtEventRecordedStatus* status) {
  return entry(__func__, [=]() -> Status {
    if (status == nullptr) return null_argument("status");
    if (Status stop = Refusals::instance().stopped(); !stop.ok()) return stop;
    std::shared_ptr<Event> event;
    if (Status found = find_event(handle, &event); !found.ok()) return found;
    const std::shared_ptr<Record> record = event->latest();
    const bool complete = record == nullptr || record->reached();
    if (record != nullptr && complete && Races::instance().on())
      Races::instance().host_waited(record->clock());
    *status = complete ? ACL_EVENT_RECORDED_STATUS_COMPLETE : ACL_EVENT_RECORDED_STATUS_NOT_READY;
    return {};
  });
}

aclError aclrtEventElapsedTime(float* ms, aclrtEvent start_event, aclrtEvent end_event) {
  return entry(__func__, [=]() -> Status {
    if (ms == nullptr) return null_argument("ms");
    std::chrono::steady_clock::time_point start;
    std::chrono::steady_clock::time_point end;
    if (Status status = event_time("start event", start_event, &start); !status.ok()) return status;
    if (Status status = event_time("end event", end_event, &end); !status.ok()) return status;
    *ms = std::chrono::duration<float, std::milli>(end - start).count();
    return {};
  });
}

aclError aclrtEventGetTimestamp(aclrtEvent event, uint64_t* timestamp) {
  return entry(__func__, [=]() -> Status {
    if (timestamp == nullptr) return null_argument("timestamp");
    std::chrono::steady_clock::time_point time;
    Status status = event_time("event", event, &time);
    const auto since_start = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch());
    if (status.ok()) *timestamp = static_cast<uint64_t>(since_start.count());
    return status;
  });
}

}  // extern "C"
