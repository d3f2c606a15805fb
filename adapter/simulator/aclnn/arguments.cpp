#include "arguments.h"

#include <ATen/EmptyTensor.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>

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

at::Tensor materialise(const TensorView& view, Frame::Place place) {
  if (place == Frame::Place::kMeta)
    return at::detail::empty_strided_meta(view.sizes, view.strides, view.dtype);
  return at::from_blob(view.readable, view.sizes, view.strides, at::TensorOptions().dtype(view.dtype));
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

Arguments::Arguments() {
  if (const aclError code = cann_simulator_current_device(&device_); code != ACL_SUCCESS) {
    const char* message = aclGetRecentErrMsg();
    refuse(code, message != nullptr ? message : "the thread has no device");
  }
  values_.reserve(16);
}

bool Arguments::null(const char* name, const void* pointer, bool optional) {
  if (pointer != nullptr) return false;
  if (!optional) refuse(ACLNN_ERR_PARAM_NULLPTR, quoted(name) + " is NULL");
  values_.emplace_back(std::monostate{});
  return true;
}

TensorView Arguments::view(const char* name, const aclTensor& tensor) const {
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
  view.resolve(name, device_);
  return view;
}

void Arguments::tensor(const char* name, const aclTensor* tensor, bool optional) {
  if (!null(name, tensor, optional)) values_.emplace_back(view(name, *tensor));
}

void Arguments::tensors(const char* name, const aclTensorList* list) {
  if (null(name, list, false)) return;
  std::vector<std::variant<std::monostate, TensorView>> views;
  views.reserve(list->tensors.size());
  for (const aclTensor* tensor : list->tensors) {
    if (tensor == nullptr) {
      views.emplace_back(std::monostate{});
    } else {
      views.emplace_back(view(name, *tensor));
    }
  }
  values_.emplace_back(std::move(views));
}

void Arguments::scalar(const char* name, const aclScalar* scalar, bool optional) {
  if (!null(name, scalar, optional)) values_.emplace_back(scalar_value(name, *scalar));
}

void Arguments::ints(const char* name, const aclIntArray* array, bool optional) {
  if (!null(name, array, optional)) values_.emplace_back(array->values);
}

void Arguments::bools(const char* name, const aclBoolArray* array) {
  if (null(name, array, false)) return;
  values_.emplace_back(std::vector<bool>(array->values.begin(), array->values.end()));
}

void Arguments::dtype(const char* name, aclDataType dtype) { values_.emplace_back(scalar_type(name, dtype)); }

void Arguments::string(const char* name, const char* text) {
  if (!null(name, text, false)) values_.emplace_back(std::string(text));
}

void resolve(std::vector<Value>& values, const char* const* names, int32_t device) {
  for (std::size_t index = 0; index < values.size(); ++index) {
    if (auto* view = std::get_if<TensorView>(&values[index])) view->resolve(names[index], device);
    if (auto* list = std::get_if<std::vector<std::variant<std::monostate, TensorView>>>(&values[index])) {
      for (auto& item : *list) {
        if (auto* view = std::get_if<TensorView>(&item)) view->resolve(names[index], device);
      }
    }
  }
}

void append_key(const Value& value, std::string* key) {
  key->push_back(static_cast<char>(value.index()));
  if (const auto* view = std::get_if<TensorView>(&value)) {
    append_view(*view, key);
  } else if (const auto* list = std::get_if<std::vector<std::variant<std::monostate, TensorView>>>(&value)) {
    for (const auto& item : *list) {
      key->push_back(static_cast<char>(item.index()));
      if (const auto* view = std::get_if<TensorView>(&item)) append_view(*view, key);
    }
    append_bytes("", 0, key);
  } else if (const auto* scalar = std::get_if<at::Scalar>(&value)) {
    const c10::complex<double> number = scalar->toComplexDouble();
    key->push_back(static_cast<char>(scalar->type()));
    append_bytes(&number, 1, key);
    if (scalar->isIntegral(true)) {
      const int64_t exact = scalar->toLong();
      append_bytes(&exact, 1, key);
    }
  } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
    append_bytes(ints->data(), ints->size(), key);
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
  }
}

Frame::Frame(const std::vector<Value>& values, Place place) : values_(values), tensors_(values.size()) {
  for (std::size_t index = 0; index < values.size(); ++index) {
    if (const auto* view = std::get_if<TensorView>(&values[index])) {
      tensors_[index].push_back(materialise(*view, place));
    } else if (const auto* list =
                   std::get_if<std::vector<std::variant<std::monostate, TensorView>>>(&values[index])) {
      for (const auto& item : *list) {
        const auto* view_of_item = std::get_if<TensorView>(&item);
        tensors_[index].push_back(view_of_item != nullptr ? materialise(*view_of_item, place) : at::Tensor());
      }
    } else if (std::holds_alternative<std::monostate>(values[index])) {
      tensors_[index].emplace_back();
    }
  }
}

c10::optional<at::Tensor> Frame::optional_tensor(std::size_t index) const {
  const at::Tensor& tensor = tensors_[index].front();
  return tensor.defined() ? c10::optional<at::Tensor>(tensor) : c10::nullopt;
}

c10::optional<at::Scalar> Frame::optional_scalar(std::size_t index) const {
  const auto* scalar = std::get_if<at::Scalar>(&values_[index]);
  return scalar != nullptr ? c10::optional<at::Scalar>(*scalar) : c10::nullopt;
}

at::OptionalIntArrayRef Frame::optional_ints(std::size_t index) const {
  const auto* ints = std::get_if<std::vector<int64_t>>(&values_[index]);
  return ints != nullptr ? at::OptionalIntArrayRef(*ints) : at::OptionalIntArrayRef();
}

void Frame::require_shape_kept(const char* name, std::size_t index) {
  const auto* view = std::get_if<TensorView>(&values_[index]);
  if (view == nullptr) return;
  const at::IntArrayRef given = view->sizes;
  TORCH_CHECK(tensor(index).sizes() == given, "'", name, "' has shape ", given,
              ", the operator computes shape ", tensor(index).sizes());
}

void Frame::store_sized(std::size_t index, const at::Tensor& result) {
  const auto& view = std::get<TensorView>(values_[index]);
  TORCH_CHECK(result.numel() <= tensor(index).numel(), "the result has ", result.numel(),
              " elements, its output has room for ", tensor(index).numel());
  at::from_blob(view.readable, result.sizes(), at::TensorOptions().dtype(view.dtype)).copy_(result);
  const std::lock_guard<std::mutex> lock(view.view_shape->mutex);
  view.view_shape->sizes = result.sizes().vec();
  view.view_shape->known = true;
}

}  // namespace cann_simulator
