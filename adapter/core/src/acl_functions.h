// The one list of the CANN functions that the core calls.
#ifndef NPU_CORE_ACL_FUNCTIONS_H_
#define NPU_CORE_ACL_FUNCTIONS_H_

#include "cann/acl.h"
#include "cann/acl_graph.h"
#include "cann/acl_virtual_memory.h"

// Exported by the simulator only: the CANN version it plays.
extern "C" const char* cann_simulator_version(void);

// CANN without one of these cannot be used at all.
#define NPU_ACL_REQUIRED(X)   \
  X(aclInit)                  \
  X(aclFinalize)              \
  X(aclGetRecentErrMsg)       \
  X(aclrtGetSocName)          \
  X(aclrtGetDeviceCount)      \
  X(aclrtSetDevice)           \
  X(aclrtResetDevice)         \
  X(aclrtSynchronizeDevice)   \
  X(aclrtGetMemInfo)          \
  X(aclrtMalloc)              \
  X(aclrtFree)                \
  X(aclrtMallocHost)          \
  X(aclrtFreeHost)            \
  X(aclrtMemcpy)              \
  X(aclrtMemcpyAsync)         \
  X(aclrtMemsetAsync)         \
  X(aclrtCreateStream)        \
  X(aclrtDestroyStream)       \
  X(aclrtSynchronizeStream)   \
  X(aclrtStreamWaitEvent)     \
  X(aclrtCreateEventWithFlag) \
  X(aclrtDestroyEvent)        \
  X(aclrtRecordEvent)         \
  X(aclrtSynchronizeEvent)    \
  X(aclrtQueryEventStatus)    \
  X(aclrtEventElapsedTime)

// NULL in the table where this CANN does not have it; the caller has another way or says so.
// aclrtMallocAlign32 is aclrtMalloc without 32 bytes of padding, which would cost a whole huge page on
// top of a segment that is a multiple of huge pages. CANN has aclsysGetCANNVersion since 8.1.
#define NPU_ACL_OPTIONAL(X)            \
  X(aclrtMallocAlign32)                \
  X(aclrtCreateStreamWithConfig)       \
  X(aclrtCreateEventExWithFlag)        \
  X(aclrtStreamQuery)                  \
  X(aclrtDeviceCanAccessPeer)          \
  X(aclrtDeviceEnablePeerAccess)       \
  X(aclsysGetCANNVersion)              \
  X(aclrtIpcMemGetExportKey)           \
  X(aclrtIpcMemImportByKey)            \
  X(aclrtIpcMemClose)                  \
  X(aclmdlRICaptureBegin)              \
  X(aclmdlRICaptureGetInfo)            \
  X(aclmdlRICaptureEnd)                \
  X(aclmdlRIExecuteAsync)              \
  X(aclmdlRIDestroy)                   \
  X(aclmdlRICaptureThreadExchangeMode) \
  X(cann_simulator_version)

namespace npu {

struct AclFunctions {
#define NPU_ACL_MEMBER(name) decltype(&::name) name = nullptr;
  NPU_ACL_REQUIRED(NPU_ACL_MEMBER)
  NPU_ACL_OPTIONAL(NPU_ACL_MEMBER)
#undef NPU_ACL_MEMBER
};

}  // namespace npu

#endif  // NPU_CORE_ACL_FUNCTIONS_H_
