#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <limits>

#include "attention.h"
#include "kernels.h"
#include "quant.h"
#include "rules.h"

namespace cann_simulator {
namespace {

struct Layouts {
  std::string in, out;
};

Layouts layouts_of(const std::string& layout) {
  static const char* const known[] = {"BSH",       "BSND",      "BNSD",     "TND",       "NTD",
                                      "NSD",       "BNSD_BSND", "BSH_BNSD", "BSND_BNSD", "BSH_NBSD",
                                      "BSND_NBSD", "BNSD_NBSD", "NTD_TND",  "TND_NTD"};
  const bool found = std::find(std::begin(known), std::end(known), layout) != std::end(known);
  EXPECT_PARAMETER(found, "'inputLayout' is '", layout,
                   "'; it must be BSH, BSND, BNSD, TND, NTD, NSD, or two of "
                   "them with a _ between that CANN names");
  const auto split = layout.find('_');
  if (split == std::string::npos) return {layout, layout};
  return {layout.substr(0, split), layout.substr(split + 1)};
}

bool is_flat(const std::string& layout) { return layout == "TND" || layout == "NTD"; }

// One batch of x as [heads, sequence, width]; of flat layouts all rows of all batches.
at::Tensor of_batch(const at::Tensor& x, const std::string& layout, int64_t heads, int64_t batch) {
  if (layout == "BNSD") return x.select(0, batch);
  if (layout == "BSND") return x.select(0, batch).transpose(0, 1);
  if (layout == "NTD" || layout == "NSD") return x;
  if (layout == "TND") return x.transpose(0, 1);
  if (layout == "NBSD") return x.select(1, batch);
  const at::Tensor rows = x.select(0, batch);
  EXPECT_PARAMETER(rows.size(1) % heads == 0, "a width of ", rows.size(1), " for ", heads, " heads");
  return rows.reshape({rows.size(0), heads, -1}).transpose(0, 1);
}

// Where the result of a batch is written: a view like that of of_batch().
at::Tensor place_of_batch(at::Tensor& out, const std::string& layout, int64_t heads, int64_t batch) {
  if (layout != "BSH") return of_batch(out, layout, heads, batch);
  const at::Tensor rows = out.select(0, batch);
  return rows.unflatten(1, {heads, rows.size(1) / heads}).transpose(0, 1);
}

int64_t length_of(const OptionalInts& lengths, int64_t batch, int64_t otherwise) {
  if (!lengths.has_value() || lengths->empty()) return otherwise;
  const auto index = lengths->size() == 1 ? 0 : static_cast<std::size_t>(batch);
  EXPECT_PARAMETER(index < lengths->size(), "there are ", lengths->size(), " lengths for batch ", batch);
  return (*lengths)[index];
}

struct Rows {
  int64_t begin, size;
};

// Lengths of flat layouts are where each sequence ends.
Rows rows_of(const OptionalInts& ends, int64_t batch) {
  const int64_t begin = batch == 0 ? 0 : (*ends)[static_cast<std::size_t>(batch) - 1];
  return {begin, (*ends)[static_cast<std::size_t>(batch)] - begin};
}

// The blocks of a sequence, one after the other: [heads, sequence, ...].
at::Tensor gathered(const at::Tensor& cache, const at::Tensor& table, int64_t heads, int64_t block_size) {
  const at::Tensor blocks = cache.index_select(0, table.to(at::kLong).clamp(0, cache.size(0) - 1));
  at::Tensor rows;
  if (cache.dim() == 3) {  // [blocks, block size, heads * width]
    rows = blocks.reshape({blocks.size(0) * blocks.size(1), heads, -1}).transpose(0, 1);
  } else if (cache.dim() == 4) {  // [blocks, heads, block size, width]
    rows = blocks.transpose(0, 1).flatten(1, 2);
  } else {
    EXPECT_PARAMETER(cache.dim() == 5, "a cache of shape ", cache.sizes(),
                     "; it must have 3 to 5 dimensions");
    rows =
        blocks.permute({1, 0, 3, 2, 4}).flatten(3, 4).flatten(1, 2);  // [blocks, heads, width / n, size, n]
  }
  EXPECT_PARAMETER(block_size > 0 && rows.size(1) == blocks.size(0) * block_size, "'blockSize' is ",
                   block_size, ", the cache has shape ", cache.sizes());
  return rows;
}

// A scale or an offset of quantized keys or values, to go with [heads, sequence, width] of a batch.
at::Tensor parameter_of(const at::Tensor& all, int64_t mode, int64_t batch, const at::Tensor& x,
                        const at::Tensor& table) {
  const at::Tensor wide = all.to(at::kFloat);
  const int64_t heads = x.size(0);
  const auto cut = [&](const at::Tensor& t) { return t.narrow(1, 0, x.size(1)); };
  switch (mode) {
    case 0:
      if (wide.numel() == 1) return wide.reshape({});
      EXPECT_PARAMETER(wide.numel() == heads * x.size(2), "an antiquant parameter has shape ", all.sizes(),
                       "; with mode 0 it must have 1 or heads * width elements, ", heads * x.size(2));
      return wide.reshape({heads, 1, -1});
    case 1: {
      const at::Tensor rows = wide.reshape({-1, wide.size(-1)});
      return cut(rows.select(0, rows.size(0) == 1 ? 0 : batch).reshape({1, -1, 1}));
    }
    case 2:
      return wide.reshape({heads, 1, 1});
    case 3:
      return cut(wide.reshape({-1, heads, wide.size(-1)}).select(0, batch).unsqueeze(-1));
    case 4:
      return cut(wide.index_select(0, table).reshape({1, -1, 1}));
    case 5:
      return cut(wide.index_select(0, table).transpose(0, 1).flatten(1, 2).unsqueeze(-1));
    default:
      EXPECT_PARAMETER(false, "'keyAntiquantMode' or 'valueAntiquantMode' is ", mode,
                       "; the simulator has 0 to 5");
      return {};
  }
}

struct Antiquant {
  const c10::optional<at::Tensor>&scale, &offset;
  int64_t mode;
};

at::Tensor numbers_of(const at::Tensor& x, const Antiquant& how, int64_t batch, const at::Tensor& table) {
  const at::Tensor wide = widened(x, true);
  if (!how.scale) {
    EXPECT_PARAMETER(x.is_floating_point(), "keys or values of data type ", x.scalar_type(),
                     " without an antiquant scale");
    return wide;
  }
  const at::Tensor shifted =
      how.offset ? wide + parameter_of(*how.offset, how.mode, batch, wide, table) : wide;
  return shifted * parameter_of(*how.scale, how.mode, batch, wide, table);
}

// Keys or values of one batch as float32 [heads, sequence, width].
at::Tensor sequence_of(const InferAttention& g, const std::vector<at::Tensor>& list,
                       const std::string& layout, int64_t batch, const Antiquant& how) {
  const int64_t heads = g.key_heads;
  at::Tensor table;
  at::Tensor x;
  if (g.block_table) {
    const int64_t length = length_of(g.key_lengths, batch, g.block_table->size(1) * g.block_size);
    const int64_t blocks = (length + g.block_size - 1) / std::max<int64_t>(g.block_size, 1);
    EXPECT_PARAMETER(blocks <= g.block_table->size(1), "'blockTable' has ", g.block_table->size(1),
                     " blocks of a sequence; batch ", batch, " has ", length, " keys in blocks of ",
                     g.block_size);
    table = g.block_table->select(0, batch).narrow(0, 0, blocks).to(at::kLong);
    x = gathered(list[0], table, heads, g.block_size).narrow(1, 0, length);
  } else if (is_flat(layout)) {
    const Rows rows = rows_of(g.key_lengths, batch);
    x = of_batch(list[0], layout, heads, 0).narrow(1, rows.begin, rows.size);
  } else {
    const bool one_each = list.size() > 1;
    const at::Tensor& part = list[one_each ? static_cast<std::size_t>(batch) : 0];
    x = of_batch(part, layout, heads, one_each ? 0 : batch);
    const int64_t length = length_of(g.key_lengths, batch, x.size(1));
    EXPECT_PARAMETER(length <= x.size(1), "'actualSeqLengthsKv' is ", length, " in batch ", batch,
                     "; there are ", x.size(1), " keys");
    const int64_t padding = g.key_padding ? g.key_padding->item<int64_t>() : -1;
    x = x.narrow(1, padding < 0 ? 0 : std::max<int64_t>(x.size(1) - length - padding, 0), length);
  }
  return numbers_of(x, how, batch, table);
}

at::Tensor with_prefix(const at::Tensor& x, const c10::optional<at::Tensor>& prefix, const InferAttention& g,
                       const std::string& layout, const Antiquant& how) {
  if (!prefix) return x;
  at::Tensor first = of_batch(*prefix, layout, g.key_heads, 0);
  first = first.narrow(1, 0, length_of(g.prefix_length, 0, first.size(1)));
  return at::cat({numbers_of(first, how, 0, {}), x}, 1);
}

// The part of a mask or a shift that is of this batch, as [1, heads or 1, rows, columns].
c10::optional<at::Tensor> part_of(const c10::optional<at::Tensor>& all, int64_t batch, int64_t rows,
                                  int64_t columns) {
  if (!all) return c10::nullopt;
  at::Tensor x = *all;
  if (x.dim() == 2 && x.size(0) != rows && rows == 1) x = x.unsqueeze(1);  // [batch, columns] of one row
  while (x.dim() < 4) x = x.dim() == 3 ? x.unsqueeze(1) : x.unsqueeze(0);
  x = x.narrow(0, x.size(0) == 1 ? 0 : batch, 1);
  EXPECT_PARAMETER(x.size(2) >= rows && x.size(3) >= columns, "a mask or a shift of shape ", all->sizes(),
                   " for ", rows, " queries and ", columns, " keys");
  return x.narrow(2, 0, rows).narrow(3, 0, columns);
}

bool mask_is_read(int64_t mode) { return mode == 0 || mode == 1; }

void expect_infer(const InferAttention& g) {
  EXPECT_PARAMETER(g.heads > 0 && g.key_heads > 0 && g.heads % g.key_heads == 0, "'numHeads' is ", g.heads,
                   " and 'numKeyValueHeads' ", g.key_heads, "; the first must be a multiple of the second");
  EXPECT_PARAMETER(g.sparse_mode >= 0 && g.sparse_mode <= 4, "'sparseMode' is ", g.sparse_mode,
                   "; it must be 0 to 4");
  EXPECT_PARAMETER(g.mask || g.sparse_mode == 0, "'attenMask' is NULL; a sparseMode of ", g.sparse_mode,
                   " needs it");
  if (g.mask && g.sparse_mode >= 2) {
    const auto sizes = g.mask->sizes();
    EXPECT_PARAMETER(sizes.size() >= 2 && sizes[sizes.size() - 1] == 2048 && sizes[sizes.size() - 2] == 2048,
                     "'attenMask' has shape ", sizes, "; with a sparseMode of ", g.sparse_mode,
                     " it must be 2048 x 2048");
  }
  EXPECT_PARAMETER(g.pre_tokens + g.next_tokens >= 0 || (g.sparse_mode != 0 && g.sparse_mode != 4),
                   "'preTokens' is ", g.pre_tokens, " and 'nextTokens' ", g.next_tokens,
                   "; their sum may not be negative");
  EXPECT_PARAMETER(g.query.is_floating_point(), "'query' has data type ", g.query.scalar_type(),
                   "; the simulator has FLOAT16, BFLOAT16 and FLOAT");
  EXPECT_PARAMETER(!g.key.empty() && g.key.size() == g.value.size(), "'key' has ", g.key.size(),
                   " tensors, 'value' ", g.value.size());
}

int64_t batches_of(const InferAttention& g, const std::string& layout) {
  if (!is_flat(layout)) return layout == "NSD" ? 1 : g.query.size(0);
  EXPECT_GIVEN(g.query_lengths.has_value() && g.key_lengths.has_value(),
               "'actualSeqLengths' or 'actualSeqLengthsKv' is NULL; ", layout, " needs both");
  const auto count = static_cast<int64_t>(g.query_lengths->size());
  const int64_t rows = layout == "TND" ? g.query.size(0) : g.query.size(1);
  EXPECT_PARAMETER(count == 0 || g.query_lengths->back() <= rows, "'actualSeqLengths' ends at ",
                   count == 0 ? 0 : g.query_lengths->back(), "; 'query' has ", rows, " rows");
  EXPECT_PARAMETER(static_cast<int64_t>(g.key_lengths->size()) >= count, "'actualSeqLengthsKv' has ",
                   g.key_lengths->size(), " numbers for ", count, " sequences");
  return count;
}

// The result of one batch, and the log-sum-exp of each row.
struct Result {
  at::Tensor out, sums;
};

Result attend(const InferAttention& g, const at::Tensor& query, const at::Tensor& key,
              const at::Tensor& value, int64_t batch) {
  static const std::string layout = "BNSD";
  const c10::optional<at::Tensor> none;
  const int64_t rows = query.size(1);
  const int64_t columns = key.size(1);
  const auto shift = part_of(g.shift, batch, rows, columns);
  const auto mask = g.mask && mask_is_read(g.sparse_mode) ? part_of(g.mask, batch, rows, columns) : g.mask;
  const at::Tensor q = query.unsqueeze(0);
  const at::Tensor k = key.unsqueeze(0);
  const at::Tensor v = value.unsqueeze(0);
  Attention one{q,
                k,
                v,
                shift,
                false,
                none,
                mask,
                g.scale,
                1,
                g.pre_tokens,
                g.next_tokens,
                g.heads,
                layout,
                g.sparse_mode};
  one.sink = g.sink;
  at::Tensor out = at::empty({1, g.heads, rows, value.size(2)}, value.options());
  at::Tensor largest = at::empty({1, g.heads, rows, 1}, value.options());
  at::Tensor sums = at::empty(largest.sizes(), value.options());
  attention_forward(one, largest, sums, out);
  const at::Tensor logs = largest + sums.log();
  return {out.squeeze(0), logs.nan_to_num(std::numeric_limits<float>::infinity()).squeeze(0)};
}

at::Tensor part(const c10::optional<at::Tensor>& both, int64_t index) {
  return both ? both->select(0, index) : at::Tensor();
}

c10::optional<at::Tensor> or_else(const c10::optional<at::Tensor>& first, const at::Tensor& second) {
  if (first && first->numel() > 0) return first;
  return second.defined() ? c10::optional<at::Tensor>(second) : c10::nullopt;
}

void store(at::Tensor& target, const at::Tensor& value, const InferAttention& g) {
  if (!g.quant_scale) return write(target, value);
  const auto of_heads = [&](const at::Tensor& t) {
    const at::Tensor wide = t.to(at::kFloat);
    return wide.numel() == 1 ? wide.reshape({}) : wide.reshape({g.heads, 1, -1});
  };
  at::Tensor scaled = value * of_heads(*g.quant_scale);
  if (g.quant_offset) scaled = scaled + of_heads(*g.quant_offset);
  store_quantized(target, scaled);
}

}  // namespace

void infer_attention(at::Tensor& out, at::Tensor& sums, const InferAttention& g) {
  expect_infer(g);
  const Layouts layouts = layouts_of(g.layout);
  const int64_t batches = batches_of(g, layouts.in);
  const bool flat = is_flat(layouts.in);
  const auto key_scale = or_else(g.key_scale, part(g.antiquant_scale, 0));
  const auto key_offset = or_else(g.key_offset, part(g.antiquant_offset, 0));
  const auto value_scale = or_else(g.value_scale, part(g.antiquant_scale, 1));
  const auto value_offset = or_else(g.value_offset, part(g.antiquant_offset, 1));
  const Antiquant of_key{key_scale, key_offset, g.key_mode};
  const Antiquant of_value{value_scale, value_offset, g.value_mode};
  const c10::optional<at::Tensor> none;
  out.zero_();
  if (g.write_sums && sums.numel() > 0) sums.fill_(std::numeric_limits<float>::infinity());
  for (int64_t batch = 0; batch < batches; ++batch) {
    at::Tensor query = of_batch(g.query, layouts.in, g.heads, batch);
    if (g.query_rope) query = at::cat({query, of_batch(*g.query_rope, layouts.in, g.heads, batch)}, -1);
    Rows rows{0, flat ? 0 : length_of(g.query_lengths, batch, query.size(1))};
    if (flat) rows = rows_of(g.query_lengths, batch);
    if (g.query_padding)
      rows.begin = std::max<int64_t>(query.size(1) - rows.size - g.query_padding->item<int64_t>(), 0);
    EXPECT_PARAMETER(rows.size >= 0 && rows.begin + rows.size <= query.size(1),
                     "'actualSeqLengths' gives batch ", batch, " ", rows.size, " rows; 'query' has ",
                     query.size(1));
    at::Tensor key = sequence_of(g, g.key, layouts.in, batch, of_key);
    if (g.key_rope) {
      key = at::cat({key, sequence_of(g, {*g.key_rope}, layouts.in, batch, {none, none, 0})}, -1);
    }
    at::Tensor value = sequence_of(g, g.value, layouts.in, batch, of_value);
    key = with_prefix(key, g.key_prefix, g, layouts.in, of_key);
    value = with_prefix(value, g.value_prefix, g, layouts.in, of_value);
    if (rows.size == 0 || key.size(1) == 0) continue;
    const Result result = attend(g, query.narrow(1, rows.begin, rows.size).to(at::kFloat), key, value, batch);
    at::Tensor target = place_of_batch(out, layouts.out, g.heads, batch).narrow(1, rows.begin, rows.size);
    store(target, result.out, g);
    if (!g.write_sums || sums.numel() == 0) continue;
    at::Tensor logs = flat ? sums.transpose(0, 1) : sums.select(0, batch);
    logs.narrow(1, rows.begin, rows.size).copy_(result.sums);
  }
}

void attention_update(at::Tensor& out, at::Tensor& sums, const std::vector<at::Tensor>& part_sums,
                      const std::vector<at::Tensor>& parts, int64_t update_type) {
  EXPECT_PARAMETER(update_type == 0 || update_type == 1, "'updateType' is ", update_type,
                   "; it must be 0 or 1");
  EXPECT_PARAMETER(!parts.empty() && parts.size() == part_sums.size() && parts.size() <= 128,
                   "'localOut' has ", parts.size(), " tensors and 'lse' ", part_sums.size(),
                   "; both must have the same 1 to 128");
  EXPECT_PARAMETER(update_type == 0 || sums.defined(), "'lseOut' is NULL; updateType is 1");
  const at::Tensor logs = at::stack(part_sums).to(at::kFloat);
  const at::Tensor all = logs.logsumexp(0);
  const at::Tensor weights = (logs - all).exp().unsqueeze(-1);
  write(out, (at::stack(parts).to(at::kFloat) * weights).sum(0));
  if (update_type == 1) write(sums, all);
}

}  // namespace cann_simulator
