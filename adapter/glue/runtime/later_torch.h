// A build for torch 2.13 runs on 2.14 and 2.15 too, and asks here whether it is in one of these.
//
// What moved between 2.13 and 2.14, of all that this library uses: a virtual function of generators
// (generator_2_14.cpp), and an argument of the function behind torch::autograd::Function (later_torch.cpp).
// The class of process group backends moved in both, so each gets a library of its own
// (distributed/later_torch). What 2.15 lacks of what its headers call is in cann/cmake/report_overflow.cpp.
#ifndef NPU_GLUE_RUNTIME_LATER_TORCH_H_
#define NPU_GLUE_RUNTIME_LATER_TORCH_H_

#include "compat.h"

namespace npu {

#if NPU_SERVES_LATER
bool torch_is_later();
#endif

}  // namespace npu

#endif  // NPU_GLUE_RUNTIME_LATER_TORCH_H_
