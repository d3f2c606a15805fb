// No operator of AscendC: a call of CANN's runtime, in the order of the stream that PyTorch is on.
#include <dlfcn.h>
#include <torch/extension.h>

#include "torch_npu/csrc/core/npu/NPUStream.h"
#include "torch_npu/csrc/framework/OpCommand.h"

namespace {

using Memset = int (*)(void*, size_t, int32_t, size_t, aclrtStream);

// Out of the CANN that this process has loaded, so that the wheel needs no library of it.
Memset cann_memset() {
  void* cann = dlopen("libascendcl.so", RTLD_NOW | RTLD_NOLOAD);
  void* found = cann == nullptr ? nullptr : dlsym(cann, "aclrtMemsetAsync");
  TORCH_CHECK(found != nullptr, "aclrtMemsetAsync is not there: is CANN loaded?");
  return reinterpret_cast<Memset>(found);
}

// A tensor like this one, of which every byte has the value.
at::Tensor filled(const at::Tensor& like, int64_t value) {
  at::Tensor out = at::empty_like(like);
  const Memset memset = cann_memset();
  aclrtStream stream = c10_npu::getCurrentNPUStream().stream();
  at_npu::native::OpCommand::RunOpApi("Fill", [=]() -> int {
    return memset(out.data_ptr(), out.nbytes(), static_cast<int32_t>(value), out.nbytes(), stream);
  });
  return out;
}

int64_t stream() { return reinterpret_cast<int64_t>(c10_npu::getCurrentNPUStream().stream()); }

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
  module.def("filled", &filled);
  module.def("stream", &stream, "The handle of the current stream.");
}
