// What the rows of ops/custom.yaml are written with: operators of their own name (torch.ops.npu.npu_xxx),
// which have no shape rules of PyTorch's. A new helper is declared here and listed in HELPERS of
// ops/custom.py.
//
// Every operator runs twice over the same text: on a device, and on meta tensors (FakeTensor, export), where
// its results are made and nothing is called. c10::Error says what is refused; no helper waits for a stream.
#ifndef NPU_GLUE_CUSTOM_CUSTOM_H_
#define NPU_GLUE_CUSTOM_CUSTOM_H_

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>

#include "aclnn/aclnn.h"
#include "aten/operands.h"

namespace npu {
namespace custom {

using aclnn::none;

// Makes the device of the operator's tensors current; none where they are meta tensors.
class Run {
 public:
  template <class... A>
  explicit Run(const char* op, const A&... arguments) {
    (look(arguments), ...);
    TORCH_CHECK(scope_.has_value() || meta_, op, ": expected a tensor on an npu device");
  }
  // Whether CANN is to be called: on a device, with anything to compute.
  bool writes(std::initializer_list<at::Tensor> results) const {
    for (const at::Tensor& result : results) {
      if (scope_.has_value() && result.defined() && result.numel() != 0) return true;
    }
    return false;
  }

 private:
  template <class T>
  void look(const T&) {}
  void look(const at::Tensor& tensor) {
    if (!scope_.has_value() && on_npu(tensor)) scope_.emplace(tensor.device().index());
    meta_ = meta_ || (tensor.defined() && tensor.is_meta());
  }
  void look(const at::TensorList& tensors) {
    for (const at::Tensor& tensor : tensors) look(tensor);
  }
  template <class T>
  void look(const optional<T>& given) {
    if (given.has_value()) look(*given);
  }

  std::optional<DeviceScope> scope_;
  bool meta_ = false;
};

inline bool given(const optional<at::Tensor>& tensor) { return tensor.has_value() && tensor->defined(); }

// ---- checks: `op` and `name` are those of the operator and the argument

void check_dimensions(const char* op, const char* name, const at::Tensor& tensor,
                      std::initializer_list<int64_t> wanted);
void check_dtype(const char* op, const char* name, const at::Tensor& tensor,
                 std::initializer_list<at::ScalarType> wanted);
void check_same_dtype(const char* op, const char* name, const at::Tensor& tensor, const char* other_name,
                      const at::Tensor& other);
void check_choice(const char* op, const char* name, const std::string& value,
                  std::initializer_list<const char*> wanted);
inline void check_dimensions(const char* op, const char* name, const optional<at::Tensor>& tensor,
                             std::initializer_list<int64_t> wanted) {
  if (given(tensor)) check_dimensions(op, name, *tensor, wanted);
}
inline void check_dtype(const char* op, const char* name, const optional<at::Tensor>& tensor,
                        std::initializer_list<at::ScalarType> wanted) {
  if (given(tensor)) check_dtype(op, name, *tensor, wanted);
}
inline void check_same_dtype(const char* op, const char* name, const optional<at::Tensor>& tensor,
                             const char* other_name, const at::Tensor& other) {
  if (given(tensor)) check_same_dtype(op, name, *tensor, other_name, other);
}
inline void check_choice(const char* op, const char* name, const optional<std::string>& value,
                         std::initializer_list<const char*> wanted) {
  if (value.has_value()) check_choice(op, name, *value, wanted);
}
// An argument that this adapter, or the operator, does not have.
void refuse(const char* op, bool asked, const char* what);

// ---- dtypes by number

// How numbers of a type are stored: torch gives a torch.dtype to an operator as its own number, and what
// torch has no dtype for is CANN's number plus 256, as in the published package (290: HIFLOAT8, 296:
// FLOAT4_E2M1).
struct Storage {
  at::ScalarType dtype;
  aclDataType acl;
  int64_t packed;  // numbers in one element
};
// Of 4-bit integers (torch.quint4x2) eight lie in an int32. Throws for a number that means no dtype.
Storage storage_of(int64_t number);
inline Storage storage_of(optional<int64_t> number, at::ScalarType otherwise) {
  return storage_of(number.value_or(static_cast<int64_t>(otherwise)));
}
// The dtype of a result: the one asked for, or `otherwise`.
inline at::ScalarType dtype_of(optional<int64_t> number, at::ScalarType otherwise) {
  return storage_of(number, otherwise).dtype;
}
inline aclDataType acl_of(optional<int64_t> number, at::ScalarType otherwise = at::kChar) {
  return storage_of(number, otherwise).acl;
}
// `tensor` for CANN: as the type of this number, or as its own.
inline aclnn::Typed typed(const at::Tensor& tensor, aclDataType dtype) { return {tensor, dtype}; }

// ---- results

at::Tensor made(const at::Tensor& self, at::IntArrayRef sizes);
at::Tensor made(const at::Tensor& self, at::IntArrayRef sizes, at::ScalarType dtype);
inline at::Tensor like(const at::Tensor& self) { return made(self, self.sizes()); }
inline at::Tensor like(const at::Tensor& self, at::ScalarType dtype) {
  return made(self, self.sizes(), dtype);
}
// Of the sizes of `self`, stored as `storage` says: its last dimension is divided where numbers are packed.
at::Tensor stored(const char* op, const at::Tensor& self, const Storage& storage);
// One number of the dtype of `self`, on its device.
at::Tensor number_on(const at::Scalar& value, const at::Tensor& self);

// ---- arguments

// Null where the operator is not to write a result.
inline at::Tensor or_none(const at::Tensor& result) { return result.numel() == 0 ? at::Tensor() : result; }
inline const optional<at::Tensor>& none_given() {
  static const optional<at::Tensor> nothing;
  return nothing;
}
// CANN counts from the end: -1 for an axis from the front, which is the last one.
inline int64_t last_axis(int64_t axis) { return std::min<int64_t>(axis, -1); }
inline int64_t at_least_one(optional<int64_t> number) { return std::max<int64_t>(number.value_or(1), 1); }
// The parts of positions in three dimensions; zeros where there is one.
inline Dims sections(OptionalIntArrayRef values) {
  return values.has_value() ? Dims(values->begin(), values->end()) : Dims{0, 0, 0};
}
// A range of experts: the one given, or all.
inline Dims range_or(at::IntArrayRef range, int64_t end) {
  return range.empty() ? Dims{0, end} : Dims(range.begin(), range.end());
}
const at::Tensor& first(const char* op, at::TensorList tensors);
// Whether eight numbers of 4 bits lie in each element.
inline bool is_packed(const at::Tensor& weight) {
  return weight.scalar_type() == at::kInt && weight.is_contiguous();
}

// ---- sizes of results

// `self` with half of it along `dim`.
Dims halved(const char* op, const at::Tensor& self, int64_t dim);
// One number for each row that is normalized with weights like `gamma`.
Dims row_sizes(const char* op, const at::Tensor& self, const at::Tensor& gamma);
// All dimensions of `self` but the last `count`, then `more`.
Dims without_last(const at::Tensor& self, int64_t count, at::IntArrayRef more = {});
// How many rows a permutation keeps: `wanted`, all without some, or all of them.
int64_t permuted_rows(const at::Tensor& indices, optional<int64_t> wanted);
// The rows that go to experts: the first `wanted` (all for 0 or less), or so many for each expert.
Dims routed_sizes(const char* op, const at::Tensor& x, const at::Tensor& experts, int64_t wanted,
                  int64_t pad_mode, int64_t expert_count, int64_t capacity);
inline int64_t rows_of(const at::Tensor& x) {
  return x.dim() == 0 ? 1 : x.numel() / std::max<int64_t>(x.size(-1), 1);
}
// What is counted for each expert: a number, or a pair of it and the number; nothing where nothing is asked.
Dims counted_sizes(const char* op, bool asked, int64_t type, int64_t expert_count, at::IntArrayRef range);
// An eighth of the last dimension.
Dims eighth(const char* op, const at::Tensor& weight);
// The result of attention, and the logarithm of each row's sum, by the layout: "BSH", "BNSD_BSND", ...
Dims attention_sizes(const char* op, const at::Tensor& query, const at::Tensor& value,
                     const optional<at::Tensor>& block_table, const std::string& layout, int64_t heads,
                     int64_t shared_heads);
Dims lse_sizes(const char* op, const at::Tensor& query, const std::string& layout, int64_t heads, bool asked);
at::ScalarType attention_dtype(const at::Tensor& query, const optional<at::Tensor>& quant_scale,
                               const optional<at::Tensor>& rope);
// The scales of blocks of rows x columns of the last two dimensions.
Dims block_sizes(const char* op, const at::Tensor& x, int64_t rows, int64_t columns);
// The scales of blocks along `axis`, in pairs: the last dimension.
Dims mx_sizes(const char* op, const at::Tensor& x, int64_t axis, int64_t block);
// The scale of each row, of all, or of each column.
Dims quant_sizes(const char* op, const at::Tensor& x, const std::string& mode);

// ---- operators of several ranks (joint.cpp)

// A product whose left rows lie on `ranks` ranks, or whose sum does: its rows times `times` over `parts`.
Dims joint_sizes(const char* op, const at::Tensor& x1, const at::Tensor& x2, int64_t times, int64_t parts);
// Its dtype; refuses scales without the communication that takes them.
at::ScalarType joint_dtype(const char* op, const at::Tensor& x1, const optional<at::Tensor>& scale,
                           optional<at::ScalarType> asked, const optional<std::string>& comm_mode);
inline bool by_vectors(const optional<std::string>& comm_mode) {
  return comm_mode.value_or("ai_cpu") != "ai_cpu";
}
Dims all_reduce_sizes(const char* op, const at::Tensor& x1, const at::Tensor& x2);
at::ScalarType all_reduce_dtype(const char* op, const at::Tensor& x1, const at::Tensor& x2,
                                const optional<at::Tensor>& dequant_scale,
                                const optional<at::Tensor>& antiquant_scale);
inline bool is_whole(const at::Tensor& x) { return at::isIntegralType(x.scalar_type(), false); }
inline at::Tensor or_undefined(const optional<at::Tensor>& tensor) {
  return given(tensor) ? *tensor : at::Tensor();
}
int64_t sum_of(at::IntArrayRef numbers);
// The product of rows with a matrix, which may be transposed; undefined where there are none.
at::Tensor product_or_undefined(const optional<at::Tensor>& x, const optional<at::Tensor>& weight,
                                bool transposed);
// Of a dispatch: what this rank has, and how many rows it can get.
struct ExpertPlace {
  int64_t ranks, rank, experts, shared, shared_ranks;
};
int64_t experts_here(const char* op, const ExpertPlace& place);
int64_t dispatched_rows(const char* op, const at::Tensor& x, const at::Tensor& expert_ids,
                        const ExpertPlace& place, int64_t all_tokens);

// ---- which keys, and groups of rows
Dims indexed_sizes(const char* op, const at::Tensor& query, const std::string& layout, int64_t count);
Dims grouped_mx_sizes(const char* op, const at::Tensor& x, const at::Tensor& groups, int64_t block);

}  // namespace custom
}  // namespace npu

#endif  // NPU_GLUE_CUSTOM_CUSTOM_H_
