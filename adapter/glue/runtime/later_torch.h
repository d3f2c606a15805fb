// A build for torch 2.13 that runs on 2.14 asks here which of the two it is in.
//
// What moved between them, of all that this library uses: a virtual function of generators
// (generator_2_14.cpp), an argument of the function behind torch::autograd::Function (later_torch.cpp), and
// the classes of process groups, which such a build leaves out on 2.14 (entry_points/process_groups.cpp).
#ifndef NPU_GLUE_RUNTIME_LATER_TORCH_H_
#define NPU_GLUE_RUNTIME_LATER_TORCH_H_

#include "compat.h"

namespace npu {

#if NPU_SERVES_2_14
bool torch_is_2_14();
#endif

}  // namespace npu

#endif  // NPU_GLUE_RUNTIME_LATER_TORCH_H_
