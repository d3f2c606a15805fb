// BroadcastTo, the operator by name that adapters have no aclnn operator for: they copy an expanded tensor
// with it.
#ifndef CANN_SIMULATOR_BROADCAST_H_
#define CANN_SIMULATOR_BROADCAST_H_

#include "cann_simulator/abi.h"

namespace cann_simulator {

// Queues the copy of a contiguous tensor to one of its shape or of a larger one that it broadcasts to.
aclError broadcast_to(const aclTensorDesc* source, const aclDataBuffer* source_data,
                      const aclTensorDesc* target, const aclDataBuffer* target_data, aclrtStream stream);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_BROADCAST_H_
