#include "runtime/device.h"

#include <string>

namespace npu {

void raise(npu_status status) {
  const std::string message = npu_last_error();
  TORCH_CHECK_WITH(NPU_MEMORY_ERROR, status != NPU_ERR_OUT_OF_MEMORY, message);
  TORCH_CHECK(false, message);
}

}  // namespace npu
