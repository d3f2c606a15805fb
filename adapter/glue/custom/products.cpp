// Products of quantized numbers and of groups.
#include <ATen/ExpandUtils.h>

#include "aclnn_operators.h"
#include "custom/custom.h"
#include "custom/kernels.h"

namespace npu {
namespace custom {
namespace {

constexpr int64_t kPacked = 8;            // numbers of 4 bits in an int32
constexpr int64_t kLargestGroup = 65535;  // of a size that CANN takes as 16 bits

// Whether the last two dimensions lie in memory in the other order.
bool is_transposed(const at::Tensor& x) {
  return x.dim() >= 2 && x.stride(-2) == 1 && x.stride(-1) == x.size(-2) && x.size(-1) * x.size(-2) != 1;
}

// How many columns a product with `weight` has.
int64_t columns_of(const at::Tensor& weight, bool packed) {
  return weight.size(-1) * (packed && !is_transposed(weight) ? kPacked : 1);
}

Dims product_sizes(const char* op, const at::Tensor& x1, const at::Tensor& x2) {
  TORCH_CHECK(x1.dim() >= 2 && x2.dim() >= 2, op,
              ": Expected at least 2-dimensional tensors for arguments 'x1' and ", "'x2', but got sizes ",
              x1.sizes(), " and ", x2.sizes());
  const auto batch = at::infer_size(x1.sizes().slice(0, static_cast<size_t>(x1.dim() - 2)),
                                    x2.sizes().slice(0, static_cast<size_t>(x2.dim() - 2)));
  Dims sizes(batch.begin(), batch.end());
  sizes.push_back(x1.size(-2));
  sizes.push_back(columns_of(x2, x2.scalar_type() == at::kInt));
  return sizes;
}

int64_t group_size(const char* op, OptionalIntArrayRef sizes) {
  if (!sizes.has_value() || sizes->empty()) return 0;
  TORCH_CHECK_VALUE(sizes->size() == 3, op,
                    ": expected group_sizes to be three numbers, for m, n and k, but got ", *sizes);
  int64_t result = 0;
  for (const int64_t size : *sizes) {
    TORCH_CHECK_VALUE(size >= 0 && size <= kLargestGroup, op, ": expected group_sizes from 0 to ",
                      kLargestGroup, ", but got ", *sizes);
    result = (result << 16) + size;
  }
  return result;
}

}  // namespace

at::Tensor quant_matmul(const at::Tensor& x1, const at::Tensor& x2, const at::Tensor& scale,
                        const OptionalTensor& offset, const OptionalTensor& pertoken_scale,
                        const OptionalTensor& bias, OptionalInt output_dtype, OptionalInt x1_dtype,
                        OptionalInt x2_dtype, OptionalInt pertoken_scale_dtype, OptionalInt scale_dtype,
                        OptionalIntArrayRef group_sizes, const OptionalTensor& y_scale) {
  constexpr const char* op = "npu_quant_matmul";
  const Run run(op, x1, x2, scale);
  const Storage kind = storage_of(output_dtype, at::kChar);
  at::Tensor out = made(x1, product_sizes(op, x1, x2), kind.dtype);
  if (!run.writes({out})) return out;
  const bool half_packed = x1.scalar_type() == at::kChar && x2.scalar_type() == at::kInt;
  const bool whole = !x1_dtype.has_value() && !half_packed &&
                     (x1.scalar_type() == at::kInt || x1.scalar_type() == at::kChar);
  // A scale in float32 becomes CANN's own 64 bits where the result is quantized again, or is float16.
  at::Tensor factors = scale;
  const bool plain = kind.dtype == at::kInt || (kind.dtype == at::kBFloat16 && whole);
  if (scale.scalar_type() == at::kFloat && !given(pertoken_scale) && !plain) {
    const bool wider = given(offset) && offset->numel() > scale.numel();
    factors = made(scale, wider ? offset->sizes() : scale.sizes(), at::kLong);
    aclnn::TransQuantParamV2(scale, offset, factors);
  }
  const OptionalTensor nothing;
  const at::Tensor row_scale = given(pertoken_scale) ? *pertoken_scale : at::Tensor();
  const aclDataType row_dtype =
      given(pertoken_scale) ? acl_of(pertoken_scale_dtype, row_scale.scalar_type()) : ACL_FLOAT;
  aclnn::QuantMatmulV5(typed(x1, acl_of(x1_dtype, x1.scalar_type())),
                       typed(x2, acl_of(x2_dtype, x2.scalar_type())), typed(row_scale, row_dtype),
                       typed(factors, acl_of(scale_dtype, factors.scalar_type())), y_scale, none,
                       half_packed ? nothing : offset, half_packed ? offset : nothing, bias, false, false,
                       group_size(op, group_sizes), typed(out, kind.acl));
  return out;
}

namespace {

struct Groups {
  int64_t split_item;  // 0 and 1: a result for each tensor, 2 and 3: one result
  int64_t type;        // -1: no groups, 0: of rows, 2: of the dimension that is summed over
  const OptionalTensor& list;
};

constexpr const char* kGrouped = "npu_grouped_matmul";

void check_groups(at::TensorList x, at::TensorList weight, OptionalInt group_type, const Groups& groups) {
  TORCH_CHECK_VALUE(!x.empty() && !weight.empty(), kGrouped,
                    ": expected non-empty lists of tensors for x and weight");
  TORCH_CHECK_VALUE(group_type.has_value(), kGrouped,
                    ": group_type is needed: -1 for no groups, 0 for groups of rows, ",
                    "2 for groups of the dimension that is summed over");
  TORCH_CHECK_VALUE(groups.type == -1 || groups.type == 0 || groups.type == 2, kGrouped,
                    ": expected group_type to be -1, 0 or 2, but got ", groups.type);
  TORCH_CHECK_VALUE(groups.split_item >= 0 && groups.split_item <= 3, kGrouped,
                    ": expected split_item to be 0, 1, 2 or 3, but got ", groups.split_item);
  for (const at::Tensor& one : x)
    TORCH_CHECK(one.dim() >= 2, kGrouped,
                ": Expected at least 2-dimensional tensors in x, but got one of sizes ", one.sizes());
  for (const at::Tensor& one : weight)
    TORCH_CHECK(one.dim() == 2 || one.dim() == 3, kGrouped,
                ": Expected 2 or 3-dimensional tensors in weight, but got one of sizes ", one.sizes());
}

// A result for each tensor of x.
std::vector<at::Tensor> apart(at::TensorList x, at::TensorList weight, const Groups& groups,
                              at::ScalarType dtype) {
  refuse(kGrouped, x.size() == 1 && given(groups.list) && groups.list->numel() > 0,
         "results of their own for groups of one x, whose sizes it would have to wait for; use split_item=3");
  TORCH_CHECK_VALUE(weight.size() == 1 || weight.size() == x.size(), kGrouped,
                    ": expected one weight, or one for each of ", x.size(), " tensors in x, but got ",
                    weight.size());
  std::vector<at::Tensor> results;
  for (size_t i = 0; i < x.size(); ++i) {
    const at::Tensor& factor = weight[weight.size() == 1 ? 0 : i];
    const int64_t columns = columns_of(factor, factor.scalar_type() == at::kInt);
    results.push_back(made(x[i], without_last(x[i], 1, {columns}), dtype));
  }
  return results;
}

// One result with the rows of all.
at::Tensor together(at::TensorList x, at::TensorList weight, const Groups& groups, at::ScalarType dtype) {
  const int64_t columns = columns_of(weight[0], weight[0].scalar_type() == at::kInt);
  if (groups.type == 2) {
    TORCH_CHECK_VALUE(x.size() == 1 && weight.size() == 1 && given(groups.list), kGrouped,
                      ": groups of the sum need one x, one weight and a group_list");
    return made(x[0], {groups.list->size(0), x[0].size(0), columns}, dtype);
  }
  int64_t rows = 0;
  for (const at::Tensor& one : x) rows += one.size(0);
  return made(x[0], {rows, columns}, dtype);
}

}  // namespace

std::vector<at::Tensor> grouped_matmul(
    at::TensorList x, at::TensorList weight, const OptionalTensors& bias, const OptionalTensors& scale,
    const OptionalTensors& offset, const OptionalTensors& antiquant_scale,
    const OptionalTensors& antiquant_offset, const OptionalTensors& per_token_scale,
    const OptionalTensor& group_list, const OptionalTensors& activation_input,
    const OptionalTensors& activation_quant_scale, const OptionalTensors& activation_quant_offset,
    OptionalInt split_item, OptionalInt group_type, OptionalInt group_list_type, OptionalInt act_type,
    OptionalIntArrayRef tuning_config, OptionalInt output_dtype, OptionalInt x_dtype,
    OptionalInt weight_dtype, OptionalInt scale_dtype, OptionalInt per_token_scale_dtype) {
  const Groups groups{split_item.value_or(0), group_type.value_or(-1), group_list};
  check_groups(x, weight, group_type, groups);
  refuse(kGrouped, x_dtype || weight_dtype || scale_dtype || per_token_scale_dtype,
         "x_dtype, weight_dtype, scale_dtype and per_token_scale_dtype yet; give tensors of that dtype");
  const Run run(kGrouped, x, weight);
  const at::ScalarType dtype = dtype_of(output_dtype, x[0].scalar_type());
  std::vector<at::Tensor> out;
  if (groups.split_item < 2)
    out = apart(x, weight, groups, dtype);
  else
    out.push_back(together(x, weight, groups, dtype));
  bool any = false;
  for (const at::Tensor& one : out) any = any || run.writes({one});
  if (!any) return out;
  if (tuning_config.has_value() && !tuning_config->empty()) {
    aclnn::GroupedMatmulV5(x, weight, bias, scale, offset, antiquant_scale, antiquant_offset, per_token_scale,
                           group_list, activation_input, activation_quant_scale, activation_quant_offset,
                           groups.split_item, groups.type, group_list_type.value_or(0), act_type.value_or(0),
                           tuning_config, out, none, none);
  } else {
    aclnn::GroupedMatmulV4(x, weight, bias, scale, offset, antiquant_scale, antiquant_offset, per_token_scale,
                           group_list, activation_input, activation_quant_scale, activation_quant_offset,
                           groups.split_item, groups.type, group_list_type.value_or(0), act_type.value_or(0),
                           out, none, none);
  }
  return out;
}

}  // namespace custom
}  // namespace npu
