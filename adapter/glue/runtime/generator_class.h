// The class of generators, for a file that has declared c10::GeneratorImpl before it includes this.
//
// There are two such files: torch moved a virtual function of that class between releases that one build
// serves, so one has torch's own declaration, and the other that of the later release (generator_2_14.cpp).
#ifndef NPU_GLUE_RUNTIME_GENERATOR_CLASS_H_
#define NPU_GLUE_RUNTIME_GENERATOR_CLASS_H_

#include "runtime/philox.h"

namespace npu {

// Exported, so that the slots of a vtable that moved name their functions in the finished library: `wheelmill
// abi` compares them with those of every torch. A function needs it besides its class, and in a template has
// no use of it.
#define NPU_GENERATOR __attribute__((visibility("default")))

// `Final` derives from it, and its clone_impl() returns a copy().
template <class Final>
struct NPU_GENERATOR GeneratorOf : c10::GeneratorImpl {
  GeneratorOf(c10::Device device, c10::DispatchKeySet keys)
      : c10::GeneratorImpl(device, keys), philox{c10::default_rng_seed_val, 0} {}

  void set_current_seed(uint64_t seed) override { philox = {seed, 0}; }
  uint64_t current_seed() const override { return philox.seed; }
  uint64_t seed() override {
    set_current_seed(random_seed());
    return philox.seed;
  }
  void set_offset(uint64_t offset) NPU_OFFSET_OVERRIDE { philox.offset = offset; }
  uint64_t get_offset() const NPU_OFFSET_OVERRIDE { return philox.offset; }
  void set_state(const c10::TensorImpl& state) override { philox = philox_from(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override { return tensor_from(philox); }

  Philox philox;

 protected:
  Final* copy() const {
    auto* copy = new Final(device(), key_set());
    copy->philox = philox;
    return copy;
  }
};

}  // namespace npu

#endif  // NPU_GLUE_RUNTIME_GENERATOR_CLASS_H_
