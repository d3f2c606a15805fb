#include "result.h"

#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "cann_simulator/formatted.h"

namespace cann_simulator::hccl {

Result failure(HcclResult code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Result result{code, formatted(format, arguments)};
  va_end(arguments);
  return result;
}

Result system_failure(HcclResult code, const char* format, ...) {
  const int number = errno;
  va_list arguments;
  va_start(arguments, format);
  Result result{code, formatted(format, arguments)};
  va_end(arguments);
  result.message += std::string(": ") + std::strerror(number);
  return result;
}

}  // namespace cann_simulator::hccl
