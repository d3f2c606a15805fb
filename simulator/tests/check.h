// The whole of what the C++ tests need: named cases, run in order; the process fails with the first that
// does.
#ifndef CANN_SIMULATOR_TESTS_CHECK_H_
#define CANN_SIMULATOR_TESTS_CHECK_H_

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "cann/acl.h"

#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition); \
      _exit(1);                                                                          \
    }                                                                                    \
  } while (false)

// Checks a code and shows CANN's message when it is another.
#define CHECK_CODE(call, expected)                                                                           \
  do {                                                                                                       \
    const int code_of_call = (call);                                                                         \
    if (code_of_call != static_cast<int>(expected)) {                                                        \
      const char* message_of_call = aclGetRecentErrMsg();                                                    \
      std::fprintf(stderr, "%s:%d: %s gave %d instead of %d: %s\n", __FILE__, __LINE__, #call, code_of_call, \
                   static_cast<int>(expected), message_of_call ? message_of_call : "no message");            \
      _exit(1);                                                                                              \
    }                                                                                                        \
  } while (false)

#define CHECK_OK(call) CHECK_CODE(call, ACL_SUCCESS)

// The call fails with that code, and its message has the text.
#define CHECK_FAILS(call, expected, text)                                         \
  do {                                                                            \
    CHECK_CODE(call, expected);                                                   \
    const char* taken = aclGetRecentErrMsg();                                     \
    const std::string message_of_failure = taken != nullptr ? taken : "";         \
    if (message_of_failure.find(text) == std::string::npos) {                     \
      std::fprintf(stderr, "%s:%d: '%s' does not say '%s'\n", __FILE__, __LINE__, \
                   message_of_failure.c_str(), text);                             \
      _exit(1);                                                                   \
    }                                                                             \
  } while (false)

using Case = std::pair<const char*, void (*)()>;

inline int run_cases(const std::vector<Case>& cases) {
  for (const auto& [name, run] : cases) {
    std::printf("%s\n", name);
    std::fflush(stdout);
    run();
  }
  return 0;
}

#endif  // CANN_SIMULATOR_TESTS_CHECK_H_
