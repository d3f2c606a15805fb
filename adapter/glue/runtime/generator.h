// Random number state of a device.
#ifndef NPU_GLUE_RUNTIME_GENERATOR_H_
#define NPU_GLUE_RUNTIME_GENERATOR_H_

#include <ATen/core/Generator.h>

#include <utility>

#include "compat.h"

namespace npu {

// A generator of its own; -1 is the current device.
at::Generator make_generator(c10::DeviceIndex device);

// The generator used where none is given; -1 is the current device. Throws for a device that is not there.
const at::Generator& default_generator(c10::DeviceIndex device);

// Seed and offset for `count` numbers from `generator`, or from the default one of `device`.
std::pair<uint64_t, uint64_t> random_state(const optional<at::Generator>& generator, c10::DeviceIndex device,
                                           int64_t count);

}  // namespace npu

#endif  // NPU_GLUE_RUNTIME_GENERATOR_H_
