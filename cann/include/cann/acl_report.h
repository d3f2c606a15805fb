// CANN's log and its profiling interfaces, as far as an adapter uses them without a profiler. The rules of
// acl.h hold.
#ifndef CANN_ACL_REPORT_H_
#define CANN_ACL_REPORT_H_

#include "cann/acl.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { ACL_DEBUG = 0, ACL_INFO = 1, ACL_WARNING = 2, ACL_ERROR = 3 } aclLogLevel;
void aclAppLog(aclLogLevel logLevel, const char* func, const char* file, uint32_t line, const char* fmt, ...)
    __attribute__((format(printf, 5, 6)));

typedef int32_t (*ProfCommandHandle)(uint32_t type, void* data, uint32_t len);
typedef struct MsprofApi MsprofApi;

// A component registers to hear when a profiler starts; what it reports without one is dropped.
int32_t MsprofRegisterCallback(uint32_t moduleId, ProfCommandHandle handle);
int32_t MsprofReportApi(uint32_t nonPersistantFlag, const MsprofApi* api);
int32_t MsprofReportCompactInfo(uint32_t nonPersistantFlag, const void* data, uint32_t length);
int32_t MsprofReportAdditionalInfo(uint32_t nonPersistantFlag, const void* data, uint32_t length);
uint64_t MsprofGetHashId(const char* hashInfo, size_t length);
uint64_t MsprofSysCycleTime(void);  // the counter that reports carry as time

#ifdef __cplusplus
}
#endif
#endif  // CANN_ACL_REPORT_H_
