// Functions of libascendcl that the simulator lacks. They exist, so that a program that was linked against
// CANN loads, and each returns an error that names it: never success, which would leave garbage behind.
#include "status.h"

// CANN's declarations differ in their parameters; none is read here, so one form serves all. A caller
// passes and clears its own arguments in the C calling conventions of x86-64 and AArch64.
#define CANN_SIMULATOR_UNSUPPORTED(name)                                                                  \
  extern "C" __attribute__((visibility("default"))) aclError name(void) {                                 \
    return cann_simulator::entry(#name, [] {                                                              \
      return cann_simulator::failure(ACL_ERROR_API_NOT_SUPPORT, "the CANN simulator does not have this"); \
    });                                                                                                   \
  }

// Virtual memory and memory shared between processes.
CANN_SIMULATOR_UNSUPPORTED(aclrtReserveMemAddress)
CANN_SIMULATOR_UNSUPPORTED(aclrtReleaseMemAddress)
CANN_SIMULATOR_UNSUPPORTED(aclrtMallocPhysical)
CANN_SIMULATOR_UNSUPPORTED(aclrtFreePhysical)
CANN_SIMULATOR_UNSUPPORTED(aclrtMapMem)
CANN_SIMULATOR_UNSUPPORTED(aclrtUnmapMem)
CANN_SIMULATOR_UNSUPPORTED(aclrtMemExportToShareableHandle)
CANN_SIMULATOR_UNSUPPORTED(aclrtMemImportFromShareableHandle)
CANN_SIMULATOR_UNSUPPORTED(aclrtMemSetPidToShareableHandle)
CANN_SIMULATOR_UNSUPPORTED(aclrtDeviceGetBareTgid)
CANN_SIMULATOR_UNSUPPORTED(aclrtIpcMemGetExportKey)
CANN_SIMULATOR_UNSUPPORTED(aclrtIpcMemImportByKey)
CANN_SIMULATOR_UNSUPPORTED(aclrtIpcMemClose)
CANN_SIMULATOR_UNSUPPORTED(aclrtIpcMemSetImportPid)
CANN_SIMULATOR_UNSUPPORTED(aclrtHostRegister)
CANN_SIMULATOR_UNSUPPORTED(aclrtHostUnregister)

// Callbacks served by a thread of the program; aclrtLaunchHostFunc is there.
CANN_SIMULATOR_UNSUPPORTED(aclrtSubscribeReport)
CANN_SIMULATOR_UNSUPPORTED(aclrtUnSubscribeReport)
CANN_SIMULATOR_UNSUPPORTED(aclrtProcessReport)
CANN_SIMULATOR_UNSUPPORTED(aclrtLaunchCallback)

// Device binaries and kernels of one's own.
CANN_SIMULATOR_UNSUPPORTED(aclrtBinaryLoadFromData)
CANN_SIMULATOR_UNSUPPORTED(aclrtBinaryGetFunction)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetFunctionAddr)
CANN_SIMULATOR_UNSUPPORTED(aclrtLaunchKernel)
CANN_SIMULATOR_UNSUPPORTED(aclrtLaunchKernelWithHostArgs)

// Captured graphs.
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICaptureBegin)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICaptureEnd)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICaptureGetInfo)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRIExecuteAsync)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRIDestroy)

// Overflow detection, failure modes and time limits of operators.
CANN_SIMULATOR_UNSUPPORTED(aclrtSetDeviceSatMode)
CANN_SIMULATOR_UNSUPPORTED(aclrtSetStreamFailureMode)
CANN_SIMULATOR_UNSUPPORTED(aclrtSetStreamOverflowSwitch)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetStreamOverflowSwitch)
CANN_SIMULATOR_UNSUPPORTED(aclrtSetOpWaitTimeout)
CANN_SIMULATOR_UNSUPPORTED(aclrtSetOpExecuteTimeOut)
