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
};

// Phase one: checks the arguments (`given`, as many as the operator has parameters) and makes an executor.
// Arguments that were checked before with the same shapes, types and values are not checked again.
aclnnStatus prepare(const Operator& operation, const Given* given, uint64_t* workspace_size,
                    aclOpExecutor** executor);

// Phase two: consumes the executor and queues the kernel.
aclnnStatus launch(const Operator& operation, void* workspace, uint64_t workspace_size,
                   aclOpExecutor* executor, aclrtStream stream);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_OPERATOR_H_
