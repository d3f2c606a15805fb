// Identity, the operator by name with which adapters move a tensor between CANN's private formats.
#ifndef CANN_SIMULATOR_FORMATS_H_
#define CANN_SIMULATOR_FORMATS_H_

#include "cann_simulator/abi.h"

namespace cann_simulator {

// Queues the copy of a tensor into one of the same logical shape and type that is stored in another format.
// Knows the plain formats, NC1HWC0 and FRACTAL_NZ; what fills up their blocks is zero.
aclError identity(const aclTensorDesc* source, const aclDataBuffer* source_data, const aclTensorDesc* target,
                  const aclDataBuffer* target_data, aclrtStream stream);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_FORMATS_H_
