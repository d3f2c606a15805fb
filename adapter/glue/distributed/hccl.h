// CANN's collective library: its functions, found when the first communicator is made, and its errors.
#ifndef NPU_GLUE_DISTRIBUTED_HCCL_H_
#define NPU_GLUE_DISTRIBUTED_HCCL_H_

#include <ATen/core/Tensor.h>

#include <string>

#include "cann/hccl.h"
#include "compat.h"

#if NPU_HAS_GROUP_NAMES

namespace npu::hccl {

// The functions that every CANN of the matrix has.
#define NPU_HCCL_REQUIRED(X) \
  X(HcclGetRootInfo)         \
  X(HcclCommInitRootInfo)    \
  X(HcclCommDestroy)         \
  X(HcclGetErrorString)      \
  X(HcclAllReduce)           \
  X(HcclReduce)              \
  X(HcclReduceScatter)       \
  X(HcclAllGather)           \
  X(HcclBroadcast)           \
  X(HcclScatter)             \
  X(HcclAlltoAllV)           \
  X(HcclBarrier)             \
  X(HcclSend)                \
  X(HcclRecv)

// NULL where this CANN does not have it; the caller has another way, or find() says so.
#define NPU_HCCL_OPTIONAL(X)     \
  X(HcclCommInitRootInfoConfig)  \
  X(HcclGetCommConfigCapability) \
  X(HcclGetCommAsyncError)       \
  X(HcclGetCommName)             \
  X(HcclReduceScatterV)          \
  X(HcclAllGatherV)              \
  X(HcclBatchSendRecv)

struct Functions {
#define NPU_HCCL_MEMBER(name) decltype(&::name) name = nullptr;
  NPU_HCCL_REQUIRED(NPU_HCCL_MEMBER)
  NPU_HCCL_OPTIONAL(NPU_HCCL_MEMBER)
#undef NPU_HCCL_MEMBER
};

// Throws c10::DistBackendError that says what is missing.
const Functions& functions();

// "<call> failed with <code> (<what it means>): <CANN's text>"
std::string error_of(HcclResult result, const char* call);

// Throws c10::DistBackendError with that text.
void check(HcclResult result, const char* call);

// CANN's text of the calling thread's last error, "" when there is none; reading takes it.
std::string recent_message();

// What HCCL is told to move: elements of a type that it has, or bytes.
struct Elements {
  void* data;
  uint64_t count;
  HcclDataType dtype;
};
// The elements of a contiguous tensor of any dtype.
Elements elements_of(const at::Tensor& tensor);

// The type in which HCCL reduces `dtype`; false when it does not reduce it.
bool reduced_type(at::ScalarType dtype, HcclDataType* type);

}  // namespace npu::hccl

// Calls a function of HCCL and checks its result: NPU_HCCL(HcclBarrier, comm, stream).
#define NPU_HCCL(function, ...) ::npu::hccl::check(::npu::hccl::functions().function(__VA_ARGS__), #function)

#endif  // NPU_HAS_GROUP_NAMES
#endif  // NPU_GLUE_DISTRIBUTED_HCCL_H_
