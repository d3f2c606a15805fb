// Calling aclnn operators from tensors.
//
//   aclnn::Add(self, other, alpha, out);   // at::Tensor, at::Tensor, at::Scalar, at::Tensor
//
// aclnn_operators.h, generated from cann/operators, has one such object per operator; its template arguments
// are the C types of aclnnAddGetWorkspaceSize. An argument becomes CANN's handle for the length of that call.
// The kernel is queued on the current stream of the current device; tensors may be released as soon as the
// call returns, because the allocator reuses memory in stream order.
#ifndef NPU_GLUE_ACLNN_ACLNN_H_
#define NPU_GLUE_ACLNN_ACLNN_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>
#include <c10/util/SmallVector.h>

#include <array>
#include <atomic>
#include <string>
#include <type_traits>
#include <utility>

#include "cann/acl.h"
#include "compat.h"
#include "npu_core.h"

namespace npu {

// Throws when CANN has no counterpart of the dtype.
aclDataType acl_dtype(at::ScalarType dtype);

namespace aclnn {

// An argument that the operator may do without, left out: null.
struct None {};
constexpr None none;

// A tensor whose elements mean another type to CANN than to torch: 8-bit and 4-bit types that torch keeps in
// bytes. Two numbers of 4 bits lie in one element, along the dimension that is dense.
struct Typed {
  const at::Tensor& tensor;
  aclDataType dtype;
};

// Which argument of which operator is being made, for messages.
struct Position {
  const char* op;          // "Add"
  const char* parameters;  // "self other alpha out"
  size_t index;
};

// Makes CANN's handle of type P from one argument and destroys it at the end of the full expression.
template <class P>
class Argument {
 public:
  template <class T>
  Argument(const Position&, const T& value) : value_(static_cast<P>(value)) {}
  P get() const { return value_; }

 private:
  P value_;
};

template <>
class Argument<const aclTensor*> {
 public:
  // Null for an undefined tensor. Throws when the tensor is not on the current device.
  Argument(const Position& position, const at::Tensor& tensor);
  Argument(const Position& position, const optional<at::Tensor>& tensor);
  Argument(const Position& position, const Typed& typed);
  Argument(const Position&, None) {}
  ~Argument();
  Argument(const Argument&) = delete;
  aclTensor* get() const { return handle_; }

 private:
  aclTensor* handle_ = nullptr;
};

template <>
class Argument<aclTensor*> : public Argument<const aclTensor*> {
 public:
  using Argument<const aclTensor*>::Argument;
};

template <>
class Argument<const aclTensorList*> {
 public:
  Argument(const Position& position, at::ArrayRef<at::Tensor> tensors);
  // Exactly this type, as a vector of tensors would become either.
  template <class T, std::enable_if_t<std::is_same_v<T, optional<at::TensorList>>, int> = 0>
  Argument(const Position& position, const T& tensors) {
    if (tensors.has_value()) make(position, *tensors);
  }
  Argument(const Position&, None) {}
  ~Argument();
  Argument(const Argument&) = delete;
  aclTensorList* get() const { return handle_; }

 private:
  void make(const Position& position, at::ArrayRef<at::Tensor> tensors);

  aclTensorList* handle_ = nullptr;
};

template <>
class Argument<const aclScalar*> {
 public:
  Argument(const Position& position, const at::Scalar& value);
  Argument(const Position& position, const optional<at::Scalar>& value);
  ~Argument();
  Argument(const Argument&) = delete;
  aclScalar* get() const { return handle_; }

 private:
  aclScalar* handle_ = nullptr;
};

template <>
class Argument<const aclIntArray*> {
 public:
  Argument(const Position& position, at::IntArrayRef values);
  Argument(const Position& position, OptionalIntArrayRef values);
  Argument(const Position& position, const c10::SmallVectorImpl<int64_t>& values)
      : Argument(position, at::IntArrayRef(values)) {}
  Argument(const Position&, None) {}
  ~Argument();
  Argument(const Argument&) = delete;
  aclIntArray* get() const { return handle_; }

 private:
  aclIntArray* handle_ = nullptr;
};

template <>
class Argument<const aclBoolArray*> {
 public:
  template <size_t N>
  Argument(const Position& position, const std::array<bool, N>& values)
      : Argument(position, values.data(), N) {}
  Argument(const Position& position, const bool* values, size_t count);
  ~Argument();
  Argument(const Argument&) = delete;
  aclBoolArray* get() const { return handle_; }

 private:
  aclBoolArray* handle_ = nullptr;
};

// CANN reads the text while it plans; it lives as long as the argument.
template <>
class Argument<const char*> {
 public:
  Argument(const Position&, const char* text) : text_(text) {}
  Argument(const Position&, const std::string& text) : text_(text.c_str()) {}
  Argument(const Position&, const optional<std::string>& text)
      : text_(text.has_value() ? text->c_str() : nullptr) {}
  Argument(const Position&, None) {}
  const char* get() const { return text_; }

 private:
  const char* text_ = nullptr;
};

template <>
class Argument<aclDataType> {
 public:
  Argument(const Position&, at::ScalarType dtype) : value_(acl_dtype(dtype)) {}
  Argument(const Position&, aclDataType dtype) : value_(dtype) {}
  aclDataType get() const { return value_; }

 private:
  aclDataType value_;
};

// The part of a call that does not depend on the operator's signature.
class OperatorBase {
 public:
  constexpr OperatorBase(const char* name, const char* parameters) : name_(name), parameters_(parameters) {}
  OperatorBase(const OperatorBase&) = delete;

 protected:
  // The first function of the pair, looked up once. Throws when this CANN does not have the operator.
  void* plan();
  // Throws when planning failed; else gives the kernel its workspace and queues it.
  void launch(int code, uint64_t workspace_size, aclOpExecutor* executor) const;
  Position position(size_t index) const { return {name_, parameters_, index}; }

 private:
  void find();

  const char* name_;
  const char* parameters_;
  std::atomic<void*> plan_{nullptr};
  std::atomic<void*> run_{nullptr};
};

template <class... P>
class Operator : public OperatorBase {
 public:
  using OperatorBase::OperatorBase;

  template <class... A>
  void operator()(const A&... arguments) {
    static_assert(sizeof...(A) == sizeof...(P), "the operator takes another number of arguments");
    call(std::index_sequence_for<P...>{}, arguments...);
  }

 private:
  using Plan = int (*)(P..., uint64_t*, aclOpExecutor**);

  template <size_t... I, class... A>
  void call(std::index_sequence<I...>, const A&... arguments) {
    const auto plan_call = reinterpret_cast<Plan>(plan());
    uint64_t workspace_size = 0;
    aclOpExecutor* executor = nullptr;
    const int code = plan_call(Argument<P>(position(I), arguments).get()..., &workspace_size, &executor);
    launch(code, workspace_size, executor);
  }
};

}  // namespace aclnn
}  // namespace npu

#endif  // NPU_GLUE_ACLNN_ACLNN_H_
