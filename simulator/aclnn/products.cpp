#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/silu.h>

#include "kernels.h"
#include "layers.h"
#include "narrow.h"
#include "quant.h"
#include "rules.h"

namespace cann_simulator {
namespace {

at::Tensor exact_product(const at::Tensor& a, const at::Tensor& b) {
  return at::matmul(a.to(at::kDouble), b.to(at::kDouble));
}

at::Tensor activated(const at::Tensor& y, int64_t type) {
  switch (type) {
    case 0:
      return y;
    case 1:
      return y.relu();
    case 2:
      return y * gelu_gate(y, 1);
    case 4:
      return fast_gelu(y);
    case 5:
      return at::silu(y);
    default:
      EXPECT_PARAMETER(false, "'actType' is ", type,
                       "; it must be 0, 1 (relu), 2 (tanh form of gelu), 4 (fast gelu) or 5 (silu)");
      return {};
  }
}

}  // namespace

void quant_matmul(at::Tensor& out, const QuantMatmul& g) {
  EXPECT_GIVEN(given(g.x2_scale) || out.scalar_type() == at::kInt, "'x2Scale' is NULL");
  EXPECT_PARAMETER(!given(g.y_scale) && !given(g.x1_offset),
                   "'yScale' and 'x1Offset' must be NULL on Atlas A2 and A3");
  at::Tensor x1 = widened(g.x1, true);
  at::Tensor x2 = widened(g.x2, true);
  if (g.transpose_x1) x1 = x1.transpose(-1, -2);
  if (g.transpose_x2) x2 = x2.transpose(-1, -2);
  EXPECT_PARAMETER(x1.dim() >= 2 && x2.dim() >= 2 && x1.size(-1) == x2.size(-2), "'x1' has shape ",
                   x1.sizes(), " and 'x2' ", x2.sizes(), "; their k must be equal");
  const int64_t n = x2.size(-1);
  const int64_t k = x1.size(-1);
  if (out.scalar_type() == at::kInt) {
    EXPECT_PARAMETER(!given(g.x1_scale), "'x1Scale' is given; an 'out' of INT32 is not scaled");
    at::Tensor sum = exact_product(x1, x2);
    if (given(g.bias)) sum = sum + *g.bias;
    return write(out, sum.to(at::kInt));
  }
  const at::Tensor scale = scales_of(*g.x2_scale);
  const c10::optional<at::Tensor> token =
      given(g.x1_scale) ? c10::optional<at::Tensor>(widened(*g.x1_scale)) : c10::nullopt;
  at::Tensor y;
  const bool whole_bias = given(g.bias) && g.bias->scalar_type() == at::kInt;
  const bool exponents = is_exponent(g.x2_scale->scalar_type());
  const bool blocks = token && (exponents || (token->dim() == x1.dim() && scale.dim() == x2.dim() &&
                                              scale.size(-1) < n && token->size(-1) > 1));
  const bool groups = !blocks && scale.dim() >= 2 && scale.size(-1) == n && scale.size(-2) > 1;
  if (blocks) {
    at::Tensor left = *token;
    at::Tensor right = scale;
    if (exponents) {  // pairs along k
      left = left.flatten(-2);
      right = g.transpose_x2 ? right.flatten(-2).transpose(-1, -2) : right.movedim(-1, -2).flatten(-3, -2);
    } else if (g.transpose_x2) {
      right = right.transpose(-1, -2);
    }
    const int64_t of_k = exponents ? 32 : (g.group_size & 0xFFFF) > 0 ? g.group_size & 0xFFFF : 128;
    const int64_t of_n = (g.group_size >> 16) & 0xFFFF;
    const int64_t of_m = (g.group_size >> 32) & 0xFFFF;
    left = spread_over(spread_over(left, -1, of_k, k), -2, of_m > 0 ? of_m : 128, x1.size(-2));
    right = spread_over(spread_over(right, -2, of_k, k), -1, of_n > 0 ? of_n : 128, n);
    y = exact_product(x1 * left, x2 * right);
  } else if (groups) {
    const at::Tensor of_rows = spread_over(scale, -2, k / scale.size(-2), k);
    if (given(g.x2_offset)) x2 = x2 - spread_over(g.x2_offset->to(at::kFloat), -2, k / scale.size(-2), k);
    y = exact_product(x1, x2 * of_rows);
    if (given(g.y_offset)) y = y + g.y_offset->to(at::kDouble);
    if (token) y = y * token->reshape({-1, 1});
  } else {
    EXPECT_PARAMETER(scale.numel() == 1 || scale.size(-1) == n, "'x2Scale' has shape ", scale.sizes(),
                     "; it must have one element, or n, ", n);
    EXPECT_PARAMETER(!token || token->numel() == 1 || token->numel() == x1.size(-2), "'x1Scale' has shape ",
                     token->sizes(), "; it must have one element, or m, ", x1.size(-2));
    y = exact_product(x1, x2);
    if (whole_bias) y = y + *g.bias;
    y = y * scale.reshape({-1});
    if (token) y = y * (token->numel() == 1 ? token->reshape({}) : token->reshape({-1, 1}));
    if (given(g.x2_offset)) y = y + g.x2_offset->to(at::kDouble);
  }
  if (given(g.bias) && !(whole_bias && !blocks && !groups)) y = y + g.bias->to(at::kDouble);
  if (out.scalar_type() != at::kChar) return write(out, y.to(at::kFloat));
  const bool packed = c10::elementSize(g.x2_scale->scalar_type()) == 8;
  if (packed && !given(g.x2_offset)) y = y + offsets_of(*g.x2_scale).reshape({-1});
  store_quantized(out, y.to(at::kFloat));
}

void weight_quant_matmul(at::Tensor& out, const WeightQuant& g) {
  at::Tensor weight = widened(g.weight, true);
  EXPECT_PARAMETER(g.x.dim() == 2 && weight.dim() == 2 && g.x.size(1) == weight.size(0), "'x' has shape ",
                   g.x.sizes(), " and 'weight' ", weight.sizes(), "; their k must be equal");
  const int64_t k = weight.size(0);
  const int64_t size = g.group_size;
  EXPECT_PARAMETER(size == 0 || (size >= 32 && size < k && size % 32 == 0), "'antiquantGroupSize' is ", size,
                   "; it must be 0, or a multiple of 32 below k, ", k);
  EXPECT_PARAMETER(!given(g.offset) || g.offset->sizes() == g.scale.sizes(), "'antiquantOffset' has shape ",
                   g.offset->sizes(), ", 'antiquantScale' ", g.scale.sizes(), "; they must be equal");
  EXPECT_PARAMETER(!given(g.quant_offset) || given(g.quant_scale),
                   "'quantOffset' is given without 'quantScale'");
  const int64_t groups = size == 0 ? 1 : (k + size - 1) / size;
  const bool fits = g.scale.numel() == 1 || g.scale.numel() == groups * weight.size(1);
  EXPECT_PARAMETER(fits, "'antiquantScale' has shape ", g.scale.sizes(), "; it must have one element, or ",
                   groups, " x ", weight.size(1));
  const auto of_weight = [&](const at::Tensor& parameter) {
    if (parameter.numel() == 1) return parameter.to(at::kFloat).reshape({});
    const at::Tensor table = parameter.to(at::kFloat).reshape({groups, weight.size(1)});
    return size == 0 ? table : spread_over(table, 0, size, k);
  };
  if (given(g.offset)) weight = weight + of_weight(*g.offset);
  weight = weight * of_weight(scales_of(g.scale));
  at::Tensor y = at::matmul(g.x.to(at::kFloat), weight);
  if (given(g.bias)) y = y + g.bias->to(at::kFloat);
  if (!given(g.quant_scale)) return write(out, y);
  y = y * scales_of(*g.quant_scale).reshape({-1}) + offsets_of(*g.quant_scale).reshape({-1});
  store_quantized(out, y);
}

std::vector<Group> groups_of(const at::Tensor& list, int64_t type) {
  EXPECT_PARAMETER(type >= 0 && type <= 2, "'groupListType' is ", type, "; it must be 0, 1 or 2");
  EXPECT_PARAMETER(type == 2 ? list.dim() == 2 && list.size(1) == 2 : list.dim() == 1,
                   "'groupList' has shape ", list.sizes(), "; with a groupListType of ", type,
                   " it must have ", type == 2 ? "two columns" : "1 dimension");
  expect_positions("groupList", list);
  const at::Tensor numbers = list.to(at::kLong).contiguous();
  const auto* data = static_cast<const int64_t*>(numbers.data_ptr());
  std::vector<Group> groups;
  int64_t begin = 0;
  for (int64_t i = 0; i < list.size(0); ++i) {
    const int64_t number = type == 2 ? data[2 * i] : i;
    const int64_t size = type == 0 ? data[i] - begin : data[type == 2 ? 2 * i + 1 : i];
    TORCH_CHECK(size >= 0, "'groupList': group ", number, " has ", size, " rows; ",
                type == 0 ? "its numbers may not fall" : "none may be negative");
    groups.push_back({number, begin, size});
    begin += size;
  }
  return groups;
}

namespace {

// One group: rows of x, and what belongs to it of the rest. Undefined tensors are those that were not given.
struct Product {
  at::Tensor x, weight, bias, scale, offset, antiquant_scale, antiquant_offset, token;
};

bool is_whole(const at::Tensor& x) { return !x.is_floating_point() && !is_float4(x.scalar_type()); }

at::Tensor product(const Product& p, at::ScalarType out, int64_t act_type) {
  const bool packed = p.weight.scalar_type() == at::kInt || is_int4(p.weight.scalar_type());
  const at::Tensor x = widened(p.x, true);
  at::Tensor weight = widened(p.weight, true);
  const int64_t k = weight.size(0);
  EXPECT_PARAMETER(x.size(-1) == k, "'x' has shape ", x.sizes(), " and 'weight' ", weight.sizes(),
                   "; their k must be equal");
  if (p.antiquant_scale.defined()) {
    const auto table = [&](const at::Tensor& t) {
      return t.dim() == 2 ? spread_over(t.to(at::kFloat), 0, k / t.size(0), k) : t.to(at::kFloat);
    };
    if (p.antiquant_offset.defined()) weight = weight + table(p.antiquant_offset);
    weight = weight * table(p.antiquant_scale);
  }
  if (!is_whole(p.x) || p.antiquant_scale.defined()) {
    at::Tensor y = at::matmul(x, weight);
    if (p.scale.defined()) y = y * scales_of(p.scale);
    if (p.token.defined()) y = y * p.token.unsqueeze(-1);
    if (p.bias.defined()) y = y + p.bias.to(at::kFloat);
    return activated(y, act_type);
  }
  if (!p.scale.defined()) {
    const at::Tensor sum = exact_product(x, weight);
    return p.bias.defined() ? sum + p.bias : sum;
  }
  at::Tensor scale = scales_of(p.scale).to(at::kDouble);
  const bool of_groups = scale.dim() == 2 && scale.size(0) > 1;
  if (scale.dim() == 2) scale = of_groups ? spread_over(scale, 0, k / scale.size(0), k) : scale.select(0, 0);
  at::Tensor y;
  if (packed && p.x.scalar_type() == at::kChar) {  // int8 times int4: the bias makes up for the 8
    y = of_groups ? exact_product(x - 8, weight * scale) : exact_product(x - 8, weight) * scale;
    if (p.bias.defined()) y = y + p.bias;
    if (p.offset.defined()) y = y + x.to(at::kDouble).sum(-1, true) * p.offset.reshape({-1});
  } else {
    y = of_groups ? exact_product(x, weight * scale) : exact_product(x, weight);
    if (p.bias.defined() && is_whole(p.bias)) y = y + p.bias;
    if (!of_groups) y = y * scale;
    if (p.offset.defined()) y = y + p.offset.reshape({-1});
  }
  if (p.token.defined()) y = y * p.token.to(at::kDouble).reshape({-1, 1});
  if (p.bias.defined() && !is_whole(p.bias) && !packed) y = y + p.bias;
  y = activated(y.to(at::kFloat), act_type);
  return out == at::kChar ? y.round().clamp(-128, 127) : y;
}

at::Tensor member(const std::vector<at::Tensor>& list, int64_t index, bool of_one) {
  if (list.empty()) return {};
  if (of_one && list.size() == 1) {
    return list[0].defined() && list[0].numel() > 0 ? list[0].select(0, index) : at::Tensor();
  }
  return list[static_cast<std::size_t>(index)];
}

// What belongs to group `index`; of a weight of one tensor, and of what goes with it, that is a slice.
Product product_of(const Grouped& g, int64_t index, const at::Tensor& x, const at::Tensor& token) {
  const bool of_one = g.group_type == 0 && g.weight.size() == 1;
  const auto find = [&](const std::vector<at::Tensor>& list) { return member(list, index, of_one); };
  return {x,
          find(g.weight),
          find(g.bias),
          find(g.scale),
          find(g.offset),
          find(g.antiquant_scale),
          find(g.antiquant_offset),
          token};
}

void expect_grouped(const std::vector<at::Tensor>& out, const Grouped& g) {
  EXPECT_PARAMETER(g.group_type == -1 || g.group_type == 0 || g.group_type == 2, "'groupType' is ",
                   g.group_type, "; it must be -1, 0 (m) or 2 (k)");
  EXPECT_PARAMETER(g.split_item >= 0 && g.split_item <= 3, "'splitItem' is ", g.split_item,
                   "; it must be 0 to 3");
  EXPECT_PARAMETER(!g.weight.empty() && g.weight.size() <= 128, "'weight' has ", g.weight.size(),
                   " tensors; it must have 1 to 128");
  EXPECT_PARAMETER(g.bias.empty() || g.bias.size() == g.weight.size(), "'bias' has ", g.bias.size(),
                   " tensors, 'weight' ", g.weight.size(), "; they must have the same number");
  EXPECT_PARAMETER(g.split_item < 2 || out.size() == 1, "'out' has ", out.size(),
                   " tensors; with a splitItem of ", g.split_item, " it must have 1");
  EXPECT_PARAMETER(g.split_item >= 2 || out.size() == g.weight.size() || g.group_type == -1, "'out' has ",
                   out.size(), " tensors, 'weight' ", g.weight.size(), "; with a splitItem of ", g.split_item,
                   " they must have the same number");
  for (const at::Tensor& weight : g.weight)
    EXPECT_GIVEN(weight.defined(), "'weight' has a NULL among its tensors");
  const int64_t dims = g.group_type == 0 && g.weight.size() == 1 ? 3 : 2;
  EXPECT_PARAMETER(g.weight[0].dim() == dims, "'weight' has shape ", g.weight[0].sizes(),
                   "; with a groupType of ", g.group_type, " and ", g.weight.size(), " tensors it must have ",
                   dims, " dimensions");
  if (g.group_type == -1) {
    EXPECT_PARAMETER(!g.group_list, "'groupList' is given; with a groupType of -1 it must be NULL");
    EXPECT_PARAMETER(g.x.size() == g.weight.size() && out.size() == g.x.size(),
                     "'x', 'weight' and 'out' have ", g.x.size(), ", ", g.weight.size(), " and ", out.size(),
                     " tensors; with a groupType of -1 they must have the same number");
  } else if (g.group_type == 0) {
    EXPECT_PARAMETER(g.x.size() == 1 || g.x.size() == g.weight.size(), "'x' has ", g.x.size(),
                     " tensors, 'weight' ", g.weight.size(), "; it must have 1, or the same number");
    EXPECT_GIVEN(g.group_list || g.x.size() > 1,
                 "'groupList' is NULL; with a groupType of 0 it must be given");
  } else {
    EXPECT_PARAMETER(g.x.size() == 1, "'x' has ", g.x.size(),
                     " tensors; with a groupType of 2 it must have 1");
    EXPECT_PARAMETER(g.bias.empty(), "'bias' is given; with a groupType of 2 it must be NULL");
  }
  if (g.group_list && g.group_type != -1) {
    const int64_t most = g.weight.size() == 1 ? 1024 : 128;
    EXPECT_PARAMETER(g.group_list->size(0) <= most, "'groupList' has ", g.group_list->size(0),
                     " groups; it may have ", most);
    const int64_t count = g.group_type == 2      ? g.group_list->size(0)
                          : g.weight.size() == 1 ? g.weight[0].size(0)
                                                 : static_cast<int64_t>(g.weight.size());
    EXPECT_PARAMETER(g.group_list->size(0) == count, "'groupList' has ", g.group_list->size(0),
                     " groups, 'weight' ", count);
  }
}

void grouped_by_rows(at::Tensor& out, const Grouped& g) {
  const at::Tensor x = g.x.size() == 1 ? g.x[0] : at::cat(g.x);
  const bool tokens = !g.per_token_scale.empty() && g.per_token_scale[0].defined();
  std::vector<Group> groups;
  if (g.group_list) {
    groups = groups_of(*g.group_list, g.group_list_type);
  } else {
    int64_t begin = 0;
    for (std::size_t i = 0; i < g.x.size(); begin += g.x[i++].size(0)) {
      groups.push_back({static_cast<int64_t>(i), begin, g.x[i].size(0)});
    }
  }
  EXPECT_PARAMETER(x.dim() == 2 && out.dim() == 2 && out.size(0) == x.size(0), "'out' has shape ",
                   out.sizes(), " for an 'x' of ", x.sizes());
  const at::Tensor first = member(g.weight, 0, g.weight.size() == 1);
  const int64_t columns = widened(first.defined() ? first.narrow(0, 0, 0) : first, true).size(1);
  EXPECT_TILING(out.size(1) == columns, "'out' has shape ", out.sizes(), "; it must have ", columns,
                " columns, as 'weight' has");
  for (const Group& group : groups) {
    TORCH_CHECK(group.begin + group.size <= x.size(0), "'groupList' ends at row ", group.begin + group.size,
                ", 'x' has ", x.size(0));
    const at::Tensor rows = x.narrow(0, group.begin, group.size);
    const at::Tensor token = tokens ? g.per_token_scale[0].narrow(0, group.begin, group.size) : at::Tensor();
    at::Tensor part = out.narrow(0, group.begin, group.size);
    write(part, product(product_of(g, group.number, rows, token), out.scalar_type(), g.act_type)
                    .to(out.scalar_type()));
  }
}

void grouped_by_sum(std::vector<at::Tensor>& out, const Grouped& g) {
  const at::Tensor& x = g.x[0];
  if (!g.group_list) {  // each weight has its own length
    int64_t begin = 0;
    for (std::size_t i = 0; i < g.weight.size(); ++i) {
      const int64_t size = g.weight[i].size(0);
      EXPECT_PARAMETER(begin + size <= x.size(1), "'weight' has more rows than 'x' has columns, ", x.size(1));
      write(out[i], at::matmul(widened(x.narrow(1, begin, size)), widened(g.weight[i])));
      begin += size;
    }
    return;
  }
  EXPECT_PARAMETER(g.weight.size() == 1 && out.size() == 1,
                   "'groupList' is given; with a groupType of 2, 'weight' and 'out' must have 1 tensor then");
  const std::vector<Group> groups = groups_of(*g.group_list, g.group_list_type);
  expect_shape("out", out[0], {g.group_list->size(0), x.size(0), g.weight[0].size(1)});
  EXPECT_PARAMETER(x.size(1) == g.weight[0].size(0), "'x' has shape ", x.sizes(), " and 'weight' ",
                   g.weight[0].sizes(), "; their k must be equal");
  for (const Group& group : groups) {
    TORCH_CHECK(group.begin + group.size <= x.size(1), "'groupList' ends at column ",
                group.begin + group.size, ", 'x' has ", x.size(1));
    at::Tensor part = out[0].select(0, group.number);
    write(part, at::matmul(widened(x.narrow(1, group.begin, group.size)),
                           widened(g.weight[0].narrow(0, group.begin, group.size))));
  }
}

}  // namespace

void grouped_matmul(std::vector<at::Tensor>& out, const Grouped& g) {
  expect_grouped(out, g);
  if (g.group_type == 2) return grouped_by_sum(out, g);
  if (g.group_type == 0) {
    EXPECT_PARAMETER(out.size() == 1, "'out' has ", out.size(),
                     " tensors; with a groupType of 0 it must have 1");
    return grouped_by_rows(out[0], g);
  }
  for (std::size_t i = 0; i < g.x.size(); ++i) {
    const at::Tensor y =
        product(product_of(g, static_cast<int64_t>(i), g.x[i], {}), out[i].scalar_type(), g.act_type);
    write(out[i], y.to(out[i].scalar_type()));
  }
}

}  // namespace cann_simulator
