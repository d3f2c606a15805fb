#include "indexer.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels.h"
#include "narrow.h"
#include "rules.h"

namespace cann_simulator {
namespace {

constexpr float kWorst = -std::numeric_limits<float>::infinity();

bool is_layout(const std::string& layout, std::initializer_list<const char*> known) {
  return std::any_of(known.begin(), known.end(), [&](const char* name) { return layout == name; });
}

std::string layout_or_default(const std::string& layout) { return layout.empty() ? "BSND" : layout; }

void expect_types(const Indexer& g) {
  const auto dtype = g.query.scalar_type();
  EXPECT_PARAMETER((dtype == at::kHalf || dtype == at::kBFloat16) && g.key.scalar_type() == dtype,
                   "'query' has data type ", dtype, " and 'key' ", g.key.scalar_type(),
                   "; both must be float16, or both bfloat16");
  EXPECT_PARAMETER(g.weights.scalar_type() == dtype || g.weights.scalar_type() == at::kFloat,
                   "'weights' has data type ", g.weights.scalar_type(),
                   "; it must be that of 'query', or float32");
}

void expect_attributes(const Indexer& g) {
  EXPECT_PARAMETER(is_layout(g.query_layout, {"BSND", "TND"}), "'layoutQuery' is '", g.query_layout,
                   "'; it must be BSND or TND");
  EXPECT_PARAMETER(is_layout(g.key_layout, {"BSND", "TND", "PA_BSND"}), "'layoutKey' is '", g.key_layout,
                   "'; it must be BSND, TND or PA_BSND");
  EXPECT_PARAMETER(g.count >= 1 && (g.count <= 2048 || (g.count <= 8192 && g.count % 1024 == 0)),
                   "'sparseCount' is ", g.count, "; it must be 1 to 2048, or a multiple of 1024 up to 8192");
  EXPECT_PARAMETER(g.sparse_mode == 0 || g.sparse_mode == 3, "'sparseMode' is ", g.sparse_mode,
                   "; it must be 0 or 3");
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  EXPECT_PARAMETER(g.before == kAll && g.after == kAll, "'preTokens' is ", g.before, " and 'nextTokens' ",
                   g.after, "; both must be 2^63-1");
  EXPECT_PARAMETER(!g.values || g.key_layout != "PA_BSND",
                   "'returnValues' is true with a 'layoutKey' of PA_BSND");
}

void expect_shapes(const at::Tensor& indices, const Indexer& g) {
  const int64_t dims = g.query_layout == "TND" ? 3 : 4;
  EXPECT_PARAMETER(g.query.dim() == dims && g.query.numel() > 0, "'query' has shape ", g.query.sizes(), "; ",
                   g.query_layout, " has ", dims, " dimensions, none of them 0");
  const int64_t key_dims = g.key_layout == "TND" ? 3 : 4;
  EXPECT_PARAMETER(g.key.dim() == key_dims && g.key.numel() > 0, "'key' has shape ", g.key.sizes(), "; ",
                   g.key_layout, " has ", key_dims, " dimensions, none of them 0");
  EXPECT_PARAMETER(g.query.size(-1) == 128 && g.key.size(-1) == 128, "'query' has shape ", g.query.sizes(),
                   " and 'key' ", g.key.sizes(), "; their D must be 128");
  EXPECT_PARAMETER(g.query.size(-2) <= 64 && g.key.size(-2) == 1, "'query' has ", g.query.size(-2),
                   " heads and 'key' ", g.key.size(-2), "; they must have at most 64, and 1");
  EXPECT_PARAMETER(g.weights.sizes() == g.query.sizes().slice(0, static_cast<std::size_t>(dims - 1)),
                   "'weights' has shape ", g.weights.sizes(), "; it must have that of 'query' without D");
  std::vector<int64_t> sizes = g.query.sizes().vec();
  sizes[sizes.size() - 2] = 1;
  sizes.back() = g.count;
  EXPECT_PARAMETER(indices.sizes() == sizes, "'sparseIndices' has shape ", indices.sizes(), "; it must have ",
                   at::IntArrayRef(sizes));
  EXPECT_GIVEN(g.query_layout != "TND" || given(g.query_lengths),
               "'actualSeqLengthsQuery' is NULL; TND needs it");
  EXPECT_GIVEN(g.key_layout == "BSND" || given(g.key_lengths), "'actualSeqLengthsKey' is NULL; ",
               g.key_layout, " needs it");
  EXPECT_GIVEN(g.key_layout != "PA_BSND" || given(g.block_table), "'blockTable' is NULL; PA_BSND needs it");
  EXPECT_PARAMETER(g.key_layout != "PA_BSND" || (g.key.size(1) % 16 == 0 && g.key.size(1) <= 1024),
                   "'key' has blocks of ", g.key.size(1), "; they must have a multiple of 16, up to 1024");
}

std::vector<int64_t> numbers(const at::Tensor& tensor) {
  const at::Tensor wide = tensor.to(at::kLong).contiguous();
  const auto* const data = static_cast<const int64_t*>(wide.data_ptr());
  return {data, data + wide.numel()};
}

// The rows of one sequence.
at::Tensor part(const at::Tensor& all, const std::string& layout, const std::vector<int64_t>& lengths,
                int64_t batch) {
  if (layout != "TND") {
    const at::Tensor rows = all[batch];
    return lengths.empty() ? rows : rows.narrow(0, 0, lengths[static_cast<std::size_t>(batch)]);
  }
  const int64_t start = batch == 0 ? 0 : lengths[static_cast<std::size_t>(batch - 1)];
  return all.narrow(0, start, lengths[static_cast<std::size_t>(batch)] - start);
}

at::Tensor keys_in_blocks(const Indexer& g, int64_t length, int64_t batch) {
  const int64_t size = g.key.size(1);
  const int64_t blocks = (length + size - 1) / size;
  TORCH_CHECK(blocks <= g.block_table->size(1), "'blockTable' has ", g.block_table->size(1),
              " blocks of sequence ", batch, ", which has ", length, " keys");
  const at::Tensor table = g.block_table->select(0, batch).narrow(0, 0, blocks).to(at::kLong);
  return g.key.index_select(0, table).flatten(0, 1).narrow(0, 0, length);
}

}  // namespace

void lightning_indexer(at::Tensor& indices, at::Tensor& values, const Indexer& asked) {
  Indexer g = asked;
  g.query_layout = layout_or_default(g.query_layout);
  g.key_layout = layout_or_default(g.key_layout);
  expect_types(g);
  expect_attributes(g);
  expect_shapes(indices, g);
  EXPECT_GIVEN(!g.values || (values.defined() && values.sizes() == indices.sizes()),
               "'sparseValues' must have the shape of 'sparseIndices'; 'returnValues' is true");
  const std::vector<int64_t> query_lengths =
      given(g.query_lengths) ? numbers(*g.query_lengths) : std::vector<int64_t>();
  const std::vector<int64_t> key_lengths =
      given(g.key_lengths) ? numbers(*g.key_lengths) : std::vector<int64_t>();
  const int64_t batches =
      g.query_layout == "TND" ? static_cast<int64_t>(query_lengths.size()) : g.query.size(0);
  indices.fill_(-1);
  if (g.values) values.fill_(kWorst);
  for (int64_t batch = 0; batch < batches; ++batch) {
    const at::Tensor query = part(g.query, g.query_layout, query_lengths, batch).to(at::kFloat);
    const at::Tensor weights = part(g.weights, g.query_layout, query_lengths, batch).to(at::kFloat);
    const at::Tensor key =
        (g.key_layout == "PA_BSND" ? keys_in_blocks(g, key_lengths[static_cast<std::size_t>(batch)], batch)
                                   : part(g.key, g.key_layout, key_lengths, batch))
            .select(1, 0)
            .to(at::kFloat);
    const int64_t rows = query.size(0);
    const int64_t keys = key.size(0);
    if (rows == 0 || keys == 0) continue;
    at::Tensor score = (at::matmul(query, key.transpose(0, 1)).relu() * weights.unsqueeze(-1)).sum(1);
    if (g.sparse_mode == 3) {
      const at::Tensor last = at::arange(rows, at::TensorOptions().dtype(at::kLong)) + (keys - rows);
      const at::Tensor later = at::arange(keys, last.options()).unsqueeze(0).gt(last.unsqueeze(1));
      score = score.masked_fill(later, kWorst);
    }
    const auto sorted = score.sort(c10::optional<bool>(true), -1, true);
    const int64_t found = std::min(keys, g.count);
    const at::Tensor best = std::get<0>(sorted).narrow(1, 0, found);
    const at::Tensor which = std::get<1>(sorted).narrow(1, 0, found).masked_fill(best.eq(kWorst), -1);
    part(indices, g.query_layout, query_lengths, batch).select(1, 0).narrow(1, 0, found).copy_(which);
    if (g.values)
      part(values, g.query_layout, query_lengths, batch).select(1, 0).narrow(1, 0, found).copy_(best);
  }
}

}  // namespace cann_simulator
