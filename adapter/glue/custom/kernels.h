// Operators of ops/custom.yaml that a row cannot express; each takes what its schema says.
#ifndef NPU_GLUE_CUSTOM_KERNELS_H_
#define NPU_GLUE_CUSTOM_KERNELS_H_

#include <ATen/core/Tensor.h>

#include <vector>

#include "compat.h"

namespace npu {
namespace custom {

using OptionalTensor = optional<at::Tensor>;
using OptionalTensors = optional<at::TensorList>;
using OptionalInt = optional<int64_t>;

at::Tensor quant_matmul(const at::Tensor& x1, const at::Tensor& x2, const at::Tensor& scale,
                        const OptionalTensor& offset, const OptionalTensor& pertoken_scale,
                        const OptionalTensor& bias, OptionalInt output_dtype, OptionalInt x1_dtype,
                        OptionalInt x2_dtype, OptionalInt pertoken_scale_dtype, OptionalInt scale_dtype,
                        OptionalIntArrayRef group_sizes, const OptionalTensor& y_scale);

std::vector<at::Tensor> grouped_matmul(
    at::TensorList x, at::TensorList weight, const OptionalTensors& bias, const OptionalTensors& scale,
    const OptionalTensors& offset, const OptionalTensors& antiquant_scale,
    const OptionalTensors& antiquant_offset, const OptionalTensors& per_token_scale,
    const OptionalTensor& group_list, const OptionalTensors& activation_input,
    const OptionalTensors& activation_quant_scale, const OptionalTensors& activation_quant_offset,
    OptionalInt split_item, OptionalInt group_type, OptionalInt group_list_type, OptionalInt act_type,
    OptionalIntArrayRef tuning_config, OptionalInt output_dtype, OptionalInt x_dtype,
    OptionalInt weight_dtype, OptionalInt scale_dtype, OptionalInt per_token_scale_dtype);

}  // namespace custom
}  // namespace npu

#endif  // NPU_GLUE_CUSTOM_KERNELS_H_
