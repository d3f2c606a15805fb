// Operators by name that compute what an aclnn operator computes, for adapters that have only the name.
#ifndef CANN_SIMULATOR_SAME_AS_ACLNN_H_
#define CANN_SIMULATOR_SAME_AS_ACLNN_H_

#include "named_call.h"

namespace cann_simulator {

// Cdist: the distances of two tensors along their last dimension, which is summed over; attribute `p`, where
// -1 stands for infinity. By aclnnCdist.
aclError cdist(const NamedCall& call);

// LogSpaceD: `steps` powers of `base`, from `start` to `end`. The input, which counts the steps, is not read.
// By aclnnLogSpace.
aclError log_space(const NamedCall& call);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_SAME_AS_ACLNN_H_
