// A build for torch 2.13 that runs on 2.14 asks here which of the two it is in.
//
// What moved between them, of all that this library uses: a virtual function of generators
// (generator_2_14.cpp), an argument of the function behind torch::autograd::Function (later_torch.cpp), and
// the class of process group backends, for which 2.14 gets a library of its own (distributed/torch_2_14).
#ifndef NPU_GLUE_RUNTIME_LATER_TORCH_H_
#define NPU_GLUE_RUNTIME_LATER_TORCH_H_

#include "compat.h"

namespace npu {

#if NPU_SERVES_2_14
bool torch_is_2_14();
#endif

}  // namespace npu

#endif  // NPU_GLUE_RUNTIME_LATER_TORCH_H_
