// Device memory, pinned host memory and copies of CANN's C ABI.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "faults.h"
#include "pinned.h"
#include "process.h"
#include "races.h"

using namespace cann_simulator;

extern "C" {

aclError aclrtMalloc(void** dev_ptr, size_t size, aclrtMemMallocPolicy policy) {
  return entry(__func__, [=]() -> Status {
    (void)policy;  // which pages back the memory cannot be told from outside
    if (dev_ptr == nullptr) return null_argument("devPtr");
    *dev_ptr = nullptr;
    std::shared_ptr<Context> context;
    if (Status status = Process::instance().current_context(&context); !status.ok()) return status;
    if (size == 0) return failure(ACL_ERROR_INVALID_PARAM, "size is 0");
    if (Status status = Faults::instance().device_failure(context->device()); !status.ok()) return status;
    if (Status status = Faults::instance().next_allocation(); !status.ok()) return status;
    return Process::instance().heap(context->device()).allocate(size, dev_ptr);
  });
}

aclError aclrtMallocAlign32(void** dev_ptr, size_t size, aclrtMemMallocPolicy policy) {
  return aclrtMalloc(dev_ptr, size, policy);
}

// Waits for all streams first: what they still hold may use the memory, also from another device.
aclError aclrtFree(void* dev_ptr) {
  return entry(__func__, [=]() -> Status {
    Process& process = Process::instance();
    if (Status status = process.require_devices(); !status.ok()) return status;
    if (dev_ptr == nullptr) return null_argument("devPtr");
    Heap* heap = process.heap_of(dev_ptr);
    if (heap == nullptr)
      return failure(ACL_ERROR_RT_MEMORY_FREE, "%p is not device memory of aclrtMalloc", dev_ptr);
    void* start = nullptr;
    std::size_t size = 0;
    if (Races::instance().on() && heap->allocation(dev_ptr, &start, &size) && start == dev_ptr) {
      if (Status status = Races::instance().freed(start, size); !status.ok()) return status;
    }
    if (Status status = process.drain(-1); !status.ok()) return status;
    return heap->release(dev_ptr);
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

aclError aclrtMallocHost(void** host_ptr, size_t size) {
  return entry(__func__, [=]() -> Status {
    if (host_ptr == nullptr) return null_argument("hostPtr");
    if (Status status = Process::instance().require_devices(); !status.ok()) return status;
    if (size == 0) return failure(ACL_ERROR_INVALID_PARAM, "size is 0");
    return allocate_pinned(size, host_ptr);
  });
}

// Waits for all streams first: a queued copy may still read or write the memory.
aclError aclrtFreeHost(void* host_ptr) {
  return entry(__func__, [=]() -> Status {
    if (Status status = Process::instance().require_devices(); !status.ok()) return status;
    if (host_ptr == nullptr) return null_argument("hostPtr");
    if (Status status = Process::instance().drain(-1); !status.ok()) return status;
    return release_pinned(host_ptr);
  });
}

// Only to pin the memory: the simulated devices cannot reach it by themselves.
static Status register_host(void* ptr, uint64_t size, bool mapped) {
  if (ptr == nullptr) return null_argument("ptr");
  if (Status status = Process::instance().require_devices(); !status.ok()) return status;
  if (size == 0) return failure(ACL_ERROR_INVALID_PARAM, "size is 0");
  if (mapped) {
    return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "host memory cannot be mapped into a simulated device");
  }
  return register_pinned(ptr, size);
}

aclError aclrtHostRegister(void* ptr, uint64_t size, aclrtHostRegisterType type, void** dev_ptr) {
  return entry(__func__, [=] {
    (void)dev_ptr;  // receives the address on the device
    return register_host(ptr, size, type == ACL_HOST_REGISTER_MAPPED);
  });
}

aclError aclrtHostRegisterV2(void* ptr, uint64_t size, uint32_t flag) {
  return entry(__func__, [=] { return register_host(ptr, size, flag != ACL_HOST_REG_PINNED); });
}

// Waits for all streams first: a queued copy may still read or write the memory.
aclError aclrtHostUnregister(void* ptr) {
  return entry(__func__, [=]() -> Status {
    if (ptr == nullptr) return null_argument("ptr");
    if (Status status = Process::instance().require_devices(); !status.ok()) return status;
    if (Status status = Process::instance().drain(-1); !status.ok()) return status;
    return unregister_pinned(ptr);
  });
}

aclError aclrtPointerGetAttributes(const void* ptr, aclrtPtrAttributes* attributes) {
  return entry(__func__, [=]() -> Status {
    if (attributes == nullptr) return null_argument("attributes");
    std::memset(attributes, 0, sizeof *attributes);
    attributes->pageSize = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
    int device = 0;
    if (Process::instance().is_device_memory(ptr, &device)) {
      attributes->location = {static_cast<uint32_t>(device), ACL_MEM_LOCATION_TYPE_DEVICE};
    } else if (is_pinned(ptr)) {
      attributes->location = {0, ACL_MEM_LOCATION_TYPE_HOST};
    } else {
      attributes->location = {0, ACL_MEM_LOCATION_TYPE_UNREGISTERED};
    }
    return {};
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
    if (Status status = process.require_devices(); !status.ok()) return status;
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
