// Runs an extension's own work in the order of the current stream.
//
//   at_npu::native::OpCommand::RunOpApi("MyKernel", [=]() -> int { return launch(stream, ...); });
//
// The function runs at once and in the calling thread, as this adapter queues nothing before CANN; what it
// queues on the stream runs in order. It returns CANN's error code, and another than 0 becomes c10::Error
// with the name.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/SmallVector.h>

#include <functional>
#include <string>

#include "torch_npu/csrc/core/npu/NPUStream.h"

namespace at_npu {
namespace native {

using PROC_FUNC = std::function<int()>;
class OpCommandImpls;
class OpCommandImpl;

// Operators by name with inputs and attributes (aclop) are not part of this adapter, so Input(), Output() and
// Attr() are not here: call an aclnn operator, or a kernel of your own, in a function.
class TORCH_NPU_API OpCommand {
 public:
  OpCommand();
  ~OpCommand();
  OpCommand(const OpCommand&) = delete;
  OpCommand& operator=(const OpCommand&) = delete;

  OpCommand& Name(const std::string& name);
  OpCommand& SetCustomHandler(PROC_FUNC func);
  void Run();  // throws without a handler

  // `sync` waits for the stream afterwards; `task_stream`, if given, is the current one while `func` runs.
  static void RunOpApi(const std::string& op_name, PROC_FUNC func, bool sync = false);
  static void RunOpApiV2(const std::string& op_name, const PROC_FUNC& func, bool sync = false);
  static void RunOpApiV3(const std::string& op_name, const PROC_FUNC& func, bool sync = false,
                         c10_npu::NPUStream* task_stream = nullptr);

 private:
  // In this order and of these types they are what extensions know, and destroy, that were compiled with the
  // published package's headers. Only `command_` is used.
  static constexpr unsigned kInline = 32;
  c10::SmallVector<at::Tensor, kInline> unused_storage_;
  OpCommandImpls* unused_commands_ = nullptr;
  OpCommandImpl* command_ = nullptr;
  c10::optional<at::ScalarType> unused_type_;
  c10::optional<c10::IntArrayRef> unused_shape_;
  bool unused_defined_ = false;
  bool unused_sync_ = false;
  c10::SmallVector<int64_t, kInline> unused_indices_;
  c10::SmallVector<at::Tensor, kInline> unused_outputs_;
  c10::SmallVector<at::Tensor, kInline> unused_inputs_;
};

}  // namespace native
}  // namespace at_npu
