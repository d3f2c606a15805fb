// Recurrent networks, which adapters ask for by name: a whole layer, and its gradient, in one operator.
#ifndef CANN_SIMULATOR_RECURRENT_H_
#define CANN_SIMULATOR_RECURRENT_H_

#include "named_call.h"

namespace cann_simulator {

// DynamicRNN and DynamicRNNV2 (LSTM, gates in the order "ifjo"), DynamicGRUV2 ("rzh", reset after the
// product), and their gradients, of float32, float16 and bfloat16: computed in float32 and rounded once.
// False for another name.
bool recurrent(const NamedCall& call, aclError* result);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_RECURRENT_H_
