#include "error.h"

#include <cstdarg>
#include <cstdio>

namespace npu {
namespace {

// A plain array: a thread-local std::string would be destroyed before other thread-local
// destructors of the same thread, which may still fail and want to say so.
thread_local char last_error[4096] = "";

}  // namespace

npu_status Fail(npu_status status, const char* format, ...) {
  // Formatted aside first, since an argument may be the last message itself.
  char message[sizeof(last_error)];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  std::snprintf(last_error, sizeof(last_error), "%s", message);
  return status;
}

const char* LastError() { return last_error; }

}  // namespace npu

extern "C" const char* npu_last_error(void) { return npu::LastError(); }
