// Streams, events and what runs on them, of CANN's C ABI.
#include <cstdint>

#include "faults.h"
#include "graph.h"
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

Status create_event(aclrtEvent* handle, bool timing, bool external) {
  Process& process = Process::instance();
  if (handle == nullptr) return null_argument("event");
  std::shared_ptr<Context> context;
  if (Status status = process.current_context(&context); !status.ok()) return status;
  *handle = process.events().add(std::make_shared<Event>(timing, external));
  return {};
}

// An event to wait for, when nothing can be recorded on it any more: adapters wait for the recording on their
// own, for ever.
Status create_waited_event(aclrtEvent* handle, bool timing, bool external) {
  if (Status status = Refusals::instance().stopped(); !status.ok()) return status;
  return create_event(handle, timing, external);
}

Status add_shared_event(std::shared_ptr<SharedEvent> shared, aclrtEvent* handle) {
  *handle = Process::instance().events().add(std::make_shared<Event>(std::move(shared)));
  return {};
}

Status create_shared_event(aclrtEvent* handle) {
  if (handle == nullptr) return null_argument("event");
  std::shared_ptr<Context> context;
  if (Status status = Process::instance().current_context(&context); !status.ok()) return status;
  std::shared_ptr<SharedEvent> shared;
  Status status = SharedEvent::create(&shared);
  return status.ok() ? add_shared_event(std::move(shared), handle) : status;
}

Status create_event_with_flag(aclrtEvent* handle, uint32_t flag) {
  constexpr uint32_t kKnown =
      0x3f;  // ACL_EVENT_SYNC to ACL_EVENT_EXTERNAL; the time line and graphs are told apart
  if ((flag & ACL_EVENT_IPC) != 0) {
    if (flag != ACL_EVENT_IPC) {
      return failure(ACL_ERROR_INVALID_PARAM,
                     "an event of several processes has no flag beside ACL_EVENT_IPC");
    }
    return create_shared_event(handle);
  }
  if ((flag & ~kKnown) != 0) {
    return failure(ACL_ERROR_INVALID_PARAM, "event flags 0x%x are not supported; known are 0x%x", flag,
                   kKnown);
  }
  // Allocators poll theirs, which they create where an exception would end the program.
  const auto create = (flag & ACL_EVENT_SYNC) != 0 ? create_waited_event : create_event;
  return create(handle, (flag & ACL_EVENT_TIME_LINE) != 0, (flag & ACL_EVENT_EXTERNAL) != 0);
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
  if (Status status = event->refuse_captured(); !status.ok()) return status;
  const std::shared_ptr<Record> record = event->latest();
  if (record == nullptr && event->shared() == nullptr) return {};
  if (Stream::on_stream_thread()) {
    return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                   "a function that runs on a stream must not wait for an event");
  }
  if (event->shared() != nullptr)
    return event->shared()->wait(event->shared()->latest(), timeout_ms, nullptr);
  if (!record->wait(timeout_ms)) {
    return failure(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, "the event was not reached in %d ms", timeout_ms);
  }
  if (Races::instance().on()) Races::instance().host_waited(record->clock());
  return record->failure();
}

using Renew = void* (*)(const void*);

class KernelTask : public Task {
 public:
  KernelTask(const char* name, std::vector<cann_simulator_range> touched, cann_simulator_kernel kernel,
             Renew renew, void* argument, void (*release)(void*))
      : name_(name),
        touched_(std::move(touched)),
        kernel_(kernel),
        renew_(renew),
        argument_(argument),
        release_(release) {}
  ~KernelTask() override { release_(argument_); }
  const char* name() const override { return name_; }
  const std::vector<cann_simulator_range>& touched() const override { return touched_; }
  bool is_kernel() const override { return true; }
  // Decided when the kernel is queued, so that counting follows the program's order.
  void meet(KernelFault fault) override { fault_ = fault; }
  // Only an operation in which other processes take part has arguments for one run.
  bool seen_outside() const override { return renew_ != nullptr || joint_; }
  std::unique_ptr<Task> renewed() const override {
    if (renew_ == nullptr) return nullptr;
    void* const argument = renew_(argument_);
    if (argument == nullptr) throw std::bad_alloc();
    auto task = std::make_unique<KernelTask>(name_, touched_, kernel_, nullptr, argument, release_);
    task->fault_ = fault_;
    task->joint_ = true;
    return task;
  }
  Status run(Stream& stream) override {
    if (fault_ == KernelFault::kFails) return Faults::instance().fail_device(stream.device(), name_);
    // Where the stream ends first, what was to be computed is nobody's.
    if (fault_ == KernelFault::kHangs && !hang(stream)) return {};
    char message[2048] = "";
    const aclError code = kernel_(argument_, message, sizeof message);
    return {code, message};
  }

 private:
  // Until another plan of faults; false when the stream ends first.
  static bool hang(Stream& stream) {
    const std::uint64_t plan = Faults::instance().plans();
    while (Faults::instance().plans() == plan) {
      if (!stream.pause(20)) return false;
    }
    return true;
  }

  const char* const name_;
  const std::vector<cann_simulator_range> touched_;
  const cann_simulator_kernel kernel_;
  const Renew renew_;
  void* const argument_;
  void (*const release_)(void*);
  bool joint_ = false;
  KernelFault fault_ = KernelFault::kNone;
};

class HostFunctionTask : public Task {
 public:
  HostFunctionTask(aclrtHostFunc function, void* arguments) : function_(function), arguments_(arguments) {}
  const char* name() const override { return "host function"; }
  bool seen_outside() const override { return true; }
  Status run(Stream&) override {
    function_(arguments_);
    return {};
  }

 private:
  const aclrtHostFunc function_;
  void* const arguments_;
};

// A number in device memory that streams write and wait for.
class ValueTask : public Task {
 public:
  static constexpr std::uint32_t kWrites = 4;  // beside the four comparisons

  ValueTask(const void* device, std::uint64_t* readable, std::uint64_t value, std::uint32_t comparison)
      : touched_{{device, sizeof(std::uint64_t), comparison == kWrites}},
        readable_(readable),
        value_(value),
        comparison_(comparison) {}
  const char* name() const override { return comparison_ == kWrites ? "value write" : "value wait"; }
  // Order is what the number is for, so that reading it is no race; graphs must know it.
  const std::vector<cann_simulator_range>& touched() const override { return touched_; }
  Status run(Stream& stream) override {
    if (comparison_ == kWrites) {
      __atomic_store_n(readable_, value_, __ATOMIC_SEQ_CST);
      return {};
    }
    // Whoever writes it, a copy and a kernel too, says nothing. At first the answer is mostly near.
    for (int look = 0; !holds(__atomic_load_n(readable_, __ATOMIC_SEQ_CST)); ++look) {
      if (!stream.pause(look < 1000 ? 1 : 10)) return {};
    }
    return {};
  }

 private:
  bool holds(std::uint64_t found) const {
    switch (comparison_) {
      case 0:
        return static_cast<std::int64_t>(found - value_) >= 0;
      case 1:
        return found == value_;
      case 2:
        return (found & value_) != 0;
      default:
        return ~(found | value_) != 0;
    }
  }

  const std::vector<cann_simulator_range> touched_;
  std::uint64_t* const readable_;
  const std::uint64_t value_;
  const std::uint32_t comparison_;
};

Status submit_value(void* pointer, std::uint64_t value, std::uint32_t comparison, aclrtStream handle) {
  if (pointer == nullptr) return null_argument("devAddr");
  std::shared_ptr<Stream> stream;
  if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
  int device = 0;
  char* const readable = Process::instance().is_device_memory(pointer, &device)
                             ? Process::instance().alias(pointer, sizeof value)
                             : nullptr;
  if (readable == nullptr || reinterpret_cast<std::uintptr_t>(pointer) % sizeof value != 0) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "%p is no aligned number of 64 bits in live device memory",
                   pointer);
  }
  return stream->submit(
      std::make_unique<ValueTask>(pointer, reinterpret_cast<std::uint64_t*>(readable), value, comparison));
}

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
    if (Status status = stream->refuse_captured("be waited for"); !status.ok()) return status;
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
    if (Status captured = stream->refuse_captured("be asked whether it is done"); !captured.ok())
      return captured;
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
    return event->wait_on(*stream, handle == nullptr);
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

aclError aclrtValueWait(void* dev_addr, uint64_t value, uint32_t flag, aclrtStream stream) {
  return launching(__func__, [=]() -> Status {
    if (flag > 3) return failure(ACL_ERROR_INVALID_PARAM, "comparison %u does not exist", flag);
    return submit_value(dev_addr, value, flag, stream);
  });
}

aclError aclrtValueWrite(void* dev_addr, uint64_t value, uint32_t flag, aclrtStream stream) {
  return launching(__func__, [=]() -> Status {
    if (flag != 0) return failure(ACL_ERROR_INVALID_PARAM, "flag is %u; it must be 0", flag);
    return submit_value(dev_addr, value, ValueTask::kWrites, stream);
  });
}

aclError cann_simulator_launch(aclrtStream stream, const char* name, cann_simulator_kernel kernel,
                               void* argument, void (*release)(void*)) {
  return cann_simulator_launch_touching(stream, name, nullptr, 0, kernel, argument, release);
}

aclError cann_simulator_launch_touching(aclrtStream stream, const char* name,
                                        const cann_simulator_range* ranges, size_t count,
                                        cann_simulator_kernel kernel, void* argument,
                                        void (*release)(void*)) {
  return cann_simulator_launch_joint(stream, name, ranges, count, kernel, nullptr, argument, release);
}

aclError cann_simulator_launch_joint(aclrtStream handle, const char* name, const cann_simulator_range* ranges,
                                     size_t count, cann_simulator_kernel kernel, void* (*renew)(const void*),
                                     void* argument, void (*release)(void*)) {
  // Whatever goes wrong, the task's end releases the argument.
  std::unique_ptr<KernelTask> task;
  bool owned = false;
  const aclError code = launching(name, [&]() -> Status {
    std::vector<cann_simulator_range> touched;
    if (count > 0 && cann_simulator_checking()) touched.assign(ranges, ranges + count);
    task = std::make_unique<KernelTask>(name, std::move(touched), kernel, renew, argument, release);
    owned = true;
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    return stream->submit(std::move(task));
  });
  if (!owned) release(argument);
  return code;
}

bool cann_simulator_checking(void) { return Races::instance().on() || Graph::any_recording(); }

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
  return entry(__func__, [=] { return create_waited_event(event, true, false); });
}

aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) {
  return entry(__func__, [=] { return create_event_with_flag(event, flag); });
}

aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) {
  return entry(__func__, [=] { return create_event_with_flag(event, flag); });
}

aclError aclrtIpcGetEventHandle(aclrtEvent event_handle, aclrtIpcEventHandle* handle) {
  return entry(__func__, [=]() -> Status {
    if (handle == nullptr) return null_argument("handle");
    std::shared_ptr<Event> event;
    if (Status status = find_event(event_handle, &event); !status.ok()) return status;
    if (event->shared() == nullptr) {
      return failure(ACL_ERROR_RT_PARAM_INVALID,
                     "the event is of this process only; create it with ACL_EVENT_IPC");
    }
    event->shared()->describe(handle);
    return {};
  });
}

aclError aclrtIpcOpenEventHandle(aclrtIpcEventHandle handle, aclrtEvent* event) {
  return entry(__func__, [=]() -> Status {
    if (event == nullptr) return null_argument("event");
    std::shared_ptr<Context> context;
    if (Status status = Process::instance().current_context(&context); !status.ok()) return status;
    std::shared_ptr<SharedEvent> shared;
    Status status = SharedEvent::open(handle, &shared);
    return status.ok() ? add_shared_event(std::move(shared), event) : status;
  });
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

aclError aclrtResetEvent(aclrtEvent event_handle, aclrtStream handle) {
  return launching(__func__, [=]() -> Status {
    std::shared_ptr<Event> event;
    if (Status status = find_event(event_handle, &event); !status.ok()) return status;
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    return event->reset(*stream);
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
    if (Status captured = event->refuse_captured(); !captured.ok()) return captured;
    const std::shared_ptr<Record> record = event->latest();
    const bool complete = event->shared() != nullptr ? event->shared()->reached(event->shared()->latest())
                                                     : record == nullptr || record->reached();
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
