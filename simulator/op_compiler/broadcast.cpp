#include "broadcast.h"

#include <dlfcn.h>

#include <cstddef>
#include <string>
#include <vector>

#include "descriptions.h"

namespace cann_simulator {
namespace {

using Sizes = std::vector<int64_t>;

// The strides with which contiguous memory of `from` reads as `to`; false when it does not broadcast to it.
bool expanded_strides(const Sizes& from, const Sizes& to, Sizes* strides) {
  if (from.size() > to.size()) return false;
  strides->assign(to.size(), 0);
  const std::size_t added = to.size() - from.size();
  int64_t step = 1;
  for (std::size_t index = from.size(); index-- > 0;) {
    if (from[index] != 1 && from[index] != to[added + index]) return false;
    if (from[index] != 1) (*strides)[added + index] = step;
    step *= from[index];
  }
  return true;
}

aclError refuse(const std::string& text) {
  return cann_simulator_fail(ACL_ERROR_INVALID_PARAM, ("BroadcastTo: " + text).c_str());
}

using Prepare = aclnnStatus (*)(aclTensor*, const aclTensor*, uint64_t*, aclOpExecutor**);
using Launch = aclnnStatus (*)(void*, uint64_t, aclOpExecutor*, aclrtStream);

// A copy needs no workspace.
aclError copy(aclTensor* target, const aclTensor* source, aclrtStream stream) {
  void* const operators = dlopen("libopapi.so", RTLD_LAZY);
  if (operators == nullptr) return refuse(std::string("the operators cannot be loaded: ") + dlerror());
  const auto prepare = reinterpret_cast<Prepare>(dlsym(operators, "aclnnInplaceCopyGetWorkspaceSize"));
  const auto launch = reinterpret_cast<Launch>(dlsym(operators, "aclnnInplaceCopy"));
  if (prepare == nullptr || launch == nullptr) return refuse("libopapi has no aclnnInplaceCopy");
  uint64_t size = 0;
  aclOpExecutor* executor = nullptr;
  const aclnnStatus status = prepare(target, source, &size, &executor);
  return status == ACL_SUCCESS ? launch(nullptr, size, executor, stream) : status;
}

}  // namespace

aclError broadcast_to(const aclTensorDesc* source, const aclDataBuffer* source_data,
                      const aclTensorDesc* target, const aclDataBuffer* target_data, aclrtStream stream) {
  if (source == nullptr || source_data == nullptr || target == nullptr || target_data == nullptr) {
    return refuse("an operand is NULL");
  }
  const Sizes from = sizes_of(source);
  const Sizes to = sizes_of(target);
  Sizes strides;
  if (!expanded_strides(from, to, &strides))
    return refuse("the input's shape does not broadcast to the output's");
  const auto tensor = [](const aclTensorDesc* desc, const Sizes& sizes, const int64_t* stride,
                         const Sizes& stored, const aclDataBuffer* data) {
    return aclCreateTensor(sizes.data(), sizes.size(), aclGetTensorDescType(desc), stride, 0, ACL_FORMAT_ND,
                           stored.data(), stored.size(), aclGetDataBufferAddr(data));
  };
  aclTensor* const read = tensor(source, to, strides.data(), from, source_data);
  aclTensor* const written = tensor(target, to, nullptr, to, target_data);
  aclError status = ACL_ERROR_INVALID_PARAM;  // whoever did not make a tensor said why
  if (read != nullptr && written != nullptr) status = copy(written, read, stream);
  if (read != nullptr) aclDestroyTensor(read);
  if (written != nullptr) aclDestroyTensor(written);
  return status;
}

}  // namespace cann_simulator
