#include "distributed/reduction.h"

#if NPU_HAS_GROUP_NAMES

#include <ATen/ATen.h>

#include "distributed/hccl.h"

namespace npu::hccl {
namespace {

using c10d::ReduceOp;

const char* name_of(ReduceOp::RedOpType op) {
  constexpr const char* kNames[] = {"SUM",  "AVG", "PRODUCT", "MIN",       "MAX",
                                    "BAND", "BOR", "BXOR",    "PREMUL_SUM"};
  return op < std::size(kNames) ? kNames[op] : "an unknown operation";
}

// Bools are bytes of 0 and 1: "any" is their maximum, "all" their minimum.
ReduceOp::RedOpType of_bools(ReduceOp::RedOpType op) {
  switch (op) {
    case ReduceOp::SUM:
    case ReduceOp::BOR:
      return ReduceOp::MAX;
    case ReduceOp::PRODUCT:
    case ReduceOp::BAND:
      return ReduceOp::MIN;
    default:
      return op;
  }
}

bool hccl_reduction(ReduceOp::RedOpType op, HcclReduceOp* found) {
  switch (op) {
    case ReduceOp::SUM:
    case ReduceOp::AVG:
    case ReduceOp::PREMUL_SUM:
      *found = HCCL_REDUCE_SUM;
      return true;
    case ReduceOp::PRODUCT:
      *found = HCCL_REDUCE_PROD;
      return true;
    case ReduceOp::MIN:
      *found = HCCL_REDUCE_MIN;
      return true;
    case ReduceOp::MAX:
      *found = HCCL_REDUCE_MAX;
      return true;
    default:
      return false;
  }
}

bool is_sum(ReduceOp::RedOpType op) {
  return op == ReduceOp::SUM || op == ReduceOp::AVG || op == ReduceOp::PREMUL_SUM;
}

at::Tensor multiplied(const at::Tensor& tensor, const ReduceOp& op) {
  const auto* factor = static_cast<const c10d::NCCLPreMulSumSupplement*>(op.supplement_.get());
  TORCH_CHECK(factor != nullptr, "PREMUL_SUM has no factor");
  if (factor->tensor_factor.defined()) return tensor.mul(factor->tensor_factor.to(tensor.device()));
  return tensor.mul(factor->double_factor).to(tensor.scalar_type());
}

at::Tensor bitwise(const at::Tensor& parts, ReduceOp::RedOpType op) {
  at::Tensor result = parts.select(0, 0).clone();
  for (int64_t rank = 1; rank < parts.size(0); ++rank) {
    const at::Tensor part = parts.select(0, rank);
    if (op == ReduceOp::BAND) result.bitwise_and_(part);
    if (op == ReduceOp::BOR) result.bitwise_or_(part);
    if (op == ReduceOp::BXOR) result.bitwise_xor_(part);
  }
  return result;
}

}  // namespace

Reduction::Reduction(const ReduceOp& reduce, const at::Tensor& tensor, int ranks)
    : native(false), dtype(HCCL_DATA_TYPE_INT8), op(HCCL_REDUCE_SUM), original_(reduce), ranks_(ranks) {
  const at::ScalarType type = tensor.scalar_type();
  const ReduceOp::RedOpType asked = original_.op_;
  TORCH_CHECK_TYPE(!(type == at::kBool && (asked == ReduceOp::AVG || asked == ReduceOp::PREMUL_SUM)),
                   "Cannot use ReduceOp.", name_of(asked), " with Boolean");
  TORCH_CHECK_TYPE(!tensor.is_complex() || is_sum(asked), "Cannot use ReduceOp.", name_of(asked),
                   " on complex tensors");
  const bool bits = asked == ReduceOp::BAND || asked == ReduceOp::BOR || asked == ReduceOp::BXOR;
  TORCH_CHECK_TYPE(!bits || c10::isIntegralType(type, /*includeBool=*/true), "Cannot use ReduceOp.",
                   name_of(asked), " with ", type);
  if (type == at::kBool) {
    native = hccl_reduction(of_bools(asked), &op);  // as bytes
  } else {
    native = hccl_reduction(asked, &op) && reduced_type(c10::toRealValueType(type), &dtype);
  }
}

at::Tensor Reduction::input(const at::Tensor& tensor) const {
  at::Tensor input = original_.op_ == ReduceOp::PREMUL_SUM ? multiplied(tensor, original_) : tensor;
  return input.is_complex() ? at::view_as_real(input) : input;
}

void Reduction::finish(const at::Tensor& tensor) const {
  if (original_.op_ != ReduceOp::AVG) return;
  if (at::isIntegralType(tensor.scalar_type(), /*includeBool=*/false)) {
    tensor.div_(ranks_, "trunc");
  } else {
    tensor.div_(ranks_);
  }
}

at::Tensor Reduction::here(const at::Tensor& parts) const {
  const at::ScalarType type = parts.scalar_type();
  switch (original_.op_) {
    case ReduceOp::PRODUCT:
      return at::prod(parts, 0, /*keepdim=*/false, type);
    case ReduceOp::MIN:
      return at::amin(parts, {0});
    case ReduceOp::MAX:
      return at::amax(parts, {0});
    case ReduceOp::BAND:
    case ReduceOp::BOR:
    case ReduceOp::BXOR:
      return bitwise(parts, original_.op_);
    default:
      return at::sum(parts, at::IntArrayRef{0}, /*keepdim=*/false, type);
  }
}

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
