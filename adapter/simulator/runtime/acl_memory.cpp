// Device memory, pinned host memory and copies of CANN's C ABI.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "process.h"

using namespace cann_simulator;

namespace {

// Memory of aclrtMallocHost: start -> size.
class PinnedMemory {
 public:
  static PinnedMemory& instance() {
    static PinnedMemory* const memory = new PinnedMemory;
    return *memory;
  }
  Status allocate(std::size_t size, void** pointer) {
    void* address = nullptr;
    if (posix_memalign(&address, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), size) != 0)
      throw std::bad_alloc();
    const std::lock_guard<std::mutex> lock(mutex_);
    live_[static_cast<char*>(address)] = size;
    *pointer = address;
    return {};
  }
  Status release(void* pointer) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (live_.erase(static_cast<char*>(pointer)) == 0) {
      return failure(ACL_ERROR_RT_MEMORY_FREE, "%p is not the start of live memory of aclrtMallocHost",
                     pointer);
    }
    std::free(pointer);
    return {};
  }
  bool contains(const void* pointer) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto block = live_.upper_bound(static_cast<char*>(const_cast<void*>(pointer)));
    if (block == live_.begin()) return false;
    --block;
    return static_cast<const char*>(pointer) < block->first + block->second;
  }

 private:
  std::mutex mutex_;
  std::map<char*, std::size_t> live_;
};

// What the caller says a pointer is. In CANN and here the kind of a copy must be true.
enum class Side { kHost, kDevice, kEither };

// The address to read or write at; an error when the pointer is not of that side or leaves its allocation.
Status resolve(const char* name, const void* pointer, std::size_t size, Side side, char** address) {
  int device = 0;
  const bool on_device = Process::instance().is_device_memory(pointer, &device);
  if (side == Side::kDevice && !on_device) {
    return failure(ACL_ERROR_RT_INVALID_MEMORY_TYPE, "%s (%p) must be device memory and is host memory", name,
                   pointer);
  }
  if (side == Side::kHost && on_device) {
    return failure(ACL_ERROR_RT_INVALID_MEMORY_TYPE, "%s (%p) must be host memory and is memory of device %d",
                   name, pointer, device);
  }
  *address =
      on_device ? Process::instance().alias(pointer, size) : static_cast<char*>(const_cast<void*>(pointer));
  if (*address != nullptr) return {};
  return failure(ACL_ERROR_RT_PARAM_INVALID,
                 "%s: %zu bytes at %p of device %d do not lie inside one live allocation", name, size,
                 pointer, device);
}

struct Copy {
  char* to = nullptr;
  const char* from = nullptr;
  std::size_t size = 0;

  void run() const { std::memmove(to, from, size); }
};

Status prepare_copy(void* dst, std::size_t dst_size, const void* src, std::size_t count, aclrtMemcpyKind kind,
                    Copy* copy) {
  static const Side kDestination[] = {Side::kHost, Side::kDevice, Side::kHost, Side::kDevice, Side::kEither};
  static const Side kSource[] = {Side::kHost, Side::kHost, Side::kDevice, Side::kDevice, Side::kEither};
  if (Status status = Process::instance().require_initialised(); !status.ok()) return status;
  if (dst == nullptr) return null_argument("dst");
  if (src == nullptr) return null_argument("src");
  if (static_cast<int>(kind) < 0 || kind > ACL_MEMCPY_DEFAULT) {
    return failure(ACL_ERROR_INVALID_PARAM, "a copy of kind %d is not supported", kind);
  }
  if (count > dst_size) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "%zu bytes do not fit into the destination's %zu", count,
                   dst_size);
  }
  char* from = nullptr;
  if (Status status = resolve("dst", dst, count, kDestination[kind], &copy->to); !status.ok()) return status;
  if (Status status = resolve("src", src, count, kSource[kind], &from); !status.ok()) return status;
  copy->from = from;
  copy->size = count;
  return {};
}

struct Fill {
  char* to = nullptr;
  int value = 0;
  std::size_t size = 0;

  void run() const { std::memset(to, value, size); }
};

Status prepare_fill(void* pointer, std::size_t capacity, std::int32_t value, std::size_t count, Fill* fill) {
  if (Status status = Process::instance().require_initialised(); !status.ok()) return status;
  if (pointer == nullptr) return null_argument("devPtr");
  if (count > capacity) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "%zu bytes do not fit into the memory's %zu", count, capacity);
  }
  fill->value = value;
  fill->size = count;
  return resolve("devPtr", pointer, count, Side::kDevice, &fill->to);
}

template <class Action>
class MemoryTask : public Task {
 public:
  MemoryTask(const char* name, const Action& action) : name_(name), action_(action) {}
  const char* name() const override { return name_; }
  Status run() override {
    action_.run();
    return {};
  }

 private:
  const char* const name_;
  const Action action_;
};

template <class Action>
Status submit(const char* name, const Action& action, aclrtStream handle) {
  std::shared_ptr<Stream> stream;
  if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
  return stream->submit(std::make_unique<MemoryTask<Action>>(name, action));
}

}  // namespace

extern "C" {

aclError aclrtMalloc(void** devPtr, size_t size, aclrtMemMallocPolicy policy) {
  return entry(__func__, [=]() -> Status {
    (void)policy;  // which pages back the memory cannot be told from outside
    if (devPtr == nullptr) return null_argument("devPtr");
    *devPtr = nullptr;
    std::shared_ptr<Context> context;
    if (Status status = Process::instance().current_context(&context); !status.ok()) return status;
    if (size == 0) return failure(ACL_ERROR_INVALID_PARAM, "size is 0");
    return Process::instance().heap(context->device()).allocate(size, devPtr);
  });
}

aclError aclrtMallocAlign32(void** devPtr, size_t size, aclrtMemMallocPolicy policy) {
  return aclrtMalloc(devPtr, size, policy);
}

// Waits for all streams first: what they still hold may use the memory, also from another device.
aclError aclrtFree(void* devPtr) {
  return entry(__func__, [=]() -> Status {
    Process& process = Process::instance();
    if (Status status = process.require_initialised(); !status.ok()) return status;
    if (devPtr == nullptr) return null_argument("devPtr");
    Heap* heap = process.heap_of(devPtr);
    if (heap == nullptr)
      return failure(ACL_ERROR_RT_MEMORY_FREE, "%p is not device memory of aclrtMalloc", devPtr);
    if (Status status = process.drain(-1); !status.ok()) return status;
    return heap->release(devPtr);
  });
}

aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t* free, size_t* total) {
  return entry(__func__, [=]() -> Status {
    if (free == nullptr || total == nullptr) return null_argument("free or total");
    std::shared_ptr<Context> context;
    if (Status status = Process::instance().current_context(&context); !status.ok()) return status;
    if (attr != ACL_DDR_MEM && attr != ACL_HBM_MEM) {
      return failure(ACL_ERROR_INVALID_PARAM, "memory attribute %d is not supported", attr);
    }
    const Heap& heap = Process::instance().heap(context->device());
    *free = heap.free_bytes();
    *total = heap.capacity();
    return {};
  });
}

aclError aclrtMallocHost(void** hostPtr, size_t size) {
  return entry(__func__, [=]() -> Status {
    if (hostPtr == nullptr) return null_argument("hostPtr");
    if (Status status = Process::instance().require_initialised(); !status.ok()) return status;
    if (size == 0) return failure(ACL_ERROR_INVALID_PARAM, "size is 0");
    return PinnedMemory::instance().allocate(size, hostPtr);
  });
}

// Waits for all streams first: a queued copy may still read or write the memory.
aclError aclrtFreeHost(void* hostPtr) {
  return entry(__func__, [=]() -> Status {
    if (Status status = Process::instance().require_initialised(); !status.ok()) return status;
    if (hostPtr == nullptr) return null_argument("hostPtr");
    if (Status status = Process::instance().drain(-1); !status.ok()) return status;
    return PinnedMemory::instance().release(hostPtr);
  });
}

aclError aclrtPointerGetAttributes(const void* ptr, aclrtPtrAttributes* attributes) {
  return entry(__func__, [=]() -> Status {
    if (Status status = Process::instance().require_initialised(); !status.ok()) return status;
    if (attributes == nullptr) return null_argument("attributes");
    std::memset(attributes, 0, sizeof *attributes);
    attributes->pageSize = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
    int device = 0;
    if (Process::instance().is_device_memory(ptr, &device)) {
      attributes->location = {static_cast<uint32_t>(device), ACL_MEM_LOCATION_TYPE_DEVICE};
    } else if (PinnedMemory::instance().contains(ptr)) {
      attributes->location = {0, ACL_MEM_LOCATION_TYPE_HOST};
    } else {
      attributes->location = {0, ACL_MEM_LOCATION_TYPE_UNREGISTERED};
    }
    return {};
  });
}

// At once and on the calling thread: as in CANN, a synchronous copy is not ordered after the tasks of any
// stream.
aclError aclrtMemcpy(void* dst, size_t destMax, const void* src, size_t count, aclrtMemcpyKind kind) {
  return entry(__func__, [=]() -> Status {
    if (count == 0) return Process::instance().require_initialised();
    Copy copy;
    if (Status status = prepare_copy(dst, destMax, src, count, kind, &copy); !status.ok()) return status;
    copy.run();
    return {};
  });
}

aclError aclrtMemcpyAsync(void* dst, size_t destMax, const void* src, size_t count, aclrtMemcpyKind kind,
                          aclrtStream stream) {
  return entry(__func__, [=]() -> Status {
    if (count == 0) return Process::instance().require_initialised();
    Copy copy;
    if (Status status = prepare_copy(dst, destMax, src, count, kind, &copy); !status.ok()) return status;
    return submit("copy", copy, stream);
  });
}

aclError aclrtMemset(void* devPtr, size_t maxCount, int32_t value, size_t count) {
  return entry(__func__, [=]() -> Status {
    if (count == 0) return Process::instance().require_initialised();
    Fill fill;
    if (Status status = prepare_fill(devPtr, maxCount, value, count, &fill); !status.ok()) return status;
    fill.run();
    return {};
  });
}

aclError aclrtMemsetAsync(void* devPtr, size_t maxCount, int32_t value, size_t count, aclrtStream stream) {
  return entry(__func__, [=]() -> Status {
    if (count == 0) return Process::instance().require_initialised();
    Fill fill;
    if (Status status = prepare_fill(devPtr, maxCount, value, count, &fill); !status.ok()) return status;
    return submit("memset", fill, stream);
  });
}

void* cann_simulator_alias(const void* pointer, size_t size, int32_t* device) {
  if (forked_after_use()) return nullptr;
  Process& process = Process::instance();
  int owner = 0;
  if (!process.is_device_memory(pointer, &owner)) return nullptr;
  if (device != nullptr) *device = owner;
  return process.alias(pointer, size);
}

aclError cann_simulator_device_memory(int32_t device, int* file, const void** start, size_t* size) {
  return entry(__func__, [=]() -> Status {
    Process& process = Process::instance();
    if (Status status = process.require_initialised(); !status.ok()) return status;
    if (Status status = process.check_device(device); !status.ok()) return status;
    const Heap* heap = process.open_heap(device);
    if (heap == nullptr) {
      return failure(ACL_ERROR_RT_CONTEXT_NULL, "device %d is not open; call aclrtSetDevice first", device);
    }
    *file = heap->file();
    *start = heap->readable();
    *size = heap->capacity();
    return {};
  });
}

}  // extern "C"
