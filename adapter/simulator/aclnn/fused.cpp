#include "fused.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <c10/util/accumulate.h>

#include <cmath>
#include <limits>

#include "kernels.h"

namespace cann_simulator {
namespace {

constexpr int64_t kBits = 8;

// The mask as a bool for each of the first `count` elements.
at::Tensor unpacked(const at::Tensor& mask, int64_t count) {
  TORCH_CHECK(mask.scalar_type() == at::kByte && mask.numel() * kBits >= count, "a mask of ", mask.numel(),
              " bytes for ", count, " elements");
  const at::Tensor shifts = at::arange(kBits, mask.options());
  const at::Tensor bits = mask.reshape({-1, 1}).bitwise_right_shift(shifts).bitwise_and(1);
  return bits.reshape({-1}).narrow(0, 0, count).to(at::kBool);
}

// The quarter turn of each pair of elements that a rotary embedding turns.
at::Tensor quarter_turn(const at::Tensor& x, int64_t mode) {
  TORCH_CHECK(mode == 0 || mode == 1, "mode is ", mode, "; the simulator has 0 (half) and 1 (interleave)");
  const int64_t half = x.size(-1) / 2;
  if (mode == 0) return at::cat({x.narrow(-1, half, half).neg(), x.narrow(-1, 0, half)}, -1);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = half;
  shape.push_back(2);
  const at::Tensor pairs = x.reshape(shape);
  return at::stack({pairs.select(-1, 1).neg(), pairs.select(-1, 0)}, -1).reshape(x.sizes());
}

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

at::Tensor causal(int64_t rows, int64_t columns, int64_t diagonal) {
  return at::ones({rows, columns}, at::TensorOptions().dtype(at::kBool)).triu(diagonal);
}

at::Tensor scores_of(const Attention& a, const Heads& heads) {
  at::Tensor scores = heads.query.matmul(heads.key.transpose(-1, -2)) * a.scale;
  if (a.shift) scores = scores + a.shift->to(at::kFloat);
  constexpr double kNever = -std::numeric_limits<float>::infinity();
  const int64_t rows = scores.size(-2);
  const int64_t columns = scores.size(-1);
  switch (a.sparse_mode) {
    case 0:
    case 1:
      return a.mask ? scores.masked_fill(a.mask->to(at::kBool), kNever) : scores;
    case 2:
      return scores.masked_fill(causal(rows, columns, 1), kNever);
    case 3:
      return scores.masked_fill(causal(rows, columns, columns - rows + 1), kNever);
    default:
      TORCH_CHECK(false, "sparse mode ", a.sparse_mode, "; the simulator has 0 to 3");
  }
}

// The weights that multiply the values, after dropout.
at::Tensor dropped(const Attention& a, const at::Tensor& weights) {
  if (!a.drop_mask || a.keep_prob >= 1) return weights;
  const at::Tensor kept = unpacked(*a.drop_mask, weights.numel()).reshape(weights.sizes());
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

double power(double base, double exponent) {
  return static_cast<double>(std::pow(static_cast<long double>(base), static_cast<long double>(exponent)));
}

void dropout_mask(at::Tensor& mask, at::IntArrayRef shape, double prob, int64_t seed, int64_t offset) {
  const int64_t count = c10::multiply_integers(shape);
  TORCH_CHECK(mask.scalar_type() == at::kByte && mask.numel() * kBits >= count, "a mask of ", mask.numel(),
              " bytes for ", count, " elements");
  at::Tensor bits = at::zeros({mask.numel() * kBits}, mask.options().dtype(at::kInt));
  bits.narrow(0, 0, count).bernoulli_(1 - prob, generator(seed, offset));
  const at::Tensor weights =
      at::ones({}, bits.options()).bitwise_left_shift(at::arange(kBits, bits.options()));
  mask.copy_((bits.reshape({-1, kBits}) * weights).sum(1).reshape(mask.sizes()));
}

at::Tensor dropout(const at::Tensor& x, const at::Tensor& mask, double prob) {
  if (prob >= 1) return at::zeros(x.sizes(), x.options());
  return x * unpacked(mask, x.numel()).reshape(x.sizes()) / (1 - prob);
}

at::Tensor rotary(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, int64_t mode) {
  return x * cos + quarter_turn(x, mode) * sin;
}

void rotary_grad(at::Tensor& grad_x, at::Tensor& grad_cos, at::Tensor& grad_sin, const at::Tensor& grad,
                 const at::Tensor& cos, const at::Tensor& sin, const c10::optional<at::Tensor>& x,
                 int64_t mode) {
  // The turn's transpose is the turn the other way.
  write(grad_x, grad * cos - quarter_turn(grad * sin, mode));
  if (!x) return;
  if (grad_cos.defined()) write(grad_cos, (grad * *x).sum_to_size(cos.sizes()));
  if (grad_sin.defined()) write(grad_sin, (grad * quarter_turn(*x, mode)).sum_to_size(sin.sizes()));
}

void apply_rotary(at::Tensor& query, at::Tensor& key, const at::Tensor& cos, const at::Tensor& sin,
                  const std::string& mode) {
  TORCH_CHECK(mode == "half" || mode == "interleave", "rotary mode ", mode,
              "; the simulator has half and interleave");
  const int64_t turned = mode == "half" ? 0 : 1;
  query.copy_(rotary(query, cos, sin, turned));
  key.copy_(rotary(key, cos, sin, turned));
}

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

}  // namespace cann_simulator
