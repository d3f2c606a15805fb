// Executors between the two phases of an aclnn call, kept by libnnopbase: that is where CANN's
// aclDestroyAclOpExecutor is, whichever library made the executor.
#ifndef CANN_SIMULATOR_EXECUTORS_H_
#define CANN_SIMULATOR_EXECUTORS_H_

#include "cann/acl.h"

#ifdef __cplusplus
extern "C" {
#endif

// Takes ownership of the content; `kind` tells operators apart. The handle is never given out again. NULL,
// with the content released, when the host is out of memory.
aclOpExecutor* cann_simulator_keep_executor(const void* kind, void* content, void (*release)(void* content));

// The content, owned by the caller from then on; NULL unless the handle is live and of that kind.
void* cann_simulator_take_executor(aclOpExecutor* handle, const void* kind);

#ifdef __cplusplus
}
#endif
#endif  // CANN_SIMULATOR_EXECUTORS_H_
