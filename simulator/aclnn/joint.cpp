#include "joint.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>

#include <numeric>

#include "kernels.h"
#include "narrow.h"
#include "rules.h"

namespace cann_simulator {
namespace {

// What all of these operators check before they look at shapes.
void expect_joint(const JointProduct& g) {
  EXPECT_PARAMETER(g.reduce_op.empty() || g.reduce_op == "sum", "'reduceOp' is '", g.reduce_op,
                   "'; it must be sum");
  EXPECT_PARAMETER(g.comm_turn == 0, "'commTurn' is ", g.comm_turn, "; it must be 0");
  EXPECT_PARAMETER(g.stream_mode == 1, "'streamMode' is ", g.stream_mode, "; it must be 1");
}

bool is_half(const at::Tensor& x) { return x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16; }

void expect_operands(const JointProduct& g) {
  EXPECT_PARAMETER(g.x2.dim() == 2 && g.x1.size(-1) == g.x2.size(0), "'x1' has shape ", g.x1.sizes(),
                   " and 'x2' ", g.x2.sizes(), "; x2 must have 2 dimensions, and their k must be equal");
  if (given(g.x2_scale)) {
    EXPECT_PARAMETER(g.x1.scalar_type() == at::kChar && g.x2.scalar_type() == at::kChar,
                     "'x1' has data type ", g.x1.scalar_type(), " and 'x2' ", g.x2.scalar_type(),
                     "; with scales both must be int8");
    return;
  }
  EXPECT_PARAMETER(is_half(g.x1) && g.x1.scalar_type() == g.x2.scalar_type(), "'x1' has data type ",
                   g.x1.scalar_type(), " and 'x2' ", g.x2.scalar_type(),
                   "; both must be float16, or both bfloat16");
  EXPECT_PARAMETER(!given(g.bias) || (g.bias->dim() == 1 && g.bias->size(0) == g.x2.size(1)),
                   "'bias' has shape ", g.bias->sizes(), "; it must have n elements, ", g.x2.size(1));
}

// AllGather and ReduceScatter: two dimensions, and a k that the chip's pipeline takes.
void expect_rows(const JointProduct& g, const Ranks& group) {
  expect_joint(g);
  EXPECT_PARAMETER(g.x1.dim() == 2, "'x1' has shape ", g.x1.sizes(), "; it must have 2 dimensions");
  expect_operands(g);
  const int64_t k = g.x1.size(1);
  EXPECT_PARAMETER(k >= 256 && k < 65535, "'x1' has a k of ", k, "; it must be 256 to 65534");
  const int64_t n = group.size();
  EXPECT_PARAMETER(n == 2 || n == 4 || n == 8 || n == 16 || n == 32, "the communicator has ", n,
                   " ranks; it must have 2, 4, 8, 16 or 32");
}

void expect_output(const char* name, const at::Tensor& output, at::IntArrayRef sizes, const JointProduct& g) {
  EXPECT_PARAMETER(output.sizes() == sizes, "'", name, "' has shape ", output.sizes(), "; it must have ",
                   at::IntArrayRef(sizes));
  EXPECT_PARAMETER(given(g.x2_scale) ? is_half(output) : output.scalar_type() == g.x1.scalar_type(), "'",
                   name, "' has data type ", output.scalar_type(), "; it must be ",
                   given(g.x2_scale) ? "float16 or bfloat16" : "that of 'x1'");
}

// In float32, rounded once.
at::Tensor product(const JointProduct& g, const at::Tensor& x1, const c10::optional<at::Tensor>& x1_scale,
                   at::ScalarType dtype) {
  if (!given(g.x2_scale)) {
    const at::Tensor y = at::matmul(x1.to(at::kFloat), g.x2.to(at::kFloat));
    return (given(g.bias) ? y + g.bias->to(at::kFloat) : y).to(dtype);
  }
  std::vector<int64_t> sizes = x1.sizes().vec();
  sizes.back() = g.x2.size(1);
  at::Tensor y = at::empty(sizes, x1.options().dtype(dtype));
  const c10::optional<at::Tensor> none;
  quant_matmul(y, {x1, g.x2, x1_scale, g.x2_scale, none, none, none, none, g.bias, false, false, 0});
  return y;
}

}  // namespace

void expect_plain_v2(const c10::optional<at::Tensor>& bias, const c10::optional<at::Tensor>& quant_scale,
                     int64_t block_size, int64_t group_size, const std::string& comm_mode,
                     const at::Tensor& amax) {
  EXPECT_PARAMETER(comm_mode == "aiv", "'commMode' is '", comm_mode, "'; it must be aiv");
  EXPECT_PARAMETER(!given(bias), "'bias' must be NULL; with a 'commMode' of aiv there is none");
  EXPECT_PARAMETER(!given(quant_scale) && (!amax.defined() || amax.numel() == 0),
                   "'quantScale' and 'amaxOut' must be NULL");
  EXPECT_PARAMETER(block_size == 0 && group_size == 0, "'blockSize' is ", block_size, " and 'groupSize' ",
                   group_size, "; both must be 0");
}

void all_gather_matmul(at::Tensor& output, at::Tensor& gathered, const JointProduct& g, int64_t gather_index,
                       const Ranks& group) {
  expect_rows(g, group);
  EXPECT_PARAMETER(gather_index == 0, "'gatherIndex' is ", gather_index, "; it must be 0, for 'x1'");
  const int64_t rows = g.x1.size(0) * group.size();
  EXPECT_PARAMETER(rows > 0, "'x1' has no elements");
  expect_output("output", output, {rows, g.x2.size(1)}, g);
  const bool wanted = gathered.defined() && gathered.numel() > 0;
  EXPECT_PARAMETER(!wanted || (gathered.sizes() == at::IntArrayRef{rows, g.x1.size(1)} &&
                               gathered.scalar_type() == g.x1.scalar_type()),
                   "'gatherOut' has shape ", gathered.sizes(), " and data type ", gathered.scalar_type(),
                   "; it must have [", rows, ", ", g.x1.size(1), "] and that of 'x1'");
  const at::Tensor x1 = group.all_gather(g.x1);
  c10::optional<at::Tensor> scale;
  if (given(g.x1_scale)) scale = group.all_gather(*g.x1_scale);
  write(output, product(g, x1, scale, output.scalar_type()));
  if (wanted) write(gathered, x1);
}

void matmul_reduce_scatter(at::Tensor& output, const JointProduct& g, const Ranks& group) {
  expect_rows(g, group);
  const int64_t m = g.x1.size(0);
  EXPECT_PARAMETER(m % group.size() == 0, "'x1' has ", m, " rows; the ", group.size(),
                   " ranks must divide them");
  expect_output("output", output, {m / group.size(), g.x2.size(1)}, g);
  write(output, group.reduce_scatter(product(g, g.x1, g.x1_scale, output.scalar_type())));
}

namespace {

void expect_all_reduce(const at::Tensor& output, const JointProduct& g, const c10::optional<at::Tensor>& x3,
                       const Ranks& group) {
  expect_joint(g);
  EXPECT_PARAMETER(g.x1.dim() == 2 || g.x1.dim() == 3, "'x1' has shape ", g.x1.sizes(),
                   "; it must have 2 or 3 dimensions");
  const int64_t n = group.size();
  EXPECT_PARAMETER(n == 1 || n == 2 || n == 4 || n == 8, "the communicator has ", n,
                   " ranks; it must have 1, 2, 4 or 8");
  std::vector<int64_t> sizes = g.x1.sizes().vec();
  sizes.back() = output.size(-1);
  EXPECT_PARAMETER(output.sizes() == sizes, "'output' has shape ", output.sizes(), "; it must have ",
                   at::IntArrayRef(sizes));
  EXPECT_PARAMETER(!given(x3) || (x3->sizes() == output.sizes() && x3->scalar_type() == output.scalar_type()),
                   "'x3' must have the shape and data type of 'output', ", output.sizes());
}

at::Tensor with(const at::Tensor& y, const c10::optional<at::Tensor>& x3) {
  return given(x3) ? (y.to(at::kFloat) + x3->to(at::kFloat)).to(y.scalar_type()) : y;
}

}  // namespace

void matmul_all_reduce(at::Tensor& output, const JointProduct& g, const c10::optional<at::Tensor>& x3,
                       const Ranks& group) {
  expect_all_reduce(output, g, x3, group);
  expect_operands(g);
  EXPECT_PARAMETER(output.size(-1) == g.x2.size(1), "'output' has shape ", output.sizes(), " for an n of ",
                   g.x2.size(1));
  EXPECT_PARAMETER(given(g.x2_scale) ? is_half(output) : output.scalar_type() == g.x1.scalar_type(),
                   "'output' has data type ", output.scalar_type(), "; 'x1' has ", g.x1.scalar_type());
  const at::Tensor mine = product(g, g.x1.flatten(0, -2), g.x1_scale, output.scalar_type());
  write(output, group.all_reduce(with(mine.reshape(output.sizes()), x3)));
}

void weight_quant_matmul_all_reduce(at::Tensor& output, const JointProduct& g, const AntiQuant& anti,
                                    const c10::optional<at::Tensor>& x3, const Ranks& group) {
  expect_all_reduce(output, g, x3, group);
  EXPECT_GIVEN(given(anti.scale), "'antiquantScale' is NULL");
  EXPECT_PARAMETER(is_half(g.x1) && output.scalar_type() == g.x1.scalar_type(), "'x1' has data type ",
                   g.x1.scalar_type(), " and 'output' ", output.scalar_type(),
                   "; both must be float16, or both bfloat16");
  const at::Tensor rows = g.x1.flatten(0, -2);
  at::Tensor mine = at::empty({rows.size(0), output.size(-1)}, output.options());
  const c10::optional<at::Tensor> none;
  weight_quant_matmul(mine, {rows, g.x2, *anti.scale, anti.offset, none, none, g.bias, anti.group_size});
  write(output, group.all_reduce(with(mine.reshape(output.sizes()), x3)));
}

namespace {

int64_t sum_of(at::IntArrayRef counts) { return std::accumulate(counts.begin(), counts.end(), int64_t{0}); }

// How many rows go to each rank, or come from it.
std::vector<int64_t> of_ranks(at::IntArrayRef counts, int64_t ranks) {
  std::vector<int64_t> sums;
  const int64_t experts = static_cast<int64_t>(counts.size()) / ranks;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    sums.push_back(
        sum_of(counts.slice(static_cast<std::size_t>(rank * experts), static_cast<std::size_t>(experts))));
  }
  return sums;
}

// Rows that lie by rank, and there by expert, ordered by expert; or back.
at::Tensor by_expert(const at::Tensor& rows, at::IntArrayRef counts, int64_t ranks, bool back) {
  const int64_t experts = static_cast<int64_t>(counts.size()) / ranks;
  const int64_t outer = back ? ranks : experts;
  const int64_t inner = back ? experts : ranks;
  const auto count = [&](int64_t rank, int64_t expert) {
    return counts[static_cast<std::size_t>(rank * experts + expert)];
  };
  std::vector<int64_t> starts(counts.size());
  int64_t start = 0;  // of each block where it lies now
  for (int64_t i = 0; i < inner; ++i) {
    for (int64_t o = 0; o < outer; ++o) {
      const int64_t rank = back ? o : i;
      const int64_t expert = back ? i : o;
      starts[static_cast<std::size_t>(rank * experts + expert)] = start;
      start += count(rank, expert);
    }
  }
  std::vector<at::Tensor> blocks;
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t rank = back ? o : i;
      const int64_t expert = back ? i : o;
      blocks.push_back(
          rows.narrow(0, starts[static_cast<std::size_t>(rank * experts + expert)], count(rank, expert)));
    }
  }
  return at::cat(blocks, 0);
}

void expect_counts(const char* name, at::IntArrayRef counts, int64_t wanted) {
  EXPECT_PARAMETER(static_cast<int64_t>(counts.size()) == wanted, "'", name, "' has ", counts.size(),
                   " numbers; it must have one for each expert of each rank, ", wanted);
  for (const int64_t count : counts) {
    EXPECT_PARAMETER(count >= 0, "'", name, "' has ", count, " among its numbers; none may be negative");
  }
}

void expect_routed(const RoutedProduct& g, const at::Tensor& y, const at::Tensor& mm_y, const Ranks& group) {
  EXPECT_PARAMETER(!given(g.send_tensor) && !given(g.receive_tensor),
                   "'sendCountsTensorOptional' and 'recvCountsTensorOptional' must be NULL");
  EXPECT_PARAMETER(g.world_size == group.size(), "'epWorldSize' is ", g.world_size, "; the communicator has ",
                   group.size(), " ranks");
  EXPECT_PARAMETER(g.x.dim() == 2 && g.weight.dim() == 3, "'gmmX' has shape ", g.x.sizes(),
                   " and 'gmmWeight' ", g.weight.sizes(), "; they must have 2 and 3 dimensions");
  EXPECT_PARAMETER(is_half(g.x) && g.x.scalar_type() == g.weight.scalar_type(), "'gmmX' has data type ",
                   g.x.scalar_type(), " and 'gmmWeight' ", g.weight.scalar_type(),
                   "; both must be float16, or both bfloat16");
  EXPECT_PARAMETER(g.x.size(1) == g.weight.size(g.transpose ? 2 : 1), "'gmmX' has shape ", g.x.sizes(),
                   " and 'gmmWeight' ", g.weight.sizes(), "; their H1 must be equal");
  expect_counts("sendCounts", g.sends, g.weight.size(0) * g.world_size);
  expect_counts("recvCounts", g.receives, g.weight.size(0) * g.world_size);
  EXPECT_PARAMETER(g.x.size(0) == sum_of(g.sends), "'gmmX' has ", g.x.size(0),
                   " rows; the numbers of 'sendCounts' add up to ", sum_of(g.sends));
  EXPECT_PARAMETER(y.size(0) == sum_of(g.receives) && y.size(1) == g.weight.size(g.transpose ? 1 : 2),
                   "the result has shape ", y.sizes(), "; it must have [", sum_of(g.receives), ", ",
                   g.weight.size(g.transpose ? 1 : 2), "], as 'recvCounts' says");
  EXPECT_PARAMETER(given(g.mm_x) == given(g.mm_weight),
                   "of 'mmXOptional' and 'mmWeightOptional' one is given; both must be, or none");
  EXPECT_GIVEN(!given(g.mm_x) || mm_y.defined(), "'mmYOptional' is NULL; 'mmXOptional' is given");
}

at::Tensor expert_products(const at::Tensor& rows, const RoutedProduct& g, at::IntArrayRef counts) {
  const int64_t experts = g.weight.size(0);
  std::vector<at::Tensor> parts;
  int64_t start = 0;
  for (int64_t expert = 0; expert < experts; ++expert) {
    int64_t size = 0;
    for (int64_t rank = 0; rank < g.world_size; ++rank)
      size += counts[static_cast<std::size_t>(rank * experts + expert)];
    const at::Tensor weight = g.weight[expert].to(at::kFloat);
    parts.push_back(at::matmul(rows.narrow(0, start, size).to(at::kFloat),
                               g.transpose ? weight.transpose(0, 1) : weight));
    start += size;
  }
  return at::cat(parts, 0).to(g.x.scalar_type());
}

void shared_product(at::Tensor& mm_y, const RoutedProduct& g) {
  if (!given(g.mm_x)) return;
  const at::Tensor weight = g.mm_weight->to(at::kFloat);
  write(mm_y, at::matmul(g.mm_x->to(at::kFloat), g.mm_transpose ? weight.transpose(0, 1) : weight));
}

}  // namespace

void all_to_all_grouped_matmul(at::Tensor& y, at::Tensor& mm_y, at::Tensor& permuted, bool permute_out,
                               const RoutedProduct& g, const Ranks& group) {
  expect_routed(g, y, mm_y, group);
  EXPECT_GIVEN(!permute_out || permuted.defined(), "'permuteOutOptional' is NULL; 'permuteOutFlag' is true");
  const at::Tensor came =
      group.all_to_all(g.x, of_ranks(g.sends, g.world_size), of_ranks(g.receives, g.world_size));
  const at::Tensor rows = by_expert(came, g.receives, g.world_size, false);
  write(y, expert_products(rows, g, g.receives));
  if (permute_out) write(permuted, rows);
  shared_product(mm_y, g);
}

void grouped_matmul_all_to_all(at::Tensor& y, at::Tensor& mm_y, const RoutedProduct& g, const Ranks& group) {
  expect_routed(g, y, mm_y, group);
  const at::Tensor products = by_expert(expert_products(g.x, g, g.sends), g.sends, g.world_size, true);
  write(y, group.all_to_all(products, of_ranks(g.sends, g.world_size), of_ranks(g.receives, g.world_size)));
  shared_product(mm_y, g);
}

}  // namespace cann_simulator
