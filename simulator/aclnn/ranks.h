// The ranks that compute an operator together, as a kernel sees them.
#ifndef CANN_SIMULATOR_RANKS_H_
#define CANN_SIMULATOR_RANKS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "cann_simulator/joint.h"

namespace cann_simulator {

// Tensors are sent by rows, the slices of their first dimension. In a trial nothing is sent, and zeros come.
class Ranks {
 public:
  Ranks(cann_simulator_meeting* meeting, int64_t size, int64_t rank)
      : meeting_(meeting), size_(size), rank_(rank) {}

  int64_t size() const { return size_; }
  int64_t rank() const { return rank_; }
  // Whether nothing is sent: what comes says nothing then.
  bool is_trial() const { return meeting_ == nullptr; }

  // What all ranks have, in order of rank; they have as many rows as this one.
  at::Tensor all_gather(const at::Tensor& mine) const;
  at::Tensor all_reduce(const at::Tensor& mine) const;
  // Of the sum, this rank's equal part of the rows.
  at::Tensor reduce_scatter(const at::Tensor& whole) const;
  // The first sends[0] rows go to rank 0, and so on; what comes lies in order of rank.
  at::Tensor all_to_all(const at::Tensor& rows, const std::vector<int64_t>& sends,
                        const std::vector<int64_t>& receives) const;
  // One number for each rank.
  std::vector<int64_t> exchange(const std::vector<int64_t>& numbers) const;

 private:
  cann_simulator_meeting* meeting_;
  int64_t size_;
  int64_t rank_;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_RANKS_H_
