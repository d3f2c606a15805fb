// How a reduction of PyTorch becomes one of HCCL's, which has sum, product, maximum and minimum of seven
// types.
#ifndef NPU_GLUE_DISTRIBUTED_REDUCTION_H_
#define NPU_GLUE_DISTRIBUTED_REDUCTION_H_

#include "compat.h"

#if NPU_HAS_GROUP_NAMES

#include <torch/csrc/distributed/c10d/Types.hpp>

#include "cann/hccl.h"

namespace npu::hccl {

struct Reduction {
  // Checks the operation for the type. Throws TypeError for what has no meaning: a mean of bools.
  Reduction(const c10d::ReduceOp& op, const at::Tensor& tensor, int ranks);

  // Whether HCCL does it. Otherwise each rank gets all ranks' elements and computes here().
  bool native;
  HcclDataType dtype;
  HcclReduceOp op;

  // The tensor to give to HCCL: contiguous, complex numbers as pairs, multiplied where that comes before.
  // Never the input itself when it has to be changed.
  at::Tensor input(const at::Tensor& tensor) const;
  // Finishes what HCCL left in `tensor`: a mean is divided.
  void finish(const at::Tensor& tensor) const;
  // Reduces the first dimension of `parts`, one entry per rank.
  at::Tensor here(const at::Tensor& parts) const;

 private:
  const c10d::ReduceOp original_;
  const int ranks_;
};

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
#endif  // NPU_GLUE_DISTRIBUTED_REDUCTION_H_
