#include "broadcast.h"

#include <cstddef>
#include <string>
#include <vector>

#include "aclnn.h"
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
  const Tensor read(aclCreateTensor(to.data(), to.size(), aclGetTensorDescType(source), strides.data(), 0,
                                    ACL_FORMAT_ND, from.data(), from.size(),
                                    aclGetDataBufferAddr(source_data)));
  const Tensor written = tensor_of(target, target_data, to);
  if (!read || !written) return ACL_ERROR_INVALID_PARAM;  // whoever did not make a tensor said why
  return queue_aclnn<aclTensor*, const aclTensor*>("BroadcastTo", "InplaceCopy", stream, written.get(),
                                                   read.get());
}

}  // namespace cann_simulator
