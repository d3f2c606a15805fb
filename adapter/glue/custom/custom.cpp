#include "custom/custom.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <sstream>

#include "aclnn_operators.h"

namespace npu {
namespace custom {
namespace {

constexpr int64_t kOfCann = 256;  // what is added to CANN's numbers of dtypes
constexpr int64_t kBlock = 32;    // numbers that share a power of two, at least
constexpr int64_t kLargestBlock = 1024;

template <class T>
std::string choices(std::initializer_list<T> wanted) {
  std::ostringstream text;
  size_t index = 0;
  for (const T& one : wanted) {
    if (index != 0) text << (index + 1 == wanted.size() ? " or " : ", ");
    text << one;
    ++index;
  }
  return text.str();
}

int64_t rounded_up(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

Storage in_float8(at::ScalarType dtype, aclDataType acl) {
  TORCH_CHECK_NOT_IMPLEMENTED(dtype != at::ScalarType::Undefined, "this torch has no floats of 8 bits");
  return {dtype, acl, 1};
}

Storage storage_of_cann(int64_t number) {
  const auto acl = static_cast<aclDataType>(number);
  switch (acl) {
    case ACL_FLOAT8_E5M2:
      return in_float8(float8_dtype(/*mantissa=*/2), acl);
    case ACL_FLOAT8_E4M3FN:
      return in_float8(float8_dtype(/*mantissa=*/3), acl);
    case ACL_HIFLOAT8:
    case ACL_FLOAT8_E8M0:
      return {at::kByte, acl, 1};
    case ACL_FLOAT4_E2M1:
    case ACL_FLOAT4_E1M2:
      return {at::kByte, acl, 2};
    case ACL_INT4:
      return {at::kInt, ACL_INT32, 8};
    default:
      break;
  }
  for (const at::ScalarType dtype : {at::kFloat, at::kHalf, at::kBFloat16, at::kChar, at::kByte, at::kShort,
                                     at::kInt, at::kLong, at::kDouble, at::kBool}) {
    if (acl_dtype(dtype) == acl) return {dtype, acl, 1};
  }
  TORCH_CHECK_VALUE(false, "found ", number + kOfCann, " where a dtype is expected; give a torch.dtype");
}

}  // namespace

void check_dimensions(const char* op, const char* name, const at::Tensor& tensor,
                      std::initializer_list<int64_t> wanted) {
  const bool found = std::find(wanted.begin(), wanted.end(), tensor.dim()) != wanted.end();
  TORCH_CHECK(found, op, ": Expected ", choices(wanted), "-dimensional tensor for argument '", name,
              "', but got one of sizes ", tensor.sizes());
}

void check_dtype(const char* op, const char* name, const at::Tensor& tensor,
                 std::initializer_list<at::ScalarType> wanted) {
  const bool found = std::find(wanted.begin(), wanted.end(), tensor.scalar_type()) != wanted.end();
  TORCH_CHECK(found, op, ": expected argument '", name, "' to have dtype ", choices(wanted), ", but got ",
              tensor.scalar_type());
}

void check_same_dtype(const char* op, const char* name, const at::Tensor& tensor, const char* other_name,
                      const at::Tensor& other) {
  TORCH_CHECK(tensor.scalar_type() == other.scalar_type(), op, ": expected '", name, "' and '", other_name,
              "' to have the same dtype, but got ", tensor.scalar_type(), " and ", other.scalar_type());
}

void check_choice(const char* op, const char* name, const std::string& value,
                  std::initializer_list<const char*> wanted) {
  const bool found = std::find(wanted.begin(), wanted.end(), value) != wanted.end();
  TORCH_CHECK_VALUE(found, op, ": expected ", name, " to be ", choices(wanted), ", but got '", value, "'");
}

void refuse(const char* op, bool asked, const char* what) {
  TORCH_CHECK_NOT_IMPLEMENTED(!asked, op, ": this adapter does not have ", what);
}

Storage storage_of(int64_t number) {
  TORCH_CHECK_VALUE(number >= 0, "found ", number, " where a dtype is expected; give a torch.dtype");
  if (number >= kOfCann) return storage_of_cann(number - kOfCann);
  const auto dtype = static_cast<at::ScalarType>(number);
  switch (dtype) {
    case at::kQInt8:
      return {at::kChar, ACL_INT8, 1};
    case at::kQUInt8:
      return {at::kByte, ACL_UINT8, 1};
    case at::kQInt32:
      return {at::kInt, ACL_INT32, 1};
    case at::ScalarType::QUInt4x2:
      return {at::kInt, ACL_INT32, 8};
    case at::ScalarType::Undefined:
      TORCH_CHECK_VALUE(false, "found ", number, " where a dtype is expected; give a torch.dtype");
    default:
      break;
  }
  if (dtype == float8_dtype(2)) return {dtype, ACL_FLOAT8_E5M2, 1};
  if (dtype == float8_dtype(3)) return {dtype, ACL_FLOAT8_E4M3FN, 1};
  if (dtype == exponent_dtype()) return {dtype, ACL_FLOAT8_E8M0, 1};
  if (dtype == float4_dtype()) return {dtype, ACL_FLOAT4_E2M1, 2};
  return {dtype, acl_dtype(dtype), 1};
}

at::Tensor made(const at::Tensor& self, at::IntArrayRef sizes) { return at::empty(sizes, self.options()); }
at::Tensor made(const at::Tensor& self, at::IntArrayRef sizes, at::ScalarType dtype) {
  return at::empty(sizes, self.options().dtype(dtype));
}

at::Tensor stored(const char* op, const at::Tensor& self, const Storage& storage) {
  Dims sizes(self.sizes().begin(), self.sizes().end());
  if (storage.packed != 1) {
    TORCH_CHECK(!sizes.empty() && sizes.back() % storage.packed == 0, op,
                ": expected the last dimension to be a ", "multiple of ", storage.packed,
                ", as so many numbers are packed in one element, but got sizes ", self.sizes());
    sizes.back() /= storage.packed;
  }
  return made(self, sizes, storage.dtype);
}

at::Tensor number_on(const at::Scalar& value, const at::Tensor& self) {
  at::Tensor result = made(self, {1});
  if (result.device().type() == kType) aclnn::InplaceFillScalar(result, value);
  return result;
}

Dims halved(const char* op, const at::Tensor& self, int64_t dim) {
  const int64_t wrapped_dim = wrap(dim, self);
  Dims sizes(self.sizes().begin(), self.sizes().end());
  TORCH_CHECK(!sizes.empty() && sizes[static_cast<size_t>(wrapped_dim)] % 2 == 0, op,
              ": expected an even size in dimension ", dim, ", but got sizes ", self.sizes());
  sizes[static_cast<size_t>(wrapped_dim)] /= 2;
  return sizes;
}

Dims row_sizes(const char* op, const at::Tensor& self, const at::Tensor& gamma) {
  const int64_t kept = self.dim() - gamma.dim();
  TORCH_CHECK(gamma.dim() > 0 && kept >= 0 && self.sizes().slice(static_cast<size_t>(kept)) == gamma.sizes(),
              op, ": expected the last dimensions of the input to be those of gamma, but got input of sizes ",
              self.sizes(), " and gamma of sizes ", gamma.sizes());
  Dims sizes(self.sizes().begin(), self.sizes().begin() + kept);
  sizes.resize(static_cast<size_t>(self.dim()), 1);
  return sizes;
}

Dims without_last(const at::Tensor& self, int64_t count, at::IntArrayRef more) {
  const int64_t kept = std::max<int64_t>(self.dim() - count, 0);
  Dims sizes(self.sizes().begin(), self.sizes().begin() + kept);
  sizes.append(more.begin(), more.end());
  return sizes;
}

int64_t permuted_rows(const at::Tensor& indices, optional<int64_t> wanted) {
  const int64_t all = indices.numel(), number = wanted.value_or(0);
  return number > 0 ? std::min(number, all) : std::max<int64_t>(all + number, 0);
}

Dims routed_sizes(const char* op, const at::Tensor& x, const at::Tensor& experts, int64_t wanted,
                  int64_t pad_mode, int64_t expert_count, int64_t capacity) {
  TORCH_CHECK_VALUE(pad_mode == 0 || pad_mode == 1, op, ": expected drop_pad_mode to be 0 or 1, but got ",
                    pad_mode);
  if (pad_mode == 0) return {permuted_rows(experts, std::max<int64_t>(wanted, 0)), x.size(1)};
  TORCH_CHECK_VALUE(expert_count > 0 && capacity > 0, op,
                    ": drop_pad_mode 1 needs expert_num and expert_capacity, but ", "got ", expert_count,
                    " and ", capacity);
  return {expert_count, capacity, x.size(1)};
}

Dims counted_sizes(const char* op, bool asked, int64_t type, int64_t expert_count, at::IntArrayRef range) {
  TORCH_CHECK_VALUE(
      range.empty() || (range.size() == 2 && range[0] >= 0 && range[1] > range[0]), op,
      ": expected active_expert_range to be a first expert and the one behind the last, but got ", range);
  TORCH_CHECK_VALUE(type >= 0 && type <= 2, op, ": expected expert_tokens_num_type to be 0, 1 or 2, but got ",
                    type);
  if (!asked) return {0};
  if (type == 2) return {expert_count, 2};
  return {range.empty() ? expert_count : range[1] - range[0]};
}

Dims eighth(const char* op, const at::Tensor& weight) {
  TORCH_CHECK(weight.size(-1) % 8 == 0, op,
              ": expected the last dimension to be a multiple of 8, as so many numbers ",
              "are packed in one element, but got sizes ", weight.sizes());
  return without_last(weight, 1, {weight.size(-1) / 8});
}

const at::Tensor& first(const char* op, at::TensorList tensors) {
  TORCH_CHECK_VALUE(!tensors.empty(), op, ": expected a non-empty list of tensors");
  return tensors[0];
}

Dims block_sizes(const char* op, const at::Tensor& x, int64_t rows, int64_t columns) {
  TORCH_CHECK(x.dim() == 2 || x.dim() == 3, op,
              ": Expected 2 or 3-dimensional tensor for argument 'x', but got ", "one of sizes ", x.sizes());
  TORCH_CHECK_VALUE(rows > 0 && columns > 0, op, ": expected blocks of at least one number, but got ", rows,
                    " x ", columns);
  return without_last(x, 2, {rounded_up(x.size(-2), rows), rounded_up(x.size(-1), columns)});
}

Dims mx_sizes(const char* op, const at::Tensor& x, int64_t axis, int64_t block) {
  TORCH_CHECK_VALUE(block > 0 && block % kBlock == 0 && block <= kLargestBlock, op,
                    ": expected block_size to be a multiple of ", kBlock, " up to ", kLargestBlock,
                    ", but got ", block);
  const auto dim = static_cast<size_t>(wrap(axis, x));
  Dims sizes(x.sizes().begin(), x.sizes().end());
  sizes[dim] = rounded_up(rounded_up(sizes[dim], block), 2);
  sizes.push_back(2);
  return sizes;
}

Dims quant_sizes(const char* op, const at::Tensor& x, const std::string& mode) {
  check_choice(op, "quant_mode", mode, {"pertoken", "pertensor", "perchannel"});
  TORCH_CHECK(x.dim() > 1, op,
              ": Expected at least 2-dimensional tensor for argument 'input', but got one of ", "sizes ",
              x.sizes());
  if (mode == "pertensor") return {1};
  return mode == "perchannel" ? without_last(x, 2, {x.size(-1)}) : without_last(x, 1);
}

}  // namespace custom
}  // namespace npu
