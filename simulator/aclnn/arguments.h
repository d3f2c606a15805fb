// The arguments of one aclnn call: copied out of the handles in phase one, turned into tensors when the
// kernel runs.
#ifndef CANN_SIMULATOR_ARGUMENTS_H_
#define CANN_SIMULATOR_ARGUMENTS_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>
#include <c10/util/SmallVector.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
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

// The tensors of a list; a NULL handle among them is no tensor.
using ViewList = std::vector<std::optional<TensorView>>;

// The ranks that compute an operator together, as the name of their communicator says.
struct GroupPlace {
  std::string name;
  int64_t size = 0;
  int64_t rank = 0;
};

// std::monostate is a NULL that the operator allows.
using Value = std::variant<std::monostate, TensorView, ViewList, at::Scalar, std::vector<at::Scalar>,
                           std::vector<int64_t>, std::vector<double>, std::vector<bool>, int64_t, double,
                           bool, at::ScalarType, std::string, GroupPlace>;

enum class Kind : uint8_t {
  kTensor,
  kTensors,
  kScalar,
  kScalars,
  kInts,
  kFloats,
  kBools,
  kInteger,
  kReal,
  kBoolean,
  kDtype,
  kString,
  kGroup,
};

// One parameter of an operator, as generated from its signature.
struct Parameter {
  const char* name;
  Kind kind;
  bool optional;  // NULL is allowed
  bool written;
};

// One argument as the C call had it.
class Given {
 public:
  // Not explicit: an entry point lists its arguments in the braces of an array.
  Given(const void* pointer) : as_pointer(pointer) {}
  // A uint64_t keeps its bits; a kernel that wants the unsigned value converts it back.
  template <class T, std::enable_if_t<std::is_integral_v<T> || std::is_enum_v<T>, int> = 0>
  Given(T value) : as_integer(static_cast<int64_t>(value)) {}
  Given(float value) : as_real(value) {}
  Given(double value) : as_real(value) {}

  template <class Handle>
  const Handle* handle() const {
    return static_cast<const Handle*>(as_pointer);
  }
  int64_t integer() const { return as_integer; }
  double real() const { return as_real; }

 private:
  union {
    const void* as_pointer;
    int64_t as_integer;
    double as_real;
  };
};

// Copies the arguments out of their handles, in order, for kernels on `device`. Throws Refusal for what an
// operator cannot take.
std::vector<Value> collect(const Parameter* parameters, const Given* given, std::size_t count,
                           int32_t device);

// Looks every tensor's memory up again: it may have been freed since phase one.
void resolve(std::vector<Value>& values, const Parameter* parameters, int32_t device);

// What the outcome of a check of shapes depends on, byte by byte.
void append_key(const Value& value, std::string* key);
// What that of a trial depends on: the same but for real numbers, which change from step to step in a
// program that trains.
void append_trial_key(const Value& value, std::string* key);
// Whether the parameter is one that no outcome depends on: where random numbers begin.
bool is_random_state(const Parameter& parameter);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_ARGUMENTS_H_
