// The arguments of one aclnn call as its kernel sees them.
#ifndef CANN_SIMULATOR_FRAME_H_
#define CANN_SIMULATOR_FRAME_H_

#include <vector>

#include "arguments.h"
#include "compat.h"
#include "ranks.h"

namespace cann_simulator {

// Which narrow types a kernel sees as wider ones, in copies that Frame::store_wide() rounds back. torch's CPU
// kernels lack some of 16-bit floating point, and take int64 alone for most indices and labels.
struct Widening {
  bool floats = false;    // 16-bit floating point as float32
  bool integers = false;  // int32 as int64

  at::ScalarType of(at::ScalarType dtype) const;
};

class Frame {
 public:
  enum class Place {
    kMeta,    // tensors have shapes and no data
    kMemory,  // tensors are views of readable memory
  };

  // `meeting`: with the other ranks of an operator that communicates; nullptr where nothing is to be sent.
  Frame(const std::vector<Value>& values, const Parameter* parameters, Place place, Widening widening,
        cann_simulator_meeting* meeting = nullptr);

  at::Tensor& tensor(std::size_t index) { return tensors_[index].front(); }
  c10::optional<at::Tensor> optional_tensor(std::size_t index) const;
  // An empty list stands for one that was left out.
  std::vector<at::Tensor>& tensors(std::size_t index) { return tensors_[index]; }
  const at::Scalar& scalar(std::size_t index) const { return std::get<at::Scalar>(values_[index]); }
  c10::optional<at::Scalar> optional_scalar(std::size_t index) const;
  const std::vector<at::Scalar>& scalars(std::size_t index) const {
    return std::get<std::vector<at::Scalar>>(values_[index]);
  }
  at::IntArrayRef ints(std::size_t index) const { return std::get<std::vector<int64_t>>(values_[index]); }
  OptionalInts optional_ints(std::size_t index) const;
  const std::vector<bool>& bools(std::size_t index) const {
    return std::get<std::vector<bool>>(values_[index]);
  }
  int64_t integer(std::size_t index) const { return std::get<int64_t>(values_[index]); }
  double real(std::size_t index) const { return std::get<double>(values_[index]); }
  bool boolean(std::size_t index) const { return std::get<bool>(values_[index]); }
  at::ScalarType dtype(std::size_t index) const;
  // Empty when it was left out.
  std::string string(std::size_t index) const;
  Ranks ranks(std::size_t index) const;

  // Throws c10::Error when the kernel gave an output another shape than the caller had.
  void require_shapes_kept();
  // Rounds what the kernel wrote to wide copies back to the device's memory.
  void store_wide();
  // Stores a result whose size only the kernel knows at the start of the output, which has room for the
  // largest.
  void store_sized(std::size_t index, const at::Tensor& result);

 private:
  at::Tensor materialise(const TensorView& view) const;

  const std::vector<Value>& values_;
  const Parameter* parameters_;
  Place place_;
  Widening widening_;
  cann_simulator_meeting* meeting_;
  std::vector<std::vector<at::Tensor>> tensors_;  // one list per argument; empty when it has no tensor
};

// An output whose size only the kernel knows.
class SizedOutput {
 public:
  SizedOutput(Frame& frame, std::size_t index) : frame_(frame), index_(index) {}
  void store(const at::Tensor& result) const { frame_.store_sized(index_, result); }

 private:
  Frame& frame_;
  std::size_t index_;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_FRAME_H_
