// Operators by name that are computed by an aclnn operator: its two phases, and the handles that it takes.
#ifndef CANN_SIMULATOR_OP_COMPILER_ACLNN_H_
#define CANN_SIMULATOR_OP_COMPILER_ACLNN_H_

#include <dlfcn.h>

#include <memory>
#include <string>
#include <vector>

#include "cann_simulator/abi.h"

namespace cann_simulator {

struct Destroy {
  void operator()(const aclTensor* tensor) const { aclDestroyTensor(tensor); }
  void operator()(const aclScalar* scalar) const { aclDestroyScalar(scalar); }
};
using Tensor = std::unique_ptr<aclTensor, Destroy>;
using Scalar = std::unique_ptr<aclScalar, Destroy>;

// The memory of an operand, which `desc` describes, seen as contiguous of `sizes`. Null: the message is set.
inline Tensor tensor_of(const aclTensorDesc* desc, const aclDataBuffer* data,
                        const std::vector<int64_t>& sizes) {
  return Tensor(aclCreateTensor(sizes.data(), sizes.size(), aclGetTensorDescType(desc), nullptr, 0,
                                ACL_FORMAT_ND, sizes.data(), sizes.size(), aclGetDataBufferAddr(data)));
}

inline Scalar scalar_of(double value) { return Scalar(aclCreateScalar(&value, ACL_DOUBLE)); }

// Queues `aclnn<operation>(arguments)`, which must not need a workspace. `name` is what the program asked
// for.
template <class... Arguments>
aclError queue_aclnn(const char* name, const char* operation, aclrtStream stream, Arguments... arguments) {
  using Prepare = aclnnStatus (*)(Arguments..., uint64_t*, aclOpExecutor**);
  using Launch = aclnnStatus (*)(void*, uint64_t, aclOpExecutor*, aclrtStream);
  const auto refuse = [name](const std::string& text) {
    return cann_simulator_fail(ACL_ERROR_INVALID_PARAM, (std::string(name) + ": " + text).c_str());
  };
  void* const operators = dlopen("libopapi.so", RTLD_LAZY);
  if (operators == nullptr) return refuse(std::string("the operators cannot be loaded: ") + dlerror());
  const std::string symbol = std::string("aclnn") + operation;
  const auto prepare = reinterpret_cast<Prepare>(dlsym(operators, (symbol + "GetWorkspaceSize").c_str()));
  const auto launch = reinterpret_cast<Launch>(dlsym(operators, symbol.c_str()));
  if (prepare == nullptr || launch == nullptr) return refuse("libopapi has no " + symbol);
  uint64_t size = 0;
  aclOpExecutor* executor = nullptr;
  const aclnnStatus status = prepare(arguments..., &size, &executor);
  return status == ACL_SUCCESS ? launch(nullptr, size, executor, stream) : status;
}

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_OP_COMPILER_ACLNN_H_
