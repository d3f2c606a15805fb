// Mixture of experts: which expert takes a token, and the way of tokens to their experts and back.
#ifndef CANN_SIMULATOR_MOE_H_
#define CANN_SIMULATOR_MOE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "compat.h"

namespace cann_simulator {

// Where each slot of indices (flattened) goes when slots are ordered by expert: out[sorted[i]] = tokens[i /
// k]. num_out: 0 keeps all rows, a positive number the first ones, a negative one all but the last ones.
void moe_permute(at::Tensor& out, at::Tensor& sorted, const at::Tensor& tokens, const at::Tensor& indices,
                 int64_t num_out, bool padded);
// The sum of each token's top_k rows, weighted by probs [tokens, top_k] where they are given. A row that was
// dropped counts as zeros.
void moe_unpermute(at::Tensor& out, const at::Tensor& rows, const at::Tensor& sorted,
                   const c10::optional<at::Tensor>& probs, int64_t top_k, bool padded);
void moe_unpermute_grad(at::Tensor& grad_rows, at::Tensor& grad_probs, const c10::optional<at::Tensor>& rows,
                        const at::Tensor& grad, const at::Tensor& sorted,
                        const c10::optional<at::Tensor>& probs, bool padded);

// The k largest of each row, the lower index first among equals. Of a row that is finished the expert is the
// number of experts.
struct TopK {
  int64_t k;
  bool softmax_last;  // of the k, not of all
};
void moe_gating_softmax(at::Tensor& y, at::Tensor& expert, at::Tensor& row, at::Tensor& softmax,
                        const at::Tensor& x, const c10::optional<at::Tensor>& finished, const TopK& top);

struct Gating {
  int64_t k, k_group, group_count;
  int64_t group_select_mode;  // a group is as good as 0: its best expert, 1: its best two
  int64_t renorm;
  int64_t norm_type;  // 0: softmax, 1: sigmoid, 2: the root of softplus
  bool out_flag;
  double scale, eps;
};
// ids and table: token ids, and the experts of each id, where nothing is to be selected.
void moe_gating(at::Tensor& y, at::Tensor& expert, at::Tensor& normed, const at::Tensor& x,
                const c10::optional<at::Tensor>& bias, const c10::optional<at::Tensor>& ids,
                const c10::optional<at::Tensor>& table, const Gating& gating);

// rows: which row of x each place of experts belongs to, counted by columns.
void moe_init_routing(at::Tensor& expanded, at::Tensor& row_index, at::Tensor& sorted_expert,
                      const at::Tensor& x, const at::Tensor& rows, const at::Tensor& experts, int64_t active);

struct Routing {
  int64_t active, capacity, experts;
  bool pad;                    // each expert gets `capacity` rows
  int64_t first = 0;           // of the experts that count
  int64_t end = -1;            // behind the last of them; -1: all count
  bool scatter_index = false;  // row_index says where a row comes from, not where it goes
};
enum class Counts : uint8_t { kNone, kCumulated, kEach, kPairs };
void moe_init_routing_v2(at::Tensor& expanded, at::Tensor& row_index, at::Tensor& counts, at::Tensor& before,
                         const at::Tensor& x, const at::Tensor& experts, const Routing& routing,
                         int64_t counts_flag, bool before_flag);
struct RoutingOut {
  at::Tensor& expanded;
  at::Tensor& row_index;
  at::Tensor& counts;
  at::Tensor& scale;
};
struct RoutingV3 {
  int64_t active, capacity, experts, drop_pad_mode, counts_type;
  bool counts_flag;
  int64_t quant_mode;  // -1: none, 0: by one scale and offset, 1: by the largest of each row
  OptionalInts range;
  int64_t row_index_type;
};
void moe_init_routing_v3(const RoutingOut& out, const at::Tensor& x, const at::Tensor& experts,
                         const c10::optional<at::Tensor>& scale, const c10::optional<at::Tensor>& offset,
                         const RoutingV3& given);
// How many of the sorted experts are at most i.
void moe_expert_tokens(at::Tensor& out, const at::Tensor& sorted, int64_t experts);

struct Finalize {
  const at::Tensor& rows;   // [n, h], or [experts, capacity, h]
  const at::Tensor& index;  // of each token's k rows
  const c10::optional<at::Tensor>&skip1, &skip2, &bias, &scales, &experts;
  const c10::optional<at::Tensor>&x, &alpha1, &alpha2, &constant;
  int64_t mode;  // bit 0: rows are padded, an index may be -1; bit 1: index counts by rows, else by columns
  OptionalInts zero_range, copy_range, constant_range;
  int64_t k = 1;  // without scales
};
void moe_finalize(at::Tensor& out, const Finalize& given);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_MOE_H_
