// The arguments of one aclnn call: copied out of the handles in phase one, turned into tensors when the
// kernel runs.
#ifndef CANN_SIMULATOR_ARGUMENTS_H_
#define CANN_SIMULATOR_ARGUMENTS_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>
#include <c10/util/SmallVector.h>

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "nnopbase/handles.h"

namespace cann_simulator {

// A refused argument: a CANN code and a sentence.
struct Refusal {
  aclnnStatus code;
  std::string message;
};

using Sizes = c10::SmallVector<int64_t, 6>;

// A tensor as its handle described it, without the handle.
struct TensorView {
  Sizes sizes;
  Sizes strides;
  at::ScalarType dtype = at::kFloat;
  void* device_data = nullptr;  // of the first element
  std::size_t bytes = 0;        // from the first element to the end of the last one
  void* readable = nullptr;     // the alias of device_data; set by resolve()
  std::shared_ptr<ViewShape> view_shape;

  // Finds the alias; throws Refusal when the memory is not live memory of `device`.
  void resolve(const char* name, int32_t device);
};

// std::monostate is a NULL that the operator allows.
using Value = std::variant<std::monostate, TensorView, std::vector<std::variant<std::monostate, TensorView>>,
                           at::Scalar, std::vector<int64_t>, std::vector<bool>, int64_t, double, bool,
                           at::ScalarType, std::string>;

// Collects the arguments in their order. Every method throws Refusal for what an operator cannot take.
class Arguments {
 public:
  Arguments();  // for the device of the thread's context

  void tensor(const char* name, const aclTensor* tensor, bool optional = false);
  void tensors(const char* name, const aclTensorList* list);
  void scalar(const char* name, const aclScalar* scalar, bool optional = false);
  void ints(const char* name, const aclIntArray* array, bool optional = false);
  void bools(const char* name, const aclBoolArray* array);
  void dtype(const char* name, aclDataType dtype);
  void string(const char* name, const char* text);
  void integer(int64_t value) { values_.emplace_back(value); }
  void real(double value) { values_.emplace_back(value); }
  void boolean(bool value) { values_.emplace_back(value); }

  int32_t device() const { return device_; }
  std::vector<Value>& values() { return values_; }

 private:
  TensorView view(const char* name, const aclTensor& tensor) const;
  // Takes a NULL: stores it when it is allowed, throws otherwise. True when the pointer was NULL.
  bool null(const char* name, const void* pointer, bool optional);

  int32_t device_ = 0;
  std::vector<Value> values_;
};

// Looks every tensor's memory up again: it may have been freed since phase one.
void resolve(std::vector<Value>& values, const char* const* names, int32_t device);

// What the outcome of a shape check depends on, byte by byte.
void append_key(const Value& value, std::string* key);

// The arguments as the generated kernels see them. On kMeta the tensors have shapes and no data.
class Frame {
 public:
  enum class Place { kMeta, kMemory };

  Frame(const std::vector<Value>& values, Place place);

  at::Tensor& tensor(std::size_t index) { return tensors_[index].front(); }
  c10::optional<at::Tensor> optional_tensor(std::size_t index) const;
  std::vector<at::Tensor>& tensors(std::size_t index) { return tensors_[index]; }
  const at::Scalar& scalar(std::size_t index) const { return std::get<at::Scalar>(values_[index]); }
  c10::optional<at::Scalar> optional_scalar(std::size_t index) const;
  at::IntArrayRef ints(std::size_t index) const { return std::get<std::vector<int64_t>>(values_[index]); }
  at::OptionalIntArrayRef optional_ints(std::size_t index) const;
  const std::vector<bool>& bools(std::size_t index) const {
    return std::get<std::vector<bool>>(values_[index]);
  }
  int64_t integer(std::size_t index) const { return std::get<int64_t>(values_[index]); }
  double real(std::size_t index) const { return std::get<double>(values_[index]); }
  bool boolean(std::size_t index) const { return std::get<bool>(values_[index]); }
  at::ScalarType dtype(std::size_t index) const { return std::get<at::ScalarType>(values_[index]); }
  const std::string& string(std::size_t index) const { return std::get<std::string>(values_[index]); }

  // Throws c10::Error when the kernel gave the argument another shape than the caller had.
  void require_shape_kept(const char* name, std::size_t index);
  // Stores a result whose size only the kernel knows at the start of the output, which has room for the
  // largest.
  void store_sized(std::size_t index, const at::Tensor& result);

 private:
  const std::vector<Value>& values_;
  std::vector<std::vector<at::Tensor>> tensors_;  // one list per argument; empty when it has no tensor
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_ARGUMENTS_H_
