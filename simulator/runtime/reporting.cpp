// CANN's log, and what adapters report to its profiler. Reports are dropped, as CANN drops them while no
// profiler runs: that of the simulator sees every task itself (profiling.h).
#include <time.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "status.h"

namespace {

int number_in(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr || *text < '0' || *text > '9' ? otherwise : std::atoi(text);
}

}  // namespace

extern "C" {

// CANN writes its log into files unless ASCEND_SLOG_PRINT_TO_STDOUT=1; the simulator writes no files.
void aclAppLog(aclLogLevel log_level, const char* func, const char* file, uint32_t line, const char* fmt,
               ...) {
  static const bool printed = number_in("ASCEND_SLOG_PRINT_TO_STDOUT", 0) == 1;
  static const int level = number_in("ASCEND_GLOBAL_LOG_LEVEL", ACL_ERROR);
  if (!printed || static_cast<int>(log_level) < level || fmt == nullptr) return;
  static constexpr const char* kNames[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
  char text[1024];
  va_list arguments;
  va_start(arguments, fmt);
  vsnprintf(text, sizeof text, fmt, arguments);
  va_end(arguments);
  std::printf("[%s] APP(%d): [%s:%u] %s: %s\n", kNames[log_level & 3], getpid(), file == nullptr ? "" : file,
              line, func == nullptr ? "" : func, text);
}

int32_t MsprofRegisterCallback(uint32_t module_id, ProfCommandHandle handle) {
  (void)module_id;
  (void)handle;
  return 0;
}

int32_t MsprofReportApi(uint32_t non_persistant_flag, const MsprofApi* api) {
  (void)non_persistant_flag;
  (void)api;
  return 0;
}

int32_t MsprofReportCompactInfo(uint32_t non_persistant_flag, const void* data, uint32_t length) {
  (void)non_persistant_flag;
  (void)data;
  (void)length;
  return 0;
}

int32_t MsprofReportAdditionalInfo(uint32_t non_persistant_flag, const void* data, uint32_t length) {
  (void)non_persistant_flag;
  (void)data;
  (void)length;
  return 0;
}

// FNV-1a.
uint64_t MsprofGetHashId(const char* hash_info, size_t length) {
  uint64_t hash = 14695981039346656037ULL;
  for (size_t index = 0; hash_info != nullptr && index < length; ++index) {
    hash = (hash ^ static_cast<unsigned char>(hash_info[index])) * 1099511628211ULL;
  }
  return hash;
}

uint64_t MsprofSysCycleTime(void) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // extern "C"
