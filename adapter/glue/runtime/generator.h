// Random number state of a device.
#ifndef NPU_GLUE_RUNTIME_GENERATOR_H_
#define NPU_GLUE_RUNTIME_GENERATOR_H_

#include <ATen/core/Generator.h>

#include <utility>

#include "compat.h"

namespace npu {

// A philox counter: kernels draw from (seed, offset), so equal seeds give equal numbers on every device,
// whatever the order in which streams run. Lives on the host; taking numbers only moves the offset on.
struct Generator final : c10::GeneratorImpl {
  explicit Generator(c10::DeviceIndex device);

  void set_current_seed(uint64_t seed) override;
  uint64_t current_seed() const override { return seed_; }
  uint64_t seed() override;
  void set_offset(uint64_t offset) NPU_OFFSET_OVERRIDE;
  uint64_t get_offset() const NPU_OFFSET_OVERRIDE { return offset_; }
  void set_state(const c10::TensorImpl& state) override;
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override;
  static c10::DeviceType device_type();

  // Reserves `count` numbers; returns the seed and the offset at which they start.
  std::pair<uint64_t, uint64_t> take(uint64_t count);

 private:
  Generator* clone_impl() const override;

  uint64_t seed_;
  uint64_t offset_ = 0;
};

// The generator used where none is given; -1 is the current device. Throws for a device that is not there.
const at::Generator& default_generator(c10::DeviceIndex device);

// Seed and offset for `count` numbers from `generator`, or from the default one of `device`.
std::pair<uint64_t, uint64_t> random_state(const optional<at::Generator>& generator, c10::DeviceIndex device,
                                           int64_t count);

}  // namespace npu

#endif  // NPU_GLUE_RUNTIME_GENERATOR_H_
