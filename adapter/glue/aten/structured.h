// Operators whose shape and dtype rules PyTorch keeps apart from their kernels ("structured").
//
// Structured<Meta, N> runs PyTorch's own rules (type promotion, broadcasting, every error message) and gives
// the N outputs their memory: the caller's for out=, the first argument for in-place, new ones otherwise. A
// kernel then only has to write them.
#ifndef NPU_GLUE_ATEN_STRUCTURED_H_
#define NPU_GLUE_ATEN_STRUCTURED_H_

#include <ATen/TensorIterator.h>
#include <ATen/core/Tensor.h>

#include <array>
#include <type_traits>
#include <utility>

#include "compat.h"
#include "runtime/device.h"

namespace npu {

enum class Result { kOut, kInplace, kNew };

// Makes `output` fit the rules' answer, or throws PyTorch's message for an output that cannot.
void place_output(Result result, at::Tensor& output, at::IntArrayRef sizes, at::IntArrayRef strides,
                  const at::TensorOptions& options);

// The rules report an output through a virtual function. Torch with named tensors has a list of names as its
// last parameter, newer torch has not; `Names` is what there is, so the same text overrides either.
template <class Signature>
struct SetOutput;
template <class Base, class... Names>
struct SetOutput<void (Base::*)(int64_t, at::IntArrayRef, at::IntArrayRef, at::TensorOptions, Names...)> {
  template <class Meta, size_t N>
  class Structured;
};

template <class Base, class... Names>
template <class Meta, size_t N>
class SetOutput<void (Base::*)(int64_t, at::IntArrayRef, at::IntArrayRef, at::TensorOptions,
                               Names...)>::Structured final : public Meta {
 public:
  template <class... T>
  Structured(Result result, c10::DeviceIndex device, const T&... outputs)
      : scope_(device), result_(result), outputs_{outputs...} {}

#if NPU_HAS_RAW_OUTPUTS
  void set_output_strided(int64_t index, at::IntArrayRef sizes, at::IntArrayRef strides,
                          at::TensorOptions options, Names... names) override {
    set_output_raw_strided(index, sizes, strides, options, names...);
  }

  void set_output_raw_strided(int64_t index, at::IntArrayRef sizes, at::IntArrayRef strides,
                              at::TensorOptions options, Names... names) override {
    place_output(result_, outputs_[static_cast<size_t>(index)], sizes, strides, options);
    if constexpr (std::is_base_of_v<at::TensorIteratorBase, Meta>) {
      Meta::set_output_raw_strided(index, sizes, strides, options, names...);
    }
  }
#else
  void set_output(int64_t index, at::IntArrayRef sizes, at::IntArrayRef strides, at::TensorOptions options,
                  Names... names) override {
    place_output(result_, outputs_[static_cast<size_t>(index)], sizes, strides, options);
    if constexpr (std::is_base_of_v<at::TensorIteratorBase, Meta>) {
      Meta::set_output(index, sizes, strides, options, names...);
    }
  }
#endif

  const at::Tensor& maybe_get_output(int64_t index) override { return outputs_[static_cast<size_t>(index)]; }

  const at::Tensor& output(size_t index) const { return outputs_[index]; }
  at::Tensor take(size_t index) { return std::move(outputs_[index]); }

  // Whether there is anything to compute.
  bool writes() const {
    for (const at::Tensor& output : outputs_) {
      if (output.numel() != 0) return true;
    }
    return false;
  }

  // The dtype in which the inputs meet; Undefined for rules that promote nothing.
  at::ScalarType common() const {
    if constexpr (std::is_base_of_v<at::TensorIteratorBase, Meta>) {
      return this->common_dtype();
    } else {
      return at::ScalarType::Undefined;
    }
  }

 private:
  DeviceScope scope_;
  Result result_;
  std::array<at::Tensor, N> outputs_;
};

#if NPU_HAS_RAW_OUTPUTS
using SetOutputFunction = decltype(&at::impl::MetaBase::set_output_raw_strided);
#else
using SetOutputFunction = void (at::impl::MetaBase::*)(int64_t, at::IntArrayRef, at::IntArrayRef,
                                                       at::TensorOptions, at::DimnameList);
#endif
template <class Meta, size_t N>
using Structured = typename SetOutput<SetOutputFunction>::template Structured<Meta, N>;

}  // namespace npu

#endif  // NPU_GLUE_ATEN_STRUCTURED_H_
