#include "moe.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/full.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "kernels.h"
#include "rules.h"

namespace cann_simulator {
namespace {

// Where each element stands when they are ordered; equal ones keep their order.
at::Tensor order_of(const at::Tensor& keys, bool descending = false) {
  return std::get<1>(keys.sort(c10::optional<bool>(true), -1, descending));
}

// The place that a permutation gives to each element.
at::Tensor inverse(const at::Tensor& order) {
  at::Tensor places = at::zeros(order.sizes(), order.options());
  return places.scatter_(0, order, at::arange(order.numel(), order.options()));
}

void expect_unpadded(bool padded) { EXPECT_TILING(!padded, "'paddedMode' is true; CANN takes false only"); }

// rows[i], and zeros for an i that is no row.
at::Tensor rows_or_zeros(const at::Tensor& rows, const at::Tensor& index) {
  if (rows.size(0) == 0) return at::zeros({index.numel(), rows.size(1)}, rows.options());
  const at::Tensor inside = index.ge(0).logical_and(index.lt(rows.size(0)));
  return rows.index_select(0, index.clamp(0, rows.size(0) - 1)) * inside.unsqueeze(-1);
}

int64_t top_k_of(const at::Tensor& sorted, const c10::optional<at::Tensor>& probs, int64_t top_k) {
  const int64_t k = probs ? probs->size(-1) : top_k;
  EXPECT_TILING(k > 0 && k <= 512, "the top k is ", k, "; it must be 1 to 512");
  EXPECT_TILING(sorted.dim() == 1 && sorted.numel() % k == 0, "'sortedIndices' has shape ", sorted.sizes(),
                ", for ", k, " rows of each token");
  EXPECT_TILING(!probs || probs->numel() == sorted.numel(), "'probs' has shape ", probs->sizes(), ", for ",
                sorted.numel(), " indices");
  return k;
}

at::Tensor normalized(const at::Tensor& x, int64_t norm_type) {
  EXPECT_TILING(norm_type >= 0 && norm_type <= 2, "'normType' is ", norm_type,
                "; it must be 0 (softmax), 1 (sigmoid) or 2 (root of softplus)");
  if (norm_type == 0) return x.softmax(-1);
  return norm_type == 1 ? x.sigmoid() : at::softplus(x).sqrt();
}

// Minus infinity for what is in none of the k_group best groups.
at::Tensor in_best_groups(const at::Tensor& values, const Gating& gating) {
  if (gating.group_count == 1 || gating.k_group == gating.group_count) return values;
  const at::Tensor groups = values.reshape({values.size(0), gating.group_count, -1});
  const int64_t best = gating.group_select_mode == 0 ? 1 : 2;
  const at::Tensor scores = std::get<0>(groups.sort(-1, true)).narrow(-1, 0, best).sum(-1);
  const at::Tensor chosen = order_of(scores, true).narrow(-1, 0, gating.k_group);
  const at::Tensor kept =
      at::zeros(scores.sizes(), scores.options().dtype(at::kBool)).scatter_(1, chosen, at::Scalar(true));
  return groups.masked_fill(kept.logical_not().unsqueeze(-1), -std::numeric_limits<float>::infinity())
      .reshape(values.sizes());
}

void expect_gating(const at::Tensor& x, const Gating& g) {
  EXPECT_TILING(x.dim() == 2 && x.size(1) <= 2048, "'x' has shape ", x.sizes(),
                "; it must have 2 dimensions and at most 2048 experts");
  const int64_t experts = x.size(1);
  EXPECT_TILING(g.group_count > 0 && experts % g.group_count == 0, "'groupCount' is ", g.group_count,
                "; it must divide the number of experts, ", experts);
  EXPECT_TILING(g.k_group >= 1 && g.k_group <= g.group_count, "'kGroup' is ", g.k_group,
                "; it must be 1 to groupCount, ", g.group_count);
  const int64_t most = experts / g.group_count * g.k_group;
  EXPECT_TILING(g.k >= 1 && g.k <= most, "'k' is ", g.k, "; it must be 1 to ", most,
                ", the experts of kGroup groups");
  EXPECT_TILING(g.group_select_mode == 0 || g.group_select_mode == 1, "'groupSelectMode' is ",
                g.group_select_mode, "; it must be 0 or 1");
  EXPECT_TILING(experts / g.group_count > g.group_select_mode, "'groupSelectMode' is ", g.group_select_mode,
                "; a group must have more experts than that, it has ", experts / g.group_count);
  EXPECT_TILING(g.renorm == 0 || g.renorm == 1, "'renorm' is ", g.renorm, "; it must be 0 or 1");
}

// Slots ordered by expert. Those of experts that do not count come last.
struct Ordered {
  at::Tensor experts;  // of each slot, int64, counted from the first that counts
  at::Tensor order;    // which slot stands there
  int64_t valid;       // slots of experts that count
};

Ordered ordered(const at::Tensor& experts, const Routing& routing) {
  const at::Tensor flat = experts.reshape({-1}).to(at::kLong);
  if (routing.end < 0) return {std::get<0>(flat.sort()), order_of(flat), flat.numel()};
  const at::Tensor counts = flat.ge(routing.first).logical_and(flat.lt(routing.end));
  const at::Tensor keys = flat.masked_fill(counts.logical_not(), std::numeric_limits<int64_t>::max());
  return {std::get<0>(keys.sort()) - routing.first, order_of(keys), counts.sum().item<int64_t>()};
}

at::Tensor histogram(const Ordered& slots, int64_t experts) {
  const at::Tensor valid = slots.experts.narrow(0, 0, slots.valid);
  return at::bincount(valid.masked_select(valid.ge(0).logical_and(valid.lt(experts))), {}, experts);
}

// The rows of each expert, cut or filled to `capacity`: where slot i of the order goes, -1 where nowhere.
at::Tensor padded_places(const Ordered& slots, const Routing& routing) {
  const at::Tensor counts = histogram(slots, routing.experts);
  const at::Tensor starts = counts.cumsum(0) - counts;
  const at::Tensor rank = at::arange(slots.order.numel(), slots.order.options()) -
                          starts.index_select(0, slots.experts.clamp(0, routing.experts - 1));
  const at::Tensor places = slots.experts * routing.capacity + rank;
  return places.masked_fill(rank.ge(routing.capacity), -1);
}

// x: one row for each slot that counts, in order.
void spread(at::Tensor& expanded, const at::Tensor& x, const at::Tensor& places) {
  const at::Tensor kept = places.ge(0);
  expanded.zero_();
  at::Tensor rows = expanded.reshape({expanded.size(0) * expanded.size(1), -1});
  rows.index_copy_(0, places.masked_select(kept), x.index_select(0, kept.nonzero().reshape({-1})));
  expanded.copy_(rows.reshape(expanded.sizes()));
}

void expect_routing(const at::Tensor& x, const at::Tensor& experts, const Routing& routing) {
  EXPECT_TILING(x.dim() == 2, "'x' has shape ", x.sizes(), "; it must have 2 dimensions");
  EXPECT_TILING((experts.dim() == 1 || experts.dim() == 2) && experts.size(0) == x.size(0),
                "'expertIdx' has shape ", experts.sizes(), " for ", x.size(0), " rows of 'x'");
  EXPECT_TILING(routing.active >= 0 && routing.capacity >= 0 && routing.experts >= 0, "'activeNum' is ",
                routing.active, ", 'expertCapacity' ", routing.capacity, " and 'expertNum' ", routing.experts,
                "; none may be negative");
  EXPECT_TILING(!routing.pad || (routing.capacity > 0 && routing.capacity <= x.size(0)),
                "'expertCapacity' is ", routing.capacity, "; with dropPadMode 1 it must be 1 to ", x.size(0),
                ", the rows of 'x'");
  EXPECT_TILING(!routing.pad || routing.experts > 0,
                "'expertNum' is 0; with dropPadMode 1 it must be greater");
}

int64_t expanded_rows(const at::Tensor& experts, int64_t active) {
  return active > 0 ? std::min(active, experts.numel()) : experts.numel();
}

void route(at::Tensor& expanded, at::Tensor& row_index, const Ordered& slots, const at::Tensor& rows,
           const Routing& routing) {
  const at::Tensor order = slots.order.narrow(0, 0, slots.valid);
  if (routing.pad) {
    const at::Tensor places = padded_places(slots, routing);
    spread(expanded, rows, places);
    at::Tensor index = at::full(slots.order.sizes(), -1, places.options());
    write(row_index, index.index_copy_(0, slots.order, places).to(at::kInt));
    return;
  }
  const int64_t kept = std::min(slots.valid, expanded.size(0));
  expanded.narrow(0, 0, kept).copy_(rows.narrow(0, 0, kept));
  if (routing.scatter_index) {
    row_index.narrow(0, 0, slots.valid).copy_(order);
  } else {
    at::Tensor index = at::full(slots.order.sizes(), -1, order.options());
    write(row_index, index.index_copy_(0, order, at::arange(slots.valid, order.options())).to(at::kInt));
  }
}

void write_counts(at::Tensor& out, const at::Tensor& counts, Counts form) {
  if (form == Counts::kEach) write(out, counts);
  if (form == Counts::kCumulated) write(out, counts.cumsum(0));
}

// [expert, tokens] of the experts that have tokens, then zeros.
void write_pairs(at::Tensor& out, const at::Tensor& counts, int64_t first) {
  const at::Tensor busy = counts.nonzero().reshape({-1});
  out.zero_();
  out.narrow(0, 0, busy.numel()).copy_(at::stack({busy + first, counts.index_select(0, busy)}, 1));
}

struct Quantized {
  at::Tensor rows, scale;
};

// The rows of the slots that count, as they are or as int8.
Quantized quantized(const at::Tensor& rows, const Ordered& slots, const c10::optional<at::Tensor>& scale,
                    const c10::optional<at::Tensor>& offset, int64_t mode) {
  constexpr float kLargest = 127;
  const at::Tensor wide = rows.to(at::kFloat);
  if (mode == 0) {
    return {(wide * scale->reshape({}) + offset->reshape({})).round().clamp(-kLargest - 1, kLargest), {}};
  }
  at::Tensor smooth = wide;
  if (scale) {
    const at::Tensor expert = slots.experts.narrow(0, 0, slots.valid);
    smooth = wide * (scale->size(0) == 1 ? *scale : scale->index_select(0, expert));
  }
  const at::Tensor step = smooth.abs().amax(-1, true) / kLargest;
  return {(smooth / step).nan_to_num(0).round().clamp(-kLargest - 1, kLargest), step.reshape({-1})};
}

void expect_quantization(const RoutingV3& given, const c10::optional<at::Tensor>& scale,
                         const c10::optional<at::Tensor>& offset, const at::Tensor& x, int64_t experts) {
  EXPECT_TILING(given.quant_mode >= -1 && given.quant_mode <= 1, "'quantMode' is ", given.quant_mode,
                "; Atlas A2 and A3 take -1, 0 and 1");
  if (given.quant_mode == 0) {
    EXPECT_TILING(scale && offset && scale->numel() == 1 && offset->numel() == 1,
                  "'scale' and 'offset' must be given with one element each; quantMode is 0");
  } else {
    EXPECT_TILING(!offset, "'offset' is given; it belongs to quantMode 0, not to ", given.quant_mode);
  }
  if (!scale || given.quant_mode == 0) return;
  if (given.quant_mode == -1) {
    EXPECT_TILING(scale->numel() == x.size(0), "'scale' has shape ", scale->sizes(), " for ", x.size(0),
                  " rows of 'x'; quantMode is -1");
  } else {
    EXPECT_TILING(scale->dim() == 2 && scale->size(1) == x.size(1) &&
                      (scale->size(0) == experts || scale->size(0) == 1),
                  "'scale' has shape ", scale->sizes(), "; with quantMode 1 it must have ", experts,
                  " experts, or 1, and ", x.size(1), " columns");
  }
}

Routing routing_of(const RoutingV3& given) {
  EXPECT_TILING(given.drop_pad_mode == 0 || given.drop_pad_mode == 1, "'dropPadMode' is ",
                given.drop_pad_mode, "; it must be 0 or 1");
  EXPECT_TILING(given.row_index_type == 0 || given.row_index_type == 1, "'rowIdxType' is ",
                given.row_index_type, "; it must be 0 (gather) or 1 (scatter)");
  EXPECT_TILING(given.counts_type >= 0 && given.counts_type <= 2, "'expertTokensNumType' is ",
                given.counts_type, "; it must be 0, 1 or 2");
  // Without padding the capacity is not looked at; adapters pass -1.
  const bool pad = given.drop_pad_mode == 1;
  Routing routing{given.active, pad ? given.capacity : 0, given.experts, pad};
  routing.scatter_index = given.row_index_type == 1;
  if (!given.range.has_value() || given.range->empty()) return routing;
  EXPECT_TILING(given.range->size() == 2, "'activeExpertRange' has ", given.range->size(),
                " numbers; it must have 2");
  routing.first = (*given.range)[0];
  routing.end = (*given.range)[1];
  EXPECT_TILING(routing.first >= 0 && routing.first < routing.end && routing.end <= given.experts,
                "'activeExpertRange' is [", routing.first, ", ", routing.end,
                "]; it must be a part of 0 to expertNum, ", given.experts);
  EXPECT_TILING(!routing.pad || (routing.first == 0 && routing.end == given.experts),
                "'activeExpertRange' is [", routing.first, ", ", routing.end,
                "]; with dropPadMode 1 it must be all experts");
  return routing;
}

}  // namespace

void moe_permute(at::Tensor& out, at::Tensor& sorted, const at::Tensor& tokens, const at::Tensor& indices,
                 int64_t num_out, bool padded) {
  expect_unpadded(padded);
  EXPECT_TILING(tokens.dim() >= 2, "'tokens' has shape ", tokens.sizes(),
                "; it must have 2 dimensions or more");
  EXPECT_TILING((indices.dim() == 1 || indices.dim() == 2) && indices.size(0) == tokens.size(0),
                "'indices' has shape ", indices.sizes(), " for ", tokens.size(0), " tokens");
  const int64_t top_k = indices.dim() == 2 ? indices.size(1) : 1;
  const at::Tensor order = order_of(indices.reshape({-1}));
  const int64_t all = order.numel();
  int64_t kept = num_out == 0 ? all : std::min(num_out, all);
  if (num_out < 0) kept = std::max<int64_t>(all + num_out, 0);
  const at::Tensor source =
      order.narrow(0, 0, kept).div(std::max<int64_t>(top_k, 1), c10::string_view("floor"));
  write(out, tokens.index_select(0, source));
  write(sorted, inverse(order).to(at::kInt));
}

void moe_unpermute(at::Tensor& out, const at::Tensor& rows, const at::Tensor& sorted,
                   const c10::optional<at::Tensor>& probs, int64_t top_k, bool padded) {
  expect_unpadded(padded);
  EXPECT_TILING(rows.dim() == 2, "'permutedTokens' has shape ", rows.sizes(), "; it must have 2 dimensions");
  const int64_t k = top_k_of(sorted, probs, top_k);
  at::Tensor chosen = rows_or_zeros(rows.to(at::kFloat), sorted.to(at::kLong));
  if (probs) chosen = chosen * probs->to(at::kFloat).reshape({-1, 1});
  write(out, chosen.reshape({-1, k, rows.size(1)}).sum(1));
}

void moe_unpermute_grad(at::Tensor& grad_rows, at::Tensor& grad_probs, const c10::optional<at::Tensor>& rows,
                        const at::Tensor& grad, const at::Tensor& sorted,
                        const c10::optional<at::Tensor>& probs, bool padded) {
  expect_unpadded(padded);
  const int64_t k = top_k_of(sorted, probs, 1);
  EXPECT_TILING(grad.dim() == 2 && grad.size(0) * k == sorted.numel(), "'unpermutedTokensGrad' has shape ",
                grad.sizes(), " for ", sorted.numel(), " indices and a top k of ", k);
  const at::Tensor index = sorted.to(at::kLong);
  const at::Tensor wide = grad.to(at::kFloat).repeat_interleave(k, 0);
  const at::Tensor weighted = probs ? wide * probs->to(at::kFloat).reshape({-1, 1}) : wide;
  at::Tensor scattered =
      at::zeros({std::max(sorted.numel(), grad_rows.size(0)), grad.size(1)}, weighted.options());
  scattered.index_add_(0, index, weighted);
  write(grad_rows, scattered.narrow(0, 0, grad_rows.size(0)));
  if (!probs || !grad_probs.defined()) return;
  EXPECT_GIVEN(rows.has_value(), "'permutedTokens' is NULL; the gradient of 'probs' needs it");
  write(grad_probs, (wide * rows_or_zeros(rows->to(at::kFloat), index)).sum(-1).reshape(probs->sizes()));
}

void moe_gating_softmax(at::Tensor& y, at::Tensor& expert, at::Tensor& row, at::Tensor& softmax,
                        const at::Tensor& x, const c10::optional<at::Tensor>& finished, const TopK& top) {
  EXPECT_TILING(x.dim() == 2 || x.dim() == 3, "'x' has shape ", x.sizes(),
                "; it must have 2 or 3 dimensions");
  const int64_t experts = x.size(-1);
  EXPECT_TILING(top.k >= 0 && top.k <= std::min<int64_t>(experts, 1024), "'k' is ", top.k,
                "; it must be 0 to the number of experts, ", experts, ", and at most 1024");
  EXPECT_TILING(!finished || finished->sizes() == x.sizes().slice(0, x.sizes().size() - 1),
                "'finished' has shape ", finished->sizes(), " for an 'x' of ", x.sizes());
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor weights = wide.softmax(-1);
  at::Tensor index = order_of(top.softmax_last ? wide : weights, true).narrow(-1, 0, top.k);
  write(y, top.softmax_last ? wide.gather(-1, index).softmax(-1) : weights.gather(-1, index));
  if (finished) index = index.masked_fill(finished->to(at::kBool).unsqueeze(-1), experts);
  write(expert, index.to(at::kInt));
  if (row.defined()) {
    const at::Tensor columns = at::arange(row.numel(), row.options()).reshape({top.k, -1});
    write(row, columns.t().reshape(row.sizes()));
  }
  if (softmax.defined() && softmax.numel() > 0 && !top.softmax_last) write(softmax, weights);
}

void moe_gating(at::Tensor& y, at::Tensor& expert, at::Tensor& normed, const at::Tensor& x,
                const c10::optional<at::Tensor>& bias, const c10::optional<at::Tensor>& ids,
                const c10::optional<at::Tensor>& table, const Gating& gating) {
  expect_gating(x, gating);
  EXPECT_TILING(!bias || (bias->dim() == 1 && bias->size(0) == x.size(1)), "'bias' has shape ", bias->sizes(),
                " for ", x.size(1), " experts");
  const at::Tensor norm = normalized(x.to(at::kFloat), gating.norm_type);
  at::Tensor index;
  if (ids && table) {
    EXPECT_TILING(gating.k <= 64, "'k' is ", gating.k, "; with 'tid2eid' it must be at most 64");
    EXPECT_TILING(table->dim() == 2 && table->size(1) == gating.k, "'tid2eid' has shape ", table->sizes(),
                  " for a 'k' of ", gating.k);
    EXPECT_TILING(ids->dim() == 1 && ids->size(0) == x.size(0), "'inputIds' has shape ", ids->sizes(),
                  " for ", x.size(0), " rows of 'x'");
    index = table->index_select(0, ids->to(at::kLong)).to(at::kLong);
  } else {
    const at::Tensor values = bias ? norm + bias->to(at::kFloat) : norm;
    index = order_of(in_best_groups(values, gating), true).narrow(-1, 0, gating.k);
  }
  at::Tensor chosen = norm.gather(-1, index);
  if (gating.norm_type != 0 || gating.renorm == 1) chosen = chosen / (chosen.sum(-1, true) + gating.eps);
  write(y, chosen * gating.scale);
  write(expert, index.to(at::kInt));
  if (gating.out_flag && normed.defined()) write(normed, norm);
}

void moe_init_routing(at::Tensor& expanded, at::Tensor& row_index, at::Tensor& sorted_expert,
                      const at::Tensor& x, const at::Tensor& rows, const at::Tensor& experts,
                      int64_t active) {
  EXPECT_TILING(x.dim() == 2, "'x' has shape ", x.sizes(), "; it must have 2 dimensions");
  EXPECT_TILING(experts.dim() == 2 && rows.sizes() == experts.sizes(), "'rowIdx' has shape ", rows.sizes(),
                ", 'expertIdx' ", experts.sizes(), "; both must be [rows, k]");
  EXPECT_TILING(active >= 0, "'activeNum' is ", active, "; it may not be negative");
  const at::Tensor order = order_of(experts.reshape({-1}));
  const at::Tensor source = rows.reshape({-1}).to(at::kLong).index_select(0, order);
  const int64_t kept = std::min(x.size(0), active) * experts.size(1);
  const at::Tensor token = source.narrow(0, 0, kept).remainder(std::max<int64_t>(x.size(0), 1));
  write(expanded, x.index_select(0, token));
  at::Tensor places = at::zeros(source.sizes(), source.options());
  write(row_index, places.scatter_(0, source, at::arange(source.numel(), source.options())).to(at::kInt));
  write(sorted_expert, experts.reshape({-1}).index_select(0, order));
}

void moe_init_routing_v2(at::Tensor& expanded, at::Tensor& row_index, at::Tensor& counts, at::Tensor& before,
                         const at::Tensor& x, const at::Tensor& experts, const Routing& routing,
                         int64_t counts_flag, bool before_flag) {
  expect_routing(x, experts, routing);
  EXPECT_TILING(counts_flag >= 0 && counts_flag <= 2, "'expertTokensCountOrCumsumFlag' is ", counts_flag,
                "; it must be 0, 1 or 2");
  EXPECT_TILING(counts_flag == 0 || routing.experts > 0,
                "'expertNum' is 0; it must be greater where tokens are counted");
  expect_castable(expanded, x);
  const Ordered slots = ordered(experts, routing);
  const int64_t k = experts.dim() == 2 ? experts.size(1) : 1;
  const at::Tensor token = slots.order.div(std::max<int64_t>(k, 1), c10::string_view("floor"));
  if (!routing.pad) expect_shape("expandedX", expanded, {expanded_rows(experts, routing.active), x.size(1)});
  if (routing.pad) expect_shape("expandedX", expanded, {routing.experts, routing.capacity, x.size(1)});
  route(expanded, row_index, slots, x.index_select(0, token), routing);
  if (!routing.pad && counts_flag > 0 && counts.defined()) {
    write_counts(counts, histogram(slots, routing.experts).to(at::kInt),
                 counts_flag == 1 ? Counts::kCumulated : Counts::kEach);
  }
  if (routing.pad && before_flag && before.defined()) write(before, histogram(slots, routing.experts));
}

void moe_init_routing_v3(const RoutingOut& out, const at::Tensor& x, const at::Tensor& experts,
                         const c10::optional<at::Tensor>& scale, const c10::optional<at::Tensor>& offset,
                         const RoutingV3& given) {
  const Routing routing = routing_of(given);
  expect_routing(x, experts, routing);
  const int64_t counted = routing.end < 0 ? routing.experts : routing.end - routing.first;
  expect_quantization(given, scale, offset, x, counted);
  if (given.quant_mode < 0) {
    expect_castable(out.expanded, x);
  } else {
    EXPECT_PARAMETER(out.expanded.scalar_type() == at::kChar, "'expandedX' has data type ",
                     out.expanded.scalar_type(), "; with a quantMode of ", given.quant_mode,
                     " it must be INT8");
  }
  if (routing.pad) {
    expect_shape("expandedX", out.expanded, {routing.experts, routing.capacity, x.size(1)});
  } else {
    expect_shape("expandedX", out.expanded, {expanded_rows(experts, routing.active), x.size(1)});
  }
  const Ordered slots = ordered(experts, routing);
  const at::Tensor order = slots.order.narrow(0, 0, slots.valid);
  const at::Tensor token = order.div(std::max<int64_t>(experts.size(1), 1), c10::string_view("floor"));
  Quantized rows{x.index_select(0, token), {}};
  if (given.quant_mode >= 0) {
    rows = quantized(rows.rows, slots, scale, offset, given.quant_mode);
  } else if (scale) {
    rows.scale = scale->reshape({-1}).index_select(0, token);
  }
  route(out.expanded, out.row_index, slots, rows.rows, routing);
  if (rows.scale.defined() && out.scale.defined()) {
    at::Tensor flat = out.scale.view({-1});
    const int64_t kept = std::min(rows.scale.numel(), flat.numel());
    if (routing.pad) {
      const at::Tensor places = padded_places(slots, routing);
      flat.zero_().index_copy_(0, places.masked_select(places.ge(0)), rows.scale.masked_select(places.ge(0)));
    } else {
      flat.narrow(0, 0, kept).copy_(rows.scale.narrow(0, 0, kept));
    }
  }
  if (!given.counts_flag || !out.counts.defined()) return;
  const at::Tensor counts = histogram(slots, counted);
  if (given.counts_type == 2) return write_pairs(out.counts, counts, routing.first);
  write_counts(out.counts, counts, given.counts_type == 0 ? Counts::kCumulated : Counts::kEach);
}

void moe_expert_tokens(at::Tensor& out, const at::Tensor& sorted, int64_t experts) {
  EXPECT_TILING(sorted.dim() == 1, "'sortedExperts' has shape ", sorted.sizes(),
                "; it must have 1 dimension");
  EXPECT_TILING(experts > 0 && experts <= 2048, "'numExperts' is ", experts, "; it must be 1 to 2048");
  const at::Tensor each = at::arange(experts, sorted.options());
  write(out, at::searchsorted(sorted.contiguous(), each, true, true));
}

void moe_finalize(at::Tensor& out, const Finalize& given) {
  EXPECT_TILING(given.mode >= 0 && given.mode <= 3, "'dropPadMode' is ", given.mode, "; it must be 0 to 3");
  EXPECT_TILING(given.skip1 || !given.skip2, "'x2' is given without 'x1'");
  EXPECT_TILING(!given.bias || given.experts, "'bias' is given without 'expertIdx'");
  const int64_t width = given.rows.size(-1);
  const int64_t k = given.scales ? given.scales->size(1) : given.k;
  EXPECT_TILING(k > 0 && given.index.numel() % k == 0, "'expandedRowIdx' has ", given.index.numel(),
                " elements for ", k, " rows of each token");
  at::Tensor index = given.index.reshape({-1}).to(at::kLong);
  index = given.mode >= 2 ? index.reshape({-1, k}) : index.reshape({k, -1}).t();
  at::Tensor rows = rows_or_zeros(given.rows.to(at::kFloat).reshape({-1, width}), index.reshape({-1}))
                        .reshape({-1, k, width});
  const auto of_expert = [&](const at::Tensor& table, int64_t first) {
    return table.to(at::kFloat)
        .index_select(0, (given.experts->reshape({-1}).to(at::kLong) - first).clamp(0, table.size(0) - 1));
  };
  at::Tensor skipped;
  if (given.experts) {
    const at::Tensor experts = given.experts->to(at::kLong);
    const auto in = [&experts](const OptionalInts& range) {
      return experts.ge((*range)[0]).logical_and(experts.lt((*range)[1])).unsqueeze(-1);
    };
    const auto named = [](const OptionalInts& range) { return range.has_value() && range->size() == 2; };
    if (named(given.copy_range)) {
      EXPECT_GIVEN(given.x.has_value(), "'x' is NULL; 'copyExpertRange' needs it");
      rows = rows.where(in(given.copy_range).logical_not(), given.x->to(at::kFloat).unsqueeze(1));
    }
    if (named(given.constant_range)) {
      EXPECT_GIVEN(given.x && given.alpha1 && given.alpha2 && given.constant,
                   "'x', 'alpha1', 'alpha2' or 'v' is NULL; 'constantExpertRange' needs all");
      const int64_t first = (*given.constant_range)[0];
      const at::Tensor made =
          of_expert(*given.alpha1, first).reshape({-1, k, width}) * given.x->to(at::kFloat).unsqueeze(1) +
          (of_expert(*given.alpha2, first) * of_expert(*given.constant, first)).reshape({-1, k, width});
      rows = rows.where(in(given.constant_range).logical_not(), made);
    }
    if (named(given.zero_range)) skipped = in(given.zero_range);
  }
  if (given.bias) rows = rows + of_expert(*given.bias, 0).reshape({-1, k, width});
  if (given.scales) rows = rows * given.scales->to(at::kFloat).unsqueeze(-1);
  if (skipped.defined()) rows = rows.masked_fill(skipped, 0);
  at::Tensor sum = rows.sum(1);
  if (given.skip1) sum = sum + given.skip1->to(at::kFloat);
  if (given.skip2) sum = sum + given.skip2->to(at::kFloat);
  write(out, sum);
}

}  // namespace cann_simulator
