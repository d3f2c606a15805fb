// CANN's reporting for profilers. The simulator has none, so reports are dropped, as CANN drops them while no
// profiler runs, and starting one fails.
#include <time.h>

#include "status.h"

extern "C" {

int32_t MsprofRegisterCallback(uint32_t moduleId, ProfCommandHandle handle) {
  (void)moduleId;
  (void)handle;
  return 0;
}

int32_t MsprofReportApi(uint32_t nonPersistantFlag, const MsprofApi* api) {
  (void)nonPersistantFlag;
  (void)api;
  return 0;
}

int32_t MsprofReportCompactInfo(uint32_t nonPersistantFlag, const void* data, uint32_t length) {
  (void)nonPersistantFlag;
  (void)data;
  (void)length;
  return 0;
}

int32_t MsprofReportAdditionalInfo(uint32_t nonPersistantFlag, const void* data, uint32_t length) {
  (void)nonPersistantFlag;
  (void)data;
  (void)length;
  return 0;
}

// FNV-1a.
uint64_t MsprofGetHashId(const char* hashInfo, size_t length) {
  uint64_t hash = 14695981039346656037ULL;
  for (size_t index = 0; hashInfo != nullptr && index < length; ++index) {
    hash = (hash ^ static_cast<unsigned char>(hashInfo[index])) * 1099511628211ULL;
  }
  return hash;
}

uint64_t MsprofSysCycleTime(void) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // extern "C"
