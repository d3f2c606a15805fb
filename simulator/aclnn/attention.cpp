#include "attention.h"

#include <ATen/ops/arange.h>

#include <limits>

#include "fused.h"
#include "kernels.h"

namespace cann_simulator {
namespace {

// Between a layout and [batch, heads, sequence, width].
at::Tensor to_heads(const at::Tensor& x, const std::string& layout, int64_t heads) {
  if (layout == "BNSD") return x;
  if (layout == "BSND") return x.transpose(1, 2);
  TORCH_CHECK(layout == "BSH" || layout == "SBH", "input layout ", layout,
              "; the simulator has BSH, SBH, BNSD and BSND");
  const at::Tensor split = x.reshape({x.size(0), x.size(1), heads, x.size(2) / heads});
  return layout == "BSH" ? split.transpose(1, 2) : split.permute({1, 2, 0, 3});
}

at::Tensor from_heads(const at::Tensor& x, const std::string& layout) {
  if (layout == "BNSD") return x;
  if (layout == "BSND") return x.transpose(1, 2);
  if (layout == "BSH") return x.transpose(1, 2).reshape({x.size(0), x.size(2), -1});
  return x.permute({2, 0, 1, 3}).reshape({x.size(2), x.size(0), -1});
}

struct Heads {
  at::Tensor query, key,
      value;      // float32, [batch, heads, sequence, width]; key and value repeated for groups
  int64_t group;  // query heads that share a head of key and value
};

int64_t key_heads(const Attention& a) {
  if (a.layout == "BNSD") return a.key.size(1);
  if (a.layout == "BSND") return a.key.size(2);
  const int64_t width = a.query.size(2) / a.heads;
  TORCH_CHECK(width > 0 && a.key.size(2) % width == 0, "a key of shape ", a.key.sizes(),
              " for heads of width ", width);
  return a.key.size(2) / width;
}

Heads heads_of(const Attention& a) {
  const int64_t shared = key_heads(a);
  TORCH_CHECK(shared > 0 && a.heads % shared == 0, a.heads, " heads of queries for ", shared, " of keys");
  const int64_t group = a.heads / shared;
  const auto wide = [&a](const at::Tensor& x, int64_t heads) {
    return to_heads(x, a.layout, heads).to(at::kFloat);
  };
  return {wide(a.query, a.heads), wide(a.key, shared).repeat_interleave(group, 1),
          wide(a.value, shared).repeat_interleave(group, 1), group};
}

// True for what is further than `before` to the left or `after` to the right of the diagonal through (0, at).
at::Tensor outside_band(int64_t rows, int64_t columns, int64_t at, int64_t before, int64_t after) {
  const auto integers = at::TensorOptions().dtype(at::kLong);
  const at::Tensor distance = at::arange(columns, integers) - at::arange(rows, integers).unsqueeze(1) - at;
  return distance.lt(-before).logical_or(distance.gt(after));
}

// True where a score is left out; undefined when none is.
at::Tensor left_out(const Attention& a, int64_t rows, int64_t columns) {
  const int64_t to_corner = columns - rows;
  switch (a.sparse_mode) {
    case 0:
      if (!a.mask) return {};
      return a.mask->to(at::kBool).logical_or(outside_band(rows, columns, 0, a.pre_tokens, a.next_tokens));
    case 1:
      return a.mask ? a.mask->to(at::kBool) : at::Tensor();
    case 2:
      return outside_band(rows, columns, 0, rows, 0);
    case 3:
      return outside_band(rows, columns, to_corner, rows + columns, 0);
    case 4:
      return outside_band(rows, columns, to_corner, a.pre_tokens, a.next_tokens);
    default:
      TORCH_CHECK(false, "sparse mode ", a.sparse_mode, "; the simulator has 0 to 4");
  }
}

at::Tensor scores_of(const Attention& a, const Heads& heads) {
  at::Tensor scores = heads.query.matmul(heads.key.transpose(-1, -2));
  if (a.shift && a.shift_first) scores = scores + a.shift->to(at::kFloat);
  scores = scores * a.scale;
  if (a.shift && !a.shift_first) scores = scores + a.shift->to(at::kFloat);
  const at::Tensor masked = left_out(a, scores.size(-2), scores.size(-1));
  return masked.defined() ? scores.masked_fill(masked, -std::numeric_limits<float>::infinity()) : scores;
}

// The weights that multiply the values, after dropout.
at::Tensor dropped(const Attention& a, const at::Tensor& weights) {
  if (!a.drop_mask || a.keep_prob >= 1) return weights;
  const at::Tensor kept = unpacked(*a.drop_mask, weights.numel(), a.first_score).reshape(weights.sizes());
  return weights * kept / a.keep_prob;
}

// A row in which everything is masked has no weights; softmax would say NaN.
at::Tensor weights_of(const at::Tensor& scores) { return scores.softmax(-1).nan_to_num(0); }

// Of the heads that share one of key or value, the sum of the gradients.
at::Tensor ungrouped(const at::Tensor& grad, int64_t group) {
  if (group == 1) return grad;
  return grad.reshape({grad.size(0), grad.size(1) / group, group, grad.size(2), grad.size(3)}).sum(2);
}

}  // namespace

void attention_forward(const Attention& attention, at::Tensor& softmax_max, at::Tensor& softmax_sum,
                       at::Tensor& out) {
  const Heads heads = heads_of(attention);
  const at::Tensor scores = scores_of(attention, heads);
  write(out, from_heads(dropped(attention, weights_of(scores)).matmul(heads.value), attention.layout));
  if (!softmax_max.defined() || !softmax_sum.defined()) return;
  const at::Tensor largest = scores.amax(-1, true);
  write(softmax_max, largest.expand(softmax_max.sizes()));
  write(softmax_sum, (scores - largest).exp().sum(-1, true).expand(softmax_sum.sizes()));
}

void attention_backward(const Attention& attention, const at::Tensor& grad, at::Tensor& grad_query,
                        at::Tensor& grad_key, at::Tensor& grad_value) {
  const Heads heads = heads_of(attention);
  const at::Tensor weights = weights_of(scores_of(attention, heads));
  const at::Tensor wide = to_heads(grad, attention.layout, attention.heads).to(at::kFloat);
  const auto store = [&](at::Tensor& target, const at::Tensor& value, int64_t group) {
    write(target, from_heads(ungrouped(value, group), attention.layout));
  };
  store(grad_value, dropped(attention, weights).transpose(-1, -2).matmul(wide), heads.group);
  const at::Tensor grad_weights = dropped(attention, wide.matmul(heads.value.transpose(-1, -2)));
  const at::Tensor weighted = weights * grad_weights;
  const at::Tensor grad_scores = (weighted - weights * weighted.sum(-1, true)) * attention.scale;
  store(grad_query, grad_scores.matmul(heads.key), 1);
  store(grad_key, grad_scores.transpose(-1, -2).matmul(heads.query), heads.group);
}

// One sequence of TND after the other, as a batch of one in BSND.
template <class Use>
void for_each_sequence(const Attention& a, const Ends& ends, Use use) {
  TORCH_CHECK(a.layout == "TND" && ends.query.has_value() && ends.key.has_value() &&
                  ends.query->size() == ends.key->size(),
              "sequences of several lengths come as TND, with as many ends for query as for key");
  TORCH_CHECK(!a.shift, "a shift with TND; the simulator has none");
  static const std::string sequence_layout = "BSND";
  int64_t row = 0;
  int64_t column = 0;
  int64_t first_score = a.first_score;
  for (std::size_t i = 0; i < ends.query->size(); ++i) {
    const int64_t rows = (*ends.query)[i] - row;
    const int64_t columns = (*ends.key)[i] - column;
    const auto queries = [=](const at::Tensor& x) { return x.narrow(0, row, rows).unsqueeze(0); };
    const auto keys = [=](const at::Tensor& x) { return x.narrow(0, column, columns).unsqueeze(0); };
    const at::Tensor query = queries(a.query);
    const at::Tensor key = keys(a.key);
    const at::Tensor value = keys(a.value);
    c10::optional<at::Tensor> mask;  // one for all sequences, as large as the longest
    if (a.mask && a.sparse_mode < 2) mask = a.mask->narrow(0, 0, rows).narrow(1, 0, columns);
    const Attention one{query,         key,     value,           a.shift,       a.shift_first,
                        a.drop_mask,   mask,    a.scale,         a.keep_prob,   a.pre_tokens,
                        a.next_tokens, a.heads, sequence_layout, a.sparse_mode, first_score};
    if (rows > 0 && columns > 0) use(one, queries, keys);
    row += rows;
    column += columns;
    first_score += a.heads * rows * columns;
  }
}

void attention_forward_varlen(const Attention& a, const Ends& ends, at::Tensor& softmax_max,
                              at::Tensor& softmax_sum, at::Tensor& out) {
  out.zero_();
  for_each_sequence(a, ends, [&](const Attention& one, const auto& queries, const auto&) {
    at::Tensor largest = queries(softmax_max).transpose(1, 2);
    at::Tensor sums = queries(softmax_sum).transpose(1, 2);
    at::Tensor part = queries(out);
    attention_forward(one, largest, sums, part);
  });
}

void attention_backward_varlen(const Attention& a, const Ends& ends, const at::Tensor& grad,
                               at::Tensor& grad_query, at::Tensor& grad_key, at::Tensor& grad_value) {
  for (at::Tensor* tensor : {&grad_query, &grad_key, &grad_value}) tensor->zero_();
  for_each_sequence(a, ends, [&](const Attention& one, const auto& queries, const auto& keys) {
    at::Tensor query = queries(grad_query);
    at::Tensor key = keys(grad_key);
    at::Tensor value = keys(grad_value);
    attention_backward(one, queries(grad), query, key, value);
  });
}

}  // namespace cann_simulator
