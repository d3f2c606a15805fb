// The simulated machine as one process sees it: devices, contexts, and the handles that CANN gives out.
#ifndef CANN_SIMULATOR_PROCESS_H_
#define CANN_SIMULATOR_PROCESS_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "config.h"
#include "graph.h"
#include "heap.h"
#include "sharing.h"
#include "status.h"
#include "stream.h"
#include "virtual_memory.h"

namespace cann_simulator {

// Handles of one kind. What a caller passes is looked up, never dereferenced, so a stale or foreign
// handle is an error code; an object in use stays alive while another thread destroys its handle.
template <class T>
class Handles {
 public:
  void* add(std::shared_ptr<T> object) {
    void* handle = object.get();
    const std::unique_lock<std::shared_mutex> lock(mutex_);
    objects_[handle] = std::move(object);
    return handle;
  }
  std::shared_ptr<T> find(void* handle) const {
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second;
  }
  std::shared_ptr<T> remove(void* handle) {
    const std::unique_lock<std::shared_mutex> lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) return nullptr;
    std::shared_ptr<T> object = std::move(found->second);
    objects_.erase(found);
    return object;
  }
  std::vector<std::shared_ptr<T>> all() const {
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    std::vector<std::shared_ptr<T>> objects;
    objects.reserve(objects_.size());
    for (const auto& item : objects_) objects.push_back(item.second);
    return objects;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<void*, std::shared_ptr<T>> objects_;
};

// A context owns streams of one device, the default stream (that of a NULL handle) among them.
class Context {
 public:
  explicit Context(int device) : device_(device) {}

  int device() const { return device_; }
  bool alive() const { return alive_.load(std::memory_order_acquire); }

  Status create_stream(std::shared_ptr<Stream>* stream);
  Status default_stream(std::shared_ptr<Stream>* stream);
  std::vector<std::shared_ptr<Stream>> streams() const;
  // Runs what the stream holds (skips it with `abandon`), ends its thread and forgets it.
  void close_stream(const std::shared_ptr<Stream>& stream, bool abandon = false);
  // Ends every stream; the context is dead from then on.
  void close();

 private:
  const int device_;
  std::atomic<bool> alive_{true};
  mutable std::mutex mutex_;
  std::shared_ptr<Stream> default_stream_;
  std::vector<std::shared_ptr<Stream>> streams_;  // the default one, too
};

class Process {
 public:
  // Never destroyed: threads of the host program may still call while it ends.
  static Process& instance();

  // The configuration; an error when the environment has nonsense.
  Status config(const Config** config);
  Status initialize();
  Status finalize();
  // What CANN demands of a program before aclInit, by what a function needs (README, "Before aclInit"). To
  // open a device, aclInit itself; to work on one, a device, which there cannot be before; for settings of
  // the process and questions, nothing.
  Status require_initialized() const;
  Status require_devices() const;

  Status device_count(int* count);
  Status check_device(int device);
  // Opens the device on first use and makes its own context the calling thread's.
  Status set_device(int device);
  Status reset_device(int device);

  // The device exists and some thread has set it.
  Status require_open(int device);
  // Whether the device's own context is there.
  Status primary_active(int device, bool* active);

  Status create_context(int device, void** handle);
  Status destroy_context(void* handle);
  Status set_context(void* handle);
  // The calling thread's context; ACL_ERROR_RT_CONTEXT_NULL when it has none that is alive.
  Status current_context(std::shared_ptr<Context>* context) const;

  // The stream behind a handle (NULL: the context's default), which must belong to the thread's context, and
  // whose device works.
  Status stream(void* handle, std::shared_ptr<Stream>* stream);
  Status create_stream(void** handle);
  Status destroy_stream(void* handle, bool abandon = false);

  Handles<Event>& events() { return events_; }
  Handles<Graph>& graphs() { return graphs_; }
  Handles<TaskGroup>& task_groups() { return task_groups_; }
  Handles<GraphCondition>& conditions() { return conditions_; }

  // Whether an address is of a device, allocated or not; *device (may be nullptr) receives which.
  bool is_device_memory(const void* pointer, int* device);
  // Where kernels reach [pointer, pointer + size); nullptr unless all of it is live memory of a device.
  char* alias(const void* pointer, std::size_t size);
  // The heap that owns an address, of any device; nullptr for other memory.
  Heap* heap_of(const void* pointer, int* device = nullptr);
  // The heap of a device that is open; nullptr when nobody has set the device yet.
  const Heap* open_heap(int device) const;
  Heap& heap(int device) { return devices_[static_cast<std::size_t>(device)]->heap; }

  VirtualMemory& virtual_memory() { return virtual_memory_; }
  Handles<Physical>& physical() { return physical_; }
  Exports& exports() { return exports_; }

  // Whether a stream of the device is being captured, which nothing may wait for.
  Status refuse_captured(int device) const;
  // The end of the program: skips what the streams hold but for what somebody outside can see, and what that
  // needs; how many tasks that is. Results are refused from then on, unless there was nothing to skip.
  std::uint64_t drop_unneeded();
  Status refuse_results_of_dropped() const;
  // Waits for the streams of one device, of all devices when `device` is negative.
  Status drain(int device, std::int32_t timeout_ms = kForever);
  // Takes the first failure that a stream of the device still holds.
  Status take_failure(int device);
  // Forgets all failures of all streams.
  void forget_failures();

 private:
  struct Device {
    Heap heap;
    std::shared_ptr<Context> primary;
    std::uint64_t uses = 0;           // set_device calls that no reset_device has matched
    std::atomic<bool> opened{false};  // the heap may be looked into
  };

  Process() = default;
  Status configure();    // mutex_ is held
  Status see_devices();  // mutex_ is held
  Status open(Device* device, int index);
  Status find_stream(void* handle, std::shared_ptr<Stream>* stream);
  std::vector<std::shared_ptr<Stream>> streams_of(int device) const;
  // Takes back all memory of a device whose streams have ended; graphs that use it cannot run any more.
  void release_memory(int device);

  mutable std::mutex mutex_;  // configuration, initialization, opening and closing of devices
  bool configured_ = false;
  bool devices_seen_ = false;
  Config config_;
  Status config_status_;
  std::atomic<bool> initialized_{false};
  std::atomic<bool> dropped_{false};
  std::vector<std::unique_ptr<Device>> devices_;  // sized when the first is asked about, and never again
  Handles<Context> contexts_;
  Handles<Stream> streams_;
  Handles<Event> events_;
  Handles<Graph> graphs_;
  Handles<TaskGroup> task_groups_;
  Handles<GraphCondition> conditions_;
  Handles<Physical> physical_;
  VirtualMemory virtual_memory_;
  Exports exports_;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_PROCESS_H_
