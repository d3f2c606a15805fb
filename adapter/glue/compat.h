// What differs between the torch versions that the glue is built for. NPU_TORCH is major * 100 + minor.
//
// The one place for preprocessor conditions on the version; everything else is written against the names
// below.
#ifndef NPU_GLUE_COMPAT_H_
#define NPU_GLUE_COMPAT_H_

// A file that declares one of torch's classes itself defines NPU_WITHOUT_ATEN: it gets the macros alone.
#ifndef NPU_WITHOUT_ATEN
#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/CPUFallback.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <array>
#include <tuple>

#if NPU_TORCH >= 200
#include <ATen/core/IListRef.h>
#include <c10/util/OptionalArrayRef.h>
#endif
#if NPU_TORCH >= 201
#include <ATen/detail/PrivateUse1HooksInterface.h>
#endif
#if NPU_TORCH >= 209
#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#endif
#endif  // !NPU_WITHOUT_ATEN

// The device type, with the dispatch keys of the same names. torch 1 reserves only a dispatch key for
// backends of others, no device: there this one borrows XLA's, so the two cannot be used in one process.
#if NPU_TORCH >= 200
#define NPU_KEY PrivateUse1
#define NPU_AUTOGRAD_KEY AutogradPrivateUse1
#else
#define NPU_KEY XLA
#define NPU_AUTOGRAD_KEY AutogradXLA
#endif

// Running out of memory is an error like any other in torch 1.
#if NPU_TORCH >= 200
#define NPU_MEMORY_ERROR OutOfMemoryError
#else
#define NPU_MEMORY_ERROR Error
#endif

// c10::Allocator::allocate lost its const in 2.3, when copy_data came.
#if NPU_TORCH >= 203
#define NPU_ALLOCATE_CONST
#define NPU_ALLOCATOR_COPIES 1
#else
#define NPU_ALLOCATE_CONST const
#define NPU_ALLOCATOR_COPIES 0
#endif

// The guard's stream functions could not throw before 2.9.
#if NPU_TORCH >= 209
#define NPU_GUARD_NOEXCEPT
#else
#define NPU_GUARD_NOEXCEPT noexcept
#endif

// Shape rules say since 1.12 whether the strides they give are needed (raw) or wished for.
#define NPU_HAS_RAW_OUTPUTS (NPU_TORCH >= 112)
// Indices may be int32.
#define NPU_HAS_INT_INDICES (NPU_TORCH >= 200)
// Generators can be Python objects.
#define NPU_HAS_GENERATOR_OBJECTS (NPU_TORCH >= 200)
// Events with timing and new streams through the guard (2.4), waiting for a device (2.6), the native handle
// of a stream (2.11).
#define NPU_GUARD_HAS_TIMING (NPU_TORCH >= 204)
#define NPU_GUARD_SYNCHRONIZES (NPU_TORCH >= 206)
#define NPU_GUARD_HAS_HANDLE (NPU_TORCH >= 211)
// A generator's offset is part of the interface from 2.1.
#if NPU_TORCH >= 201
#define NPU_OFFSET_OVERRIDE override
#else
#define NPU_OFFSET_OVERRIDE
#endif
// A build for 2.13 runs on 2.14 and 2.15 too. What moved between them, of all that this library uses, is in
// runtime/later_torch.h.
#define NPU_SERVES_LATER (NPU_TORCH == 213)
// Hooks exist from 2.1. They are asked for contexts and storages from 2.3, for devices from 2.4, for pinned
// memory from 2.5; from 2.6 on torch pins through them, and from 2.7 on they say whether there is a device.
#define NPU_HAS_HOOKS (NPU_TORCH >= 201)
#define NPU_HOOKS_HAVE_CONTEXTS (NPU_TORCH >= 203)
#define NPU_HOOKS_HAVE_DEVICES (NPU_TORCH >= 204)
#define NPU_HOOKS_HAVE_PINNED_MEMORY (NPU_TORCH >= 205)
#define NPU_HOOKS_PIN (NPU_TORCH >= 206)
#define NPU_HOOKS_SAY_AVAILABLE (NPU_TORCH >= 207)
#if NPU_TORCH >= 205
#define NPU_HOOKS_CONST const
#else
#define NPU_HOOKS_CONST
#endif
#if NPU_TORCH >= 206
#define NPU_HOOKS_INIT init
#else
#define NPU_HOOKS_INIT initPrivateUse1
#endif
// torch.accelerator's memory functions ask a DeviceAllocator and a HostAllocator.
#define NPU_HAS_DEVICE_ALLOCATOR (NPU_TORCH >= 209)
#define NPU_HAS_MEMORY_INFO (NPU_TORCH >= 210)
#define NPU_HAS_AUTOCAST (NPU_TORCH >= 201)
// The profiler measures other devices through events.
#define NPU_HAS_PROFILER_STUBS (NPU_TORCH >= 201)
// Storages of a device of its own, which can lie in the memory of another process.
#define NPU_LENDS_MEMORY (NPU_TORCH >= 201)
// C++ extensions name the device's own type.
#define NPU_HAS_EXTENSIONS (NPU_TORCH >= 200)
// Process groups have names, by which Python and this library find the same one, from 2.2 on.
#define NPU_HAS_GROUP_NAMES (NPU_TORCH >= 202)

// From 2.3 on a backward pass runs on the streams of its forward pass; before, only CUDA's did. Torch 1 does
// not tell which node of it is at work.
#define NPU_CHOOSES_BACKWARD_STREAMS (NPU_TORCH >= 200 && NPU_TORCH < 203)
// Before 2.4 operators on lists are registered for the CPU alone, though all that they do is to call those of
// single tensors in a loop.
#define NPU_LISTS_ARE_FOR_CPU (NPU_TORCH < 204)

// From 2.4 on torch keeps the state of autocast by device type, with Python functions of its own for it.
#define NPU_AUTOCAST_SWITCHES (NPU_TORCH < 204)

#ifndef NPU_WITHOUT_ATEN
namespace npu {

#if NPU_TORCH >= 204
template <class T>
using optional = std::optional<T>;
#else
template <class T>
using optional = c10::optional<T>;
#endif

#if NPU_TORCH >= 200
using OptionalIntArrayRef = at::OptionalIntArrayRef;
using TensorListRef = at::ITensorListRef;
#else
using OptionalIntArrayRef = c10::optional<at::IntArrayRef>;
using TensorListRef = at::TensorList;
#endif

// What floor_divide does: until 1.13, and against its name, it rounds towards zero.
#if NPU_TORCH >= 113
constexpr const char* kFloorDivideRounding = "floor";
#else
constexpr const char* kFloorDivideRounding = "trunc";
#endif

// The dtypes of 8 and 4 bits, Undefined before torch has them: floats with so many bits of mantissa (2.1),
// exponents alone (2.7), and pairs of 4-bit floats (2.8).
constexpr at::ScalarType float8_dtype(int mantissa) {
#if NPU_TORCH >= 201
  return mantissa == 2 ? at::kFloat8_e5m2 : at::kFloat8_e4m3fn;
#else
  return mantissa == 2 ? at::ScalarType::Undefined : at::ScalarType::Undefined;
#endif
}
constexpr at::ScalarType exponent_dtype() {
#if NPU_TORCH >= 207
  return at::kFloat8_e8m0fnu;
#else
  return at::ScalarType::Undefined;
#endif
}
constexpr at::ScalarType float4_dtype() {
#if NPU_TORCH >= 208
  return at::ScalarType::Float4_e2m1fn_x2;
#else
  return at::ScalarType::Undefined;
#endif
}

#if NPU_HAS_DEVICE_ALLOCATOR
using DeviceAllocatorBase = c10::DeviceAllocator;
using HostAllocatorBase = at::HostAllocator;
#else
using DeviceAllocatorBase = c10::Allocator;
using HostAllocatorBase = c10::Allocator;
#endif

#if NPU_HAS_DEVICE_ALLOCATOR
// The four counters of pinned memory that torch knows: blocks handed out, and all of them. They were renamed.
template <class Stats>
auto host_counters(Stats& stats, int) -> decltype(std::tie(stats.active_requests, stats.active_bytes,
                                                           stats.allocations, stats.allocated_bytes)) {
  return std::tie(stats.active_requests, stats.active_bytes, stats.allocations, stats.allocated_bytes);
}
template <class Stats>
auto host_counters(Stats& stats, long)
    -> decltype(std::tie(stats.allocation, stats.allocated_bytes, stats.segment, stats.reserved_bytes)) {
  return std::tie(stats.allocation, stats.allocated_bytes, stats.segment, stats.reserved_bytes);
}
#endif

inline void run_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
#if NPU_TORCH >= 201
  // A view computed on the CPU would not alias its base: better an error than a wrong answer.
  at::native::cpu_fallback(op, stack, /*error_on_views=*/true);
#else
  at::native::cpu_fallback(op, stack);
#endif
}

inline bool has_fallback(c10::DispatchKey key) {
#if NPU_TORCH >= 200
  return c10::Dispatcher::singleton().hasBackendFallbackForDispatchKey(key);
#else
  return key == c10::DispatchKey::NPU_AUTOGRAD_KEY;  // torch brings one for the device that is borrowed
#endif
}

// Bytes of the storage that elements of these sizes and strides need, from `offset` (in elements) on.
inline size_t storage_bytes(at::IntArrayRef sizes, at::IntArrayRef strides, size_t itemsize, size_t offset) {
#if NPU_TORCH >= 200
  return at::detail::computeStorageNbytes(sizes, strides, itemsize, offset);
#else
  return at::detail::computeStorageNbytes(sizes, strides, itemsize) + offset * itemsize;
#endif
}

}  // namespace npu
#endif  // !NPU_WITHOUT_ATEN

#endif  // NPU_GLUE_COMPAT_H_
