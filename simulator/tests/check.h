// The shared test frame (cann/testing/cases.h), with CANN's own last message.
#ifndef CANN_SIMULATOR_TESTS_CHECK_H_
#define CANN_SIMULATOR_TESTS_CHECK_H_

#include "cann/acl.h"

#define TEST_LAST_MESSAGE() aclGetRecentErrMsg()
#include "testing/cases.h"

namespace test {

// As run(), from aclInit to aclFinalize, with device 0 set.
inline int run_on_device(int argc, char** argv) {
  CHECK_OK(aclInit(nullptr));
  CHECK_OK(aclrtSetDevice(0));
  const int code = run(argc, argv);
  CHECK_OK(aclFinalize());
  return code;
}

}  // namespace test

#endif  // CANN_SIMULATOR_TESTS_CHECK_H_
