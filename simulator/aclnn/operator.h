// The two phases of an aclnn operator, shared by all generated entry points.
#ifndef CANN_SIMULATOR_OPERATOR_H_
#define CANN_SIMULATOR_OPERATOR_H_

#include <cstdint>

#include "frame.h"

namespace cann_simulator {

// One operator as generated from a row of the tables.
struct Operator {
  const char* name;  // "aclnnAdd"
  const Parameter* parameters;
  std::size_t count;   // of the parameters
  uint64_t workspace;  // bytes that phase two must be given
  // Computes in memory, on a stream.
  void (*run)(Frame& frame);
  // Throws when shapes do not fit, on tensors without data; nullptr when the operator has no such check.
  void (*check)(Frame& frame);
  // What phase one computes on zeros; another function than `run` where that asks what its tensors hold.
  void (*trial)(Frame& frame);
};

// Phase one: checks the arguments (`given`, as many as the operator has parameters), tries the kernel on
// zeros and makes an executor. What was tried before with the same shapes and types is not tried again.
aclnnStatus prepare(const Operator& operation, const Given* given, uint64_t* workspace_size,
                    aclOpExecutor** executor);

// Phase two: consumes the executor and queues the kernel.
aclnnStatus launch(const Operator& operation, void* workspace, uint64_t workspace_size,
                   aclOpExecutor* executor, aclrtStream stream);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_OPERATOR_H_
