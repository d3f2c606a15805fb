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
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICaptureEnd)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRIExecuteAsync)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRIDestroy)

// Limits on cores, memory errors, direct memory access.
CANN_SIMULATOR_UNSUPPORTED(aclrtSetDeviceResLimit)
CANN_SIMULATOR_UNSUPPORTED(aclrtResetDeviceResLimit)
CANN_SIMULATOR_UNSUPPORTED(aclrtSetStreamResLimit)
CANN_SIMULATOR_UNSUPPORTED(aclrtResetStreamResLimit)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetStreamResLimit)
CANN_SIMULATOR_UNSUPPORTED(aclrtUseStreamResInCurrentThread)
CANN_SIMULATOR_UNSUPPORTED(aclrtUnuseStreamResInCurrentThread)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetResInCurrentThread)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetMemUceInfo)
CANN_SIMULATOR_UNSUPPORTED(aclrtMemUceRepair)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetErrorVerbose)
CANN_SIMULATOR_UNSUPPORTED(aclrtRepairError)
CANN_SIMULATOR_UNSUPPORTED(aclrtDeviceTaskAbort)
CANN_SIMULATOR_UNSUPPORTED(aclrtCmoAsync)
CANN_SIMULATOR_UNSUPPORTED(aclrtValueWait)
CANN_SIMULATOR_UNSUPPORTED(aclrtValueWrite)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetHardwareSyncAddr)
CANN_SIMULATOR_UNSUPPORTED(aclrtMallocHostWithCfg)
CANN_SIMULATOR_UNSUPPORTED(aclrtIpcGetEventHandle)
CANN_SIMULATOR_UNSUPPORTED(aclrtIpcOpenEventHandle)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetMemUsageInfo)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICaptureTaskGrpBegin)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICaptureTaskGrpEnd)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICaptureTaskUpdateBegin)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICaptureTaskUpdateEnd)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICaptureToModelRIBegin)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICondHandleCreate)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRICondHandleGetCondPtr)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRIAddCondTask)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRIDebugPrint)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRIDebugJsonPrint)
CANN_SIMULATOR_UNSUPPORTED(aclmdlRIGetId)
CANN_SIMULATOR_UNSUPPORTED(aclmdlInitDump)
CANN_SIMULATOR_UNSUPPORTED(aclmdlSetDump)
CANN_SIMULATOR_UNSUPPORTED(aclmdlFinalizeDump)
CANN_SIMULATOR_UNSUPPORTED(aclopStartDumpArgs)
CANN_SIMULATOR_UNSUPPORTED(aclopStopDumpArgs)
CANN_SIMULATOR_UNSUPPORTED(aclprofInit)
CANN_SIMULATOR_UNSUPPORTED(aclprofStart)
CANN_SIMULATOR_UNSUPPORTED(aclprofStop)
CANN_SIMULATOR_UNSUPPORTED(aclprofFinalize)
CANN_SIMULATOR_UNSUPPORTED(aclprofGetStepTimestamp)
CANN_SIMULATOR_UNSUPPORTED(rtDevBinaryRegister)
CANN_SIMULATOR_UNSUPPORTED(rtFunctionRegister)
CANN_SIMULATOR_UNSUPPORTED(rtKernelLaunch)
CANN_SIMULATOR_UNSUPPORTED(rtGetC2cCtrlAddr)
CANN_SIMULATOR_UNSUPPORTED(aclrtQueryEventWaitStatus)
CANN_SIMULATOR_UNSUPPORTED(aclrtResetEvent)
