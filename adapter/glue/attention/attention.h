// Fused attention over CANN's flash attention: attention.cpp checks and computes it, attention_ops.cpp makes
// it an operator with a gradient.
#ifndef NPU_GLUE_ATTENTION_ATTENTION_H_
#define NPU_GLUE_ATTENTION_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "compat.h"

namespace npu {

// What npu_fusion_attention was asked for, without the arguments that may have one value only.
struct Attention {
  at::Tensor query, key, value;
  optional<at::Tensor> pse, mask;
  int64_t heads = 0;
  std::string layout;
  double scale = 1;
  double keep_prob = 1;
  int64_t pre_tokens = 0;
  int64_t next_tokens = 0;
  int64_t inner_precise = 0;
  int64_t sparse_mode = 0;
  std::vector<int64_t> query_ends, key_ends;  // TND: where each sequence ends
};

// The random numbers that a call drew, and how many scores they decide about.
struct Drawn {
  int64_t seed = 0;
  int64_t offset = 0;
  int64_t count = 0;
};

struct AttentionResult {
  at::Tensor out, softmax_max, softmax_sum, softmax_out;
  Drawn drawn;
};

struct AttentionGradient {
  at::Tensor query, key, value, pse;
};

// Both throw, before anything is queued, for what CANN or this adapter does not take. With tensors of the
// device "meta" they only make the results.
AttentionResult attention_forward(const Attention& attention);
AttentionGradient attention_backward(const Attention& attention, const at::Tensor& grad,
                                     const AttentionResult& result);

}  // namespace npu

#endif  // NPU_GLUE_ATTENTION_ATTENTION_H_
