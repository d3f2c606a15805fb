// The text of a failure, as printf would write it. Each library has its own copy: no string passes between
// them.
#ifndef CANN_SIMULATOR_FORMATTED_H_
#define CANN_SIMULATOR_FORMATTED_H_

#include <cstdarg>
#include <cstdio>
#include <string>

namespace cann_simulator {

// At most 1023 bytes; what is longer is cut.
inline std::string formatted(const char* format, va_list arguments) {
  char text[1024];
  vsnprintf(text, sizeof text, format, arguments);
  return text;
}

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_FORMATTED_H_
