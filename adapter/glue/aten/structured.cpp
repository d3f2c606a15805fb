#include "aten/structured.h"

#include <ATen/EmptyTensor.h>
#include <ATen/native/Resize.h>

#include "runtime/allocator.h"

namespace npu {
namespace {

at::Tensor make(at::IntArrayRef sizes, at::IntArrayRef strides, const at::TensorOptions& options) {
  constexpr c10::DispatchKeySet kKeys(kKey);
  const at::ScalarType dtype = c10::typeMetaToScalarType(options.dtype());
  if (strides.empty()) {
    return at::detail::empty_generic(sizes, device_allocator(), kKeys, dtype, options.memory_format_opt());
  }
  return at::detail::empty_strided_generic(sizes, strides, device_allocator(), kKeys, dtype);
}

void resize(const at::Tensor& output, at::IntArrayRef sizes, at::IntArrayRef strides,
            const at::TensorOptions& options) {
  TORCH_CHECK(options.dtype() == output.dtype(), "Expected out tensor to have dtype ", options.dtype(),
              ", but got ", output.dtype(), " instead");
  TORCH_CHECK(options.device() == output.device(), "Expected out tensor to have device ", options.device(),
              ", but got ", output.device(), " instead");
  if (!at::native::resize_output(output, sizes)) return;
  if (!strides.empty()) {
    output.as_strided_(sizes, strides);
  } else if (options.memory_format_opt().has_value()) {
    output.unsafeGetTensorImpl()->empty_tensor_restride(*options.memory_format_opt());
  }
}

void require_same(const at::Tensor& self, at::IntArrayRef sizes, const at::TensorOptions& options) {
  TORCH_CHECK(options.dtype() == self.dtype(), "Bad in-place call: ", "input tensor dtype ", self.dtype(),
              " and output tensor dtype ", options.dtype(), " should match");
  TORCH_CHECK(options.device() == self.device(), "Bad in-place call: ", "input tensor device ", self.device(),
              " and output tensor device ", options.device(), " should match");
  TORCH_CHECK(sizes == self.sizes(), "Bad in-place call: ", "input tensor size ", self.sizes(),
              " and output tensor size ", sizes, " should match");
}

}  // namespace

void place_output(Result result, at::Tensor& output, at::IntArrayRef sizes, at::IntArrayRef strides,
                  const at::TensorOptions& options) {
  switch (result) {
    case Result::kOut:
      return resize(output, sizes, strides, options);
    case Result::kInplace:
      return require_same(output, sizes, options);
    case Result::kNew:
      output = make(sizes, strides, options);
      return;
  }
}

}  // namespace npu
