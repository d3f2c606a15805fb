// The one test frame of the C++ tests on both sides of CANN's C interface: cases by name, checks that end the
// process.
//
//   TEST_CASE(an_event_is_done) { CHECK_OK(aclrtSynchronizeEvent(event)); }
//   int main(int argc, char** argv) { return test::run(argc, argv); }
//
// `<program>` runs all cases of a file in the order of their definitions; `<program> <case>...` the named
// ones. A failed check ends the process at once, from any thread and in a forked child too: what follows in a
// process whose state is wrong means nothing, and no exception may pass through a callback of CANN. A file
// may do its own part of main before and after.
//
// A suite says before it includes this how to ask the library under test for the thread's last message:
//   #define TEST_LAST_MESSAGE() npu_last_error()
#ifndef CANN_TESTING_CASES_H_
#define CANN_TESTING_CASES_H_

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace test {

using Case = std::pair<std::string, void (*)()>;

// In the order of their definitions in the file.
inline std::vector<Case>& cases() {
  static std::vector<Case> registered;
  return registered;
}

// What CANN or the core said last; the functions that tell it may do so only once.
inline std::string last_message() {
  const char* text = TEST_LAST_MESSAGE();
  return text != nullptr ? text : "";
}

// Says where and why, and ends the process without its exit handlers.
[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  std::fflush(stderr);
  _exit(1);
}

// Calls come with their text and their value.
inline void check_equal(const char* file, int line, const char* left_text, long long left,
                        const char* right_text, long long right) {
  if (left == right) return;
  fail(file, line,
       std::string(left_text) + " is " + std::to_string(left) + ", " + right_text + " is " +
           std::to_string(right) + "\n  last message: " + last_message());
}

inline void check_message(const char* file, int line, const std::string& part) {
  const std::string message = last_message();
  if (message.find(part) != std::string::npos) return;
  fail(file, line, "'" + message + "' does not say '" + part + "'");
}

// The exit code of the program: 2 for a case that is not there.
inline int run(int argc, char** argv) {
  std::vector<Case> chosen;
  for (int i = 1; i < argc; ++i) {
    const auto found =
        std::find_if(cases().begin(), cases().end(), [&](const Case& one) { return one.first == argv[i]; });
    if (found == cases().end()) {
      std::fprintf(stderr, "%s has no case '%s'; its cases are:\n", argv[0], argv[i]);
      for (const Case& one : cases()) std::fprintf(stderr, "  %s\n", one.first.c_str());
      return 2;
    }
    chosen.push_back(*found);
  }
  for (const Case& one : argc > 1 ? chosen : cases()) {
    std::printf("%s\n", one.first.c_str());
    std::fflush(stdout);
    one.second();
  }
  return 0;
}

}  // namespace test

#define TEST_CASE(name)                                                                              \
  static void name();                                                                                \
  [[maybe_unused]] static bool registered_##name = (test::cases().emplace_back(#name, &name), true); \
  static void name()

#define CHECK(condition)                                                                   \
  do {                                                                                     \
    if (!(condition))                                                                      \
      test::fail(__FILE__, __LINE__,                                                       \
                 "CHECK(" #condition ") failed\n  last message: " + test::last_message()); \
  } while (false)

// Of two numbers.
#define CHECK_EQUAL(left, right)                                                     \
  test::check_equal(__FILE__, __LINE__, #left, static_cast<long long>(left), #right, \
                    static_cast<long long>(right))

// The call gives 0, which is success in every interface here.
#define CHECK_OK(call) CHECK_EQUAL(call, 0)

// The thread's last message has the text.
#define CHECK_MESSAGE(part) test::check_message(__FILE__, __LINE__, part)

// The call gives that code, and its message has the text.
#define CHECK_FAILS(call, code, part) \
  do {                                \
    CHECK_EQUAL(call, code);          \
    CHECK_MESSAGE(part);              \
  } while (false)

#endif  // CANN_TESTING_CASES_H_
