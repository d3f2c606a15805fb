// CANN's profiler, as far as an adapter starts it. The rules of acl.h hold.
#ifndef CANN_ACL_PROF_H_
#define CANN_ACL_PROF_H_

#include "cann/acl.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aclprofConfig aclprofConfig;
typedef struct aclprofAicoreEvents aclprofAicoreEvents;

// The profiler writes into a folder of its own, PROF_..., in the folder that is named here.
aclError aclprofInit(const char* profilerResultPath, size_t length);
aclError aclprofFinalize(void);

// `aicoreMetrics` and `dataTypeConfig` are CANN's enumerations; NULL for an argument that cannot be right.
aclprofConfig* aclprofCreateConfig(uint32_t* deviceIdList, uint32_t deviceNums, int32_t aicoreMetrics,
                                   const aclprofAicoreEvents* aicoreEvents, uint64_t dataTypeConfig);
aclError aclprofDestroyConfig(const aclprofConfig* profilerConfig);
aclError aclprofSetConfig(int32_t configType, const char* config, size_t configLength);

aclError aclprofWarmup(const aclprofConfig* profilerConfig);
aclError aclprofStart(const aclprofConfig* profilerConfig);
aclError aclprofStop(const aclprofConfig* profilerConfig);

// A task that does nothing and has a name of 1 to 127 bytes.
aclError aclprofMarkEx(const char* msg, size_t msgLen, aclrtStream stream);

#ifdef __cplusplus
}
#endif
#endif  // CANN_ACL_PROF_H_
