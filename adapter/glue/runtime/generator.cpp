#include "runtime/generator.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <deque>
#include <mutex>

#include "npu_graph.h"
#include "runtime/device.h"
#include "runtime/generator_class.h"
#include "runtime/later_torch.h"

#if NPU_HAS_HOOKS && !NPU_HAS_DEVICE_ALLOCATOR
#include <ATen/core/GeneratorForPrivateuseone.h>
#endif

namespace npu {

struct NPU_GENERATOR Generator final : GeneratorOf<Generator> {
  using GeneratorOf::GeneratorOf;
  NPU_GENERATOR c10::GeneratorImpl* clone_impl() const override { return copy(); }
};

namespace {

constexpr size_t kStateBytes = 2 * sizeof(uint64_t);  // seed, then offset

c10::intrusive_ptr<c10::GeneratorImpl> new_generator(c10::Device device, c10::DispatchKeySet keys) {
#if NPU_SERVES_LATER
  if (torch_is_later()) return make_generator_2_14(device, keys);
#endif
  return c10::make_intrusive<Generator>(device, keys);
}

Philox& philox_of(c10::GeneratorImpl& generator) {
#if NPU_SERVES_LATER
  if (torch_is_later()) return philox_2_14(generator);
#endif
  return static_cast<Generator&>(generator).philox;
}

}  // namespace

uint64_t random_seed() { return c10::detail::getNonDeterministicRandom(); }

c10::intrusive_ptr<c10::TensorImpl> tensor_from(const Philox& philox) {
  at::Tensor state = at::empty({static_cast<int64_t>(kStateBytes)}, at::TensorOptions().dtype(at::kByte));
  auto* bytes = static_cast<char*>(state.data_ptr());
  std::memcpy(bytes, &philox.seed, sizeof(philox.seed));
  std::memcpy(bytes + sizeof(philox.seed), &philox.offset, sizeof(philox.offset));
  return state.getIntrusivePtr();
}

Philox philox_from(const c10::TensorImpl& state) {
  TORCH_CHECK(state.device().is_cpu() && state.dtype() == caffe2::TypeMeta::Make<uint8_t>() &&
                  state.is_contiguous() && state.numel() == static_cast<int64_t>(kStateBytes),
              "the state of an npu generator is a contiguous CPU tensor of ", kStateBytes,
              " uint8 elements, as get_state() returns it");
  const char* bytes = static_cast<const char*>(state.data());
  Philox philox{};
  std::memcpy(&philox.seed, bytes, sizeof(philox.seed));
  std::memcpy(&philox.offset, bytes + sizeof(philox.seed), sizeof(philox.offset));
  return philox;
}

at::Generator make_generator(c10::DeviceIndex device) {
  const c10::Device of{kType, device == -1 ? current_device() : device};
  return at::Generator(new_generator(of, c10::DispatchKeySet(kKey)));
}

const at::Generator& default_generator(c10::DeviceIndex device) {
  static std::mutex mutex;
  static std::deque<at::Generator> generators;  // a deque: references stay valid while it grows
  const c10::DeviceIndex index = device == -1 ? current_device() : device;
  const c10::DeviceIndex count = device_count();
  TORCH_CHECK(index >= 0 && index < count, "npu:", static_cast<int>(index), " has no generator: there ",
              count == 1 ? "is 1 device" : "are ", count == 1 ? "" : std::to_string(count) + " devices");
  const std::lock_guard<std::mutex> lock(mutex);
  while (generators.size() <= static_cast<size_t>(index)) {
    generators.push_back(make_generator(static_cast<c10::DeviceIndex>(generators.size())));
  }
  return generators[static_cast<size_t>(index)];
}

std::pair<uint64_t, uint64_t> random_state(const optional<at::Generator>& generator, c10::DeviceIndex device,
                                           int64_t count) {
  const at::Generator& chosen =
      generator.has_value() && generator->defined() ? *generator : default_generator(device);
  TORCH_CHECK(chosen.device().type() == kType, "expected a generator of an npu device, found one of ",
              chosen.device());
  const int32_t on = chosen.device().index();
  TORCH_CHECK(
      npu_is_captured(on, npu_current_stream(on)) == 0,
      "an operator with random numbers was called in the capture of a graph; every replay would give the "
      "same numbers, so this adapter refuses it: draw them before, into a tensor that the graph reads");
  c10::GeneratorImpl& generator_impl = *chosen.unsafeGetGeneratorImpl();
  const std::lock_guard<std::mutex> lock(generator_impl.mutex_);
  Philox& philox = philox_of(generator_impl);
  const Philox start = philox;
  // A philox block holds four numbers; no block is shared by two calls.
  philox.offset += (static_cast<uint64_t>(count) + 3) / 4 * 4;
  return {start.seed, start.offset};
}

#if NPU_HAS_HOOKS && !NPU_HAS_DEVICE_ALLOCATOR  // from 2.9 on the hooks make generators
namespace {

REGISTER_GENERATOR_PRIVATEUSE1(make_generator)

}  // namespace
#endif

}  // namespace npu
