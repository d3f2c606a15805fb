#include "runtime/saturation.h"

#include <c10/util/Exception.h>

#include <string>

#include "runtime/device.h"

namespace npu {

bool saturates(int64_t device) {
  char text[256] = "";
  check(npu_device_name(static_cast<int32_t>(device), text, sizeof(text)));
  const std::string name = text;
  for (const char* chip : {"Ascend910A", "Ascend910P", "Ascend310P", "Ascend710"}) {
    if (name.rfind(chip, 0) == 0) return true;
  }
  return false;
}

void warn_where_saturating(int64_t device) {
  if (!saturates(device)) return;
  TORCH_WARN_ONCE(
      "gradients are scaled on a chip that computes float16 without inf and nan: what is too large ",
      "becomes the largest number, no step is skipped, and the loss scale only grows. Train in "
      "float32 on this chip, or set a small init_scale and a growth_interval that is not reached");
}

}  // namespace npu
