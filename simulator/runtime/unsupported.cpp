// Functions of libascendcl that the simulator lacks. They exist, so that a program that was linked against
// CANN loads, and each returns an error that names it: never success, which would leave garbage behind.
#include "status.h"

// CANN's declarations differ in their parameters; none is read here, so one form serves all. A caller
// passes and clears its own arguments in the C calling conventions of x86-64 and AArch64.
#define CANN_SIMULATOR_UNSUPPORTED(name)                                                                  \
  extern "C" __attribute__((visibility("default"))) aclError name(void) {                                 \
    return cann_simulator::entry(#name, [] {                                                              \
      return cann_simulator::lacking(ACL_ERROR_API_NOT_SUPPORT, "the CANN simulator does not have this"); \
    });                                                                                                   \
  }

// Device binaries and kernels of one's own.
CANN_SIMULATOR_UNSUPPORTED(aclrtBinaryLoadFromData)
CANN_SIMULATOR_UNSUPPORTED(aclrtBinaryGetFunction)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetFunctionAddr)
CANN_SIMULATOR_UNSUPPORTED(aclrtLaunchKernel)
CANN_SIMULATOR_UNSUPPORTED(aclrtLaunchKernelWithHostArgs)

// Errors of the hardware and their repair, caches, flags and events of the hardware.
CANN_SIMULATOR_UNSUPPORTED(aclrtGetMemUceInfo)
CANN_SIMULATOR_UNSUPPORTED(aclrtMemUceRepair)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetErrorVerbose)
CANN_SIMULATOR_UNSUPPORTED(aclrtRepairError)
CANN_SIMULATOR_UNSUPPORTED(aclrtDeviceTaskAbort)
CANN_SIMULATOR_UNSUPPORTED(aclrtCmoAsync)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetHardwareSyncAddr)
CANN_SIMULATOR_UNSUPPORTED(aclrtMallocHostWithCfg)
CANN_SIMULATOR_UNSUPPORTED(aclrtGetMemUsageInfo)

// Dumps of what operators read and write.
CANN_SIMULATOR_UNSUPPORTED(aclmdlInitDump)
CANN_SIMULATOR_UNSUPPORTED(aclmdlSetDump)
CANN_SIMULATOR_UNSUPPORTED(aclmdlFinalizeDump)
CANN_SIMULATOR_UNSUPPORTED(aclopStartDumpArgs)
CANN_SIMULATOR_UNSUPPORTED(aclopStopDumpArgs)

// Steps of a profile.
CANN_SIMULATOR_UNSUPPORTED(aclprofGetStepTimestamp)

// Kernels by the runtime below ACL.
CANN_SIMULATOR_UNSUPPORTED(rtDevBinaryRegister)
CANN_SIMULATOR_UNSUPPORTED(rtFunctionRegister)
CANN_SIMULATOR_UNSUPPORTED(rtKernelLaunch)
CANN_SIMULATOR_UNSUPPORTED(rtGetC2cCtrlAddr)
