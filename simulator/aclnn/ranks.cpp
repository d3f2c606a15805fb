#include "ranks.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <numeric>

#include "rules.h"

namespace cann_simulator {
namespace {

HcclDataType hccl_type(at::ScalarType dtype) {
  switch (dtype) {
    case at::kHalf:
      return HCCL_DATA_TYPE_FP16;
    case at::kBFloat16:
      return HCCL_DATA_TYPE_BFP16;
    case at::kFloat:
      return HCCL_DATA_TYPE_FP32;
    case at::kInt:
      return HCCL_DATA_TYPE_INT32;
    default:
      EXPECT_PARAMETER(false, "numbers of type ", dtype,
                       " are not summed over ranks; float16, bfloat16, float32 and int32 are");
      return {};
  }
}

at::Tensor rows_like(const at::Tensor& tensor, int64_t rows) {
  std::vector<int64_t> sizes = tensor.sizes().vec();
  sizes.front() = rows;
  return at::zeros(sizes, tensor.options());
}

std::vector<uint64_t> bytes_of(const std::vector<int64_t>& rows, std::size_t row) {
  std::vector<uint64_t> bytes;
  for (const int64_t count : rows) bytes.push_back(static_cast<uint64_t>(count) * row);
  return bytes;
}

int64_t total(const std::vector<int64_t>& rows) {
  return std::accumulate(rows.begin(), rows.end(), int64_t{0});
}

// Why is the communicator's to say; the kernel only has to end.
void expect_success(HcclResult result) { TORCH_CHECK(result == HCCL_SUCCESS, "the ranks did not meet"); }

}  // namespace

at::Tensor Ranks::all_gather(const at::Tensor& mine) const {
  const at::Tensor from = mine.contiguous();
  at::Tensor all = rows_like(from, from.size(0) * size_);
  if (is_trial()) return all;
  expect_success(cann_simulator_all_gather(meeting_, from.data_ptr(), all.data_ptr(), from.nbytes()));
  return all;
}

at::Tensor Ranks::all_reduce(const at::Tensor& mine) const {
  const at::Tensor from = mine.contiguous();
  at::Tensor sum = at::zeros(from.sizes(), from.options());
  const HcclDataType dtype = hccl_type(from.scalar_type());
  if (is_trial()) return sum;
  const auto count = static_cast<uint64_t>(from.numel());
  expect_success(cann_simulator_all_reduce(meeting_, dtype, from.data_ptr(), sum.data_ptr(), count));
  return sum;
}

at::Tensor Ranks::reduce_scatter(const at::Tensor& whole) const {
  const at::Tensor from = whole.contiguous();
  at::Tensor part = rows_like(from, from.size(0) / size_);
  const HcclDataType dtype = hccl_type(from.scalar_type());
  if (is_trial()) return part;
  const auto count = static_cast<uint64_t>(part.numel());
  expect_success(cann_simulator_reduce_scatter(meeting_, dtype, from.data_ptr(), part.data_ptr(), count));
  return part;
}

at::Tensor Ranks::all_to_all(const at::Tensor& rows, const std::vector<int64_t>& sends,
                             const std::vector<int64_t>& receives) const {
  const at::Tensor from = rows.contiguous();
  at::Tensor to = rows_like(from, total(receives));
  if (is_trial()) return to;
  std::size_t row = from.dtype().itemsize();
  for (const int64_t size : from.sizes().slice(1)) row *= static_cast<std::size_t>(size);
  const auto out = bytes_of(sends, row);
  const auto in = bytes_of(receives, row);
  expect_success(cann_simulator_all_to_all(meeting_, from.data_ptr(), out.data(), to.data_ptr(), in.data()));
  return to;
}

std::vector<int64_t> Ranks::exchange(const std::vector<int64_t>& numbers) const {
  std::vector<int64_t> theirs(numbers.size());
  if (is_trial()) return theirs;
  const std::vector<uint64_t> sizes(static_cast<std::size_t>(size_),
                                    numbers.size() / static_cast<std::size_t>(size_) * sizeof(int64_t));
  expect_success(
      cann_simulator_all_to_all(meeting_, numbers.data(), sizes.data(), theirs.data(), sizes.data()));
  return theirs;
}

}  // namespace cann_simulator
