// Pinned host memory: an allocator, and below torch 2.6 the two operators that use it.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/is_pinned.h>
#include <c10/core/TensorOptions.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include "compat.h"
#include "runtime/allocator.h"
#include "runtime/device.h"

namespace npu {
namespace {

struct PinnedAllocator final : HostAllocatorBase {
  c10::DataPtr allocate(size_t bytes) NPU_ALLOCATE_CONST override {
    void* pointer = nullptr;
    check(npu_host_malloc(bytes, &pointer));
    return {pointer, pointer, &npu_host_free, c10::DeviceType::CPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &npu_host_free; }

#if NPU_ALLOCATOR_COPIES
  void copy_data(void* dst, const void* src, std::size_t bytes) const override {
    default_copy_data(dst, src, bytes);
  }
#endif

#if NPU_HAS_DEVICE_ALLOCATOR
  bool record_event(void* pointer, void*, c10::Stream stream) override {
    check(npu_host_record(pointer, stream.device_index(), stream.id()));
    return true;
  }
  void empty_cache() override { check(npu_host_empty_cache()); }
  at::HostStats get_stats() override {
    npu_memory_stats from{};
    check(npu_get_host_stats(&from));
    at::HostStats stats;
    const auto counters = host_counters(stats, 0);
    set_stat(std::get<0>(counters), from.allocations);
    set_stat(std::get<1>(counters), from.allocated_bytes);
    set_stat(std::get<2>(counters), from.segments);
    set_stat(std::get<3>(counters), from.reserved_bytes);
    stats.num_host_alloc = from.segments.allocated;
    stats.num_host_free = from.segments.freed;
    return stats;
  }
  void reset_accumulated_stats() override { check(npu_reset_host_stats(0)); }
  void reset_peak_stats() override { check(npu_reset_host_stats(1)); }

 private:
  template <class Stat>
  static void set_stat(Stat& to, const npu_stat& from) {
    to.current = from.current;
    to.peak = from.peak;
    to.allocated = from.allocated;
    to.freed = from.freed;
  }
#endif
};

PinnedAllocator allocator;

#if NPU_HAS_DEVICE_ALLOCATOR
REGISTER_HOST_ALLOCATOR(kType, &allocator)
#endif

#if !NPU_HOOKS_PIN
at::Tensor pin_memory(const at::Tensor& self, optional<at::Device>) {
  TORCH_CHECK(self.is_cpu(), "cannot pin a tensor on ", self.device(),
              ": only memory of the host can be pinned");
  auto storage = c10::Storage(
      c10::Storage::use_byte_size_t(),
      at::detail::computeStorageNbytes(self.sizes(), self.strides(), self.dtype().itemsize()), &allocator,
      /*resizable=*/false);
  at::Tensor pinned = at::empty({0}, self.options()).set_(storage, 0, self.sizes(), self.strides());
  return pinned.copy_(self);
}

bool is_pinned(const at::Tensor& self, optional<at::Device>) {
  return self.is_cpu() && npu_host_is_pinned(self.storage().data()) != 0;
}

TORCH_LIBRARY_IMPL(aten, NPU_KEY, m) {
  m.impl("_pin_memory", &pin_memory);
  m.impl("is_pinned", &is_pinned);
}

#if NPU_HAS_HOOKS
// Where no device is named, these versions ask CUDA, which knows nothing of what was pinned here: DDP, which
// pins through the hooks from 2.3 on, ends with an assertion of PyTorch's.
bool is_pinned_by_any(const at::Tensor& self, optional<at::Device> device) {
  if (!self.is_cpu()) return false;
  if (!device.has_value() && is_pinned(self, device)) return true;
  const c10::DispatchKey key =
      c10::computeDispatchKey(c10::nullopt, self.layout(), device.value_or(c10::Device(at::kCUDA)));
  return at::_ops::is_pinned::redispatch(c10::DispatchKeySet(key), self, device);
}

struct NoWarnings final : c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

// PyTorch has a kernel under this key, and would warn that it is replaced.
torch::Library* replace_is_pinned() {
  NoWarnings none;
  const c10::WarningUtils::WarningHandlerGuard guard(&none);
  constexpr auto kSelect = c10::DispatchKey::BackendSelect;
  auto* library = new torch::Library(torch::Library::IMPL, "aten", kSelect, __FILE__, __LINE__);
  library->impl("is_pinned", &is_pinned_by_any);
  return library;
}

[[maybe_unused]] torch::Library* const kKeptIsPinned = replace_is_pinned();
#endif
#endif

}  // namespace

c10::Allocator* pinned_allocator() { return &allocator; }

}  // namespace npu
