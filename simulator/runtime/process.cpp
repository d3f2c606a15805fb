#include "process.h"

#include <algorithm>
#include <cstdlib>

#include "conflict.h"
#include "ending.h"
#include "refusals.h"

namespace cann_simulator {
namespace {

thread_local std::shared_ptr<Context> thread_context;

Status refuse_on_stream(const char* what) {
  if (!Stream::on_stream_thread()) return {};
  return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "a function that runs on a stream must not %s", what);
}

}  // namespace

Process& Process::instance() {
  static Process* const process = new Process;
  return *process;
}

Status Process::configure() {
  if (!configured_) {
    config_status_ = read_config(&config_);
    Faults::instance().plan(config_.faults);
    if (config_status_.ok()) Races::instance().begin(config_.check);
    Refusals::instance().begin(config_.refusals);
    watch_end();
    configured_ = true;
  }
  return config_status_;
}

Status Process::see_devices() {
  if (Status status = configure(); !status.ok() || devices_seen_) return status;
  config_.visible = read_visible_devices(config_.physical_devices);
  for (std::size_t device = 0; device < config_.visible.size(); ++device) {
    devices_.push_back(std::make_unique<Device>());
  }
  devices_seen_ = true;
  return {};
}

Status Process::config(const Config** config) {
  const std::lock_guard<std::mutex> lock(mutex_);
  *config = &config_;
  return configure();
}

Status Process::initialize() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (Status status = see_devices(); !status.ok()) return status;
  if (initialized_) return failure(ACL_ERROR_REPEAT_INITIALIZE, "ACL is initialized already");
  if (Status status = find_conflict(); !status.ok()) return status;
  watch_fork();
  // Kernels must not run while the program's libraries are being torn down.
  static const int registered = std::atexit(cann_simulator_stop);
  if (registered != 0) return failure(ACL_ERROR_RT_INTERNAL_ERROR, "atexit has no room left");
  watch_python();
  initialized_ = true;
  return {};
}

Status Process::finalize() {
  if (Status status = refuse_on_stream("finalize ACL"); !status.ok()) return status;
  if (!initialized_.exchange(false)) return failure(ACL_ERROR_REPEAT_FINALIZE, "ACL is not initialized");
  for (const auto& context : contexts_.all()) context->close();
  for (const auto& context : contexts_.all()) contexts_.remove(context.get());
  for (const auto& stream : streams_.all()) streams_.remove(stream.get());
  for (const auto& event : events_.all()) events_.remove(event.get());
  const std::lock_guard<std::mutex> lock(mutex_);
  for (std::size_t index = 0; index < devices_.size(); ++index) {
    Device& device = *devices_[index];
    if (device.opened) release_memory(static_cast<int>(index));
    Faults::instance().device_reset(static_cast<int>(index));
    device.primary.reset();
    device.uses = 0;
  }
  exports_.clear();
  return {};
}

void Process::release_memory(int device) {
  for (const auto& graph : graphs_.all()) {
    if (graph->device() == device) graphs_.remove(graph.get());
  }
  virtual_memory_.clear(device);
  for (const auto& physical : physical_.all()) {
    if (physical->device() == device) physical_.remove(physical.get());
  }
  heap(device).release_all();
}

Status Process::require_initialized() const {
  if (initialized_.load(std::memory_order_acquire)) return {};
  return failure(ACL_ERROR_UNINITIALIZE, "call aclInit first");
}

Status Process::require_devices() const {
  if (initialized_.load(std::memory_order_acquire)) return {};
  return failure(ACL_ERROR_RT_CONTEXT_NULL,
                 "this thread has no device; call aclInit and aclrtSetDevice first");
}

Status Process::device_count(int* count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (Status status = see_devices(); !status.ok()) return status;
  *count = static_cast<int>(config_.visible.size());
  return {};
}

Status Process::check_device(int device) {
  int count = 0;
  if (Status status = device_count(&count); !status.ok()) return status;
  if (device >= 0 && device < count) return {};
  return failure(ACL_ERROR_RT_INVALID_DEVICEID,
                 "device %d does not exist; this process sees %d (CANN_SIMULATOR_DEVICES, "
                 "ASCEND_RT_VISIBLE_DEVICES)",
                 device, count);
}

Status Process::open(Device* device, int index) {
  if (!device->opened) {
    const int physical = config_.visible[static_cast<std::size_t>(index)];
    if (Status status = device->heap.open(physical, config_.memory); !status.ok()) return status;
    device->opened = true;
  }
  if (device->primary == nullptr) {
    device->primary = std::make_shared<Context>(index);
    contexts_.add(device->primary);
  }
  return {};
}

Status Process::set_device(int index) {
  if (Status status = require_initialized(); !status.ok()) return status;
  if (Status status = check_device(index); !status.ok()) return status;
  const std::lock_guard<std::mutex> lock(mutex_);
  Device* device = devices_[static_cast<std::size_t>(index)].get();
  if (Status status = open(device, index); !status.ok()) return status;
  ++device->uses;
  thread_context = device->primary;
  return {};
}

Status Process::reset_device(int index) {
  if (Status status = check_device(index); !status.ok()) return status;
  if (Status status = refuse_on_stream("reset a device"); !status.ok()) return status;
  std::shared_ptr<Context> primary;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    Device* device = devices_[static_cast<std::size_t>(index)].get();
    if (device->uses == 0) return failure(ACL_ERROR_RT_PARAM_INVALID, "device %d is not set", index);
    if (--device->uses > 0) return {};
    primary.swap(device->primary);
  }
  // Outside the lock: what the streams still hold may call the runtime.
  for (const auto& stream : primary->streams()) streams_.remove(stream.get());
  contexts_.remove(primary.get());
  primary->close();
  release_memory(index);
  Faults::instance().device_reset(index);
  return {};
}

Status Process::require_open(int device) {
  if (Status status = require_devices(); !status.ok()) return status;
  if (Status status = check_device(device); !status.ok()) return status;
  if (devices_[static_cast<std::size_t>(device)]->opened) return {};
  return failure(ACL_ERROR_RT_CONTEXT_NULL, "device %d was not set yet; call aclrtSetDevice first", device);
}

Status Process::primary_active(int index, bool* active) {
  if (Status status = check_device(index); !status.ok()) return status;
  const std::lock_guard<std::mutex> lock(mutex_);
  *active = devices_[static_cast<std::size_t>(index)]->primary != nullptr;
  return {};
}

Status Process::create_context(int index, void** handle) {
  if (Status status = require_initialized(); !status.ok()) return status;
  if (Status status = check_device(index); !status.ok()) return status;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (Status status = open(devices_[static_cast<std::size_t>(index)].get(), index); !status.ok())
    return status;
  thread_context = std::make_shared<Context>(index);
  *handle = contexts_.add(thread_context);
  return {};
}

Status Process::destroy_context(void* handle) {
  if (Status status = refuse_on_stream("destroy a context"); !status.ok()) return status;
  const std::shared_ptr<Context> context = contexts_.find(handle);
  if (context == nullptr) return failure(ACL_ERROR_RT_CONTEXT_NULL, "%p is no live context", handle);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (devices_[static_cast<std::size_t>(context->device())]->primary == context) {
      return failure(ACL_ERROR_RT_PARAM_INVALID, "the device's own context goes with aclrtResetDevice only");
    }
  }
  contexts_.remove(handle);
  for (const auto& stream : context->streams()) streams_.remove(stream.get());
  context->close();
  return {};
}

Status Process::set_context(void* handle) {
  if (Status status = require_devices(); !status.ok()) return status;
  std::shared_ptr<Context> context = contexts_.find(handle);
  if (context == nullptr) return failure(ACL_ERROR_RT_CONTEXT_NULL, "%p is no live context", handle);
  thread_context = std::move(context);
  return {};
}

Status Process::current_context(std::shared_ptr<Context>* context) const {
  if (Status status = require_devices(); !status.ok()) return status;
  if (thread_context == nullptr) {
    return failure(ACL_ERROR_RT_CONTEXT_NULL, "this thread has no device; call aclrtSetDevice on it first");
  }
  if (!thread_context->alive()) {
    return failure(ACL_ERROR_RT_CONTEXT_NULL, "this thread's context was destroyed or its device reset");
  }
  *context = thread_context;
  return {};
}

Status Process::stream(void* handle, std::shared_ptr<Stream>* stream) {
  std::shared_ptr<Context> context;
  if (Status status = current_context(&context); !status.ok()) return status;
  if (Status status = Faults::instance().device_failure(context->device()); !status.ok()) return status;
  return find_stream(handle, stream);
}

Status Process::find_stream(void* handle, std::shared_ptr<Stream>* stream) {
  std::shared_ptr<Context> context;
  if (Status status = current_context(&context); !status.ok()) return status;
  if (handle == nullptr) return context->default_stream(stream);
  *stream = streams_.find(handle);
  if (*stream == nullptr) {
    return failure(ACL_ERROR_RT_INVALID_HANDLE, "%p is no live stream; it was destroyed, or never was one",
                   handle);
  }
  if ((*stream)->owner() != context.get()) {
    return failure(
        ACL_ERROR_RT_STREAM_CONTEXT,
        "stream %d belongs to device %d and another context than the thread's, which is of device %d",
        (*stream)->id(), (*stream)->device(), context->device());
  }
  return {};
}

Status Process::create_stream(void** handle) {
  std::shared_ptr<Context> context;
  if (Status status = current_context(&context); !status.ok()) return status;
  std::shared_ptr<Stream> stream;
  if (Status status = context->create_stream(&stream); !status.ok()) return status;
  *handle = streams_.add(std::move(stream));
  return {};
}

Status Process::destroy_stream(void* handle, bool abandon) {
  if (Status status = refuse_on_stream("destroy a stream"); !status.ok()) return status;
  std::shared_ptr<Stream> stream;
  if (handle == nullptr) return failure(ACL_ERROR_INVALID_PARAM, "the default stream cannot be destroyed");
  if (Status status = find_stream(handle, &stream); !status.ok()) return status;
  if (Status status = stream->refuse_captured("be destroyed"); !status.ok()) return status;
  if (streams_.remove(handle) == nullptr)
    return failure(ACL_ERROR_RT_INVALID_HANDLE, "%p is no live stream", handle);
  thread_context->close_stream(stream, abandon);
  return {};
}

bool Process::is_device_memory(const void* pointer, int* device) {
  return heap_of(pointer, device) != nullptr || virtual_memory_.owns(pointer, device);
}

char* Process::alias(const void* pointer, std::size_t size) {
  const Heap* heap = heap_of(pointer);
  return heap != nullptr ? heap->alias(pointer, size) : virtual_memory_.alias(pointer, size);
}

Heap* Process::heap_of(const void* pointer, int* device) {
  if (!initialized_.load(std::memory_order_acquire)) return nullptr;
  for (std::size_t index = 0; index < devices_.size(); ++index) {
    if (!devices_[index]->opened.load(std::memory_order_acquire) || !devices_[index]->heap.owns(pointer))
      continue;
    if (device != nullptr) *device = static_cast<int>(index);
    return &devices_[index]->heap;
  }
  return nullptr;
}

const Heap* Process::open_heap(int device) const {
  const auto& found = devices_[static_cast<std::size_t>(device)];
  return found->opened.load(std::memory_order_acquire) ? &found->heap : nullptr;
}

std::vector<std::shared_ptr<Stream>> Process::streams_of(int device) const {
  std::vector<std::shared_ptr<Stream>> streams;
  for (const auto& context : contexts_.all()) {
    if (device >= 0 && context->device() != device) continue;
    for (auto& stream : context->streams()) streams.push_back(std::move(stream));
  }
  return streams;
}

Status Process::refuse_captured(int device) const {
  if (!Graph::any_capturing()) return {};
  for (const auto& stream : streams_of(device)) {
    if (Status status = stream->refuse_captured("be waited for"); !status.ok()) return status;
  }
  return {};
}

std::uint64_t Process::drop_unneeded() {
  const auto streams = streams_of(-1);
  bool idle = true;
  for (const auto& stream : streams) idle = idle && stream->idle();
  if (idle) return 0;
  dropped_ = true;
  for (const auto& stream : streams) stream->refuse_seen();
  for (bool more = true; more;) {
    more = false;
    for (const auto& stream : streams) more = stream->mark_needed() || more;
  }
  std::uint64_t dropped = 0;
  for (const auto& stream : streams) dropped += stream->drop_unneeded();
  return dropped;
}

Status Process::refuse_results_of_dropped() const {
  if (!dropped_.load(std::memory_order_acquire)) return {};
  return failure(
      ACL_ERROR_RT_STREAM_ABORT,
      "the program has ended, and what the streams held was skipped (CANN_SIMULATOR_DRAIN): what the "
      "device's memory holds is no result");
}

Status Process::drain(int device, std::int32_t timeout_ms) {
  for (const auto& stream : streams_of(device)) {
    if (Status status = stream->drain(timeout_ms); !status.ok()) return status;
  }
  return {};
}

Status Process::take_failure(int device) {
  Status first = Faults::instance().device_failure(device);
  for (const auto& stream : streams_of(device)) {
    Status status = stream->take_failure();
    if (first.ok()) first = std::move(status);
  }
  return first;
}

void Process::forget_failures() {
  for (const auto& stream : streams_of(-1)) stream->forget_failure();
}

}  // namespace cann_simulator
