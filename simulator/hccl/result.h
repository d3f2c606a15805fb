// How a call of libhccl ends: HCCL's code and, for a failure, one sentence for aclGetRecentErrMsg.
#ifndef CANN_SIMULATOR_HCCL_RESULT_H_
#define CANN_SIMULATOR_HCCL_RESULT_H_

#include <string>

#pragma GCC visibility push(default)
#include "cann/hccl.h"
#pragma GCC visibility pop

namespace cann_simulator::hccl {

struct Result {
  HcclResult code = HCCL_SUCCESS;
  std::string message;

  bool ok() const { return code == HCCL_SUCCESS; }
};

Result failure(HcclResult code, const char* format, ...) __attribute__((format(printf, 2, 3)));

// The same with what errno says behind it.
Result system_failure(HcclResult code, const char* format, ...) __attribute__((format(printf, 2, 3)));

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_RESULT_H_
