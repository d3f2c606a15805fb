#include "runtime/generator.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <deque>
#include <mutex>

#include "runtime/device.h"

#if NPU_HAS_HOOKS && !NPU_HAS_DEVICE_ALLOCATOR
#include <ATen/core/GeneratorForPrivateuseone.h>
#endif

namespace npu {
namespace {

constexpr size_t kStateBytes = 2 * sizeof(uint64_t);  // seed, then offset

}  // namespace

Generator::Generator(c10::DeviceIndex device)
    : c10::GeneratorImpl({kType, device}, c10::DispatchKeySet(kKey)), seed_(c10::default_rng_seed_val) {}

c10::DeviceType Generator::device_type() { return kType; }

void Generator::set_current_seed(uint64_t seed) {
  seed_ = seed;
  offset_ = 0;
}

uint64_t Generator::seed() {
  set_current_seed(c10::detail::getNonDeterministicRandom());
  return seed_;
}

void Generator::set_offset(uint64_t offset) { offset_ = offset; }

std::pair<uint64_t, uint64_t> Generator::take(uint64_t count) {
  // A philox block holds four numbers; no block is shared by two calls.
  const uint64_t start = offset_;
  offset_ += (count + 3) / 4 * 4;
  return {seed_, start};
}

c10::intrusive_ptr<c10::TensorImpl> Generator::get_state() const {
  at::Tensor state = at::empty({static_cast<int64_t>(kStateBytes)}, at::TensorOptions().dtype(at::kByte));
  std::memcpy(state.data_ptr(), &seed_, sizeof(seed_));
  std::memcpy(static_cast<char*>(state.data_ptr()) + sizeof(seed_), &offset_, sizeof(offset_));
  return state.getIntrusivePtr();
}

void Generator::set_state(const c10::TensorImpl& state) {
  TORCH_CHECK(state.device().is_cpu() && state.dtype() == caffe2::TypeMeta::Make<uint8_t>() &&
                  state.is_contiguous() && state.numel() == static_cast<int64_t>(kStateBytes),
              "the state of an npu generator is a contiguous CPU tensor of ", kStateBytes,
              " uint8 elements, as get_state() returns it");
  const char* bytes = static_cast<const char*>(state.data());
  std::memcpy(&seed_, bytes, sizeof(seed_));
  std::memcpy(&offset_, bytes + sizeof(seed_), sizeof(offset_));
}

Generator* Generator::clone_impl() const {
  auto* copy = new Generator(device().index());
  copy->seed_ = seed_;
  copy->offset_ = offset_;
  return copy;
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
    generators.push_back(at::make_generator<Generator>(static_cast<c10::DeviceIndex>(generators.size())));
  }
  return generators[static_cast<size_t>(index)];
}

std::pair<uint64_t, uint64_t> random_state(const optional<at::Generator>& generator, c10::DeviceIndex device,
                                           int64_t count) {
  const at::Generator& chosen =
      generator.has_value() && generator->defined() ? *generator : default_generator(device);
  TORCH_CHECK(chosen.device().type() == kType, "expected a generator of an npu device, found one of ",
              chosen.device());
  auto* state = static_cast<Generator*>(chosen.unsafeGetGeneratorImpl());
  const std::lock_guard<std::mutex> lock(state->mutex_);
  return state->take(static_cast<uint64_t>(count));
}

#if NPU_HAS_HOOKS && !NPU_HAS_DEVICE_ALLOCATOR  // from 2.9 on the hooks make generators
namespace {

at::Generator make_generator(c10::DeviceIndex device) {
  return at::make_generator<Generator>(device == -1 ? current_device() : device);
}
REGISTER_GENERATOR_PRIVATEUSE1(make_generator)

}  // namespace
#endif

}  // namespace npu
