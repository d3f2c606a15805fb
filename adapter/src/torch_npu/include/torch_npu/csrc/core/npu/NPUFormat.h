// Formats by CANN's numbers. This adapter keeps every tensor in the plain format of its shape: a private
// format is warned of once, and the tensor stays plain.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "torch_npu/csrc/core/npu/NPUMacros.h"

namespace at_npu {
namespace native {

TORCH_NPU_API int64_t
get_npu_format(const at::Tensor& self);  // NCHW (0) of 4 dimensions, NCDHW (30) of 5, else ND (2)
TORCH_NPU_API std::vector<int64_t> get_npu_storage_sizes(const at::Tensor& self);
TORCH_NPU_API at::Tensor npu_format_cast(const at::Tensor& self, int64_t acl_format);
TORCH_NPU_API at::Tensor empty_with_format(c10::IntArrayRef sizes, const c10::TensorOptions& options,
                                           int64_t format, bool keep_format = false);

}  // namespace native
}  // namespace at_npu
