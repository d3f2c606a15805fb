// Calls of operators through the dispatcher, and what their gradients keep until they are asked for.
#ifndef NPU_GLUE_CUSTOM_GRADIENTS_H_
#define NPU_GLUE_CUSTOM_GRADIENTS_H_

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "custom/custom.h"

namespace npu {
namespace custom {

// The operator as the dispatcher has it, so that whatever watches operators sees the call.
template <class Signature>
c10::TypedOperatorHandle<Signature> operator_named(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

// Arguments that a gradient needs again, in the form in which a graph keeps them.
template <class T>
c10::IValue keep(const T& value) {
  return c10::IValue(value);
}
inline c10::IValue keep(const OptionalIntArrayRef& values) {
  return values.has_value() ? c10::IValue(values->vec()) : c10::IValue();
}
inline c10::IValue keep(const at::IntArrayRef& values) { return c10::IValue(values.vec()); }

template <class T>
class Kept {
 public:
  explicit Kept(const c10::IValue& value) : value_(value.to<T>()) {}
  operator const T&() const { return value_; }

 private:
  T value_;
};
template <>
class Kept<OptionalIntArrayRef> {
 public:
  explicit Kept(const c10::IValue& value) : given_(!value.isNone()) {
    if (given_) values_ = value.toIntVector();
  }
  operator OptionalIntArrayRef() const {
    return given_ ? OptionalIntArrayRef(at::IntArrayRef(values_)) : OptionalIntArrayRef();
  }

 private:
  bool given_;
  std::vector<int64_t> values_;
};
template <>
class Kept<at::IntArrayRef> {
 public:
  explicit Kept(const c10::IValue& value) : values_(value.toIntVector()) {}
  operator at::IntArrayRef() const { return values_; }

 private:
  std::vector<int64_t> values_;
};
inline optional<at::Tensor> as_optional(const at::Tensor& tensor) {
  return tensor.defined() ? optional<at::Tensor>(tensor) : optional<at::Tensor>();
}

// For an operator without a gradient: asking for one is an error, not a number that is missing.
inline torch::CppFunction not_differentiable() { return torch::autograd::autogradNotImplementedFallback(); }
// For one that writes to its arguments: autograd notices that they changed.
inline torch::CppFunction counts_changes() {
  return torch::autograd::autogradNotImplementedInplaceOrViewFallback();
}
inline bool needs_gradient(const at::Tensor& tensor) {
  return tensor.requires_grad() && at::GradMode::is_enabled();
}
inline bool needs_gradient(const optional<at::Tensor>& tensor) {
  return given(tensor) && needs_gradient(*tensor);
}

}  // namespace custom
}  // namespace npu

#endif  // NPU_GLUE_CUSTOM_GRADIENTS_H_
