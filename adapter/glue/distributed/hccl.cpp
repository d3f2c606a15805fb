#include "distributed/hccl.h"

#if NPU_HAS_GROUP_NAMES

#include "runtime/device.h"

namespace npu::hccl {
namespace {

Functions look_up() {
  Functions found;
  const char* missing = nullptr;
#define NPU_HCCL_LOOK_UP(name) \
  found.name = reinterpret_cast<decltype(found.name)>(npu_find_collective_symbol(#name));
#define NPU_HCCL_LOOK_UP_REQUIRED(name) \
  NPU_HCCL_LOOK_UP(name)                \
  if (found.name == nullptr && missing == nullptr) missing = #name;
  NPU_HCCL_REQUIRED(NPU_HCCL_LOOK_UP_REQUIRED)
  NPU_HCCL_OPTIONAL(NPU_HCCL_LOOK_UP)
#undef NPU_HCCL_LOOK_UP_REQUIRED
#undef NPU_HCCL_LOOK_UP
  if (missing != nullptr) {
    npu_missing_symbol(missing);
    C10_THROW_ERROR(DistBackendError, std::string("backend hccl: ") + npu_last_error() +
                                          " Collective operations are in CANN's libhccl.so.");
  }
  return found;
}

}  // namespace

const Functions& functions() {
  static const Functions found = look_up();  // a failed attempt throws and is tried again
  return found;
}

std::string recent_message() {
  static const auto read =
      reinterpret_cast<decltype(&aclGetRecentErrMsg)>(npu_find_symbol("aclGetRecentErrMsg"));
  const char* text = read == nullptr ? nullptr : read();
  return text == nullptr ? "" : text;
}

std::string error_of(HcclResult result, const char* call) {
  const std::string text = recent_message();
  return std::string(call) + " failed with " + std::to_string(static_cast<int>(result)) + " (" +
         functions().HcclGetErrorString(result) +
         "): " + (text.empty() ? "CANN gave no further message" : text);
}

void check(HcclResult result, const char* call) {
  if (C10_LIKELY(result == HCCL_SUCCESS)) return;
  C10_THROW_ERROR(DistBackendError, error_of(result, call));
}

bool reduced_type(at::ScalarType dtype, HcclDataType* type) {
  switch (dtype) {
    case at::kChar:
      *type = HCCL_DATA_TYPE_INT8;
      return true;
    case at::kShort:
      *type = HCCL_DATA_TYPE_INT16;
      return true;
    case at::kInt:
      *type = HCCL_DATA_TYPE_INT32;
      return true;
    case at::kLong:
      *type = HCCL_DATA_TYPE_INT64;
      return true;
    case at::kHalf:
      *type = HCCL_DATA_TYPE_FP16;
      return true;
    case at::kBFloat16:
      *type = HCCL_DATA_TYPE_BFP16;
      return true;
    case at::kFloat:
      *type = HCCL_DATA_TYPE_FP32;
      return true;
    default:
      return false;
  }
}

// What HCCL has no type for it moves as bytes: nothing is computed with it.
Elements elements_of(const at::Tensor& tensor) {
  const auto count = static_cast<uint64_t>(tensor.numel());
  void* data = tensor.data_ptr();
  HcclDataType type;
  if (reduced_type(tensor.scalar_type(), &type)) return {data, count, type};
  return {data, count * tensor.element_size(), HCCL_DATA_TYPE_INT8};
}

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
