// One call of an operator by name.
#ifndef CANN_SIMULATOR_NAMED_CALL_H_
#define CANN_SIMULATOR_NAMED_CALL_H_

#include "cann_simulator/abi.h"

namespace cann_simulator {

// The operands, as aclopCompileAndExecute has them.
struct NamedCall {
  const char* name;
  int inputs;
  const aclTensorDesc* const* input_desc;
  const aclDataBuffer* const* input;
  int outputs;
  const aclTensorDesc* const* output_desc;
  aclDataBuffer* const* output;
  const aclopAttr* attributes;
  aclrtStream stream;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_NAMED_CALL_H_
