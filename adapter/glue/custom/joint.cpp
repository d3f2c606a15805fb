// What the rows of operators of several ranks are written with, and of the two that look for keys and groups.
#include <algorithm>
#include <numeric>

#include "custom/custom.h"

namespace npu {
namespace custom {
namespace {

constexpr int64_t kMxBlock = 32;

void check_product(const char* op, const at::Tensor& x1, const at::Tensor& x2) {
  TORCH_CHECK(x1.dim() >= 2 && x2.dim() == 2 && x1.size(-1) == x2.size(0), op,
              ": mat1 and mat2 shapes cannot be multiplied (", x1.sizes(), " and ", x2.sizes(), ")");
}

}  // namespace

Dims joint_sizes(const char* op, const at::Tensor& x1, const at::Tensor& x2, int64_t times, int64_t parts) {
  check_product(op, x1, x2);
  TORCH_CHECK_VALUE(times > 0 && parts > 0 && x1.size(0) % parts == 0, op,
                    ": expected world_size to divide the ", x1.size(0), " rows of self, but got ",
                    std::max(times, parts));
  return {x1.size(0) * times / parts, x2.size(1)};
}

at::ScalarType joint_dtype(const char* op, const at::Tensor& x1, const optional<at::Tensor>& scale,
                           optional<at::ScalarType> asked, const optional<std::string>& comm_mode) {
  if (!given(scale)) return x1.scalar_type();
  TORCH_CHECK_VALUE(by_vectors(comm_mode), op, ": scales need comm_mode='aiv', but got 'ai_cpu'");
  return scale->scalar_type() == at::kLong ? at::kHalf : asked.value_or(at::kBFloat16);
}

Dims all_reduce_sizes(const char* op, const at::Tensor& x1, const at::Tensor& x2) {
  check_product(op, x1, x2);
  Dims sizes(x1.sizes().begin(), x1.sizes().end());
  sizes.back() = x2.size(1);
  return sizes;
}

at::ScalarType all_reduce_dtype(const char* op, const at::Tensor& x1, const at::Tensor& x2,
                                const optional<at::Tensor>& dequant_scale,
                                const optional<at::Tensor>& antiquant_scale) {
  TORCH_CHECK_VALUE(is_whole(x1) == given(dequant_scale), op,
                    ": dequant_scale goes with an x1 of int8, which has ", x1.scalar_type());
  TORCH_CHECK_VALUE((is_whole(x2) && !is_whole(x1)) == given(antiquant_scale), op,
                    ": antiquant_scale goes with an x2 of int8 alone, but got x1 of ", x1.scalar_type(),
                    " and x2 of ", x2.scalar_type());
  if (!is_whole(x1)) return x1.scalar_type();
  return dequant_scale->scalar_type() == at::kBFloat16 ? at::kBFloat16 : at::kHalf;
}

int64_t sum_of(at::IntArrayRef numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

at::Tensor product_or_undefined(const optional<at::Tensor>& x, const optional<at::Tensor>& weight,
                                bool transposed) {
  if (!given(x) || !given(weight)) return {};
  return made(*x, {x->size(0), weight->size(transposed ? 0 : 1)});
}

int64_t experts_here(const char* op, const ExpertPlace& place) {
  TORCH_CHECK_VALUE(place.rank >= 0 && place.rank < place.ranks, op, ": expected ep_rank_id to be in [0, ",
                    place.ranks, "), but got ", place.rank);
  TORCH_CHECK_VALUE(place.shared_ranks >= 0 && place.shared_ranks < place.ranks, op,
                    ": expected shared_expert_rank_num to be in [0, ", place.ranks, "), but got ",
                    place.shared_ranks);
  TORCH_CHECK_VALUE(place.shared_ranks == 0 || (place.shared > 0 && place.shared_ranks % place.shared == 0),
                    op, ": expected shared_expert_rank_num to be a multiple of shared_expert_num, ",
                    place.shared, ", but got ", place.shared_ranks);
  return place.rank < place.shared_ranks ? 1 : place.experts / (place.ranks - place.shared_ranks);
}

int64_t dispatched_rows(const char* op, const at::Tensor& x, const at::Tensor& expert_ids,
                        const ExpertPlace& place, int64_t all_tokens) {
  const int64_t here = experts_here(op, place);
  const int64_t all = all_tokens == 0 ? x.size(0) * place.ranks : all_tokens;
  if (place.rank >= place.shared_ranks) return all * std::min(here, expert_ids.size(1));
  const int64_t copies = place.shared_ranks / place.shared;
  return all / place.ranks * ((place.ranks + copies - 1) / copies);
}

Dims indexed_sizes(const char* op, const at::Tensor& query, const std::string& layout, int64_t count) {
  check_choice(op, "layout_query", layout, {"BSND", "TND"});
  TORCH_CHECK(query.dim() == (layout == "TND" ? 3 : 4), op, ": Expected ", layout == "TND" ? 3 : 4,
              "-dimensional tensor for argument 'query', but got one of sizes ", query.sizes());
  TORCH_CHECK_VALUE(count > 0, op, ": expected sparse_count to be greater than 0, but got ", count);
  return without_last(query, 2, {1, count});
}

Dims grouped_mx_sizes(const char* op, const at::Tensor& x, const at::Tensor& groups, int64_t block) {
  TORCH_CHECK_VALUE(block == kMxBlock, op, ": expected blocksize to be ", kMxBlock, ", but got ", block);
  return {x.size(0) / (2 * block) + groups.size(0), x.size(1), 2};
}

}  // namespace custom
}  // namespace npu
