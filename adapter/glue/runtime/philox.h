// The random numbers of a device: what one generator holds, apart from the class that torch knows.
#ifndef NPU_GLUE_RUNTIME_PHILOX_H_
#define NPU_GLUE_RUNTIME_PHILOX_H_

#include <c10/core/Device.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/core/TensorImpl.h>
#include <c10/util/intrusive_ptr.h>

#include <cstdint>

namespace c10 {
struct GeneratorImpl;
}

namespace npu {

// A philox counter: kernels draw from (seed, offset), so equal seeds give equal numbers on every device,
// whatever the order in which streams run. Lives on the host; taking numbers only moves the offset on.
struct Philox {
  uint64_t seed;
  uint64_t offset;
};

// A number that nobody can foretell.
uint64_t random_seed();

// The state as torch keeps it: a CPU tensor of 16 uint8 elements, seed and then offset. Another one throws.
c10::intrusive_ptr<c10::TensorImpl> tensor_from(const Philox& philox);
Philox philox_from(const c10::TensorImpl& state);

// Generators whose class has its virtual functions where torch has them from 2.14 on.
c10::intrusive_ptr<c10::GeneratorImpl> make_generator_2_14(c10::Device device, c10::DispatchKeySet keys);
Philox& philox_2_14(c10::GeneratorImpl& generator);

}  // namespace npu

#endif  // NPU_GLUE_RUNTIME_PHILOX_H_
