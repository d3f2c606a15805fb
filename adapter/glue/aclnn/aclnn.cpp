#include "aclnn/aclnn.h"

#include <string>

#include "runtime/device.h"

namespace npu {

aclDataType acl_dtype(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return ACL_FLOAT;
    case at::kHalf:
      return ACL_FLOAT16;
    case at::kBFloat16:
      return ACL_BF16;
    case at::kDouble:
      return ACL_DOUBLE;
    case at::kBool:
      return ACL_BOOL;
    case at::kByte:
      return ACL_UINT8;
    case at::kChar:
      return ACL_INT8;
    case at::kShort:
      return ACL_INT16;
    case at::kInt:
      return ACL_INT32;
    case at::kLong:
      return ACL_INT64;
    case at::kComplexHalf:
      return ACL_COMPLEX32;
    case at::kComplexFloat:
      return ACL_COMPLEX64;
    case at::kComplexDouble:
      return ACL_COMPLEX128;
    default:
      TORCH_CHECK_NOT_IMPLEMENTED(false, "the npu backend stores and copies tensors of ", dtype,
                                  ", but no operator that it calls computes with them on this chip: "
                                  "convert on the CPU first");
  }
}

namespace aclnn {
namespace {

// The functions of CANN that make and destroy handles.
struct Handles {
  decltype(&aclCreateTensor) create_tensor = find<decltype(&aclCreateTensor)>("aclCreateTensor");
  decltype(&aclDestroyTensor) destroy_tensor = find<decltype(&aclDestroyTensor)>("aclDestroyTensor");
  decltype(&aclCreateTensorList) create_list = find<decltype(&aclCreateTensorList)>("aclCreateTensorList");
  decltype(&aclDestroyTensorList) destroy_list =
      find<decltype(&aclDestroyTensorList)>("aclDestroyTensorList");
  decltype(&aclCreateScalar) create_scalar = find<decltype(&aclCreateScalar)>("aclCreateScalar");
  decltype(&aclDestroyScalar) destroy_scalar = find<decltype(&aclDestroyScalar)>("aclDestroyScalar");
  decltype(&aclCreateIntArray) create_ints = find<decltype(&aclCreateIntArray)>("aclCreateIntArray");
  decltype(&aclDestroyIntArray) destroy_ints = find<decltype(&aclDestroyIntArray)>("aclDestroyIntArray");
  decltype(&aclCreateBoolArray) create_bools = find<decltype(&aclCreateBoolArray)>("aclCreateBoolArray");
  decltype(&aclDestroyBoolArray) destroy_bools = find<decltype(&aclDestroyBoolArray)>("aclDestroyBoolArray");

  template <class F>
  static F find(const char* name) {
    void* symbol = npu_find_symbol(name);
    if (symbol == nullptr) check(npu_missing_symbol(name));
    return reinterpret_cast<F>(symbol);
  }
};

// Looked up on first use; a failed attempt throws and is tried again.
const Handles& handles() {
  static const Handles instance;
  return instance;
}

std::string parameter_name(const Position& position) {
  std::string names = position.parameters;
  for (size_t i = 0; i < position.index; ++i) names = names.substr(names.find(' ') + 1);
  return names.substr(0, names.find(' '));
}

[[noreturn]] void refuse(const Position& position) {
  TORCH_CHECK(false, "aclnn", position.op, ": CANN could not make a handle for argument '",
              parameter_name(position), "'");
}

// CANN tells images apart by format; everything else is plain ND.
aclFormat format_of(int64_t dimensions) {
  switch (dimensions) {
    case 3:
      return ACL_FORMAT_NCL;
    case 4:
      return ACL_FORMAT_NCHW;
    case 5:
      return ACL_FORMAT_NCDHW;
    default:
      return ACL_FORMAT_ND;
  }
}

void expect_here(const Position& position, const at::Tensor& tensor) {
  TORCH_CHECK(tensor.device().type() == kType && tensor.device().index() == npu_current_device(),
              "Expected all tensors to be on the same device, but argument '", parameter_name(position),
              "' of aclnn", position.op, " is on ", tensor.device(),
              " and the operator runs on npu:", npu_current_device());
}

aclTensor* make_tensor(const Position& position, const at::Tensor& tensor) {
  if (!tensor.defined()) return nullptr;
  expect_here(position, tensor);
  const auto storage_elements = static_cast<int64_t>(tensor.storage().nbytes() / tensor.itemsize());
  aclTensor* handle = handles().create_tensor(
      tensor.sizes().data(), static_cast<uint64_t>(tensor.dim()), acl_dtype(tensor.scalar_type()),
      tensor.strides().data(), tensor.storage_offset(), format_of(tensor.dim()), &storage_elements, 1,
      const_cast<void*>(tensor.storage().data_ptr().get()));
  if (handle == nullptr) refuse(position);
  return handle;
}

// With sizes and strides as CANN counts them, in numbers.
aclTensor* make_typed(const Position& position, const Typed& typed) {
  const at::Tensor& tensor = typed.tensor;
  if (!tensor.defined()) return nullptr;
  expect_here(position, tensor);
  const bool narrow =
      typed.dtype == ACL_INT4 || typed.dtype == ACL_FLOAT4_E2M1 || typed.dtype == ACL_FLOAT4_E1M2;
  const int64_t packed = narrow ? 2 : 1;
  c10::SmallVector<int64_t, 6> sizes(tensor.sizes()), strides(tensor.strides());
  if (packed != 1) {
    TORCH_CHECK_VALUE(!sizes.empty() && strides.back() == 1, "argument '", parameter_name(position),
                      "' of aclnn", position.op, " holds numbers of 4 bits; make it contiguous first");
    sizes.back() *= packed;
    for (size_t i = 0; i + 1 < strides.size(); ++i) strides[i] *= packed;
  }
  const auto storage_elements = static_cast<int64_t>(tensor.storage().nbytes() / tensor.itemsize()) * packed;
  aclTensor* handle =
      handles().create_tensor(sizes.data(), static_cast<uint64_t>(tensor.dim()), typed.dtype, strides.data(),
                              tensor.storage_offset() * packed, format_of(tensor.dim()), &storage_elements, 1,
                              const_cast<void*>(tensor.storage().data_ptr().get()));
  if (handle == nullptr) refuse(position);
  return handle;
}

aclScalar* make_scalar(const Position& position, const at::Scalar& value) {
  aclScalar* handle = nullptr;
  if (value.isBoolean()) {
    bool v = value.toBool();
    handle = handles().create_scalar(&v, ACL_BOOL);
  } else if (value.isIntegral(/*includeBool=*/false)) {
    int64_t v = value.toLong();
    handle = handles().create_scalar(&v, ACL_INT64);
  } else if (value.isComplex()) {
    c10::complex<double> v = value.toComplexDouble();
    handle = handles().create_scalar(&v, ACL_COMPLEX128);
  } else {
    double v = value.toDouble();
    handle = handles().create_scalar(&v, ACL_DOUBLE);
  }
  if (handle == nullptr) refuse(position);
  return handle;
}

}  // namespace

Argument<const aclTensor*>::Argument(const Position& position, const at::Tensor& tensor)
    : handle_(make_tensor(position, tensor)) {}
Argument<const aclTensor*>::Argument(const Position& position, const optional<at::Tensor>& tensor)
    : handle_(tensor.has_value() ? make_tensor(position, *tensor) : nullptr) {}
Argument<const aclTensor*>::Argument(const Position& position, const Typed& typed)
    : handle_(make_typed(position, typed)) {}
Argument<const aclTensor*>::~Argument() {
  if (handle_ != nullptr) handles().destroy_tensor(handle_);
}

Argument<const aclTensorList*>::Argument(const Position& position, at::ArrayRef<at::Tensor> tensors) {
  make(position, tensors);
}
void Argument<const aclTensorList*>::make(const Position& position, at::ArrayRef<at::Tensor> tensors) {
  c10::SmallVector<const aclTensor*, 8> items;
  try {
    for (const at::Tensor& tensor : tensors) items.push_back(make_tensor(position, tensor));
    handle_ = handles().create_list(items.data(), items.size());
    if (handle_ == nullptr) refuse(position);
  } catch (...) {
    for (const aclTensor* item : items) {
      if (item != nullptr) handles().destroy_tensor(item);
    }
    throw;
  }
}
Argument<const aclTensorList*>::~Argument() {
  if (handle_ != nullptr) handles().destroy_list(handle_);
}

Argument<const aclScalar*>::Argument(const Position& position, const at::Scalar& value)
    : handle_(make_scalar(position, value)) {}
Argument<const aclScalar*>::Argument(const Position& position, const optional<at::Scalar>& value)
    : handle_(value.has_value() ? make_scalar(position, *value) : nullptr) {}
Argument<const aclScalar*>::~Argument() {
  if (handle_ != nullptr) handles().destroy_scalar(handle_);
}

Argument<const aclIntArray*>::Argument(const Position& position, at::IntArrayRef values)
    : handle_(handles().create_ints(values.data(), values.size())) {
  if (handle_ == nullptr) refuse(position);
}
Argument<const aclIntArray*>::Argument(const Position& position, OptionalIntArrayRef values) {
  if (!values.has_value()) return;
  handle_ = handles().create_ints(values->data(), values->size());
  if (handle_ == nullptr) refuse(position);
}
Argument<const aclIntArray*>::~Argument() {
  if (handle_ != nullptr) handles().destroy_ints(handle_);
}

Argument<const aclBoolArray*>::Argument(const Position& position, const bool* values, size_t count)
    : handle_(handles().create_bools(values, count)) {
  if (handle_ == nullptr) refuse(position);
}
Argument<const aclBoolArray*>::~Argument() { handles().destroy_bools(handle_); }

void* OperatorBase::plan() {
  // CANN plans for the device of the calling thread. A thread whose first tensor came out of the cache was
  // not bound to one yet, although its current device is right; for a bound one this is two comparisons.
  check(npu_init());
  void* found = plan_.load(std::memory_order_acquire);
  if (C10_UNLIKELY(found == nullptr)) {
    find();
    found = plan_.load(std::memory_order_acquire);
  }
  return found;
}

void OperatorBase::find() {
  const std::string run_name = std::string("aclnn") + name_;
  const std::string plan_name = run_name + "GetWorkspaceSize";
  void* run = npu_find_symbol(run_name.c_str());
  if (run == nullptr) check(npu_missing_symbol(run_name.c_str()));
  void* plan = npu_find_symbol(plan_name.c_str());
  if (plan == nullptr) check(npu_missing_symbol(plan_name.c_str()));
  run_.store(run, std::memory_order_release);
  plan_.store(plan, std::memory_order_release);  // last: who sees it sees run_ too
}

void OperatorBase::launch(int code, uint64_t workspace_size, aclOpExecutor* executor) const {
  if (C10_UNLIKELY(code != 0))
    check(npu_check_acl(code, (std::string("aclnn") + name_ + "GetWorkspaceSize").c_str()));
  const int32_t device = npu_current_device();
  const int64_t stream = npu_current_stream(device);
  void* handle = nullptr;
  check(npu_stream_handle(device, stream, &handle));
  void* workspace = nullptr;
  if (workspace_size != 0) check(npu_malloc(device, stream, workspace_size, &workspace));
  using Run = int (*)(void*, uint64_t, aclOpExecutor*, aclrtStream);
  code = reinterpret_cast<Run>(run_.load(std::memory_order_acquire))(workspace, workspace_size, executor,
                                                                     handle);
  npu_free(workspace);  // reused only after the kernel, in stream order
  if (C10_UNLIKELY(code != 0)) check(npu_check_acl(code, (std::string("aclnn") + name_).c_str()));
}

}  // namespace aclnn
}  // namespace npu
