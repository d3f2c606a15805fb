// torch.ops.npu.npu_fusion_attention and its gradient, under the names and with the arguments that programs
// for NPUs use.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

#include "attention/attention.h"
#include "compat.h"

namespace npu {
namespace {

using Tensor = at::Tensor;
using OptionalTensor = optional<at::Tensor>;
using Ints = OptionalIntArrayRef;
using Scores = std::tuple<Tensor, Tensor, Tensor, Tensor, int64_t, int64_t, int64_t>;
using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

constexpr const char* kForward =
    "npu_fusion_attention(Tensor query, Tensor key, Tensor value, int head_num, str input_layout, "
    "Tensor? pse=None, Tensor? padding_mask=None, Tensor? atten_mask=None, float scale=1., float "
    "keep_prob=1., "
    "int pre_tockens=2147483647, int next_tockens=2147483647, int inner_precise=0, int[]? prefix=None, "
    "int[]? actual_seq_qlen=None, int[]? actual_seq_kvlen=None, int sparse_mode=0, bool "
    "gen_mask_parallel=True, "
    "bool sync=False, str softmax_layout=\"\", Tensor? sink=None, Tensor? dropout_mask=None, int seed=0, "
    "int offset=0) -> (Tensor, Tensor, Tensor, Tensor, int, int, int)";

constexpr const char* kBackward =
    "npu_fusion_attention_grad(Tensor query, Tensor key, Tensor value, Tensor dy, int head_num, str "
    "input_layout, *, "
    "Tensor? pse=None, Tensor? padding_mask=None, Tensor? atten_mask=None, Tensor? softmax_max=None, "
    "Tensor? softmax_sum=None, Tensor? softmax_in=None, Tensor? attention_in=None, float scale_value=1., "
    "float keep_prob=1., int pre_tockens=2147483647, int next_tockens=2147483647, int inner_precise=0, int "
    "seed=0, "
    "int offset=0, int numels=0, int[]? prefix=None, int[]? actual_seq_qlen=None, int[]? "
    "actual_seq_kvlen=None, "
    "int sparse_mode=0, bool gen_mask_parallel=True, bool sync=False, str softmax_layout=\"\", Tensor? "
    "sink=None) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)";

bool given(const OptionalTensor& tensor) { return tensor.has_value() && tensor->defined(); }

void refuse(bool asked, const char* argument) {
  TORCH_CHECK_NOT_IMPLEMENTED(!asked, "npu_fusion_attention: this adapter does not have ", argument,
                              " yet; leave the argument out");
}

void refuse_unknown(const OptionalTensor& padding_mask, Ints prefix, const std::string& softmax_layout,
                    const OptionalTensor& sink) {
  refuse(given(padding_mask), "padding_mask");
  refuse(prefix.has_value(), "prefix");
  refuse(!softmax_layout.empty(), "softmax_layout");
  refuse(given(sink), "sink");
}

OptionalTensor kept(const OptionalTensor& tensor) { return given(tensor) ? tensor : OptionalTensor(); }

std::vector<int64_t> listed(Ints values) {
  return values.has_value() ? values->vec() : std::vector<int64_t>();
}

// ---- the operators as the dispatcher sees them; `Use` takes what was asked for

template <AttentionResult (*Use)(const Attention&)>
Scores forward_entry(const Tensor& query, const Tensor& key, const Tensor& value, int64_t heads,
                     std::string layout, const OptionalTensor& pse, const OptionalTensor& padding_mask,
                     const OptionalTensor& mask, double scale, double keep_prob, int64_t pre_tokens,
                     int64_t next_tokens, int64_t inner_precise, Ints prefix, Ints query_ends, Ints key_ends,
                     int64_t sparse_mode, bool, bool, std::string softmax_layout, const OptionalTensor& sink,
                     const OptionalTensor& dropout_mask, int64_t seed, int64_t offset) {
  refuse_unknown(padding_mask, prefix, softmax_layout, sink);
  refuse(given(dropout_mask), "dropout_mask");
  refuse(seed != 0 || offset != 0, "seed and offset (torch.npu.manual_seed decides what is dropped)");
  const AttentionResult result =
      Use({query, key, value, kept(pse), kept(mask), heads, std::move(layout), scale, keep_prob, pre_tokens,
           next_tokens, inner_precise, sparse_mode, listed(query_ends), listed(key_ends)});
  return {result.out,        result.softmax_max,  result.softmax_sum, result.softmax_out,
          result.drawn.seed, result.drawn.offset, result.drawn.count};
}

Gradients backward_entry(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& grad,
                         int64_t heads, std::string layout, const OptionalTensor& pse,
                         const OptionalTensor& padding_mask, const OptionalTensor& mask,
                         const OptionalTensor& softmax_max, const OptionalTensor& softmax_sum,
                         const OptionalTensor&, const OptionalTensor& out, double scale, double keep_prob,
                         int64_t pre_tokens, int64_t next_tokens, int64_t inner_precise, int64_t seed,
                         int64_t offset, int64_t count, Ints prefix, Ints query_ends, Ints key_ends,
                         int64_t sparse_mode, bool, bool, std::string softmax_layout,
                         const OptionalTensor& sink) {
  refuse_unknown(padding_mask, prefix, softmax_layout, sink);
  TORCH_CHECK_VALUE(
      given(softmax_max) && given(softmax_sum) && given(out),
      "npu_fusion_attention_grad: softmax_max, softmax_sum and attention_in are needed; give what "
      "npu_fusion_attention returned");
  const Attention attention{
      query,           key,       value,      kept(pse),   kept(mask),    heads,       std::move(layout),
      scale,           keep_prob, pre_tokens, next_tokens, inner_precise, sparse_mode, listed(query_ends),
      listed(key_ends)};
  const AttentionGradient result = attention_backward(
      attention, grad, {*out, *softmax_max, *softmax_sum, Tensor(), {seed, offset, count}});
  return {result.query, result.key, result.value, result.pse,
          at::empty({0}, query.options().dtype(at::kFloat))};
}

// ---- calls through the dispatcher, so that whatever watches operators sees these

Ints ints(const std::vector<int64_t>& ends) { return ends.empty() ? Ints() : Ints(at::IntArrayRef(ends)); }

AttentionResult forward_call(const Attention& a) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("npu::npu_fusion_attention", "")
                             .typed<decltype(forward_entry<attention_forward>)>();
  const auto [out, softmax_max, softmax_sum, softmax_out, seed, offset, count] =
      op.call(a.query, a.key, a.value, a.heads, a.layout, a.pse, {}, a.mask, a.scale, a.keep_prob,
              a.pre_tokens, a.next_tokens, a.inner_precise, {}, ints(a.query_ends), ints(a.key_ends),
              a.sparse_mode, true, false, "", {}, {}, 0, 0);
  return {out, softmax_max, softmax_sum, softmax_out, {seed, offset, count}};
}

Gradients backward_call(const Attention& a, const Tensor& grad, const AttentionResult& result) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("npu::npu_fusion_attention_grad", "")
                             .typed<decltype(backward_entry)>();
  return op.call(a.query, a.key, a.value, grad, a.heads, a.layout, a.pse, {}, a.mask, result.softmax_max,
                 result.softmax_sum, {}, result.out, a.scale, a.keep_prob, a.pre_tokens, a.next_tokens,
                 a.inner_precise, result.drawn.seed, result.drawn.offset, result.drawn.count, {},
                 ints(a.query_ends), ints(a.key_ends), a.sparse_mode, true, false, "", {});
}

// ---- the gradient

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class FusionAttention : public torch::autograd::Function<FusionAttention> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& query, const Tensor& key,
                               const Tensor& value, const Attention& a, Drawn* drawn) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const AttentionResult result = forward_call(a);
    *drawn = result.drawn;
    context->save_for_backward({query, key, value, a.pse.value_or(Tensor()), a.mask.value_or(Tensor()),
                                result.out, result.softmax_max, result.softmax_sum});
    context->saved_data["layout"] = a.layout;
    context->saved_data["numbers"] =
        std::vector<int64_t>{a.heads,       a.pre_tokens,      a.next_tokens,       a.inner_precise,
                             a.sparse_mode, result.drawn.seed, result.drawn.offset, result.drawn.count};
    context->saved_data["fractions"] = std::vector<double>{a.scale, a.keep_prob};
    context->saved_data["query_ends"] = a.query_ends;
    context->saved_data["key_ends"] = a.key_ends;
    context->mark_non_differentiable({result.softmax_max, result.softmax_sum, result.softmax_out});
    return {result.out, result.softmax_max, result.softmax_sum, result.softmax_out};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    auto& data = context->saved_data;
    const std::vector<int64_t> numbers = data["numbers"].toIntVector();
    const std::vector<double> fractions = data["fractions"].toDoubleVector();
    const Attention a{saved[0],
                      saved[1],
                      saved[2],
                      kept(saved[3]),
                      kept(saved[4]),
                      numbers[0],
                      data["layout"].toStringRef(),
                      fractions[0],
                      fractions[1],
                      numbers[1],
                      numbers[2],
                      numbers[3],
                      numbers[4],
                      data["query_ends"].toIntVector(),
                      data["key_ends"].toIntVector()};
    const AttentionResult result{
        saved[5], saved[6], saved[7], Tensor(), {numbers[5], numbers[6], numbers[7]}};
    const auto [query, key, value, pse, sink] = backward_call(a, grads[0], result);
    return {query, key, value, Tensor(), Tensor()};
  }
};

AttentionResult forward_with_gradient(const Attention& a) {
  TORCH_CHECK_NOT_IMPLEMENTED(!a.pse.has_value() || !a.pse->requires_grad() || !at::GradMode::is_enabled(),
                              "npu_fusion_attention: CANN has no gradient of pse; give it pse.detach()");
  AttentionResult result;
  const variable_list tensors = FusionAttention::apply(a.query, a.key, a.value, a, &result.drawn);
  return {tensors[0], tensors[1], tensors[2], tensors[3], result.drawn};
}

TORCH_LIBRARY_FRAGMENT(npu, m) {
  m.def(kForward);
  m.def(kBackward);
}

TORCH_LIBRARY_IMPL(npu, NPU_KEY, m) {
  m.impl("npu_fusion_attention", &forward_entry<attention_forward>);
  m.impl("npu_fusion_attention_grad", &backward_entry);
}

TORCH_LIBRARY_IMPL(npu, Meta, m) {
  m.impl("npu_fusion_attention", &forward_entry<attention_forward>);
  m.impl("npu_fusion_attention_grad", &backward_entry);
}

TORCH_LIBRARY_IMPL(npu, NPU_AUTOGRAD_KEY, m) {
  m.impl("npu_fusion_attention", &forward_entry<forward_with_gradient>);
  // A gradient of the gradient is an error instead of a number that is missing.
  m.impl("npu_fusion_attention_grad", torch::autograd::autogradNotImplementedFallback());
}

}  // namespace
}  // namespace npu
