#include "error.h"

#include <cstdarg>
#include <cstdio>

namespace npu {
namespace {

// A plain array: a thread-local std::string would be destroyed before other thread-local
// destructors of the same thread, which may still fail and want to say so.
thread_local char message_of_thread[4096] = "";

}  // namespace

npu_status fail(npu_status status, const char* format, ...) {
  // Formatted aside first, since an argument may be the last message itself.
  char message[sizeof(message_of_thread)];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  std::snprintf(message_of_thread, sizeof(message_of_thread), "%s", message);
  return status;
}

const char* last_error() { return message_of_thread; }

}  // namespace npu

extern "C" const char* npu_last_error(void) { return npu::last_error(); }
