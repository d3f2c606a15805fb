// Copies: host to device, device to host, within a device and between devices.
#include <ATen/ops/_conj.h>
#include <ATen/ops/_local_scalar_dense.h>
#include <ATen/ops/_neg_view.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <torch/library.h>

#include "aclnn_operators.h"
#include "aten/registration.h"
#include "compat.h"
#include "runtime/device.h"

namespace npu {
namespace {

enum Kind { kToDevice = 1, kToHost = 2, kBetweenDevices = 3 };

// The same elements in the same order of memory, without gaps: one block of bytes serves both.
bool same_block(const at::Tensor& a, const at::Tensor& b) {
  return a.dtype() == b.dtype() && a.strides() == b.strides() && a.is_non_overlapping_and_dense();
}

// Between `host` and `device`, which are same_block. Pageable memory and blocking copies wait for the end.
void copy_bytes(const at::Tensor& device, const at::Tensor& host, Kind kind, bool non_blocking) {
  const int32_t index = device.device().index();
  const int64_t stream = npu_current_stream(index);
  void* dst = kind == kToDevice ? device.data_ptr() : host.data_ptr();
  const void* src = kind == kToDevice ? host.data_ptr() : device.data_ptr();
  check(npu_memcpy_async(dst, src, device.nbytes(), kind, index, stream));
  void* block = host.storage().data_ptr().get();
  if (non_blocking && npu_host_is_pinned(block) != 0) {
    check(npu_host_record(block, index, stream));
  } else {
    check(npu_stream_synchronize(index, stream));
  }
}

void within_device(const at::Tensor& src, const at::Tensor& dst) {
  if (same_block(src, dst)) {
    if (src.data_ptr() == dst.data_ptr()) return;
    const int32_t device = dst.device().index();
    check(npu_memcpy_async(dst.data_ptr(), src.data_ptr(), dst.nbytes(), kBetweenDevices, device,
                           npu_current_stream(device)));
  } else {
    aclnn::InplaceCopy(dst, src);
  }
}

void host_to_device(const at::Tensor& src, const at::Tensor& dst, bool non_blocking) {
  if (same_block(src, dst)) return copy_bytes(dst, src, kToDevice, non_blocking);
  // The host converts and lays out: what crosses is one block, of the size that the device needs.
  if (dst.is_non_overlapping_and_dense()) {
    const at::Tensor staged = at::empty_strided(dst.sizes(), dst.strides(), src.options().dtype(dst.dtype()));
    staged.copy_(src);
    return copy_bytes(dst, staged, kToDevice, false);
  }
  const at::Tensor staged = src.to(dst.scalar_type()).contiguous();
  const at::Tensor landed = at::empty(dst.sizes(), dst.options());
  copy_bytes(landed, staged, kToDevice, false);
  within_device(landed, dst);
}

void device_to_host(const at::Tensor& src, const at::Tensor& dst, bool non_blocking) {
  if (same_block(src, dst)) return copy_bytes(src, dst, kToHost, non_blocking);
  const at::Tensor block = src.contiguous();
  const at::Tensor landed = at::empty(block.sizes(), dst.options().dtype(block.dtype()));
  copy_bytes(block, landed, kToHost, false);
  dst.copy_(landed);
}

struct EventDeleter {
  void operator()(npu_event* event) const { npu_event_destroy(event); }
};

// Makes `waiting` (the current stream of one device) wait for what `done` (of another) holds now.
void order(int32_t done, int32_t waiting) {
  npu_event* event = nullptr;
  check(npu_event_create(done, 0, &event));
  const std::unique_ptr<npu_event, EventDeleter> owner(event);
  check(npu_event_record(event, npu_current_stream(done)));
  check(npu_event_block(event, waiting, npu_current_stream(waiting)));
}

void between_devices(const at::Tensor& src, const at::Tensor& dst) {
  at::Tensor block;
  {
    const DeviceScope scope(src.device().index());
    block = src.to(dst.scalar_type()).contiguous();
  }
  const at::Tensor landed = dst.is_contiguous() ? dst : at::empty(dst.sizes(), dst.options());
  const int32_t from = src.device().index();
  const int32_t to = dst.device().index();
  order(from, to);  // the bytes are there before they are read
  check(npu_memcpy_async(landed.data_ptr(), block.data_ptr(), block.nbytes(), kBetweenDevices, to,
                         npu_current_stream(to)));
  order(to, from);  // and are not overwritten or freed before they were read
  if (!landed.is_same(dst)) within_device(landed, dst);
}

// The tensor without its lazy conjugation and negation: what really lies in memory.
at::Tensor plain(const at::Tensor& tensor) {
  at::Tensor result = tensor;
  if (result.is_conj()) result = at::_conj(result);
  if (result.is_neg()) result = at::_neg_view(result);
  return result;
}

void copy_plain(const at::Tensor& src, const at::Tensor& dst, bool non_blocking) {
  const at::Device& device = dst.is_cpu() ? src.device() : dst.device();
  const DeviceScope scope(device.index());
  if (src.is_cpu()) {
    host_to_device(src, dst, non_blocking);
  } else if (dst.is_cpu()) {
    device_to_host(src, dst, non_blocking);
  } else if (src.device() == dst.device()) {
    within_device(src, dst);
  } else {
    between_devices(src, dst);
  }
}

at::Tensor copy_from(const at::Tensor& self, const at::Tensor& dst, bool non_blocking) {
  TORCH_CHECK(self.defined() && dst.defined(), "copy: both tensors must be defined");
  for (const at::Tensor* tensor : {&self, &dst}) {
    TORCH_CHECK_NOT_IMPLEMENTED(tensor->is_cpu() || tensor->device().type() == kType,
                                "the npu backend cannot copy from or to ", tensor->device(),
                                "; go through the CPU");
  }
  if (dst.numel() == 0) return dst;
  const at::Tensor out = plain(dst);
  copy_plain(plain(self).expand_as(dst), out, non_blocking);
  // Bits that only one side has are carried out on the elements.
  if (self.is_conj() != dst.is_conj()) out.conj_physical_();
  if (self.is_neg() != dst.is_neg()) out.neg_();
  return dst;
}

at::Tensor copy_from_and_resize(const at::Tensor& self, const at::Tensor& dst) {
  if (self.sizes() != dst.sizes()) dst.resize_(self.sizes());
  return copy_from(self, dst, false);
}

at::Scalar local_scalar_dense(const at::Tensor& self) {
  const at::Tensor host = at::empty({}, self.options().device(at::kCPU));
  const DeviceScope scope(self.device().index());
  copy_bytes(self, host, kToHost, false);
  return at::_local_scalar_dense(host);
}

TORCH_LIBRARY_IMPL(aten, NPU_KEY, library) {
  Kernels m(library, Kernel::kNeeded);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("_local_scalar_dense", &local_scalar_dense);
}

// The bits are honored above. Without these the generic handling of the bits would clone the tensor to carry
// them out, which copies, which comes here again without end.
TORCH_LIBRARY_IMPL(aten, Conjugate, m) { m.impl("_copy_from", torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, Negative, m) { m.impl("_copy_from", torch::CppFunction::makeFallthrough()); }

}  // namespace
}  // namespace npu
