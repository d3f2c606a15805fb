// Arithmetic of the reducing operations.
#ifndef CANN_SIMULATOR_HCCL_REDUCTION_H_
#define CANN_SIMULATOR_HCCL_REDUCTION_H_

#include <cstddef>

#include "result.h"

namespace cann_simulator::hccl {

// accumulated[i] = accumulated[i] op values[i] for `count` elements; every step is rounded to the data type.
using Combine = void (*)(void* accumulated, const void* values, std::size_t count);

// nullptr for data types that HCCL does not reduce (unsigned ones, float64) and for what is no reduction.
Combine find_combine(HcclDataType dtype, HcclReduceOp reduction);

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_REDUCTION_H_
