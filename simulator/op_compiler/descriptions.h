// What the descriptions of operators by name say, as vectors.
#ifndef CANN_SIMULATOR_DESCRIPTIONS_H_
#define CANN_SIMULATOR_DESCRIPTIONS_H_

#include <cstddef>
#include <vector>

#include "cann_simulator/abi.h"

namespace cann_simulator {

inline std::vector<int64_t> sizes_of(const aclTensorDesc* desc) {
  std::vector<int64_t> sizes(aclGetTensorDescNumDims(desc));
  for (std::size_t index = 0; index < sizes.size(); ++index) {
    aclGetTensorDescDimV2(desc, index, &sizes[index]);
  }
  return sizes;
}

inline std::vector<int64_t> stored_sizes_of(const aclTensorDesc* desc) {
  std::size_t count = 0;
  const int64_t* sizes = cann_simulator_stored_sizes(desc, &count);
  return {sizes, sizes + count};
}

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_DESCRIPTIONS_H_
