#include "aten/fallback.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <cstdlib>
#include <cstring>
#include <mutex>

#include "compat.h"
#include "runtime/device.h"
#include "runtime/generator.h"

namespace npu {
namespace {

constexpr const char* kModes[] = {"warn", "error", "silent"};
enum Mode { kWarn, kError, kSilent };

struct State {
  std::mutex mutex;
  Mode mode;
  std::map<std::string, int64_t> counts;

  State() {
    const char* disabled = std::getenv("TORCH_NPU_FALLBACK_CPU_DISABLE");
    mode = disabled != nullptr && std::strcmp(disabled, "1") == 0 ? kError : kWarn;
  }
};

State& state() {
  static State* instance = new State;  // never destroyed: tensors may outlive static objects
  return *instance;
}

c10::DeviceIndex device_of(const torch::jit::Stack& stack, size_t arguments) {
  for (size_t i = 0; i < arguments; ++i) {
    const c10::IValue& value = torch::jit::peek(stack, i, arguments);
    if (!value.isTensor()) continue;
    const at::Tensor& tensor = value.toTensor();
    if (tensor.defined() && tensor.device().type() == kType) return tensor.device().index();
  }
  return current_device();
}

// The device of an operator whose tensors are all in lists; the fallback of early torch leaves the results of
// such a one, cat for example, on the CPU.
optional<at::Device> device_of_lists(const torch::jit::Stack& stack, size_t arguments) {
  optional<at::Device> found;
  for (size_t i = 0; i < arguments; ++i) {
    const c10::IValue& value = torch::jit::peek(stack, i, arguments);
    if (value.isTensor() && value.toTensor().defined()) return {};
    if (!value.isTensorList()) continue;
    for (const at::Tensor& tensor : value.toTensorVector()) {
      if (!found.has_value() && tensor.defined() && tensor.device().type() == kType) found = tensor.device();
    }
  }
  return found;
}

void move_results(torch::jit::Stack* stack, size_t results, at::Device device) {
  const auto moved = [&](const at::Tensor& tensor) {
    return tensor.defined() && tensor.device().is_cpu() ? tensor.to(device) : tensor;
  };
  for (size_t i = 0; i < results; ++i) {
    c10::IValue& value = torch::jit::peek(*stack, i, results);
    if (value.isTensor()) {
      value = moved(value.toTensor());
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> tensors = value.toTensorVector();
      for (at::Tensor& tensor : tensors) tensor = moved(tensor);
      value = c10::List<at::Tensor>(std::move(tensors));
    }
  }
}

// Where an operator draws random numbers, the CPU gets a generator that the device's one seeds: so it, too,
// follows torch.npu's seeds and states.
void draw_as_device(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& arguments = op.schema().arguments();
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].name() != "generator") continue;
    c10::IValue& value = torch::jit::peek(*stack, i, arguments.size());
    optional<at::Generator> given;
    if (!value.isNone()) given = value.toGenerator();
    if (given.has_value() && given->defined() && given->device().is_cpu()) continue;
    const auto [seed, offset] = random_state(given, device_of(*stack, arguments.size()), 1);
    constexpr uint64_t kOdd = 0x9E3779B97F4A7C15U;  // consecutive offsets must not give related seeds
    value = at::detail::createCPUGenerator(seed + (offset + 1) * kOdd);
  }
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const std::string name = c10::toString(op.operator_name());
  if (NPU_LISTS_ARE_FOR_CPU && name.rfind("aten::_foreach_", 0) == 0) {
    return op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);  // not the tensors
  }
  bool first = false;
  Mode mode = kWarn;
  {
    State& s = state();
    const std::lock_guard<std::mutex> lock(s.mutex);
    mode = s.mode;
    if (mode != kError) first = ++s.counts[name] == 1;
  }
  TORCH_CHECK_NOT_IMPLEMENTED(
      mode != kError, "the npu backend has no kernel for ", name,
      ", and running it on the CPU is switched off. Allow it with "
      "TORCH_NPU_FALLBACK_CPU_DISABLE=0, or move the tensors to the CPU with .cpu() first");
  if (first && mode == kWarn) {
    TORCH_WARN(
        "the npu backend has no kernel for ", name,
        ": it runs on the CPU, and its tensors are copied there and back. TORCH_NPU_FALLBACK_CPU_DISABLE=1 "
        "makes this an error");
  }
  draw_as_device(op, stack);
  const optional<at::Device> lists = device_of_lists(*stack, op.schema().arguments().size());
  run_on_cpu(op, stack);
  if (lists.has_value()) move_results(stack, op.schema().returns().size(), *lists);
}

TORCH_LIBRARY_IMPL(_, NPU_KEY, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

// Early torch versions have no fallback for this backend's autograd key: an operator that PyTorch composes of
// others, and that has a kernel of its own here, would find nothing behind it. Later ones bring theirs, and
// two are an error.
torch::Library* autograd_fallback() {
  constexpr auto kAutograd = c10::DispatchKey::NPU_AUTOGRAD_KEY;
  if (has_fallback(kAutograd)) return nullptr;
  auto* library = new torch::Library(torch::Library::IMPL, "_", kAutograd, __FILE__, __LINE__);
  library->fallback(torch::CppFunction::makeFallthrough());
  return library;
}

[[maybe_unused]] torch::Library* const kKeptAutogradFallback = autograd_fallback();

}  // namespace

std::string set_fallback(const std::string& mode) {
  State& s = state();
  for (int candidate = kWarn; candidate <= kSilent; ++candidate) {
    if (mode != kModes[candidate]) continue;
    const std::lock_guard<std::mutex> lock(s.mutex);
    const Mode before = s.mode;
    s.mode = static_cast<Mode>(candidate);
    return kModes[before];
  }
  TORCH_CHECK_VALUE(false, "unknown fallback mode '", mode, "'; choose \"warn\", \"error\" or \"silent\"");
}

std::map<std::string, int64_t> fallback_counts() {
  State& s = state();
  const std::lock_guard<std::mutex> lock(s.mutex);
  return s.counts;
}

}  // namespace npu
