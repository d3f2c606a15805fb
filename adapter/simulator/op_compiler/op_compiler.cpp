// libacl_op_compiler: operators by name, CANN's older path. An adapter that does not find an aclnn operator
// falls back to it, so an answer of success would pass garbage off as a result: every function fails.
#include <cstddef>
#include <string>

#include "cann_simulator/abi.h"

namespace {

aclError refuse(const char* function, const char* op_type) {
  std::string message = std::string(function) + ": the CANN simulator has no operators by name";
  if (op_type != nullptr) message += std::string("; '") + op_type + "' was asked for";
  return cann_simulator_fail(ACL_ERROR_API_NOT_SUPPORT, message.c_str());
}

}  // namespace

// The parameters after the name of the operator are not read, so they are not declared.
#define CANN_SIMULATOR_OPERATOR_BY_NAME(function)                                           \
  extern "C" __attribute__((visibility("default"))) aclError function(const char* opType) { \
    return refuse(#function, opType);                                                       \
  }
#define CANN_SIMULATOR_COMPILER_SETTING(function)                             \
  extern "C" __attribute__((visibility("default"))) aclError function(void) { \
    return refuse(#function, nullptr);                                        \
  }

CANN_SIMULATOR_OPERATOR_BY_NAME(aclopCompile)
CANN_SIMULATOR_OPERATOR_BY_NAME(aclopCompileAndExecute)
CANN_SIMULATOR_OPERATOR_BY_NAME(aclopCompileAndExecuteV2)
CANN_SIMULATOR_OPERATOR_BY_NAME(aclGenGraphAndDumpForOp)
CANN_SIMULATOR_COMPILER_SETTING(aclSetCompileopt)
CANN_SIMULATOR_COMPILER_SETTING(aclGetCompileopt)
CANN_SIMULATOR_COMPILER_SETTING(aclopSetCompileFlag)

// Its result is a size; 0 is how CANN reports a failure.
extern "C" __attribute__((visibility("default"))) std::size_t aclGetCompileoptSize(int opt) {
  (void)opt;
  (void)refuse("aclGetCompileoptSize", nullptr);
  return 0;
}
