// The two phases of an aclnn operator, shared by all generated entry points.
#ifndef CANN_SIMULATOR_OPERATOR_H_
#define CANN_SIMULATOR_OPERATOR_H_

#include <cstdint>

#include "arguments.h"

namespace cann_simulator {

// One operator as generated from a row of kernels.yaml.
struct Operator {
  const char* name;              // "aclnnAdd"
  const char* const* arguments;  // their names, in order
  uint64_t workspace;            // bytes that phase two must be given
  // Computes in memory, on a stream.
  void (*run)(Frame& frame);
  // Throws when shapes do not fit, on tensors without data; nullptr when the operator has no such check.
  void (*check)(Frame& frame);
};

// Phase one: collects the arguments with `collect(Arguments&)`, checks them and makes an executor.
// Arguments that were checked before with the same shapes, types and values are not checked again.
template <class Collect>
aclnnStatus prepare(const Operator& operation, uint64_t* workspace_size, aclOpExecutor** executor,
                    Collect collect);

// Phase two: consumes the executor and queues the kernel.
aclnnStatus launch(const Operator& operation, void* workspace, uint64_t workspace_size,
                   aclOpExecutor* executor, aclrtStream stream);

namespace detail {

void make_executor(const Operator& operation, Arguments& arguments, uint64_t* workspace_size,
                   aclOpExecutor** executor);
// Turns the exception that is being handled into a code and a message.
aclnnStatus refused(const char* name) noexcept;

}  // namespace detail

template <class Collect>
aclnnStatus prepare(const Operator& operation, uint64_t* workspace_size, aclOpExecutor** executor,
                    Collect collect) {
  try {
    if (workspace_size == nullptr) throw Refusal{ACLNN_ERR_PARAM_NULLPTR, "workspaceSize is NULL"};
    if (executor == nullptr) throw Refusal{ACLNN_ERR_PARAM_NULLPTR, "executor is NULL"};
    Arguments arguments;
    collect(arguments);
    detail::make_executor(operation, arguments, workspace_size, executor);
    return ACL_SUCCESS;
  } catch (...) {
    return detail::refused(operation.name);
  }
}

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_OPERATOR_H_
