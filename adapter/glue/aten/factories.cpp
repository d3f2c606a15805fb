// Tensors without data, and the operators that only change how memory is looked at.
#include <ATen/EmptyTensor.h>
#include <ATen/TensorUtils.h>
#include <ATen/native/Resize.h>
#include <ATen/native/TensorFactories.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_as_complex_native.h>
#include <ATen/ops/view_as_real_native.h>
#include <ATen/ops/view_native.h>
#include <torch/library.h>

#include "aten/registration.h"
#include "compat.h"
#include "runtime/allocator.h"
#include "runtime/device.h"

namespace npu {
namespace {

void check_options(const optional<at::Layout>& layout, const optional<bool>& pin_memory) {
  TORCH_CHECK_NOT_IMPLEMENTED(layout.value_or(at::kStrided) == at::kStrided,
                              "the npu backend has strided tensors only");
  TORCH_CHECK(!pin_memory.value_or(false), "Only dense CPU tensors can be pinned");
}

at::Tensor empty(at::IntArrayRef size, optional<at::ScalarType> dtype, optional<at::Layout> layout,
                 optional<at::Device> device, optional<bool> pin_memory, optional<at::MemoryFormat> format) {
  check_options(layout, pin_memory);
  const DeviceScope scope(index_of(device.value_or(kType)));
  return at::detail::empty_generic(size, device_allocator(), c10::DispatchKeySet(kKey),
                                   c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, optional<at::ScalarType> dtype,
                         optional<at::Layout> layout, optional<at::Device> device,
                         optional<bool> pin_memory) {
  check_options(layout, pin_memory);
  const DeviceScope scope(index_of(device.value_or(kType)));
  return at::detail::empty_strided_generic(size, stride, device_allocator(), c10::DispatchKeySet(kKey),
                                           c10::dtype_or_default(dtype));
}

// A tensor that stands for zeros and has no memory; autograd makes them.
at::Tensor efficient_zeros(at::IntArrayRef size, optional<at::ScalarType> dtype, optional<at::Layout> layout,
                           optional<at::Device> device, optional<bool> pin_memory) {
  check_options(layout, pin_memory);
  at::native::ZeroTensorAllocator allocator(at::Device(kType, index_of(device.value_or(kType))));
  constexpr c10::DispatchKeySet kKeys({kKey, c10::DispatchKey::ZeroTensor});
  return at::detail::empty_generic(size, &allocator, kKeys, c10::dtype_or_default(dtype), {});
}

// Gives `self` these sizes and strides (contiguous when none are given) and its storage room for them.
void set_geometry(const at::Tensor& self, at::IntArrayRef size, OptionalIntArrayRef stride) {
  c10::TensorImpl* impl = self.unsafeGetTensorImpl();
  if (stride.has_value()) {
    impl->set_sizes_and_strides(size, *stride);
  } else {
    impl->set_sizes_contiguous(size);
  }
  if (impl->numel() == 0) return;
  const size_t bytes = storage_bytes(impl->sizes(), impl->strides(), impl->itemsize(),
                                     static_cast<size_t>(impl->storage_offset()));
  if (bytes > impl->unsafe_storage().nbytes())
    resize_storage(impl->unsafe_storage().unsafeGetStorageImpl(), bytes);
}

const at::Tensor& resize_inplace(const at::Tensor& self, at::IntArrayRef size,
                                 optional<at::MemoryFormat> format) {
  if (self.sizes() != size) set_geometry(self, size, {});
  if (format.has_value()) {
    TORCH_CHECK(*format != at::MemoryFormat::Preserve, "Unsupported memory format ", *format);
    self.unsafeGetTensorImpl()->empty_tensor_restride(*format);
  }
  return self;
}

at::Tensor& set_storage(at::Tensor& self, at::Storage storage, int64_t offset, at::IntArrayRef size,
                        at::IntArrayRef stride) {
  at::native::checkSetStorage(self, std::move(storage), offset, size, stride);
  self.unsafeGetTensorImpl()->set_storage_offset(offset);
  set_geometry(self, size, stride.data() != nullptr ? OptionalIntArrayRef(stride) : OptionalIntArrayRef());
  return self;
}

at::Tensor& set_empty(at::Tensor& self) {
  c10::Storage storage(c10::Storage::use_byte_size_t(), 0, device_allocator()->allocate(0),
                       device_allocator(),
                       /*resizable=*/true);
  return set_storage(self, std::move(storage), 0, {0}, {1});
}

bool is_set_to(const at::Tensor& self, const at::Tensor& other) {
  return self.storage().unsafeGetStorageImpl() == other.storage().unsafeGetStorageImpl() &&
         self.storage_offset() == other.storage_offset() && self.sizes() == other.sizes() &&
         self.strides() == other.strides();
}

// Whether `self.data = from` may be done: module conversion asks, and replaces its parameters where it may
// not. A dense tensor is torch's own TensorImpl here as on the CPU, so each takes over the other's storage,
// device and type; torch by itself knows that of its own devices only.
bool has_compatible_shallow_copy_type(const at::Tensor& self, const at::Tensor& from) {
  const auto is_dense = [](c10::DispatchKeySet keys) {
    return keys.has(c10::DispatchKey::CPU) || keys.has(kKey);
  };
  return (is_dense(self.key_set()) && is_dense(from.key_set())) ||
         self.unsafeGetTensorImpl()->has_compatible_shallow_copy_type(from.key_set());
}

void record_stream(at::Tensor& self, at::Stream stream) {
  void* data = self.storage().data_ptr().get();
  if (data != nullptr) check(npu_record_stream(data, stream.id()));
}

TORCH_LIBRARY_IMPL(aten, NPU_KEY, library) {
  Kernels m(library, Kernel::kNeeded);
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("_efficientzerotensor", &efficient_zeros);
  m.impl("resize_", &resize_inplace);
  m.impl("set_.source_Storage", static_cast<at::Tensor& (*)(at::Tensor&, at::Storage)>(&at::native::set_));
  m.impl("set_.source_Storage_storage_offset", &set_storage);
  m.impl("set_.source_Tensor", &at::native::set_tensor_);
  m.impl("set_", &set_empty);
  m.impl("is_set_to", &is_set_to);
  m.impl("view", &at::native::view);
  m.impl("view_as_real", &at::native::view_as_real);
  m.impl("view_as_complex", &at::native::view_as_complex);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
  m.impl("unfold", &at::native::unfold);
  m.impl("record_stream", &record_stream);
  m.impl("_has_compatible_shallow_copy_type", &has_compatible_shallow_copy_type);
}

// A tensor subclass is not asked: like the CPU's, the answer is given before its Python sees the operator.
TORCH_LIBRARY_IMPL(aten, NPU_AUTOGRAD_KEY, library) {
  Kernels m(library, Kernel::kNeeded);
  m.impl("_has_compatible_shallow_copy_type", &has_compatible_shallow_copy_type);
}

}  // namespace
}  // namespace npu
