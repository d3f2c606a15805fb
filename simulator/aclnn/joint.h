// Products whose operands or results lie on several ranks, and the way of tokens to experts on other ranks.
#ifndef CANN_SIMULATOR_ACLNN_JOINT_H_
#define CANN_SIMULATOR_ACLNN_JOINT_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "compat.h"
#include "ranks.h"

namespace cann_simulator {

struct JointProduct {
  const at::Tensor &x1, &x2;
  const c10::optional<at::Tensor>& bias;
  // Of quantized operands; without x2_scale there is no quantization.
  const c10::optional<at::Tensor>&x1_scale, &x2_scale;
  std::string reduce_op;
  int64_t comm_turn, stream_mode;
};
// What the second forms take besides on Atlas A2 and A3: nothing.
void expect_plain_v2(const c10::optional<at::Tensor>& bias, const c10::optional<at::Tensor>& quant_scale,
                     int64_t block_size, int64_t group_size, const std::string& comm_mode,
                     const at::Tensor& amax);
// output = all rows of all ranks @ x2; gathered: those rows, where it has elements.
void all_gather_matmul(at::Tensor& output, at::Tensor& gathered, const JointProduct& given,
                       int64_t gather_index, const Ranks& group);
void matmul_reduce_scatter(at::Tensor& output, const JointProduct& given, const Ranks& group);
// What each rank adds to the sum, before it is summed: x1 @ x2 + bias + x3.
void matmul_all_reduce(at::Tensor& output, const JointProduct& given, const c10::optional<at::Tensor>& x3,
                       const Ranks& group);

// The form of aclnnWeightQuantMatmulAllReduce: x2 is int8, or 4 bits.
struct AntiQuant {
  const c10::optional<at::Tensor>&scale, &offset;
  int64_t group_size;
};
void weight_quant_matmul_all_reduce(at::Tensor& output, const JointProduct& given, const AntiQuant& anti,
                                    const c10::optional<at::Tensor>& x3, const Ranks& group);

// Rows of experts that lie on other ranks. Counts are for each rank, and there for each of its experts.
struct RoutedProduct {
  const at::Tensor &x, &weight;
  const c10::optional<at::Tensor>&send_tensor, &receive_tensor, &mm_x, &mm_weight;
  int64_t world_size;
  at::IntArrayRef sends, receives;
  bool transpose, mm_transpose;
};
// The rows come first, then the products of each expert with its own.
void all_to_all_grouped_matmul(at::Tensor& y, at::Tensor& mm_y, at::Tensor& permuted, bool permute_out,
                               const RoutedProduct& given, const Ranks& group);
// The products come first, then the rows go back.
void grouped_matmul_all_to_all(at::Tensor& y, at::Tensor& mm_y, const RoutedProduct& given,
                               const Ranks& group);

// Where experts lie: those that all tokens share on the first ranks, the others on the rest. Numbers behind
// the experts' stand for such as give zeros, and such as give the token back.
struct Experts {
  int64_t world_size, rank, experts;
  int64_t tp_world_size, shard_type;
  int64_t shared, shared_ranks;
  int64_t global_bs;
  int64_t zero = 0, copy = 0, constant = 0;
};
struct Dispatch {
  const at::Tensor &x, &expert_ids;
  const c10::optional<at::Tensor>&scales, &active, &expert_scales;
  int64_t quant_mode;   // 0: none, 2: by the largest of each row
  int64_t counts_type;  // 0: cumulated, 1: of each expert
};
struct DispatchOut {
  at::Tensor &rows, &scales;
  at::Tensor& index;  // of each token's slots (aclnnMoeDistributeDispatch), or 128 numbers of each row
  bool of_rows;
  at::Tensor &counts, &receives, &weights;
};
void moe_dispatch(const DispatchOut& out, const Dispatch& given, const Experts& experts, const Ranks& group);

struct Combine {
  const at::Tensor &rows, &expert_ids, &index;
  bool of_rows;
  const at::Tensor &sends, &weights;
  const c10::optional<at::Tensor>&active, &shared_x, &original;
  int64_t quant_mode;
};
void moe_combine(at::Tensor& out, const Combine& given, const Experts& experts, const Ranks& group);

// Arguments that CANN keeps for later, and those that the simulator has nothing for.
void expect_reserved(const c10::optional<at::Tensor>& activation_scale,
                     const c10::optional<at::Tensor>& weight_scale,
                     const c10::optional<at::Tensor>& group_list, int64_t out_dtype, int64_t group_list_type);
void expect_all_ranks(const c10::optional<at::Tensor>& elastic_info);
void expect_no_times(const c10::optional<at::Tensor>& performance_info);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_ACLNN_JOINT_H_
