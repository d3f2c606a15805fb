// Kernels written by hand, for operators that are more than one aclnn call. ops/ops.yaml registers them.
#ifndef NPU_GLUE_KERNELS_H_
#define NPU_GLUE_KERNELS_H_

#include <ATen/core/Tensor.h>

#include "compat.h"

namespace npu {}  // namespace npu

#endif  // NPU_GLUE_KERNELS_H_
