// Formats and OpCommand under the C++ names that extensions call (src/torch_npu/include).
#include "compat.h"
#if NPU_HAS_EXTENSIONS

#include <ATen/ops/empty.h>

#include <memory>
#include <utility>

#include "runtime/device.h"
#include "torch_npu/csrc/core/npu/NPUFormat.h"
#include "torch_npu/csrc/framework/OpCommand.h"

namespace at_npu {
namespace native {
namespace {

// CANN's numbers, as in torch_npu.Format.
enum Format : int64_t { kNchw = 0, kNhwc = 1, kNd = 2, kHwcn = 16, kNdhwc = 27, kNcdhw = 30, kNcl = 47 };

int64_t plain_format(size_t dimensions) { return dimensions == 4 ? kNchw : dimensions == 5 ? kNcdhw : kNd; }

void warn_of_private(int64_t format) {
  for (const int64_t plain : {kNchw, kNhwc, kNd, kHwcn, kNdhwc, kNcdhw, kNcl}) {
    if (format == plain) return;
  }
  TORCH_WARN_ONCE("format ", format,
                  " is a private one of the hardware; this adapter keeps tensors in plain formats");
}

void check_device(const char* what, c10::Device device) {
  TORCH_CHECK(device.type() == npu::kType, what, ": expected a tensor on an npu, but got one on ", device);
}

}  // namespace

int64_t get_npu_format(const at::Tensor& self) {
  check_device("get_npu_format", self.device());
  return plain_format(static_cast<size_t>(self.dim()));
}

std::vector<int64_t> get_npu_storage_sizes(const at::Tensor& self) {
  check_device("get_npu_storage_sizes", self.device());
  return self.sizes().vec();
}

at::Tensor npu_format_cast(const at::Tensor& self, int64_t acl_format) {
  check_device("npu_format_cast", self.device());
  warn_of_private(acl_format);
  return self;
}

at::Tensor empty_with_format(c10::IntArrayRef sizes, const c10::TensorOptions& options, int64_t format,
                             bool) {
  check_device("empty_with_format", options.device());
  warn_of_private(format);
  return at::empty(sizes, options);
}

// ---- OpCommand

class OpCommandImpl {
 public:
  std::string name = "OpCommand";
  PROC_FUNC handler;
};

namespace {

// Made when it is first needed, as extensions of the published package have a destructor of their own, which
// does not know it: Run() frees it.
OpCommandImpl& made(OpCommandImpl** command) {
  if (*command == nullptr) *command = new OpCommandImpl;
  return **command;
}

}  // namespace

OpCommand::OpCommand() = default;
OpCommand::~OpCommand() { delete command_; }

OpCommand& OpCommand::Name(const std::string& name) {
  made(&command_).name = name;
  return *this;
}

OpCommand& OpCommand::SetCustomHandler(PROC_FUNC func) {
  made(&command_).handler = std::move(func);
  return *this;
}

void OpCommand::Run() {
  made(&command_);
  const std::unique_ptr<OpCommandImpl> command(std::exchange(command_, nullptr));
  TORCH_CHECK_NOT_IMPLEMENTED(
      command->handler, "OpCommand ", command->name,
      ": this adapter runs functions, not operators by name; call the aclnn operator in "
      "SetCustomHandler() or RunOpApi()");
  RunOpApiV2(command->name, command->handler);
}

void OpCommand::RunOpApi(const std::string& op_name, PROC_FUNC func, bool sync) {
  RunOpApiV2(op_name, func, sync);
}

void OpCommand::RunOpApiV2(const std::string& op_name, const PROC_FUNC& func, bool sync) {
  npu::check(npu_init());  // the function calls CANN in this thread
  npu::check(npu_check_acl(func(), op_name.c_str()));
  if (sync) c10_npu::getCurrentNPUStream().synchronize();
}

void OpCommand::RunOpApiV3(const std::string& op_name, const PROC_FUNC& func, bool sync,
                           c10_npu::NPUStream* task_stream) {
  if (task_stream == nullptr) return RunOpApiV2(op_name, func, sync);
  const c10::StreamGuard guard(task_stream->unwrap());
  RunOpApiV2(op_name, func, sync);
}

}  // namespace native
}  // namespace at_npu

#endif  // NPU_HAS_EXTENSIONS
