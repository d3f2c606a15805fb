#include "attention/attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "aclnn_operators.h"
#include "runtime/device.h"
#include "runtime/generator.h"

namespace npu {
namespace {

constexpr const char* kName = "npu_fusion_attention: ";
constexpr int64_t kMaskSide = 2048;  // of the mask that CANN reads tile by tile
constexpr int64_t kRowCopies = 8;    // CANN keeps each number of a row's softmax eight times
constexpr int64_t kMaskAlignment = 128;
constexpr int64_t kBits = 8;

struct Extent {
  int64_t batch, heads, rows, columns, count;  // count: of the scores
};

bool is_varlen(const Attention& a) { return a.layout == "TND"; }

// The size of `x` that the layout calls by this letter.
int64_t size(const Attention& a, const at::Tensor& x, char letter) {
  return x.size(static_cast<int64_t>(a.layout.find(letter)));
}

void check_tensors(const Attention& a) {
  TORCH_CHECK_VALUE(
      a.layout == "BSH" || a.layout == "SBH" || a.layout == "BNSD" || a.layout == "BSND" || a.layout == "TND",
      kName, "input_layout is '", a.layout, "'; choose BSH, SBH, BNSD, BSND or TND");
  const std::pair<const char*, const at::Tensor&> tensors[] = {
      {"query", a.query}, {"key", a.key}, {"value", a.value}};
  for (const auto& [name, tensor] : tensors) {
    TORCH_CHECK_VALUE(tensor.dim() == static_cast<int64_t>(a.layout.size()), kName, name, " has the sizes ",
                      tensor.sizes(), ", which is not ", a.layout);
    TORCH_CHECK_TYPE(tensor.scalar_type() == a.query.scalar_type(), kName, name, " is ", tensor.scalar_type(),
                     " and query ", a.query.scalar_type(), "; give all three one dtype");
    TORCH_CHECK(tensor.device() == a.query.device(), kName, name, " is on ", tensor.device(),
                " and query on ", a.query.device());
  }
  const at::ScalarType dtype = a.query.scalar_type();
  TORCH_CHECK_TYPE(dtype == at::kHalf || dtype == at::kBFloat16 || dtype == at::kFloat, kName, "query is ",
                   dtype, "; CANN takes float16, bfloat16 and float32");
  TORCH_CHECK_VALUE(a.key.sizes() == a.value.sizes(), kName, "key has the sizes ", a.key.sizes(),
                    " and value ", a.value.sizes(), "; they must be the same");
}

// How many heads query and key have.
std::pair<int64_t, int64_t> heads_of(const Attention& a) {
  if (a.layout.back() == 'D')
    return {size(a, a.query, 'N'), size(a, a.query, 'D') == size(a, a.key, 'D') ? size(a, a.key, 'N') : 0};
  const int64_t hidden = size(a, a.query, 'H');
  const int64_t width = a.heads > 0 && hidden % a.heads == 0 ? hidden / a.heads : 0;
  if (width == 0) return {0, 0};
  return {a.heads, size(a, a.key, 'H') % width == 0 ? size(a, a.key, 'H') / width : 0};
}

void check_heads(const Attention& a) {
  const auto [heads, shared] = heads_of(a);
  TORCH_CHECK_VALUE(a.heads > 0 && heads == a.heads, kName, "head_num is ", a.heads,
                    ", but query has the sizes ", a.query.sizes(), " as ", a.layout);
  TORCH_CHECK_VALUE(shared > 0 && heads % shared == 0, kName, "a key of the sizes ", a.key.sizes(),
                    " does not fit ", heads, " heads of a query of the sizes ", a.query.sizes(),
                    ": heads must be of one width, and each head of key serves the same number of query's");
}

void check_ends(const char* name, const std::vector<int64_t>& ends, int64_t total) {
  TORCH_CHECK_VALUE(
      !ends.empty() && ends.front() >= 0 && std::is_sorted(ends.begin(), ends.end()) && ends.back() == total,
      kName, name, " is ", at::IntArrayRef(ends), "; with TND it says where each sequence ends, so it ",
      "grows up to ", total);
}

// Of sequences that follow each other, the longest one and the number of pairs of row and column.
Extent varlen_extent(const Attention& a) {
  check_ends("actual_seq_qlen", a.query_ends, size(a, a.query, 'T'));
  check_ends("actual_seq_kvlen", a.key_ends, size(a, a.key, 'T'));
  TORCH_CHECK_VALUE(a.query_ends.size() == a.key_ends.size(), kName, "actual_seq_qlen has ",
                    a.query_ends.size(), " sequences and actual_seq_kvlen ", a.key_ends.size());
  Extent extent{1, a.heads, 0, 0, 0};
  for (size_t i = 0; i < a.query_ends.size(); ++i) {
    const int64_t rows = a.query_ends[i] - (i == 0 ? 0 : a.query_ends[i - 1]);
    const int64_t columns = a.key_ends[i] - (i == 0 ? 0 : a.key_ends[i - 1]);
    extent.rows = std::max(extent.rows, rows);
    extent.columns = std::max(extent.columns, columns);
    extent.count += a.heads * rows * columns;
  }
  return extent;
}

Extent extent_of(const Attention& a) {
  if (is_varlen(a)) return varlen_extent(a);
  TORCH_CHECK_VALUE(a.query_ends.empty() && a.key_ends.empty(), kName,
                    "actual_seq_qlen and actual_seq_kvlen are for TND, and input_layout is ", a.layout);
  TORCH_CHECK_VALUE(size(a, a.query, 'B') == size(a, a.key, 'B'), kName, "query has the sizes ",
                    a.query.sizes(), " and key ", a.key.sizes(), ": batches of different sizes");
  Extent extent{size(a, a.query, 'B'), a.heads, size(a, a.query, 'S'), size(a, a.key, 'S'), 0};
  extent.count = extent.batch * extent.heads * extent.rows * extent.columns;
  return extent;
}

bool expands(at::IntArrayRef sizes, at::IntArrayRef wanted) {
  if (sizes.size() != wanted.size()) return false;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] != wanted[i] && sizes[i] != 1) return false;
  }
  return true;
}

void check_mask(const Attention& a, const Extent& extent) {
  TORCH_CHECK_NOT_IMPLEMENTED(
      a.sparse_mode >= 0 && a.sparse_mode <= 4, kName, "sparse_mode is ", a.sparse_mode,
      "; this adapter has 0 (the mask as it is, within pre_tockens and next_tockens), 1 (the "
      "mask as it is), 2 and 3 (causal from the upper left and to the lower right corner) and "
      "4 (a band)");
  const bool needed = a.sparse_mode != 0;
  TORCH_CHECK_VALUE(!needed || a.mask.has_value(), kName, "sparse_mode ", a.sparse_mode,
                    " needs an atten_mask",
                    a.sparse_mode == 1 ? "" : ": torch.ones(2048, 2048).triu(1).bool() on the device");
  if (!a.mask.has_value()) return;
  const at::Tensor& mask = *a.mask;
  TORCH_CHECK_TYPE(mask.scalar_type() == at::kBool || mask.scalar_type() == at::kByte, kName,
                   "atten_mask is ", mask.scalar_type(), "; make it bool, True where a score is left out");
  TORCH_CHECK(mask.device() == a.query.device(), kName, "atten_mask is on ", mask.device(), " and query on ",
              a.query.device());
  const int64_t rows = a.sparse_mode > 1 ? kMaskSide : extent.rows;
  const int64_t columns = a.sparse_mode > 1 ? kMaskSide : extent.columns;
  const bool plain = mask.sizes() == at::IntArrayRef({rows, columns});
  const bool full = a.sparse_mode < 2 && !is_varlen(a) && mask.dim() == 4 && mask.size(2) == rows &&
                    mask.size(3) == columns &&
                    expands(mask.sizes(), {extent.batch, extent.heads, rows, columns});
  TORCH_CHECK_VALUE(plain || full, kName, "atten_mask has the sizes ", mask.sizes(), "; sparse_mode ",
                    a.sparse_mode, " with ", a.layout, " takes [", rows, ", ", columns, "]",
                    a.sparse_mode < 2 && !is_varlen(a) ? " and one of each batch and head" : "");
}

void check_pse(const Attention& a, const Extent& extent) {
  if (!a.pse.has_value()) return;
  TORCH_CHECK_NOT_IMPLEMENTED(!is_varlen(a), kName, "this adapter has no pse with TND yet");
  TORCH_CHECK_TYPE(a.pse->scalar_type() == a.query.scalar_type(), kName, "pse is ", a.pse->scalar_type(),
                   " and query ", a.query.scalar_type());
  TORCH_CHECK(a.pse->device() == a.query.device(), kName, "pse is on ", a.pse->device(), " and query on ",
              a.query.device());
  const int64_t wanted[] = {extent.batch, extent.heads, extent.rows, extent.columns};
  TORCH_CHECK_VALUE(
      expands(a.pse->sizes(), wanted) && a.pse->size(1) == extent.heads && a.pse->size(3) == extent.columns,
      kName, "pse has the sizes ", a.pse->sizes(), "; it takes ", at::IntArrayRef(wanted),
      ", where the first and the third may be 1");
}

Extent checked(const Attention& a) {
  check_tensors(a);
  check_heads(a);
  const Extent extent = extent_of(a);
  TORCH_CHECK_VALUE(a.keep_prob > 0 && a.keep_prob <= 1, kName, "keep_prob is ", a.keep_prob,
                    "; it is above 0 and at most 1");
  check_mask(a, extent);
  check_pse(a, extent);
  return extent;
}

// One bit for each score, set where it is kept; forward and backward make the same one of the same numbers.
optional<at::Tensor> drop_mask(const Attention& a, const Drawn& drawn) {
  if (a.keep_prob >= 1) return {};
  const int64_t bytes = (drawn.count + kMaskAlignment - 1) / kMaskAlignment * kMaskAlignment / kBits;
  at::Tensor mask = at::empty({bytes}, a.query.options().dtype(at::kByte));
  const int64_t shape[] = {drawn.count};
  aclnn::DropoutGenMask(at::IntArrayRef(shape), 1 - a.keep_prob, drawn.seed, drawn.offset, mask);
  return mask;
}

AttentionResult made(const Attention& a, const Extent& extent) {
  std::vector<int64_t> sizes = {extent.batch, extent.heads, extent.rows, kRowCopies};
  if (is_varlen(a)) sizes = {size(a, a.query, 'T'), extent.heads, kRowCopies};
  const at::TensorOptions numbers = a.query.options().dtype(at::kFloat);
  return {at::empty(a.query.sizes(), a.query.options()),
          at::empty(sizes, numbers),
          at::empty(sizes, numbers),
          at::empty({0}, a.query.options()),
          {0, 0, extent.count}};
}

const optional<at::Tensor> kNoTensor;
const OptionalIntArrayRef kNoInts;

}  // namespace

AttentionResult attention_forward(const Attention& a) {
  const Extent extent = checked(a);
  AttentionResult result = made(a, extent);
  if (a.query.is_meta()) return result;
  const DeviceScope scope(index_of(a.query.device()));
  if (extent.count == 0) {
    for (at::Tensor* tensor : {&result.out, &result.softmax_max, &result.softmax_sum}) tensor->zero_();
    return result;
  }
  if (a.keep_prob < 1) {
    const auto [seed, offset] = random_state({}, current_device(), extent.count);
    result.drawn.seed = static_cast<int64_t>(seed);
    result.drawn.offset = static_cast<int64_t>(offset);
  }
  const optional<at::Tensor> drop = drop_mask(a, result.drawn);
  if (is_varlen(a)) {
    aclnn::FlashAttentionVarLenScore(a.query, a.key, a.value, kNoTensor, drop, kNoTensor, a.mask, kNoInts,
                                     at::IntArrayRef(a.query_ends), at::IntArrayRef(a.key_ends), a.scale,
                                     a.keep_prob, a.pre_tokens, a.next_tokens, a.heads, a.layout.c_str(),
                                     a.inner_precise, a.sparse_mode, result.softmax_max, result.softmax_sum,
                                     result.softmax_out, result.out);
  } else {
    aclnn::FlashAttentionScore(a.query, a.key, a.value, a.pse, drop, kNoTensor, a.mask, kNoInts, a.scale,
                               a.keep_prob, a.pre_tokens, a.next_tokens, a.heads, a.layout.c_str(),
                               a.inner_precise, a.sparse_mode, result.softmax_max, result.softmax_sum,
                               result.softmax_out, result.out);
  }
  return result;
}

AttentionGradient attention_backward(const Attention& a, const at::Tensor& grad,
                                     const AttentionResult& result) {
  const Extent extent = checked(a);
  TORCH_CHECK_VALUE(grad.sizes() == a.query.sizes(), kName, "the gradient has the sizes ", grad.sizes(),
                    " and query ", a.query.sizes());
  const auto fresh = [](const at::Tensor& like) { return at::empty(like.sizes(), like.options()); };
  AttentionGradient out{fresh(a.query), fresh(a.key), fresh(a.value),
                        a.pse.has_value() ? fresh(*a.pse) : at::empty({0}, a.query.options())};
  if (a.query.is_meta()) return out;
  const DeviceScope scope(index_of(a.query.device()));
  if (extent.count == 0) {
    for (at::Tensor* tensor : {&out.query, &out.key, &out.value, &out.pse}) tensor->zero_();
    return out;
  }
  Drawn drawn = result.drawn;
  drawn.count = extent.count;
  const optional<at::Tensor> drop = drop_mask(a, drawn);
  if (is_varlen(a)) {
    aclnn::FlashAttentionUnpaddingScoreGrad(
        a.query, a.key, a.value, grad, kNoTensor, drop, kNoTensor, a.mask, result.softmax_max,
        result.softmax_sum, kNoTensor, result.out, kNoInts, at::IntArrayRef(a.query_ends),
        at::IntArrayRef(a.key_ends), a.scale, a.keep_prob, a.pre_tokens, a.next_tokens, a.heads,
        a.layout.c_str(), a.inner_precise, a.sparse_mode, out.query, out.key, out.value, out.pse);
  } else {
    aclnn::FlashAttentionScoreGrad(
        a.query, a.key, a.value, grad, a.pse, drop, kNoTensor, a.mask, result.softmax_max, result.softmax_sum,
        kNoTensor, result.out, kNoInts, a.scale, a.keep_prob, a.pre_tokens, a.next_tokens, a.heads,
        a.layout.c_str(), a.inner_precise, a.sparse_mode, out.query, out.key, out.value, out.pse);
  }
  return out;
}

}  // namespace npu
