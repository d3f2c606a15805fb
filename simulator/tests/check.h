// The shared test frame (cann/testing/cases.h), with CANN's own last message.
#ifndef CANN_SIMULATOR_TESTS_CHECK_H_
#define CANN_SIMULATOR_TESTS_CHECK_H_

#include "cann/acl.h"

#define TEST_LAST_MESSAGE() aclGetRecentErrMsg()
#include "testing/cases.h"

#endif  // CANN_SIMULATOR_TESTS_CHECK_H_
