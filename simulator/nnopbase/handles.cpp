#include "handles.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>

namespace cann_simulator {

std::size_t dtype_size(aclDataType dtype) {
  switch (dtype) {
    case ACL_BOOL:
    case ACL_INT8:
    case ACL_UINT8:
    case ACL_FLOAT8_E5M2:
    case ACL_FLOAT8_E4M3FN:
    case ACL_FLOAT8_E8M0:
    // Two of them lie in one byte: see is_packed().
    case ACL_INT4:
    case ACL_FLOAT4_E2M1:
      return 1;
    case ACL_FLOAT16:
    case ACL_BF16:
    case ACL_INT16:
    case ACL_UINT16:
      return 2;
    case ACL_FLOAT:
    case ACL_INT32:
    case ACL_UINT32:
    case ACL_COMPLEX32:
      return 4;
    case ACL_DOUBLE:
    case ACL_INT64:
    case ACL_UINT64:
    case ACL_COMPLEX64:
      return 8;
    case ACL_COMPLEX128:
      return 16;
    default:
      return 0;
  }
}

}  // namespace cann_simulator

namespace {

aclnnStatus fail(aclnnStatus code, const char* function, const std::string& text) {
  return cann_simulator_fail_no_launch(code, (std::string(function) + ": " + text).c_str());
}

// Runs a creation; nullptr and a message when it throws.
template <class Create>
auto created(const char* function, Create&& create) noexcept -> decltype(create()) {
  try {
    return create();
  } catch (const std::exception& error) {
    fail(ACLNN_ERR_INNER, function, error.what());
    return nullptr;
  }
}

template <class Handle, class Value>
Handle* create_array(const char* function, const Value* values, uint64_t size) {
  if (values == nullptr && size > 0) {
    fail(ACLNN_ERR_PARAM_NULLPTR, function, "value is NULL");
    return nullptr;
  }
  return created(function, [=] { return new Handle{{values, values + size}}; });
}

template <class Handle>
aclnnStatus destroy(const char* function, const Handle* handle) {
  if (handle == nullptr) return fail(ACLNN_ERR_PARAM_NULLPTR, function, "the handle is NULL");
  delete handle;
  return ACL_SUCCESS;
}

// Why these arguments are no tensor; empty when they are one.
std::string tensor_problem(const int64_t* sizes, uint64_t dimensions, aclDataType dtype, int64_t offset,
                           const int64_t* storage_sizes, uint64_t storage_dimensions) {
  constexpr uint64_t kMostDimensions = 64;
  const auto negative = [](int64_t value) { return value < 0; };
  if (sizes == nullptr && dimensions > 0) return "viewDims is NULL";
  if (storage_sizes == nullptr && storage_dimensions > 0) return "storageDims is NULL";
  if (dimensions > kMostDimensions) return "a tensor of " + std::to_string(dimensions) + " dimensions";
  if (std::any_of(sizes, sizes + dimensions, negative)) return "a size in viewDims is negative";
  if (std::any_of(storage_sizes, storage_sizes + storage_dimensions, negative)) {
    return "a size in storageDims is negative";
  }
  if (offset < 0) return "the offset is negative";
  if (cann_simulator::dtype_size(dtype) == 0)
    return "data type " + std::to_string(dtype) + " is not supported";
  return "";
}

std::vector<int64_t> contiguous_strides(const int64_t* sizes, uint64_t dimensions) {
  std::vector<int64_t> strides(dimensions, 1);
  for (uint64_t dimension = dimensions; dimension-- > 1;) {
    strides[dimension - 1] = strides[dimension] * std::max<int64_t>(sizes[dimension], 1);
  }
  return strides;
}

}  // namespace

extern "C" {

aclTensor* aclCreateTensor(const int64_t* view_dims, uint64_t view_dims_num, aclDataType data_type,
                           const int64_t* stride, int64_t offset, aclFormat format,
                           const int64_t* storage_dims, uint64_t storage_dims_num, void* tensor_data) {
  return created(__func__, [=]() -> aclTensor* {
    const std::string problem =
        tensor_problem(view_dims, view_dims_num, data_type, offset, storage_dims, storage_dims_num);
    if (!problem.empty()) {
      fail(ACLNN_ERR_PARAM_INVALID, "aclCreateTensor", problem);
      return nullptr;
    }
    auto strides = stride == nullptr ? contiguous_strides(view_dims, view_dims_num)
                                     : std::vector<int64_t>(stride, stride + view_dims_num);
    return new aclTensor{{view_dims, view_dims + view_dims_num},
                         std::move(strides),
                         {storage_dims, storage_dims + storage_dims_num},
                         offset,
                         data_type,
                         format,
                         tensor_data,
                         std::make_shared<cann_simulator::ViewShape>()};
  });
}

aclScalar* aclCreateScalar(void* value, aclDataType data_type) {
  const std::size_t size = cann_simulator::dtype_size(data_type);
  if (value == nullptr || size == 0) {
    const std::string text = "data type " + std::to_string(data_type) + " is not supported";
    fail(ACLNN_ERR_PARAM_INVALID, __func__, value == nullptr ? "value is NULL" : text);
    return nullptr;
  }
  return created(__func__, [=] {
    auto* scalar = new aclScalar{{}, data_type};
    std::memcpy(scalar->value.data(), value, size);
    return scalar;
  });
}

aclIntArray* aclCreateIntArray(const int64_t* value, uint64_t size) {
  return create_array<aclIntArray>(__func__, value, size);
}

aclBoolArray* aclCreateBoolArray(const bool* value, uint64_t size) {
  return create_array<aclBoolArray>(__func__, value, size);
}

aclFloatArray* aclCreateFloatArray(const float* value, uint64_t size) {
  return create_array<aclFloatArray>(__func__, value, size);
}

aclTensorList* aclCreateTensorList(const aclTensor* const* value, uint64_t size) {
  return create_array<aclTensorList>(__func__, value, size);
}

aclScalarList* aclCreateScalarList(const aclScalar* const* value, uint64_t size) {
  return create_array<aclScalarList>(__func__, value, size);
}

aclnnStatus aclGetViewShape(const aclTensor* tensor, int64_t** view_dims, uint64_t* view_dims_num) {
  if (tensor == nullptr || view_dims == nullptr || view_dims_num == nullptr) {
    return fail(ACLNN_ERR_PARAM_NULLPTR, __func__, "an argument is NULL");
  }
  const std::lock_guard<std::mutex> lock(tensor->view_shape->mutex);
  const std::vector<int64_t>& sizes = tensor->view_shape->known ? tensor->view_shape->sizes : tensor->sizes;
  // For the caller's delete[]. Not a new-expression: its check of the length needs a newer libstdc++.
  *view_dims = static_cast<int64_t*>(::operator new[](sizes.size() * sizeof(int64_t), std::nothrow));
  if (*view_dims == nullptr) return fail(ACLNN_ERR_INNER, __func__, "the host is out of memory");
  std::copy(sizes.begin(), sizes.end(), *view_dims);
  *view_dims_num = sizes.size();
  return ACL_SUCCESS;
}

aclnnStatus aclDestroyTensor(const aclTensor* tensor) { return destroy(__func__, tensor); }
aclnnStatus aclDestroyScalar(const aclScalar* scalar) { return destroy(__func__, scalar); }
aclnnStatus aclDestroyIntArray(const aclIntArray* array) { return destroy(__func__, array); }
aclnnStatus aclDestroyBoolArray(const aclBoolArray* array) { return destroy(__func__, array); }
aclnnStatus aclDestroyFloatArray(const aclFloatArray* array) { return destroy(__func__, array); }

aclnnStatus aclDestroyTensorList(const aclTensorList* array) {
  if (array != nullptr) {
    for (const aclTensor* tensor : array->tensors) delete tensor;
  }
  return destroy(__func__, array);
}

aclnnStatus aclDestroyScalarList(const aclScalarList* array) {
  if (array != nullptr) {
    for (const aclScalar* scalar : array->scalars) delete scalar;
  }
  return destroy(__func__, array);
}

}  // extern "C"
