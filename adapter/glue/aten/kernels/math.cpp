// Arithmetic and comparison that need more than a call: result types, checks, answers on the host.
#include <ATen/ExpandUtils.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/result_type.h>
#include <ATen/ops/view_as_real.h>

#include "aclnn_operators.h"
#include "aten/kernels.h"
#include "aten/operands.h"

namespace npu {

at::Tensor floor_divide(const at::Tensor& self, const at::Tensor& other) {
  return at::div(self, other, kFloorDivideRounding);
}

at::Tensor& floor_divide_inplace(at::Tensor& self, const at::Tensor& other) {
  return self.div_(other, kFloorDivideRounding);
}

bool equal(const at::Tensor& self, const at::Tensor& other) {
  TORCH_CHECK(self.device() == other.device() && self.dtype() == other.dtype(),
              "Expected all tensors to be on the same device and of the same dtype, but found ",
              self.device(), " ", self.dtype(), " and ", other.device(), " ", other.dtype());
  if (self.sizes() != other.sizes()) return false;
  if (self.numel() == 0) return true;
  const DeviceScope scope(run_device(self));
  const at::Tensor answer = at::empty({1}, self.options().dtype(at::kBool));
  aclnn::Equal(self, other, answer);
  return answer.item().toBool();
}

at::Tensor& where_out(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other,
                      at::Tensor& out) {
  const at::ScalarType dtype = at::result_type(self, other);
  TORCH_CHECK(condition.scalar_type() == at::kBool || condition.scalar_type() == at::kByte,
              "where expected condition to be a boolean tensor, but got a tensor with dtype ",
              condition.scalar_type());
  TORCH_CHECK(out.scalar_type() == dtype, "Expected out type to be ", dtype, " but got ", out.scalar_type());
  const auto both = at::infer_size(self.sizes(), other.sizes());
  at::native::resize_output(out, at::infer_size(condition.sizes(), both));
  if (out.numel() == 0) return out;
  const DeviceScope scope(run_device(condition, self, other, out));
  aclnn::SWhere(*operand(condition, at::kBool), *operand(self, dtype), *operand(other, dtype), out);
  return out;
}

at::Tensor where(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other) {
  const c10::Device device(kType, run_device(condition, self, other));
  at::Tensor out = at::empty({0}, at::TensorOptions(device).dtype(at::result_type(self, other)));
  return where_out(condition, self, other, out);
}

at::Tensor& conj_physical_inplace(at::Tensor& self) {
  // CANN has no conjugation; negating the imaginary parts is one.
  if (self.is_complex() && self.numel() != 0) at::view_as_real(self).select(-1, 1).neg_();
  return self;
}

at::Tensor& conj_physical_out(const at::Tensor& self, at::Tensor& out) {
  at::native::resize_output(out, self.sizes());
  if (!out.is_same(self)) out.copy_(self);
  return conj_physical_inplace(out);
}

at::Tensor dot(const at::Tensor& self, const at::Tensor& tensor) {
  TORCH_CHECK(self.dim() == 1 && tensor.dim() == 1, "1D tensors expected, but got ", self.dim(), "D and ",
              tensor.dim(), "D tensors");
  TORCH_CHECK(self.scalar_type() == tensor.scalar_type(),
              "dot : expected both vectors to have same dtype, but found ", self.scalar_type(), " and ",
              tensor.scalar_type());
  TORCH_CHECK(self.numel() == tensor.numel(), "inconsistent tensor size, expected tensor [", self.numel(),
              "] and src [", tensor.numel(), "] to have the same number of elements, but got ", self.numel(),
              " and ", tensor.numel(), " elements respectively");
  const DeviceScope scope(run_device(self));
  at::Tensor out = at::empty({}, self.options());
  if (self.numel() == 0) return out.zero_();
  aclnn::Dot(self, tensor, out);
  return out;
}

}  // namespace npu
