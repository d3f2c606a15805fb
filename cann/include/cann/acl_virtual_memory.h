// CANN's virtual memory and memory between processes (libascendcl). The rules of acl.h hold.
#ifndef CANN_ACL_VIRTUAL_MEMORY_H_
#define CANN_ACL_VIRTUAL_MEMORY_H_

#include "cann/acl.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void* aclrtDrvMemHandle;
typedef enum { ACL_MEM_HANDLE_TYPE_NONE = 0, ACL_MEM_HANDLE_TYPE_POSIX = 2 } aclrtMemHandleType;
typedef enum { ACL_MEM_ALLOCATION_TYPE_PINNED = 0 } aclrtMemAllocationType;
typedef enum {
  ACL_RT_MEM_ALLOC_GRANULARITY_MINIMUM = 0,
  ACL_RT_MEM_ALLOC_GRANULARITY_RECOMMENDED = 1,
} aclrtMemGranularityOptions;
typedef struct {
  aclrtMemHandleType handleType;
  aclrtMemAllocationType allocationType;
  int memAttr;  // an aclrtMemAttr: which pages
  aclrtMemLocation location;
  uint64_t reserve;
} aclrtPhysicalMemProp;

// Addresses without memory, then memory without addresses, then one mapped onto the other. Sizes and offsets
// are multiples of the granularity; what was mapped in one call is unmapped by its start.
aclError aclrtReserveMemAddress(void** virPtr, size_t size, size_t alignment, void* expectPtr,
                                uint64_t flags);
aclError aclrtReleaseMemAddress(void* virPtr);
aclError aclrtMallocPhysical(aclrtDrvMemHandle* handle, size_t size, const aclrtPhysicalMemProp* prop,
                             uint64_t flags);
aclError aclrtFreePhysical(aclrtDrvMemHandle handle);  // the memory goes with its last mapping
aclError aclrtMapMem(void* virPtr, size_t size, size_t offset, aclrtDrvMemHandle handle, uint64_t flags);
aclError aclrtUnmapMem(void* virPtr);
aclError aclrtMemGetAllocationGranularity(aclrtPhysicalMemProp* prop, aclrtMemGranularityOptions option,
                                          size_t* granularity);

// Memory of one process in another. The exporting process names who may import, unless a flag says everybody.
#define ACL_RT_VMM_EXPORT_FLAG_DISABLE_PID_VALIDATION 0x1UL
#define ACL_RT_IPC_MEM_EXPORT_FLAG_DISABLE_PID_VALIDATION 0x1UL
aclError aclrtMemExportToShareableHandle(aclrtDrvMemHandle handle, aclrtMemHandleType handleType,
                                         uint64_t flags, uint64_t* shareableHandle);
aclError aclrtMemSetPidToShareableHandle(uint64_t shareableHandle, int32_t* pid, size_t pidNum);
aclError aclrtMemImportFromShareableHandle(uint64_t shareableHandle, int32_t deviceId,
                                           aclrtDrvMemHandle* handle);
aclError aclrtIpcMemGetExportKey(void* devPtr, size_t size, char* key, size_t len, uint64_t flags);
aclError aclrtIpcMemSetImportPid(const char* key, int32_t* pid, size_t num);
aclError aclrtIpcMemImportByKey(void** devPtr, const char* key, uint64_t flags);
aclError aclrtIpcMemClose(const char* key);  // what this process imported, or exported, by the key

#ifdef __cplusplus
}
#endif
#endif  // CANN_ACL_VIRTUAL_MEMORY_H_
