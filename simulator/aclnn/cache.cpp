#include "cache.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include "kernels.h"
#include "quant.h"
#include "rules.h"

namespace cann_simulator {
namespace {

// The cache as [blocks, block size, rest of a row...]: a view of its memory.
at::Tensor by_rows(const at::Tensor& cache, const std::string& mode) {
  if (mode == "PA_NZ" && cache.dim() == 5) return cache.permute({0, 3, 1, 2, 4});
  if (mode == "PA_NZ" || mode == "NHSD") return cache.transpose(1, 2);
  return cache;
}

struct Places {
  at::Tensor row, block, offset;  // of what has a slot
};

Places places_of(const at::Tensor& slots, int64_t blocks, int64_t block_size) {
  const at::Tensor flat = slots.reshape({-1}).to(at::kLong);
  const at::Tensor row = flat.ge(0).nonzero().reshape({-1});
  const at::Tensor slot = flat.index_select(0, row);
  TORCH_CHECK(slot.numel() == 0 || slot.max().item<int64_t>() < blocks * block_size, "slot ",
              slot.max().item<int64_t>(), " of a cache of ", blocks, " blocks of ", block_size);
  return {row, slot.div(block_size, c10::string_view("floor")), slot.remainder(block_size)};
}

at::Tensor turned(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool halves) {
  const int64_t half = x.size(-1) / 2;
  const at::Tensor first = halves ? x.narrow(-1, 0, half) : x.slice(-1, 0, c10::nullopt, 2);
  const at::Tensor second = halves ? x.narrow(-1, half, half) : x.slice(-1, 1, c10::nullopt, 2);
  const at::Tensor a = first * cos - second * sin;
  const at::Tensor b = second * cos + first * sin;
  return halves ? at::cat({a, b}, -1) : at::stack({a, b}, -1).flatten(-2);
}

// cos or sin, [rows of positions, tokens, columns], as one row: each column from the row of its section.
at::Tensor of_sections(const at::Tensor& all, const SinCosCache& how) {
  if (all.dim() == 2) return all;
  if (how.mode == 1) {
    at::Tensor merged = all.select(0, 0).clone();
    for (int64_t row = 1; row < 3; ++row) {
      const int64_t end = (*how.sections)[1] * 3;
      merged.slice(-1, row, end, 3).copy_(all.select(0, row).slice(-1, row, end, 3));
    }
    return merged;
  }
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (std::size_t row = 0; row < how.sections->size(); ++row) {
    const int64_t size = (*how.sections)[row];
    parts.push_back(all.select(0, static_cast<int64_t>(row)).narrow(-1, begin, size));
    begin += size;
  }
  return at::cat(parts, -1);
}

void expect_sections(const SinCosCache& how) {
  const bool mrope = how.positions.dim() == 2;
  const bool named = how.sections.has_value() && !how.sections->empty();
  EXPECT_TILING(how.table.dim() == 2 && how.table.size(1) <= how.head_size, "'cosSinCache' has shape ",
                how.table.sizes(), "; its width may be at most headSize, ", how.head_size);
  EXPECT_PARAMETER(how.mode == 0 || how.mode == 1, "'cacheMode' is ", how.mode, "; it must be 0 or 1");
  if (!mrope) return;
  EXPECT_TILING(named && static_cast<int64_t>(how.sections->size()) == how.positions.size(0),
                "'positions' has shape ", how.positions.sizes(), "; 'mropeSection' must have ",
                how.positions.size(0), " numbers");
  int64_t sum = 0;
  for (const int64_t size : *how.sections) sum += size;
  EXPECT_TILING(2 * sum == how.table.size(1), "'mropeSection' adds up to ", sum,
                "; that must be half the width of 'cosSinCache', ", how.table.size(1));
}

// Which slot each token goes to, -1 for none, whatever form the index has.
at::Tensor slots_of(const KvNorm& g, int64_t block_size) {
  const int64_t batch = g.kv.size(0);
  const int64_t tokens = g.kv.size(2);
  const at::Tensor index = g.index.to(at::kLong);
  if (g.mode != "PA_BLK_BNSD" && g.mode != "PA_BLK_NZ") {
    EXPECT_TILING(index.numel() == batch * tokens, "'index' has shape ", index.sizes(), " for ", batch, " x ",
                  tokens, " tokens");
    return index.reshape({batch, tokens});
  }
  const int64_t blocks = (tokens + block_size - 1) / block_size;
  EXPECT_TILING(index.numel() == batch * blocks, "'index' has shape ", index.sizes(), " for ", batch, " x ",
                blocks, " blocks");
  const at::Tensor first =
      index.reshape({batch, blocks}).repeat_interleave(block_size, 1).narrow(1, 0, tokens);
  const at::Tensor within = at::arange(tokens, index.options()).remainder(block_size);
  return (first + within).masked_fill(first.lt(0), -1);
}

at::Tensor scaled(const at::Tensor& x, const c10::optional<at::Tensor>& scale,
                  const c10::optional<at::Tensor>& offset) {
  if (!scale) return x;
  const auto of_heads = [](const at::Tensor& t) { return t.dim() == 2 ? t.unsqueeze(1) : t; };
  const at::Tensor y = x * of_heads(*scale);
  return offset ? y + of_heads(*offset) : y;
}

// x: [batch, heads, tokens, width].
void update_cache(at::Tensor& cache, const at::Tensor& x, const KvNorm& g) {
  at::Tensor value = x;
  if (cache.scalar_type() == at::kChar) value = x.round().clamp(-128, 127);
  const bool blocks = g.mode != "Norm" && !g.mode.empty();
  if (!blocks) {  // [batch, heads, places, width]
    const at::Tensor slots = slots_of(g, 1);
    for (int64_t batch = 0; batch < x.size(0); ++batch) {
      const at::Tensor to = slots.select(0, batch);
      const at::Tensor from = to.ge(0).nonzero().reshape({-1});
      at::Tensor target = cache.select(0, batch);
      target.index_copy_(1, to.index_select(0, from),
                         value.select(0, batch).index_select(1, from).to(cache.scalar_type()));
    }
    return;
  }
  const at::Tensor rows = value.transpose(1, 2).flatten(0, 1).to(cache.scalar_type());
  const at::Tensor slots = slots_of(g, cache.size(1));
  if (g.mode != "PA_NZ" && g.mode != "PA_BLK_NZ") return scatter_to_cache(cache, rows, slots, "Norm");
  const int64_t n = 32 / static_cast<int64_t>(cache.element_size());
  const int64_t width = cache.size(2) * cache.size(3);
  EXPECT_TILING(width % n == 0, "a cache of shape ", cache.sizes(), "; with ", g.mode,
                " the width must be a multiple of ", n);
  at::Tensor blocked = cache.view({cache.size(0), width / n, cache.size(1), n});
  scatter_to_cache(blocked, rows, slots, "PA_NZ");
}

void expect_kv(const KvNorm& g) {
  static const char* const modes[] = {"", "Norm", "PA", "PA_BNSD", "PA_NZ", "PA_BLK_BNSD", "PA_BLK_NZ"};
  bool known = false;
  for (const char* mode : modes) known = known || g.mode == mode;
  EXPECT_TILING(known, "'cacheMode' is '", g.mode,
                "'; it must be Norm, PA, PA_BNSD, PA_NZ, PA_BLK_BNSD or PA_BLK_NZ");
  EXPECT_TILING(g.kv.dim() == 4, "'kv' has shape ", g.kv.sizes(), "; it must have 4 dimensions");
  EXPECT_TILING(g.cos.sizes() == g.sin.sizes(), "'cos' has shape ", g.cos.sizes(), " and 'sin' ",
                g.sin.sizes(), "; they must be equal");
  EXPECT_TILING(g.gamma.dim() == 1 && g.gamma.size(0) <= g.kv.size(3), "'gamma' has shape ", g.gamma.sizes(),
                " for a 'kv' of ", g.kv.sizes());
  EXPECT_TILING(g.key_scale || !g.key_offset, "'kRopeOffset' is given without 'kRopeScale'");
  EXPECT_TILING(g.value_scale || !g.value_offset, "'cKvOffset' is given without 'ckvScale'");
}

}  // namespace

void scatter_to_cache(at::Tensor& cache, const at::Tensor& x, const at::Tensor& slots,
                      const std::string& mode) {
  at::Tensor rows = by_rows(cache, mode);
  const int64_t width = x.numel() / std::max<int64_t>(x.size(0), 1);
  EXPECT_TILING(rows.numel() == rows.size(0) * rows.size(1) * width, "a cache of shape ", cache.sizes(),
                " for rows of ", width, " elements, with cache mode ", mode);
  const Places places = places_of(slots, rows.size(0), rows.size(1));
  std::vector<int64_t> shape = {places.row.numel()};
  for (int64_t dim = 2; dim < rows.dim(); ++dim) shape.push_back(rows.size(dim));
  rows.index_put_({places.block, places.offset},
                  x.index_select(0, places.row).reshape(shape).to(cache.scalar_type()));
}

void scatter_pa_kv_cache(at::Tensor& key_cache, at::Tensor& value_cache, const at::Tensor& key,
                         const at::Tensor& value, const at::Tensor& slots, const ScatterModes& modes,
                         bool compressed) {
  EXPECT_PARAMETER(modes.cache.empty() || modes.cache == "Norm" || modes.cache == "PA_NZ", "'cacheMode' is '",
                   modes.cache, "'; it must be Norm or PA_NZ");
  EXPECT_PARAMETER(
      !compressed && (modes.scatter.empty() || modes.scatter == "None" || modes.scatter == "NHSD"),
      "'scatterMode' is '", modes.scatter, "'; the simulator has None and NHSD, without compression");
  EXPECT_PARAMETER(key.dim() == 3 && (value.dim() == 3 || value.numel() == 0), "'key' has shape ",
                   key.sizes(), " and 'value' ", value.sizes(), "; both must be [tokens, heads, width]");
  EXPECT_PARAMETER(slots.dim() == 1 && slots.size(0) == key.size(0), "'slotMapping' has shape ",
                   slots.sizes(), " for ", key.size(0), " tokens");
  expect_positions("slotMapping", slots);
  EXPECT_PARAMETER(key.scalar_type() == key_cache.scalar_type() || modes.cache == "PA_NZ",
                   "'key' has data type ", key.scalar_type(), ", 'keyCache' ", key_cache.scalar_type(),
                   "; they must be equal");
  const std::string mode = modes.scatter == "NHSD" ? "NHSD" : modes.cache;
  scatter_to_cache(key_cache, key, slots, mode);
  if (value.numel() > 0) scatter_to_cache(value_cache, value, slots, mode);
}

void gather_pa_kv_cache(at::Tensor& out, const at::Tensor& cache, const Gather& how) {
  EXPECT_PARAMETER(how.mode == "Norm" || how.mode == "PA_NZ", "'cacheMode' is '", how.mode,
                   "'; it must be Norm or PA_NZ");
  EXPECT_PARAMETER(cache.dim() == 4 && how.block_tables.dim() == 2 && how.lengths.dim() == 1,
                   "'keyCache', 'blockTables' and 'seqLens' have ", cache.dim(), ", ", how.block_tables.dim(),
                   " and ", how.lengths.dim(), " dimensions; they must have 4, 2 and 1");
  expect_positions("blockTables", how.block_tables);
  expect_positions("seqLens", how.lengths);
  if (how.offset) expect_positions("seqOffset", *how.offset);
  const int64_t batch = how.block_tables.size(0);
  EXPECT_PARAMETER(how.lengths.size(0) == batch + (how.cumulated ? 1 : 0), "'seqLens' has ",
                   how.lengths.size(0), " numbers for ", batch, " sequences");
  const at::Tensor rows = by_rows(cache, how.mode);
  const int64_t block_size = rows.size(1);
  const int64_t width = rows.numel() / std::max<int64_t>(rows.size(0) * block_size, 1);
  EXPECT_PARAMETER(cache.numel() > 0 && out.numel() == out.size(0) * width && how.block_tables.numel() > 0,
                   "'key' or 'value' has shape ", out.sizes(), " for a cache of ", cache.sizes(),
                   " and 'blockTables' of ", how.block_tables.sizes());
  at::Tensor lengths = how.lengths.to(at::kLong);
  if (how.cumulated) lengths = lengths.narrow(0, 1, batch) - lengths.narrow(0, 0, batch);
  int64_t begin = 0;
  for (int64_t i = 0; i < batch; ++i) {
    const int64_t length = lengths[i].item<int64_t>();
    const int64_t skipped = how.offset ? (*how.offset)[i].item<int64_t>() / block_size : 0;
    const int64_t blocks = (length + block_size - 1) / block_size;
    TORCH_CHECK(skipped + blocks <= how.block_tables.size(1) && begin + length <= out.size(0), "sequence ", i,
                " has ", length, " tokens; 'blockTables' has ", how.block_tables.size(1),
                " blocks, the output ", out.size(0), " rows");
    const at::Tensor table = how.block_tables.select(0, i).narrow(0, skipped, blocks).to(at::kLong);
    const at::Tensor found = rows.index_select(0, table).flatten(0, 1).narrow(0, 0, length);
    at::Tensor part = out.narrow(0, begin, length);
    write(part, found.reshape(part.sizes()));
    begin += length;
  }
}

at::Tensor interleaved_rotary(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor first = wide.slice(-1, 0, c10::nullopt, 2);
  const at::Tensor second = wide.slice(-1, 1, c10::nullopt, 2);
  return at::cat({first, second}, -1) * cos.to(at::kFloat) +
         at::cat({-second, first}, -1) * sin.to(at::kFloat);
}

void rope_with_cache(at::Tensor& out, const at::Tensor& x, const SinCosCache& how) {
  expect_sections(how);
  expect_positions("positions", how.positions);
  EXPECT_TILING(x.dim() == 2 && how.head_size > 0 && x.size(1) % how.head_size == 0,
                "'queryIn' or 'keyIn' has shape ", x.sizes(), "; it must be [tokens, heads * ", how.head_size,
                "]");
  const int64_t width = how.table.size(1);
  const at::Tensor found =
      how.table.to(at::kFloat).index_select(0, how.positions.reshape({-1}).to(at::kLong)).reshape([&] {
        std::vector<int64_t> shape = how.positions.sizes().vec();
        shape.push_back(width);
        return shape;
      }());
  const at::Tensor cos = of_sections(found.narrow(-1, 0, width / 2), how).unsqueeze(1);
  const at::Tensor sin = of_sections(found.narrow(-1, width / 2, width / 2), how).unsqueeze(1);
  const at::Tensor heads = x.to(at::kFloat).reshape({x.size(0), -1, how.head_size});
  const at::Tensor rotated = turned(heads.narrow(-1, 0, width), cos, sin, how.halves);
  write(out, at::cat({rotated, heads.narrow(-1, width, how.head_size - width)}, -1).reshape(x.sizes()));
}

void kv_norm_rope_cache(at::Tensor& key_cache, at::Tensor& value_cache, at::Tensor& key, at::Tensor& value,
                        const KvNorm& g) {
  expect_kv(g);
  expect_positions("index", g.index);
  const at::Tensor kv = g.kv.to(at::kFloat);
  const int64_t normed = g.gamma.size(0);
  const at::Tensor x = kv.narrow(-1, 0, normed);
  const at::Tensor norm = x * (x.square().mean(-1, true) + g.epsilon).rsqrt() * g.gamma.to(at::kFloat);
  const int64_t rotary = g.cos.size(-1);
  at::Tensor rotated;
  at::Tensor stored;
  if (g.value) {  // the norm is of the keys, and its first columns are turned
    rotated = at::cat({interleaved_rotary(norm.narrow(-1, 0, rotary), g.cos, g.sin),
                       norm.narrow(-1, rotary, normed - rotary)},
                      -1);
    stored = g.value->to(at::kFloat);
  } else {
    EXPECT_TILING(normed + rotary == kv.size(-1), "'kv' has a width of ", kv.size(-1), ", 'gamma' ", normed,
                  " and 'cos' ", rotary, "; the last two must add up to the first");
    rotated = interleaved_rotary(kv.narrow(-1, normed, rotary), g.cos, g.sin);
    stored = norm;
  }
  update_cache(key_cache, scaled(rotated, g.key_scale, g.key_offset), g);
  update_cache(value_cache, scaled(stored, g.value_scale, g.value_offset), g);
  if (!g.output) return;
  write(key, rotated);
  write(value, stored);
}

}  // namespace cann_simulator
