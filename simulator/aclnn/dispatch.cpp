// The way of tokens to experts on other ranks, and back (aclnnMoeDistributeDispatch,
// aclnnMoeDistributeCombine).
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "joint.h"
#include "kernels.h"
#include "narrow.h"
#include "quant.h"
#include "rules.h"

namespace cann_simulator {
namespace {

constexpr int64_t kAssist = 128;  // numbers of each row, of which three are used: rank, token and slot

// One of the places that a token goes to.
struct Slot {
  int64_t rank, expert;  // there, counted from 0
  int64_t token, number;
  int64_t of_scales;  // the row of the experts' scales
};

int64_t local_experts(const Experts& e, int64_t rank) {
  return rank < e.shared_ranks ? 1 : e.experts / (e.world_size - e.shared_ranks);
}

int64_t most_experts(const Experts& e) { return local_experts(e, e.world_size - 1); }

int64_t special(const Experts& e) { return e.zero + e.copy + e.constant; }

void expect_experts(const Experts& e, const Ranks& group) {
  EXPECT_TILING(e.world_size == group.size() && e.rank == group.rank(), "'epWorldSize' is ", e.world_size,
                " and 'epRankId' ", e.rank, "; the communicator has ", group.size(),
                " ranks, and this is rank ", group.rank());
  EXPECT_TILING(e.tp_world_size == 0 || e.tp_world_size == 1, "'tpWorldSize' is ", e.tp_world_size,
                "; the simulator has no tensor parallel ranks beside: 0 or 1");
  EXPECT_TILING(e.shard_type == 0, "'expertShardType' is ", e.shard_type, "; it must be 0");
  EXPECT_TILING(e.shared >= 0 && e.shared <= 4, "'sharedExpertNum' is ", e.shared, "; it must be 0 to 4");
  const bool fits = e.shared_ranks == 0 ? e.shared <= 1 : e.shared > 0 && e.shared_ranks % e.shared == 0;
  EXPECT_TILING(e.shared_ranks >= 0 && e.shared_ranks < e.world_size && fits, "'sharedExpertRankNum' is ",
                e.shared_ranks, " for a 'sharedExpertNum' of ", e.shared, " and ", e.world_size,
                " ranks; it must be 0, or a multiple of sharedExpertNum below the number of ranks");
  const int64_t ranks = e.world_size - e.shared_ranks;
  EXPECT_TILING(e.experts > 0 && e.experts <= 1024 && e.experts % ranks == 0, "'moeExpertNum' is ", e.experts,
                "; it must be 1 to 1024 and a multiple of ", ranks, ", the ranks with such experts");
  EXPECT_TILING(e.zero >= 0 && e.copy >= 0 && e.constant == 0, "'zeroExpertNum' is ", e.zero,
                ", 'copyExpertNum' ", e.copy, " and 'constExpertNum' ", e.constant,
                "; none may be negative, and the simulator has no constant experts");
}

// Returns the most rows that this rank can get.
int64_t expect_tokens(const at::Tensor& ids, int64_t rows, const Experts& e) {
  EXPECT_PARAMETER(ids.scalar_type() == at::kInt, "'expertIds' has data type ", ids.scalar_type(),
                   "; it must be int32");
  EXPECT_TILING(ids.dim() == 2 && ids.size(0) == rows, "'expertIds' has shape ", ids.sizes(),
                "; it must have 2 dimensions and as many rows as tokens, ", rows);
  EXPECT_TILING(ids.size(1) > 0 && ids.size(1) <= std::min<int64_t>(16, e.experts + special(e)),
                "'expertIds' has shape ", ids.sizes(),
                "; its K must be 1 to 16 and at most the number of experts");
  EXPECT_TILING(e.global_bs == 0 || (e.global_bs >= rows * e.world_size && e.global_bs % e.world_size == 0),
                "'globalBs' is ", e.global_bs,
                "; it must be 0, or the largest number of tokens of a rank, here ", rows, " or more, times ",
                e.world_size);
  const int64_t all = e.global_bs == 0 ? rows * e.world_size : e.global_bs;
  if (e.rank < e.shared_ranks) return all * e.shared / e.shared_ranks;
  return all * std::min(local_experts(e, e.rank), ids.size(1));
}

void expect_mask(const c10::optional<at::Tensor>& active, const at::Tensor& ids) {
  if (!given(active)) return;
  EXPECT_PARAMETER(active->scalar_type() == at::kBool, "'xActiveMask' has data type ", active->scalar_type(),
                   "; it must be bool");
  EXPECT_TILING(active->sizes() == ids.sizes() || (active->dim() == 1 && active->size(0) == ids.size(0)),
                "'xActiveMask' has shape ", active->sizes(), "; it must have [", ids.size(0), "] or ",
                ids.sizes());
}

// Which choices of which tokens count, [tokens, K].
at::Tensor active_slots(const c10::optional<at::Tensor>& active, const at::Tensor& ids) {
  if (!given(active)) return at::full(ids.sizes(), true, ids.options().dtype(at::kBool));
  if (active->dim() == 2) return active->contiguous();
  const at::Tensor wide = active->to(at::kInt);
  TORCH_CHECK(wide.numel() < 2 || wide.diff().le(0).all().item<bool>(),
              "'xActiveMask' has a false before a true; tokens that count come first");
  return active->unsqueeze(1).expand(ids.sizes()).contiguous();
}

// In the order of tokens and their choices, the experts that all share last.
std::vector<Slot> slots_of(const at::Tensor& ids, const c10::optional<at::Tensor>& active, const Experts& e) {
  const at::Tensor mask = active_slots(active, ids);
  const at::Tensor plain = ids.contiguous();
  const auto* const id = static_cast<const int32_t*>(plain.data_ptr());
  const auto* const counts = static_cast<const bool*>(mask.data_ptr());
  const int64_t k = ids.size(1);
  const int64_t local = most_experts(e);
  const int64_t copies = e.shared_ranks == 0 ? 0 : e.shared_ranks / e.shared;
  std::vector<Slot> slots;
  for (int64_t token = 0; token < ids.size(0); ++token) {
    bool any = false;
    for (int64_t choice = 0; choice < k; ++choice) {
      if (!counts[token * k + choice]) continue;
      any = true;
      const int64_t expert = id[token * k + choice];
      TORCH_CHECK(expert >= 0 && expert < e.experts + special(e), "'expertIds': token ", token,
                  " chooses expert ", expert, " of ", e.experts + special(e));
      if (expert >= e.experts) continue;
      slots.push_back({e.shared_ranks + expert / local, expert % local, token, choice,
                       expert + (e.shared_ranks > 0 ? e.shared : 0)});
    }
    for (int64_t shared = 0; any && e.shared_ranks > 0 && shared < e.shared; ++shared)
      slots.push_back({e.rank % copies + shared * copies, 0, token, k + shared, shared});
  }
  return slots;
}

// By rank, and there by expert; tokens keep their order.
std::vector<Slot> in_order(std::vector<Slot> slots) {
  std::stable_sort(slots.begin(), slots.end(), [](const Slot& one, const Slot& other) {
    return std::tie(one.rank, one.expert) < std::tie(other.rank, other.expert);
  });
  return slots;
}

at::Tensor tensor_of(const std::vector<int64_t>& numbers) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(numbers.size())}, at::TensorOptions().dtype(at::kLong));
  std::copy(numbers.begin(), numbers.end(), static_cast<int64_t*>(tensor.data_ptr()));
  return tensor;
}

template <class Number>
at::Tensor numbers_of(const std::vector<Slot>& slots, const Number& number) {
  std::vector<int64_t> numbers;
  for (const Slot& slot : slots) numbers.push_back(number(slot));
  return tensor_of(numbers);
}

std::vector<int64_t> rows_for_ranks(const std::vector<Slot>& slots, int64_t ranks) {
  std::vector<int64_t> rows(static_cast<std::size_t>(ranks));
  for (const Slot& slot : slots) ++rows[static_cast<std::size_t>(slot.rank)];
  return rows;
}

// The rows to send, and their scales where they are quantized.
struct Rows {
  at::Tensor rows, scales;
};

Rows rows_of(const Dispatch& given_, const std::vector<Slot>& slots, at::ScalarType dtype) {
  const at::Tensor tokens = numbers_of(slots, [](const Slot& slot) { return slot.token; });
  at::Tensor rows = given_.x.index_select(0, tokens);
  if (given_.quant_mode == 0) return {rows, {}};
  rows = rows.to(at::kFloat);
  if (given(given_.scales))
    rows =
        rows * given_.scales->index_select(0, numbers_of(slots, [](const Slot& s) { return s.of_scales; }));
  Rows quantized = {at::empty(rows.sizes(), rows.options().dtype(dtype)),
                    at::zeros({rows.size(0)}, rows.options())};
  if (rows.size(0) == 0) return quantized;
  at::Tensor no_offset;
  const c10::optional<at::Tensor> none;
  dynamic_quant(quantized.rows, quantized.scales, no_offset, rows, {none, none, true, "pertoken"});
  return quantized;
}

// counts[expert * ranks + rank]: rows that have come from each rank for each expert of this one.
struct Received {
  std::vector<int64_t> from_ranks, counts;
  at::Tensor order;  // by expert, of the rows as they came, by rank
};

Received exchange_counts(const std::vector<Slot>& slots, const Experts& e, const Ranks& group) {
  const int64_t most = most_experts(e);
  std::vector<int64_t> sent(static_cast<std::size_t>(e.world_size * most));
  for (const Slot& slot : slots) ++sent[static_cast<std::size_t>(slot.rank * most + slot.expert)];
  const std::vector<int64_t> came = group.exchange(sent);
  const int64_t local = local_experts(e, e.rank);
  Received received;
  std::vector<int64_t> starts;
  int64_t start = 0;
  for (int64_t rank = 0; rank < e.world_size; ++rank) {
    const auto* const of_rank = came.data() + rank * most;
    received.from_ranks.push_back(std::accumulate(of_rank, of_rank + most, int64_t{0}));
    for (int64_t expert = 0; expert < local; ++expert) {
      starts.push_back(start);
      start += of_rank[expert];
    }
  }
  std::vector<int64_t> order;
  for (int64_t expert = 0; expert < local; ++expert) {
    for (int64_t rank = 0; rank < e.world_size; ++rank) {
      const int64_t count = came[static_cast<std::size_t>(rank * most + expert)];
      received.counts.push_back(count);
      for (int64_t i = 0; i < count; ++i)
        order.push_back(starts[static_cast<std::size_t>(rank * local + expert)] + i);
    }
  }
  received.order = tensor_of(order);
  return received;
}

void expect_dispatch(const DispatchOut& out, const Dispatch& g, const Experts& e) {
  const int64_t tokens = g.x.dim() == 2 ? g.x.size(0) : 0;
  EXPECT_TILING(tokens > 0, "'x' has shape ", g.x.sizes(), "; it must have 2 dimensions and a row");
  EXPECT_PARAMETER(g.x.scalar_type() == at::kHalf || g.x.scalar_type() == at::kBFloat16, "'x' has data type ",
                   g.x.scalar_type(), "; it must be float16 or bfloat16");
  const int64_t most = expect_tokens(g.expert_ids, tokens, e);
  expect_mask(g.active, g.expert_ids);
  EXPECT_TILING(g.quant_mode == 0 || g.quant_mode == 2, "'quantMode' is ", g.quant_mode,
                "; Atlas A2 and A3 take 0, none, and 2, a scale of each row");
  EXPECT_TILING(g.quant_mode == 2 || !given(g.scales), "'scales' is given; 'quantMode' is 0");
  const int64_t rows = e.experts + (e.shared_ranks > 0 ? e.shared : 0);
  EXPECT_TILING(
      !given(g.scales) || (g.scales->dim() == 2 && g.scales->size(0) == rows &&
                           g.scales->size(1) == g.x.size(1) && g.scales->scalar_type() == at::kFloat),
      "'scales' has shape ", g.scales->sizes(), "; it must have [", rows, ", ", g.x.size(1), "] and float32");
  EXPECT_TILING(!given(g.expert_scales) || g.expert_scales->sizes() == g.expert_ids.sizes(),
                "'expertScales' has shape ", g.expert_scales->sizes(), "; it must have that of 'expertIds', ",
                g.expert_ids.sizes());
  EXPECT_TILING(g.counts_type == 0 || g.counts_type == 1, "'expertTokenNumsType' is ", g.counts_type,
                "; it must be 0 or 1");
  EXPECT_TILING(out.rows.dim() == 2 && out.rows.size(0) >= most && out.rows.size(1) == g.x.size(1),
                "'expandX' has shape ", out.rows.sizes(), "; it must have room for ", most, " rows of ",
                g.x.size(1));
  EXPECT_PARAMETER(out.rows.scalar_type() == (g.quant_mode == 0 ? g.x.scalar_type() : at::kChar),
                   "'expandX' has data type ", out.rows.scalar_type(), "; with a quantMode of ", g.quant_mode,
                   " it must be ", g.quant_mode == 0 ? "that of 'x'" : "int8");
  EXPECT_TILING(g.quant_mode == 0 || (out.scales.defined() && out.scales.numel() >= most),
                "'dynamicScales' has no room for ", most, " scales");
  const int64_t index = out.of_rows ? most * kAssist : g.expert_ids.numel();
  EXPECT_TILING(out.index.dim() == 1 && out.index.numel() >= index, "'",
                out.of_rows ? "assistInfoForCombine" : "expandIdx", "' has shape ", out.index.sizes(),
                "; it must have room for ", index, " numbers");
  const int64_t local = local_experts(e, e.rank);
  EXPECT_TILING(out.counts.numel() == local, "'expertTokenNums' has shape ", out.counts.sizes(),
                "; it must have a number for each expert of this rank, ", local);
  EXPECT_TILING(out.receives.numel() >= local * e.world_size, "'epRecvCounts' has shape ",
                out.receives.sizes(), "; it must have room for ", local * e.world_size, " numbers");
}

// The first rows of an output; behind them lies what lay there before.
void write_first(at::Tensor& out, const at::Tensor& value) {
  if (value.numel() > 0) out.narrow(0, 0, value.size(0)).copy_(value);
}

// Which of the tokens that this rank sends to an expert each slot is, 0 for those that go nowhere.
at::Tensor places(const std::vector<Slot>& slots, const at::Tensor& ids) {
  std::vector<int64_t> found(static_cast<std::size_t>(ids.numel()));
  std::vector<std::pair<std::pair<int64_t, int64_t>, int64_t>> seen;
  for (const Slot& slot : slots) {
    if (slot.number >= ids.size(1)) continue;
    const std::pair<int64_t, int64_t> key(slot.rank, slot.expert);
    auto entry = std::find_if(seen.begin(), seen.end(), [&](const auto& item) { return item.first == key; });
    if (entry == seen.end()) entry = seen.insert(seen.end(), {key, 0});
    found[static_cast<std::size_t>(slot.token * ids.size(1) + slot.number)] = entry->second++;
  }
  return tensor_of(found);
}

}  // namespace

void expect_reserved(const c10::optional<at::Tensor>& activation_scale,
                     const c10::optional<at::Tensor>& weight_scale,
                     const c10::optional<at::Tensor>& group_list, int64_t out_dtype,
                     int64_t group_list_type) {
  EXPECT_PARAMETER(!given(activation_scale) && !given(weight_scale) && !given(group_list),
                   "'activationScale', 'weightScale' and 'groupList' must be NULL");
  EXPECT_TILING(out_dtype == 0 && group_list_type == 0, "'outDtype' is ", out_dtype, " and 'groupListType' ",
                group_list_type, "; both must be 0");
}

void expect_all_ranks(const c10::optional<at::Tensor>& elastic_info) {
  EXPECT_PARAMETER(!given(elastic_info), "'elasticInfo' is given; in the simulator all ranks take part");
}

void expect_no_times(const c10::optional<at::Tensor>& performance_info) {
  EXPECT_PARAMETER(!given(performance_info),
                   "'performanceInfo' is given; the simulator has no times of an NPU");
}

void moe_dispatch(const DispatchOut& out, const Dispatch& g, const Experts& e, const Ranks& group) {
  expect_experts(e, group);
  expect_dispatch(out, g, e);
  const std::vector<Slot> slots = in_order(slots_of(g.expert_ids, g.active, e));
  const std::vector<int64_t> sends = rows_for_ranks(slots, e.world_size);
  const Received received = exchange_counts(slots, e, group);
  const auto send = [&](const at::Tensor& rows) {
    return group.all_to_all(rows, sends, received.from_ranks).index_select(0, received.order);
  };
  const Rows mine = rows_of(g, slots, out.rows.scalar_type());
  write_first(out.rows, send(mine.rows));
  if (g.quant_mode != 0) write_first(out.scales, send(mine.scales));
  if (given(g.expert_scales) && out.weights.defined() && out.weights.numel() > 0) {
    const at::Tensor wide =
        at::cat({*g.expert_scales, at::full({g.x.size(0), e.shared}, 1, g.expert_scales->options())}, 1);
    const at::Tensor which =
        numbers_of(slots, [&](const Slot& s) { return s.token * wide.size(1) + s.number; });
    write_first(out.weights, send(wide.reshape({-1}).index_select(0, which)));
  }
  if (out.of_rows) {
    const at::Tensor info = at::stack({numbers_of(slots, [&](const Slot&) { return e.rank; }),
                                       numbers_of(slots, [](const Slot& slot) { return slot.token; }),
                                       numbers_of(slots, [](const Slot& slot) { return slot.number; })},
                                      1);
    const at::Tensor came = send(info);
    const int64_t rows = out.index.numel() / kAssist;
    if (came.size(0) > 0)
      out.index.narrow(0, 0, rows * kAssist)
          .view({rows, kAssist})
          .narrow(0, 0, came.size(0))
          .narrow(1, 0, 3)
          .copy_(came);
  } else {
    write_first(out.index, places(slots, g.expert_ids));
  }
  const int64_t local = local_experts(e, e.rank);
  const at::Tensor counts = tensor_of(received.counts);
  const at::Tensor of_experts = counts.reshape({local, e.world_size}).sum(1);
  write_first(out.counts, g.counts_type == 0 ? of_experts.cumsum(0) : of_experts);
  write_first(out.receives, counts.cumsum(0));
}

namespace {

void expect_combine(const at::Tensor& out, const Combine& g, const Experts& e) {
  EXPECT_TILING(g.rows.dim() == 2, "'expandX' has shape ", g.rows.sizes(), "; it must have 2 dimensions");
  EXPECT_PARAMETER(g.rows.scalar_type() == at::kHalf || g.rows.scalar_type() == at::kBFloat16,
                   "'expandX' has data type ", g.rows.scalar_type(), "; it must be float16 or bfloat16");
  const int64_t tokens = g.expert_ids.dim() == 2 ? g.expert_ids.size(0) : 0;
  const int64_t most = expect_tokens(g.expert_ids, tokens, e);
  expect_mask(g.active, g.expert_ids);
  EXPECT_TILING(g.quant_mode == 0, "'commQuantMode' is ", g.quant_mode,
                "; the simulator sends numbers as they are: 0");
  EXPECT_TILING(g.rows.size(0) >= most, "'expandX' has shape ", g.rows.sizes(), "; it must have ", most,
                " rows or more, as the dispatch wrote it");
  EXPECT_TILING(g.weights.sizes() == g.expert_ids.sizes() && g.weights.scalar_type() == at::kFloat,
                "'expertScales' has shape ", g.weights.sizes(), "; it must have that of 'expertIds', ",
                g.expert_ids.sizes(), ", and float32");
  const int64_t index = g.of_rows ? most * kAssist : g.expert_ids.numel();
  EXPECT_TILING(g.index.dim() == 1 && g.index.numel() >= index, "'",
                g.of_rows ? "assistInfoForCombine" : "expandIdx", "' has shape ", g.index.sizes(),
                "; the dispatch wrote ", index, " numbers");
  const int64_t counts = local_experts(e, e.rank) * e.world_size;
  EXPECT_TILING(g.sends.numel() >= counts, "'epSendCounts' has shape ", g.sends.sizes(),
                "; the dispatch wrote ", counts, " numbers");
  EXPECT_TILING(out.dim() == 2 && out.size(0) == tokens && out.size(1) == g.rows.size(1) &&
                    out.scalar_type() == g.rows.scalar_type(),
                "'x' has shape ", out.sizes(), "; it must have [", tokens, ", ", g.rows.size(1),
                "] and the data type of 'expandX'");
  EXPECT_TILING(!given(g.shared_x) || (g.shared_x->numel() == out.numel() && e.shared_ranks == 0),
                "'sharedExpertX' has shape ", g.shared_x->sizes(), "; it must have ", out.sizes(),
                ", and 'sharedExpertRankNum' be 0");
  EXPECT_GIVEN(e.copy == 0 || given(g.original), "'oriX' is NULL; 'copyExpertNum' is ", e.copy);
}

// Rows that go back to each rank: how many, and which, in the order of its experts.
struct Returning {
  std::vector<int64_t> to_ranks;
  at::Tensor order;
};

Returning returning(const Combine& g, const Experts& e) {
  const int64_t local = local_experts(e, e.rank);
  const at::Tensor ends = g.sends.narrow(0, 0, local * e.world_size).to(at::kLong).contiguous();
  const auto* const end = static_cast<const int64_t*>(ends.data_ptr());
  Returning back;
  std::vector<int64_t> order;
  for (int64_t rank = 0; rank < e.world_size; ++rank) {
    const std::size_t before = order.size();
    for (int64_t expert = 0; expert < local; ++expert) {
      const int64_t place = expert * e.world_size + rank;
      const int64_t start = place == 0 ? 0 : end[place - 1];
      TORCH_CHECK(start <= end[place] && end[place] <= g.rows.size(0),
                  "'epSendCounts' is not what the dispatch wrote: ", start, " is followed by ", end[place],
                  ", for ", g.rows.size(0), " rows of 'expandX'");
      for (int64_t row = start; row < end[place]; ++row) order.push_back(row);
    }
    back.to_ranks.push_back(static_cast<int64_t>(order.size() - before));
  }
  back.order = tensor_of(order);
  return back;
}

// Where each row that comes belongs: token * slots + slot.
at::Tensor homes(const Combine& g, const Ranks& group, const Returning& back, const std::vector<Slot>& slots,
                 const std::vector<int64_t>& receives, int64_t width) {
  if (g.of_rows) {
    const at::Tensor info = g.index.narrow(0, 0, g.rows.size(0) * kAssist).view({g.rows.size(0), kAssist});
    const at::Tensor came = group.all_to_all(info.narrow(1, 1, 2).to(at::kLong).index_select(0, back.order),
                                             back.to_ranks, receives);
    return came.select(1, 0) * width + came.select(1, 1);
  }
  // The place among its expert's rows is what the dispatch said; experts of a rank follow each other.
  const at::Tensor index = g.index.to(at::kLong).contiguous();
  const auto* const place = static_cast<const int64_t*>(index.data_ptr());
  std::vector<int64_t> found(slots.size());
  for (std::size_t first = 0; first < slots.size();) {
    std::size_t last = first;
    while (last < slots.size() && slots[last].rank == slots[first].rank &&
           slots[last].expert == slots[first].expert)
      ++last;
    for (std::size_t i = first; i < last; ++i) {
      const Slot& slot = slots[i];
      const bool shared = slot.number >= g.expert_ids.size(1);
      const auto among = static_cast<std::size_t>(
          shared ? static_cast<int64_t>(i - first) : place[slot.token * g.expert_ids.size(1) + slot.number]);
      TORCH_CHECK(among < last - first, "'expandIdx' is not what the dispatch wrote: token ", slot.token,
                  " is number ", among, " of ", last - first);
      found[first + among] = slot.token * width + slot.number;
    }
    first = last;
  }
  return tensor_of(found);
}

// What the token itself is to experts that give it back.
void add_copies(at::Tensor& parts, const Combine& g, const Experts& e) {
  if (e.copy == 0) return;
  const at::Tensor first = active_slots(g.active, g.expert_ids)
                               .logical_and(g.expert_ids.ge(e.experts + e.zero))
                               .logical_and(g.expert_ids.lt(e.experts + e.zero + e.copy));
  parts.narrow(1, 0, g.expert_ids.size(1))
      .copy_(parts.narrow(1, 0, g.expert_ids.size(1))
                 .where(first.logical_not().unsqueeze(-1), g.original->to(at::kFloat).unsqueeze(1)));
}

}  // namespace

void moe_combine(at::Tensor& out, const Combine& g, const Experts& e, const Ranks& group) {
  expect_experts(e, group);
  expect_combine(out, g, e);
  const int64_t tokens = g.expert_ids.size(0);
  const int64_t shared = e.shared_ranks > 0 ? e.shared : 0;
  const int64_t width = g.expert_ids.size(1) + shared;
  const std::vector<Slot> slots = in_order(slots_of(g.expert_ids, g.active, e));
  const std::vector<int64_t> receives = rows_for_ranks(slots, e.world_size);
  const Returning back = returning(g, e);
  const at::Tensor came = group.all_to_all(g.rows.index_select(0, back.order), back.to_ranks, receives);
  const at::Tensor home = homes(g, group, back, slots, receives, width);

  at::Tensor parts = at::zeros({tokens * width, g.rows.size(1)}, g.rows.options().dtype(at::kFloat));
  if (came.size(0) > 0) parts.index_copy_(0, home, came.to(at::kFloat));
  parts = parts.reshape({tokens, width, -1});
  add_copies(parts, g, e);
  const at::Tensor weights = at::cat({g.weights, at::full({tokens, shared}, 1, g.weights.options())}, 1);
  at::Tensor sum = at::zeros({tokens, g.rows.size(1)}, parts.options());
  for (int64_t slot = 0; slot < width; ++slot)
    sum = sum + parts.select(1, slot) * weights.select(1, slot).unsqueeze(1);
  if (given(g.shared_x)) sum = sum + g.shared_x->to(at::kFloat).reshape(sum.sizes());
  write(out, sum);
}

}  // namespace cann_simulator
