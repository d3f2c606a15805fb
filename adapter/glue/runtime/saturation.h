// Chips of the first generation compute float16 without inf and nan.
#ifndef NPU_GLUE_RUNTIME_SATURATION_H_
#define NPU_GLUE_RUNTIME_SATURATION_H_

#include <cstdint>

namespace npu {

// Whether what is too large becomes the largest number on this device (910A, 310P), and sets a flag; all
// others make inf of it, as IEEE 754 says.
bool saturates(int64_t device);

// Warns once where scaled gradients cannot show an overflow: on a device that saturates.
void warn_where_saturating(int64_t device);

}  // namespace npu

#endif  // NPU_GLUE_RUNTIME_SATURATION_H_
