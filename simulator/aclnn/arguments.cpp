#include "arguments.h"

#include <algorithm>
#include <cstring>

#include "cann_simulator/joint.h"
#include "compat.h"

namespace cann_simulator {
namespace {

[[noreturn]] void refuse(aclnnStatus code, const std::string& message) { throw Refusal{code, message}; }

std::string quoted(const char* name) { return std::string("'") + name + "'"; }

at::ScalarType scalar_type(const char* name, aclDataType dtype) {
  switch (dtype) {
    case ACL_FLOAT:
      return at::kFloat;
    case ACL_FLOAT16:
      return at::kHalf;
    case ACL_BF16:
      return at::kBFloat16;
    case ACL_DOUBLE:
      return at::kDouble;
    case ACL_INT8:
      return at::kChar;
    case ACL_UINT8:
      return at::kByte;
    case ACL_INT16:
      return at::kShort;
    case ACL_INT32:
      return at::kInt;
    case ACL_INT64:
      return at::kLong;
    case ACL_BOOL:
      return at::kBool;
    case ACL_COMPLEX32:
      return at::kComplexHalf;
    case ACL_COMPLEX64:
      return at::kComplexFloat;
    case ACL_COMPLEX128:
      return at::kComplexDouble;
#if SIMULATOR_HAS_FLOAT8
    case ACL_FLOAT8_E5M2:
      return at::kFloat8_e5m2;
    case ACL_FLOAT8_E4M3FN:
      return at::kFloat8_e4m3fn;
    case ACL_INT4:
      return at::kBits4x2;
#endif
#if SIMULATOR_HAS_UINT64
    case ACL_UINT64:
      return at::kUInt64;
#endif
#if SIMULATOR_HAS_FLOAT8_E8M0
    case ACL_FLOAT8_E8M0:
      return at::kFloat8_e8m0fnu;
#endif
#if SIMULATOR_HAS_FLOAT4
    case ACL_FLOAT4_E2M1:
      return at::kFloat4_e2m1fn_x2;
#endif
    default:
      refuse(ACLNN_ERR_PARAM_INVALID, quoted(name) + " has data type " + std::to_string(dtype) +
                                          ", which no kernel of the simulator takes");
  }
}

template <class T>
T read(const aclScalar& scalar) {
  T value;
  std::memcpy(&value, scalar.value.data(), sizeof value);
  return value;
}

at::Scalar scalar_value(const char* name, const aclScalar& scalar) {
  switch (scalar_type(name, scalar.dtype)) {
    case at::kFloat:
      return read<float>(scalar);
    case at::kHalf:
      return read<at::Half>(scalar);
    case at::kBFloat16:
      return read<at::BFloat16>(scalar);
    case at::kDouble:
      return read<double>(scalar);
    case at::kChar:
      return read<int8_t>(scalar);
    case at::kByte:
      return read<uint8_t>(scalar);
    case at::kShort:
      return read<int16_t>(scalar);
    case at::kInt:
      return read<int32_t>(scalar);
    case at::kLong:
      return read<int64_t>(scalar);
    case at::kBool:
      return read<bool>(scalar);
    case at::kComplexFloat:
      return read<c10::complex<float>>(scalar);
    case at::kComplexDouble:
      return read<c10::complex<double>>(scalar);
    default:
      refuse(ACLNN_ERR_PARAM_INVALID, quoted(name) + ": a scalar of this data type is not supported");
  }
}

// The number of elements of the storage; -1 when its sizes were not given or multiply beyond 64 bits.
int64_t storage_elements(const aclTensor& tensor) {
  if (tensor.storage_sizes.empty()) return -1;
  int64_t elements = 1;
  for (const int64_t size : tensor.storage_sizes) {
    if (__builtin_mul_overflow(elements, size, &elements)) return -1;
  }
  return elements;
}

// Elements from the first to just behind the last one; 0 for an empty tensor.
int64_t extent(const char* name, const aclTensor& tensor) {
  int64_t last = 0;
  for (std::size_t dimension = 0; dimension < tensor.sizes.size(); ++dimension) {
    const int64_t size = tensor.sizes[dimension];
    const int64_t stride = tensor.strides[dimension];
    if (stride < 0) refuse(ACLNN_ERR_PARAM_INVALID, quoted(name) + " has a negative stride");
    int64_t reach = 0;
    if (size == 0) return 0;
    if (__builtin_mul_overflow(size - 1, stride, &reach) || __builtin_add_overflow(last, reach, &last)) {
      refuse(ACLNN_ERR_PARAM_INVALID, quoted(name) + " is larger than memory can be");
    }
  }
  return last + 1;
}

template <class T>
void append_bytes(const T* data, std::size_t count, std::string* key) {
  key->append(reinterpret_cast<const char*>(&count), sizeof count);
  key->append(reinterpret_cast<const char*>(data), count * sizeof(T));
}

void append_view(const TensorView& view, std::string* key) {
  key->push_back(static_cast<char>(view.dtype));
  append_bytes(view.sizes.data(), view.sizes.size(), key);
  append_bytes(view.strides.data(), view.strides.size(), key);
}

bool is_packed(aclDataType dtype) { return dtype == ACL_INT4 || dtype == ACL_FLOAT4_E2M1; }

// A tensor of 4-bit numbers as one of the bytes that hold two of them: half as long where they are dense.
aclTensor in_bytes(const char* name, aclTensor tensor) {
  const auto dense = [&tensor](std::size_t dim) {
    return tensor.strides[dim] == 1 && tensor.sizes[dim] != 1;
  };
  std::size_t dim = tensor.sizes.size();
  while (dim > 0 && !dense(dim - 1)) --dim;
  if (dim == 0 || tensor.sizes[dim - 1] % 2 != 0) {
    refuse(ACLNN_ERR_PARAM_INVALID,
           quoted(name) + " has 4-bit numbers; its dense dimension must have an even number of them");
  }
  tensor.sizes[dim - 1] /= 2;
  for (std::size_t other = 0; other < tensor.strides.size(); ++other) {
    if (other != dim - 1) tensor.strides[other] = std::max<int64_t>(tensor.strides[other] / 2, 1);
  }
  tensor.offset /= 2;
  return tensor;
}

// Kernels read memory in the order of its dimensions; FRACTAL_NZ has another, which they would take for
// theirs.
void expect_plain(const char* name, const aclTensor& tensor) {
  const bool blocked = tensor.storage_sizes.size() > 3 && tensor.storage_sizes.size() != tensor.sizes.size();
  if (tensor.format != ACL_FORMAT_FRACTAL_NZ || !blocked) return;
  refuse(
      ACLNN_ERR_PARAM_INVALID,
      quoted(name) + " has the private format FRACTAL_NZ; the simulator's kernels take plain formats only");
}

TensorView view_of(const char* name, const aclTensor& given, int32_t device) {
  expect_plain(name, given);
  const aclTensor tensor = is_packed(given.dtype) ? in_bytes(name, given) : given;
  TensorView view;
  view.sizes.assign(tensor.sizes.begin(), tensor.sizes.end());
  view.strides.assign(tensor.strides.begin(), tensor.strides.end());
  view.dtype = scalar_type(name, tensor.dtype);
  view.view_shape = tensor.view_shape;
  const int64_t elements = extent(name, tensor);
  const int64_t stored = storage_elements(tensor);
  if (elements > 0 && stored >= 0 && (tensor.offset > stored || elements > stored - tensor.offset)) {
    refuse(ACLNN_ERR_PARAM_INVALID, quoted(name) + " reaches element " +
                                        std::to_string(tensor.offset + elements - 1) + " of a storage of " +
                                        std::to_string(stored));
  }
  const std::size_t item = dtype_size(tensor.dtype);
  view.bytes = static_cast<std::size_t>(elements) * item;
  view.device_data = static_cast<char*>(tensor.data) + static_cast<std::size_t>(tensor.offset) * item;
  view.resolve(name, device);
  return view;
}

ViewList views_of(const Parameter& parameter, const aclTensorList& list, int32_t device) {
  ViewList views;
  views.reserve(list.tensors.size());
  for (const aclTensor* tensor : list.tensors) {
    if (tensor != nullptr) {
      views.emplace_back(view_of(parameter.name, *tensor, device));
    } else if (parameter.written) {
      refuse(ACLNN_ERR_PARAM_NULLPTR, quoted(parameter.name) + " has a NULL among its tensors");
    } else {
      views.emplace_back();
    }
  }
  return views;
}

std::vector<at::Scalar> scalars_of(const char* name, const aclScalarList& list) {
  std::vector<at::Scalar> scalars;
  for (const aclScalar* scalar : list.scalars) {
    if (scalar == nullptr) refuse(ACLNN_ERR_PARAM_NULLPTR, quoted(name) + " has a NULL among its scalars");
    scalars.push_back(scalar_value(name, *scalar));
  }
  return scalars;
}

// A value passed by itself, not through a handle.
Value plain_value(const Parameter& parameter, const Given& given) {
  switch (parameter.kind) {
    case Kind::kInteger:
      return given.integer();
    case Kind::kReal:
      return given.real();
    case Kind::kBoolean:
      return given.integer() != 0;
    default:
      return scalar_type(parameter.name, static_cast<aclDataType>(given.integer()));
  }
}

bool is_pointer(Kind kind) { return kind < Kind::kInteger || kind >= Kind::kString; }

// The communicator of this process with that name, which must be of the device that computes.
GroupPlace place_of(const char* name, const char* group, int32_t device) {
  cann_simulator_group found;
  if (cann_simulator_find_group(group, &found) != HCCL_SUCCESS) {
    refuse(ACLNN_ERR_PARAM_INVALID, quoted(name) + " is '" + group +
                                        "'; this process has no communicator of that name (HcclGetCommName)");
  }
  if (found.device != device) {
    refuse(ACLNN_ERR_PARAM_INVALID, quoted(name) + ": communicator '" + group + "' is of device " +
                                        std::to_string(found.device) + ", the thread's device is " +
                                        std::to_string(device));
  }
  return {group, found.ranks, found.rank};
}

Value value_of(const Parameter& parameter, const Given& given, int32_t device) {
  if (!is_pointer(parameter.kind)) return plain_value(parameter, given);
  if (given.handle<void>() == nullptr) {
    if (!parameter.optional) refuse(ACLNN_ERR_PARAM_NULLPTR, quoted(parameter.name) + " is NULL");
    return std::monostate{};
  }
  switch (parameter.kind) {
    case Kind::kTensor:
      return view_of(parameter.name, *given.handle<aclTensor>(), device);
    case Kind::kTensors:
      return views_of(parameter, *given.handle<aclTensorList>(), device);
    case Kind::kScalar:
      return scalar_value(parameter.name, *given.handle<aclScalar>());
    case Kind::kScalars:
      return scalars_of(parameter.name, *given.handle<aclScalarList>());
    case Kind::kInts:
      return given.handle<aclIntArray>()->values;
    case Kind::kFloats: {
      const auto& values = given.handle<aclFloatArray>()->values;
      return std::vector<double>(values.begin(), values.end());
    }
    case Kind::kBools: {
      const auto& values = given.handle<aclBoolArray>()->values;
      return std::vector<bool>(values.begin(), values.end());
    }
    case Kind::kGroup:
      return place_of(parameter.name, given.handle<char>(), device);
    default:
      return std::string(given.handle<char>());
  }
}

void append_scalar(const at::Scalar& scalar, std::string* key) {
  const c10::complex<double> number = scalar.toComplexDouble();
  key->push_back(static_cast<char>(scalar.type()));
  append_bytes(&number, 1, key);
  if (!scalar.isIntegral(true)) return;
  const int64_t exact = scalar.toLong();
  append_bytes(&exact, 1, key);
}

}  // namespace

void TensorView::resolve(const char* name, int32_t device) {
  if (bytes == 0) return;
  int32_t owner = -1;
  readable = cann_simulator_alias(device_data, bytes, &owner);
  if (readable == nullptr) {
    refuse(ACLNN_ERR_PARAM_INVALID, quoted(name) + ": its " + std::to_string(bytes) +
                                        " bytes do not lie inside one live allocation of a device");
  }
  if (owner != device) {
    refuse(ACLNN_ERR_PARAM_INVALID, quoted(name) + " lies on device " + std::to_string(owner) +
                                        ", the thread's device is " + std::to_string(device));
  }
}

std::vector<Value> collect(const Parameter* parameters, const Given* given, std::size_t count,
                           int32_t device) {
  std::vector<Value> values;
  values.reserve(count);
  for (std::size_t index = 0; index < count; ++index) {
    values.push_back(value_of(parameters[index], given[index], device));
  }
  return values;
}

void resolve(std::vector<Value>& values, const Parameter* parameters, int32_t device) {
  for (std::size_t index = 0; index < values.size(); ++index) {
    const char* const name = parameters[index].name;
    if (auto* view = std::get_if<TensorView>(&values[index])) view->resolve(name, device);
    if (auto* list = std::get_if<ViewList>(&values[index])) {
      for (auto& view : *list) {
        if (view) view->resolve(name, device);
      }
    }
  }
}

void append_key(const Value& value, std::string* key) {
  key->push_back(static_cast<char>(value.index()));
  if (const auto* view = std::get_if<TensorView>(&value)) {
    append_view(*view, key);
  } else if (const auto* list = std::get_if<ViewList>(&value)) {
    for (const auto& item : *list) {
      key->push_back(item ? 1 : 0);
      if (item) append_view(*item, key);
    }
    append_bytes("", 0, key);
  } else if (const auto* scalar = std::get_if<at::Scalar>(&value)) {
    append_scalar(*scalar, key);
  } else if (const auto* scalars = std::get_if<std::vector<at::Scalar>>(&value)) {
    for (const at::Scalar& item : *scalars) append_scalar(item, key);
    append_bytes("", 0, key);
  } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
    append_bytes(ints->data(), ints->size(), key);
  } else if (const auto* floats = std::get_if<std::vector<double>>(&value)) {
    append_bytes(floats->data(), floats->size(), key);
  } else if (const auto* bools = std::get_if<std::vector<bool>>(&value)) {
    for (const bool item : *bools) key->push_back(item ? 1 : 0);
    append_bytes("", 0, key);
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    append_bytes(integer, 1, key);
  } else if (const auto* real = std::get_if<double>(&value)) {
    append_bytes(real, 1, key);
  } else if (const auto* boolean = std::get_if<bool>(&value)) {
    key->push_back(*boolean ? 1 : 0);
  } else if (const auto* dtype = std::get_if<at::ScalarType>(&value)) {
    key->push_back(static_cast<char>(*dtype));
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    append_bytes(text->data(), text->size(), key);
  } else if (const auto* group = std::get_if<GroupPlace>(&value)) {
    append_bytes(&group->size, 1, key);
    append_bytes(&group->rank, 1, key);
  }
}

bool is_random_state(const Parameter& parameter) {
  return std::strcmp(parameter.name, "seed") == 0 || std::strcmp(parameter.name, "offset") == 0;
}

void append_trial_key(const Value& value, std::string* key) {
  const auto append = [key](const at::Scalar& scalar) {
    key->push_back(static_cast<char>(scalar.type()));
    if (scalar.isIntegral(true)) append_scalar(scalar, key);
  };
  if (const auto* scalar = std::get_if<at::Scalar>(&value)) {
    append(*scalar);
  } else if (const auto* scalars = std::get_if<std::vector<at::Scalar>>(&value)) {
    for (const at::Scalar& item : *scalars) append(item);
    append_bytes("", 0, key);
  } else if (!std::holds_alternative<double>(value)) {
    append_key(value, key);
  }
}

}  // namespace cann_simulator
