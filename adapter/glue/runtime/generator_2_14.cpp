// Generators for torch 2.14 and later, in a build for an earlier torch of the same ABI generation.
//
// 2.14 put philox_state() before clone_impl() in the vtable of c10::GeneratorImpl. No header of torch that
// declares the class is included here; it is declared as 2.14 has it. `wheelmill abi` compares what comes of
// it with the records of both.
#define NPU_WITHOUT_ATEN
#include "compat.h"

#if NPU_SERVES_LATER

#include <c10/macros/Export.h>
#include <c10/util/Exception.h>
#include <c10/util/python_stub.h>

#include <mutex>

#include "runtime/philox.h"

namespace at {
class Tensor;
}

// NOLINTBEGIN(readability-identifier-naming): the names are torch's
namespace c10 {

constexpr uint64_t default_rng_seed_val = 67280421310721;

struct C10_API GeneratorImpl : intrusive_ptr_target {
  GeneratorImpl(Device device, DispatchKeySet keys);
  GeneratorImpl(const GeneratorImpl&) = delete;
  GeneratorImpl& operator=(const GeneratorImpl&) = delete;
  ~GeneratorImpl() override = default;

  virtual void set_current_seed(uint64_t seed) = 0;
  virtual void set_offset(uint64_t offset) = 0;
  virtual uint64_t get_offset() const = 0;
  virtual uint64_t current_seed() const = 0;
  virtual uint64_t seed() = 0;
  virtual void set_state(const TensorImpl& state) = 0;
  virtual intrusive_ptr<TensorImpl> get_state() const = 0;
  virtual void graphsafe_set_state(const intrusive_ptr<GeneratorImpl>& state);
  virtual intrusive_ptr<GeneratorImpl> graphsafe_get_state() const;
  virtual void philox_state(uint64_t count, at::Tensor& seed, at::Tensor& offset, at::Tensor& within) = 0;
  Device device() const;

  std::mutex mutex_;

  DispatchKeySet key_set() const { return key_set_; }

 protected:
  Device device_;
  DispatchKeySet key_set_;
  PyObject* pyobj_ = nullptr;

  virtual GeneratorImpl* clone_impl() const = 0;
};

}  // namespace c10
// NOLINTEND(readability-identifier-naming)

#include "runtime/generator_class.h"

namespace npu {

struct NPU_GENERATOR Generator214 final : GeneratorOf<Generator214> {
  using GeneratorOf::GeneratorOf;
  NPU_GENERATOR c10::GeneratorImpl* clone_impl() const override { return copy(); }
  NPU_GENERATOR void philox_state(uint64_t, at::Tensor&, at::Tensor&, at::Tensor&) override {
    TORCH_CHECK_NOT_IMPLEMENTED(false,
                                "generators of npu devices do not show their state as tensors of the device");
  }
};

c10::intrusive_ptr<c10::GeneratorImpl> make_generator_2_14(c10::Device device, c10::DispatchKeySet keys) {
  return c10::make_intrusive<Generator214>(device, keys);
}

Philox& philox_2_14(c10::GeneratorImpl& generator) { return static_cast<Generator214&>(generator).philox; }

}  // namespace npu

#endif  // NPU_SERVES_LATER
