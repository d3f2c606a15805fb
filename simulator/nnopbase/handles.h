// What an aclnn handle holds. libnnopbase creates the handles, libopapi reads them; both are of one build,
// so the layout is no part of any ABI.
#ifndef CANN_SIMULATOR_HANDLES_H_
#define CANN_SIMULATOR_HANDLES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cann_simulator/abi.h"

namespace cann_simulator {

// The sizes of a result that only the kernel knows (nonzero, masked_select): written on the stream, read by
// aclGetViewShape after a synchronize. The kernel keeps it alive should the handle go first.
struct ViewShape {
  std::mutex mutex;
  bool known = false;
  std::vector<int64_t> sizes;
};

// Bytes of an element; 0 for a type without a size of its own (ACL_STRING, unknown ones).
__attribute__((visibility("default"))) std::size_t dtype_size(aclDataType dtype);

}  // namespace cann_simulator

// Sizes, strides and the offset count elements; `data` is the start of the storage, on the device.
struct aclTensor {
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
  std::vector<int64_t> storage_sizes;
  int64_t offset;
  aclDataType dtype;
  aclFormat format;
  void* data;
  std::shared_ptr<cann_simulator::ViewShape> view_shape;
};

struct aclScalar {
  std::array<unsigned char, 16> value;  // as many bytes as dtype_size(dtype)
  aclDataType dtype;
};

struct aclIntArray {
  std::vector<int64_t> values;
};

struct aclBoolArray {
  std::vector<unsigned char> values;
};

struct aclFloatArray {
  std::vector<float> values;
};

struct aclTensorList {
  std::vector<const aclTensor*> tensors;
};

struct aclScalarList {
  std::vector<const aclScalar*> scalars;
};

#endif  // CANN_SIMULATOR_HANDLES_H_
