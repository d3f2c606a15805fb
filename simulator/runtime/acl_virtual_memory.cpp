// Virtual memory and memory between processes, of CANN's C ABI.
#include <cstdio>
#include <map>
#include <mutex>

#include "faults.h"
#include "process.h"

using namespace cann_simulator;

namespace {

Status require_multiple(const char* name, std::size_t size) {
  if (size > 0 && size % kGranularity == 0) return {};
  return failure(ACL_ERROR_RT_PARAM_INVALID, "%s is %zu; it must be a multiple of %zu", name, size,
                 kGranularity);
}

Status find_physical(aclrtDrvMemHandle handle, std::shared_ptr<Physical>* physical) {
  if (Status status = Process::instance().require_devices(); !status.ok()) return status;
  *physical = Process::instance().physical().find(handle);
  if (*physical != nullptr) return {};
  return failure(ACL_ERROR_RT_PARAM_INVALID, "%p is no live physical memory; it was freed, or never was one",
                 handle);
}

Status reserve(void** start, std::size_t size, std::size_t alignment) {
  if (start == nullptr) return null_argument("virPtr");
  if (Status status = Process::instance().require_devices(); !status.ok()) return status;
  if (alignment != 0) return failure(ACL_ERROR_RT_PARAM_INVALID, "alignment is %zu; it must be 0", alignment);
  if (size == 0) return failure(ACL_ERROR_RT_PARAM_INVALID, "size is 0");
  // A thread without a device may reserve, too: which device the addresses belong to is what is mapped there.
  std::shared_ptr<Context> context;
  const bool has_device = Process::instance().current_context(&context).ok();
  return Process::instance().virtual_memory().reserve(has_device ? context->device() : 0, size, start);
}

Status allocate(aclrtDrvMemHandle* handle, std::size_t size, const aclrtPhysicalMemProp* properties) {
  Process& process = Process::instance();
  if (handle == nullptr || properties == nullptr) return null_argument("handle or prop");
  if (Status status = process.require_devices(); !status.ok()) return status;
  if (properties->location.type != ACL_MEM_LOCATION_TYPE_DEVICE) {
    return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "physical memory of the host is not simulated");
  }
  const int device = static_cast<int>(properties->location.id);
  if (Status status = process.require_open(device); !status.ok()) return status;
  if (Status status = require_multiple("size", size); !status.ok()) return status;
  if (Status status = Faults::instance().device_failure(device); !status.ok()) return status;
  if (Status status = Faults::instance().next_allocation(); !status.ok()) return status;
  std::shared_ptr<Physical> physical;
  if (Status status = Physical::allocate(device, &process.heap(device), size, &physical); !status.ok())
    return status;
  *handle = process.physical().add(std::move(physical));
  return {};
}

// Imports by key: what aclrtIpcMemClose ends. Only the newest of a key counts, as in CANN.
struct Imports {
  std::mutex mutex;
  std::map<ShareId, void*> start;
};

Imports& imports() {
  static Imports* const all = new Imports;
  return *all;
}

Status export_range(void* pointer, std::size_t size, char* key, std::size_t length, std::uint64_t flags) {
  constexpr std::size_t kKeyLength = 65;
  Process& process = Process::instance();
  if (pointer == nullptr || key == nullptr) return null_argument("devPtr or key");
  if (length < kKeyLength) return failure(ACL_ERROR_RT_PARAM_INVALID, "a key needs %zu bytes", kKeyLength);
  int device = 0;
  Heap* heap = process.heap_of(pointer, &device);
  if (heap == nullptr || size == 0 || heap->alias(pointer, size) == nullptr) {
    return failure(ACL_ERROR_RT_PARAM_INVALID,
                   "%zu bytes at %p do not lie inside one live allocation of aclrtMalloc", size, pointer);
  }
  ShareId id = 0;
  const bool anyone = (flags & ACL_RT_IPC_MEM_EXPORT_FLAG_DISABLE_PID_VALIDATION) != 0;
  Status status = process.exports().offer(device, heap->file(), heap->offset(pointer), size, anyone, &id);
  if (status.ok()) std::snprintf(key, length, "%s", share_key(id).c_str());
  return status;
}

Status import_range(void** pointer, const char* key) {
  Process& process = Process::instance();
  if (pointer == nullptr || key == nullptr) return null_argument("devPtr or key");
  std::shared_ptr<Context> context;
  if (Status status = process.current_context(&context); !status.ok()) return status;
  ShareId id = 0;
  if (Status status = parse_share_key(key, &id); !status.ok()) return status;
  std::shared_ptr<Physical> physical;
  if (Status status = import_memory(id, context->device(), &physical); !status.ok()) return status;
  if (Status status = process.virtual_memory().reserve_and_map(std::move(physical), pointer); !status.ok())
    return status;
  const std::lock_guard<std::mutex> lock(imports().mutex);
  imports().start[id] = *pointer;
  return {};
}

Status close_shared(const char* key) {
  Process& process = Process::instance();
  if (key == nullptr) return null_argument("key");
  ShareId id = 0;
  if (Status status = parse_share_key(key, &id); !status.ok()) return status;
  void* start = nullptr;
  {
    const std::lock_guard<std::mutex> lock(imports().mutex);
    const auto found = imports().start.find(id);
    if (found != imports().start.end()) {
      start = found->second;
      imports().start.erase(found);
    }
  }
  if (start == nullptr) {
    if (process.exports().withdraw(id)) return {};
    return failure(ACL_ERROR_RT_PARAM_INVALID, "this process neither imported nor exported '%s'", key);
  }
  if (Status status = process.drain(-1); !status.ok()) return status;
  return process.virtual_memory().release_mapped(start);
}

}  // namespace

extern "C" {

// expectPtr is a wish, as with mmap; flags choose pages, which cannot be told apart here.
aclError aclrtReserveMemAddress(void** vir_ptr, size_t size, size_t alignment, void* expect_ptr,
                                uint64_t flags) {
  (void)expect_ptr;
  (void)flags;
  return entry(__func__, [=] { return reserve(vir_ptr, size, alignment); });
}

aclError aclrtReleaseMemAddress(void* vir_ptr) {
  return entry(__func__, [=] { return Process::instance().virtual_memory().release(vir_ptr); });
}

aclError aclrtMallocPhysical(aclrtDrvMemHandle* handle, size_t size, const aclrtPhysicalMemProp* prop,
                             uint64_t flags) {
  (void)flags;
  return entry(__func__, [=] { return allocate(handle, size, prop); });
}

aclError aclrtFreePhysical(aclrtDrvMemHandle handle) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Physical> physical;
    Status status = find_physical(handle, &physical);
    if (status.ok()) Process::instance().physical().remove(handle);
    return status;
  });
}

aclError aclrtMapMem(void* vir_ptr, size_t size, size_t offset, aclrtDrvMemHandle handle, uint64_t flags) {
  (void)flags;
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Physical> physical;
    if (Status status = find_physical(handle, &physical); !status.ok()) return status;
    if (Status status = require_multiple("size", size); !status.ok()) return status;
    return Process::instance().virtual_memory().map(vir_ptr, size, offset, std::move(physical));
  });
}

// Waits for all streams first, as aclrtFree does.
aclError aclrtUnmapMem(void* vir_ptr) {
  return entry(__func__, [=]() -> Status {
    Process& process = Process::instance();
    if (Status status = process.require_devices(); !status.ok()) return status;
    if (Status status = process.drain(-1); !status.ok()) return status;
    return process.virtual_memory().unmap(vir_ptr);
  });
}

aclError aclrtMemGetAllocationGranularity(aclrtPhysicalMemProp* prop, aclrtMemGranularityOptions option,
                                          size_t* granularity) {
  (void)option;
  return entry(__func__, [=]() -> Status {
    if (prop == nullptr || granularity == nullptr) return null_argument("prop or granularity");
    *granularity = kGranularity;
    return {};
  });
}

aclError aclrtMemExportToShareableHandle(aclrtDrvMemHandle handle, aclrtMemHandleType handle_type,
                                         uint64_t flags, uint64_t* shareable_handle) {
  return entry(__func__, [=]() -> Status {
    if (shareable_handle == nullptr) return null_argument("shareableHandle");
    if (handle_type != ACL_MEM_HANDLE_TYPE_NONE) {
      return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "handles of type %d are not simulated", handle_type);
    }
    std::shared_ptr<Physical> physical;
    if (Status status = find_physical(handle, &physical); !status.ok()) return status;
    const bool anyone = (flags & ACL_RT_VMM_EXPORT_FLAG_DISABLE_PID_VALIDATION) != 0;
    return Process::instance().exports().offer(physical->device(), physical->file(), physical->offset(),
                                               physical->size(), anyone, shareable_handle);
  });
}

aclError aclrtMemSetPidToShareableHandle(uint64_t shareable_handle, int32_t* pid, size_t pid_num) {
  return entry(__func__, [=]() -> Status {
    if (pid == nullptr || pid_num == 0) return null_argument("pid");
    return Process::instance().exports().permit(shareable_handle, pid, pid_num);
  });
}

aclError aclrtMemImportFromShareableHandle(uint64_t shareable_handle, int32_t device_id,
                                           aclrtDrvMemHandle* handle) {
  return entry(__func__, [=]() -> Status {
    Process& process = Process::instance();
    if (handle == nullptr) return null_argument("handle");
    if (Status status = process.require_open(device_id); !status.ok()) return status;
    std::shared_ptr<Physical> physical;
    if (Status status = import_memory(shareable_handle, device_id, &physical); !status.ok()) return status;
    *handle = process.physical().add(std::move(physical));
    return {};
  });
}

aclError aclrtIpcMemGetExportKey(void* dev_ptr, size_t size, char* key, size_t len, uint64_t flags) {
  return entry(__func__, [=] { return export_range(dev_ptr, size, key, len, flags); });
}

aclError aclrtIpcMemSetImportPid(const char* key, int32_t* pid, size_t num) {
  return entry(__func__, [=]() -> Status {
    if (key == nullptr || pid == nullptr || num == 0) return null_argument("key or pid");
    ShareId id = 0;
    if (Status status = parse_share_key(key, &id); !status.ok()) return status;
    return Process::instance().exports().permit(id, pid, num);
  });
}

// flags let another device of the importing process read it; here each can.
aclError aclrtIpcMemImportByKey(void** dev_ptr, const char* key, uint64_t flags) {
  (void)flags;
  return entry(__func__, [=] { return import_range(dev_ptr, key); });
}

aclError aclrtIpcMemClose(const char* key) {
  return entry(__func__, [=] { return close_shared(key); });
}

}  // extern "C"
