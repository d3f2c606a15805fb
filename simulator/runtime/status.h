// How a call of the simulated runtime fails: a CANN code and a sentence, kept per thread for
// aclGetRecentErrMsg.
#ifndef CANN_SIMULATOR_STATUS_H_
#define CANN_SIMULATOR_STATUS_H_

#include <new>
#include <string>
#include <utility>

#include "cann_simulator/abi.h"

namespace cann_simulator {

struct Status {
  aclError code = ACL_SUCCESS;
  std::string message;
  bool lacking = false;  // the simulator lacks what was asked for

  bool ok() const { return code == ACL_SUCCESS; }
};

Status failure(aclError code, const char* format, ...) __attribute__((format(printf, 2, 3)));

// For a function that the simulator lacks as a whole: the failure is counted, for the end of the program.
Status lacking(aclError code, const char* format, ...) __attribute__((format(printf, 2, 3)));

inline Status null_argument(const char* name) { return failure(ACL_ERROR_INVALID_PARAM, "%s is NULL", name); }

// Keeps "function: message" (the bare message without a function) for the calling thread and returns the
// code. A success leaves an older message alone.
aclError report(const char* function, const Status& status);

// The thread's message, left in place.
const std::string& recent_message();

// The thread's message, taken: the second call returns nullptr. Valid until the thread's next call.
const char* take_message();

// The thread's newest error, taken or left in place; ACL_SUCCESS when there is none.
aclError take_code();
aclError peek_code();

// True in a child of fork() whose parent had used the device: streams are gone, locks are in unknown states.
bool forked_after_use();
// From now on a child of fork() is a bad one.
void watch_fork();

// The frame of every entry point: refuses after a bad fork, lets no exception out of the C ABI.
template <class Body>
aclError entry(const char* function, Body&& body) noexcept {
  if (forked_after_use()) {
    return report(function, failure(ACL_ERROR_RT_INTERNAL_ERROR,
                                    "this process was forked after its parent had used the device; "
                                    "start it with the 'spawn' or 'forkserver' method instead"));
  }
  try {
    return report(function, std::forward<Body>(body)());
  } catch (const std::bad_alloc&) {
    return report(function, failure(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host is out of memory"));
  } catch (const std::exception& error) {
    return report(function, failure(ACL_ERROR_RT_INTERNAL_ERROR, "%s", error.what()));
  }
}

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_STATUS_H_
