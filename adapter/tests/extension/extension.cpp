// An extension as libraries for NPUs have one: work of its own on the current stream, ordered by events.
#include <dlfcn.h>
#include <torch/extension.h>

#include <type_traits>

#include "torch_npu/csrc/core/npu/NPUEvent.h"
#include "torch_npu/csrc/core/npu/NPUFormat.h"
#include "torch_npu/csrc/core/npu/NPUGuard.h"
#include "torch_npu/csrc/core/npu/NPUStream.h"
#include "torch_npu/csrc/framework/OpCommand.h"

using at_npu::native::OpCommand;

// Objects that extensions of the published package make, too, are of its size.
static_assert(sizeof(c10_npu::NPUStream) == sizeof(c10::Stream), "a stream is PyTorch's stream");
static_assert(!std::is_trivially_copyable<c10_npu::NPUStream>::value, "functions give it back in memory");
static_assert(sizeof(c10_npu::NPUEvent) == 24, "flags, three small members, handle, one more");
// Before 2.4 torch's optional of an array needs no flag.
static_assert(sizeof(OpCommand) == 1120 + sizeof(c10::optional<c10::IntArrayRef>),
              "nine members, of which four have room for 32 entries");

namespace {

int64_t number(aclrtStream stream) { return reinterpret_cast<int64_t>(stream); }

// CANN's memset, out of the CANN that this process uses.
int fill(const at::Tensor& tensor, int value, aclrtStream stream) {
  using Memset = int (*)(void*, size_t, int32_t, size_t, aclrtStream);
  void* cann = dlopen("libascendcl.so", RTLD_NOW | RTLD_NOLOAD);
  const auto memset = reinterpret_cast<Memset>(cann == nullptr ? nullptr : dlsym(cann, "aclrtMemsetAsync"));
  const size_t bytes = tensor.nbytes();
  return memset == nullptr ? -1 : memset(tensor.data_ptr(), bytes, value, bytes, stream);
}

at::Tensor filled(const at::Tensor& like, int64_t value) {
  at::Tensor out = at::empty_like(like);
  const c10_npu::NPUStream stream = c10_npu::getCurrentNPUStream();
  OpCommand::RunOpApi("MyFill", [=]() -> int { return fill(out, static_cast<int>(value), stream.stream()); });
  return out;
}

void run_command(int64_t code) {
  OpCommand command;
  command.Name("MyCommand").SetCustomHandler([=]() -> int { return static_cast<int>(code); }).Run();
}

void run_nothing() { OpCommand().Name("MyCommand").Run(); }

std::vector<int64_t> streams() {
  const c10_npu::NPUStream pooled = c10_npu::getStreamFromPool(true, -1);
  const int64_t before = number(c10_npu::getCurrentNPUStream());
  int64_t inside = 0;
  {
    const c10_npu::NPUStreamGuard guard(pooled);
    inside = number(c10_npu::getCurrentNPUStream().stream(false));
  }
  return {before, number(pooled), inside, number(c10_npu::getCurrentNPUStream())};
}

std::vector<int64_t> devices(int64_t device) {
  const int64_t before = c10_npu::current_device();
  const c10_npu::NPUGuard guard(static_cast<c10::DeviceIndex>(device));
  return {before, c10_npu::current_device(), guard.original_device().index(), c10_npu::device_count()};
}

// `other` takes over what `x` becomes on the current stream.
at::Tensor across(const at::Tensor& x) {
  const c10_npu::NPUStream other = c10_npu::getNPUStreamFromPool();
  const at::Tensor sum = x + 1;
  c10_npu::NPUEvent event;
  event.record();
  c10_npu::NPUEvent moved(std::move(event));
  moved.block(other);
  at::Tensor out;
  {
    const c10_npu::NPUStreamGuard guard(other);
    out = sum * 2;
    moved.record(other);
  }
  moved.synchronize();
  TORCH_CHECK(moved.query() && !event.isCreated());
  return out;
}

double elapsed(const at::Tensor& x) {
  c10_npu::NPUEvent start(8), end(8);
  start.record();
  const at::Tensor out = x + 1;
  end.record();
  end.synchronize();
  return start.elapsed_time(end);
}

std::vector<int64_t> formats(const at::Tensor& x) {
  const at::Tensor made = at_npu::native::empty_with_format(x.sizes(), x.options(), 2);
  return {at_npu::native::get_npu_format(at_npu::native::npu_format_cast(x, 2)), made.dim()};
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("filled", &filled);
  m.def("run_command", &run_command);
  m.def("run_nothing", &run_nothing);
  m.def("streams", &streams);
  m.def("devices", &devices);
  m.def("across", &across);
  m.def("elapsed", &elapsed);
  m.def("formats", &formats);
}
