#include "attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include <limits>

#include "fused.h"
#include "kernels.h"
#include "rules.h"

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

// For each sequence of the batch, true in its first columns.
at::Tensor prefix_columns(const Attention& a, int64_t batch, int64_t columns) {
  EXPECT_PARAMETER(a.prefix.has_value() && static_cast<int64_t>(a.prefix->size()) == batch,
                   "'prefix' must have ", batch, " numbers, one of each sequence; sparse mode is 6");
  const auto integers = at::TensorOptions().dtype(at::kLong);
  return at::arange(columns, integers).lt(index_of(*a.prefix).reshape({-1, 1, 1, 1}));
}

// True where a score is left out; undefined when none is. Without a mask CANN leaves nothing out, whatever
// the mode.
at::Tensor left_out(const Attention& a, int64_t batch, int64_t rows, int64_t columns) {
  const int64_t to_corner = columns - rows;
  if (!a.mask) return {};
  switch (a.sparse_mode) {
    case 0:
      return a.mask->to(at::kBool).logical_or(outside_band(rows, columns, 0, a.pre_tokens, a.next_tokens));
    case 1:
    case 5:
      return a.mask->to(at::kBool);
    case 2:
      return outside_band(rows, columns, 0, rows, 0);
    case 3:
      return outside_band(rows, columns, to_corner, rows + columns, 0);
    case 4:
      return outside_band(rows, columns, to_corner, a.pre_tokens, a.next_tokens);
    case 6:
      return outside_band(rows, columns, to_corner, rows + columns, 0)
          .logical_and(prefix_columns(a, batch, columns).logical_not());
    default:
      EXPECT_PARAMETER(false, "'sparseMode' is ", a.sparse_mode,
                       "; the simulator has 0 to 6, and 7 with TND");
      return {};
  }
}

at::Tensor scores_of(const Attention& a, const Heads& heads) {
  at::Tensor scores = heads.query.matmul(heads.key.transpose(-1, -2));
  if (a.shift && a.shift_first) scores = scores + a.shift->to(at::kFloat);
  scores = scores * a.scale;
  if (a.shift && !a.shift_first) scores = scores + a.shift->to(at::kFloat);
  const at::Tensor masked = left_out(a, scores.size(0), scores.size(-2), scores.size(-1));
  return masked.defined() ? scores.masked_fill(masked, -std::numeric_limits<float>::infinity()) : scores;
}

// The weights that multiply the values, after dropout.
at::Tensor dropped(const Attention& a, const at::Tensor& weights) {
  if (!a.drop_mask || a.keep_prob >= 1) return weights;
  const at::Tensor kept = unpacked(*a.drop_mask, weights.numel(), a.first_score).reshape(weights.sizes());
  return weights * kept / a.keep_prob;
}

// The scores of the sinks, one for each row.
at::Tensor sinks_of(const Attention& a, const at::Tensor& scores) {
  EXPECT_PARAMETER(a.sink->numel() == a.heads, "'sink' has shape ", a.sink->sizes(), " for ", a.heads,
                   " heads");
  return a.sink->to(at::kFloat).reshape({1, -1, 1, 1}).expand({scores.size(0), -1, scores.size(2), 1});
}

// The weights of the sinks come last. A row in which everything is masked has no weights; softmax would say
// NaN.
at::Tensor all_weights(const Attention& a, const at::Tensor& scores) {
  if (!a.sink) return scores.softmax(-1).nan_to_num(0);
  return at::cat({scores, sinks_of(a, scores)}, -1).softmax(-1).nan_to_num(0);
}

at::Tensor weights_of(const Attention& a, const at::Tensor& scores) {
  return all_weights(a, scores).narrow(-1, 0, scores.size(-1));
}

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
  write(out,
        from_heads(dropped(attention, weights_of(attention, scores)).matmul(heads.value), attention.layout));
  if (!softmax_max.defined() || !softmax_sum.defined()) return;
  const at::Tensor all = attention.sink ? at::cat({scores, sinks_of(attention, scores)}, -1) : scores;
  const at::Tensor largest = all.amax(-1, true);
  write(softmax_max, largest.expand(softmax_max.sizes()));
  write(softmax_sum, (all - largest).exp().sum(-1, true).expand(softmax_sum.sizes()));
}

void attention_backward(const Attention& attention, const at::Tensor& grad, const Gradients& gradients) {
  const Heads heads = heads_of(attention);
  const at::Tensor all = all_weights(attention, scores_of(attention, heads));
  const at::Tensor weights = all.narrow(-1, 0, heads.key.size(2));
  const at::Tensor wide = to_heads(grad, attention.layout, attention.heads).to(at::kFloat);
  const auto store = [&](at::Tensor& target, const at::Tensor& value, int64_t group) {
    write(target, from_heads(ungrouped(value, group), attention.layout));
  };
  store(gradients.value, dropped(attention, weights).transpose(-1, -2).matmul(wide), heads.group);
  const at::Tensor grad_weights = dropped(attention, wide.matmul(heads.value.transpose(-1, -2)));
  const at::Tensor weighted = weights * grad_weights;
  const at::Tensor sums = weighted.sum(-1, true);
  const at::Tensor grad_scores = weighted - weights * sums;
  store(gradients.query, grad_scores.matmul(heads.key) * attention.scale, 1);
  store(gradients.key, grad_scores.transpose(-1, -2).matmul(heads.query) * attention.scale, heads.group);
  if (gradients.shift.defined() && gradients.shift.numel() > 0) {
    at::Tensor shift = gradients.shift;
    const double factor = attention.shift_first ? attention.scale : 1;
    write(shift, (grad_scores * factor).sum_to_size(shift.sizes()));
  }
  if (attention.sink && gradients.sink.defined()) {
    at::Tensor sink = gradients.sink;
    sink.sub_((all.narrow(-1, heads.key.size(2), 1) * sums).sum({0, 2, 3}).reshape(sink.sizes()));
  }
}

namespace {

// Of a shift that has the scores of one sequence after the other.
c10::optional<at::Tensor> shift_of_sequence(const Attention& a, int64_t rows, int64_t columns,
                                            int64_t first) {
  if (!a.shift || a.shift->dim() != 1) return a.shift;
  return a.shift->narrow(0, first, a.heads * rows * columns).reshape({1, a.heads, rows, columns});
}

}  // namespace

// One sequence of TND after the other, as a batch of one in BSND.
template <class Use>
void for_each_sequence(const Attention& a, const Ends& ends, Use use) {
  TORCH_CHECK(a.layout == "TND" && ends.query.has_value() && ends.key.has_value() &&
                  ends.query->size() == ends.key->size(),
              "sequences of several lengths come as TND, with as many ends for query as for key");
  static const std::string sequence_layout = "BSND";
  int64_t row = 0;
  int64_t column = 0;
  int64_t first_score = a.first_score;
  const std::size_t count = ends.query->size();
  EXPECT_PARAMETER(count == 0 || (ends.query->back() <= a.query.size(0) && ends.key->back() <= a.key.size(0)),
                   "'actualSeqQLen' ends at ", count == 0 ? 0 : ends.query->back(),
                   " and 'actualSeqKvLen' at ", count == 0 ? 0 : ends.key->back(), "; query and key have ",
                   a.query.size(0), " and ", a.key.size(0), " rows");
  for (std::size_t i = 0; i < count; ++i) {
    const int64_t rows = (*ends.query)[i] - row;
    const int64_t columns = (*ends.key)[i] - column;
    const auto queries = [=](const at::Tensor& x) { return x.narrow(0, row, rows).unsqueeze(0); };
    const auto keys = [=](const at::Tensor& x) { return x.narrow(0, column, columns).unsqueeze(0); };
    const at::Tensor query = queries(a.query);
    const at::Tensor key = keys(a.key);
    const at::Tensor value = keys(a.value);
    c10::optional<at::Tensor> mask;  // one for all sequences, as large as the longest
    EXPECT_PARAMETER(rows >= 0 && columns >= 0, "'actualSeqQLen' or 'actualSeqKvLen' falls at sequence ", i);
    if (a.mask) mask = a.sparse_mode < 2 ? a.mask->narrow(0, 0, rows).narrow(1, 0, columns) : *a.mask;
    const int64_t outer = i + 1 == count ? 4 : 3;  // mode 7 is that of a sequence that was cut
    const c10::optional<at::Tensor> shift = shift_of_sequence(a, rows, columns, first_score - a.first_score);
    Attention one{query,
                  key,
                  value,
                  shift,
                  a.shift_first,
                  a.drop_mask,
                  mask,
                  a.scale,
                  a.keep_prob,
                  a.pre_tokens,
                  a.next_tokens,
                  a.heads,
                  sequence_layout,
                  a.sparse_mode == 7 ? outer : a.sparse_mode};
    if (a.prefix.has_value() && i < a.prefix->size()) one.prefix = a.prefix->slice(i, 1);
    one.sink = a.sink;
    one.first_score = first_score;
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
                               const Gradients& gradients) {
  for (at::Tensor* tensor : {&gradients.query, &gradients.key, &gradients.value}) tensor->zero_();
  for_each_sequence(a, ends, [&](const Attention& one, const auto& queries, const auto& keys) {
    at::Tensor query = queries(gradients.query);
    at::Tensor key = keys(gradients.key);
    at::Tensor value = keys(gradients.value);
    attention_backward(one, queries(grad), {query, key, value, {}, gradients.sink});
  });
}

bool shift_comes_first(int64_t pse_type) {
  EXPECT_PARAMETER(pse_type >= 0 && pse_type <= 3, "'pseType' is ", pse_type, "; it must be 0 to 3");
  return pse_type == 1;
}

c10::optional<at::Tensor> shift_of(const c10::optional<at::Tensor>& shift, const Slopes& slopes,
                                   const at::Tensor& query, const at::Tensor& key,
                                   const std::string& layout) {
  if (slopes.pse_type < 2) return shift;
  EXPECT_PARAMETER(layout != "TND", "'pseType' is ", slopes.pse_type, "; with TND the simulator has 0 and 1");
  const int64_t dim = layout == "BNSD" ? 2 : layout == "SBH" ? 0 : 1;
  const int64_t rows = query.size(dim);
  const int64_t columns = key.size(dim);
  EXPECT_GIVEN(shift.has_value(), "'realShift' is NULL; with a pseType of ", slopes.pse_type,
               " it has the slopes");
  const auto first = [](const OptionalInts& starts) {
    return starts.has_value() && !starts->empty() ? starts->front() : 0;
  };
  const auto numbers = at::TensorOptions().dtype(at::kFloat);
  const at::Tensor row = at::arange(rows, numbers).unsqueeze(1) + first(slopes.query_start);
  at::Tensor distance = (at::arange(columns, numbers) + first(slopes.key_start) - row).abs();
  if (slopes.pse_type == 3) distance = distance.sqrt();
  const int64_t batch = shift->dim() == 2 ? shift->size(0) : 1;
  return -(shift->to(at::kFloat).reshape({batch, -1, 1, 1}) * distance);
}

at::Tensor beside(const at::Tensor& x, const c10::optional<at::Tensor>& rope) {
  return rope && rope->numel() > 0 ? at::cat({x, *rope}, -1) : x;
}

void split_beside(const at::Tensor& wide, at::Tensor& x, at::Tensor& rope) {
  write(x, wide.narrow(-1, 0, x.size(-1)));
  if (wide.size(-1) > x.size(-1)) write(rope, wide.narrow(-1, x.size(-1), wide.size(-1) - x.size(-1)));
}

std::vector<int64_t> attended(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                              int64_t heads, const std::string& layout) {
  std::vector<int64_t> shape = query.sizes().vec();
  if (layout != "BSH" && layout != "SBH") {
    shape.back() = value.size(-1);
  } else if (key.size(-1) != value.size(-1) && heads > 0 && key.size(-1) > 0) {
    shape.back() = value.size(-1) * query.size(-1) / key.size(-1);
  }
  return shape;
}

}  // namespace cann_simulator
