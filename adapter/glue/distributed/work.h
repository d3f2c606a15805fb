// What a program holds of an operation: it can let a stream wait for it, or the host.
#ifndef NPU_GLUE_DISTRIBUTED_WORK_H_
#define NPU_GLUE_DISTRIBUTED_WORK_H_

#include "compat.h"

#if NPU_HAS_GROUP_NAMES

#include "distributed/communicator.h"

namespace npu::hccl {

class Work final : public c10d::Work {
 public:
  // `stops_host`: a wait holds the host too, as a barrier's does.
  Work(std::shared_ptr<Monitor> monitor, std::shared_ptr<Operation> operation,
       std::vector<at::Tensor> outputs, int64_t stream, bool stops_host);

  bool isCompleted() override;
  bool isSuccess() const override;
  std::exception_ptr exception() const override;
  std::vector<at::Tensor> result() override { return outputs_; }
  // The current stream waits.
  void synchronize() override;
  // The current stream waits; with a timeout the host does. Throws c10::DistBackendError when the operation
  // failed or took too long.
  bool wait(std::chrono::milliseconds timeout) override;
  void abort() override;
  // Complete when the operation is: its callbacks run on streams that wait for it.
  c10::intrusive_ptr<c10::ivalue::Future> getFuture() override { return future_; }
  uint64_t getSequencenumber() const override { return operation_->number; }
  // The base has these from torch 2.14 and 2.15 on, in this place: behind all of its functions before. So one
  // class of works fits all layouts.
  virtual std::chrono::milliseconds getTimeout() const { return operation_->timeout; }
  virtual uint64_t getCompletionKey() const { return operation_->number; }

 private:
  void wait_on_host(std::chrono::milliseconds timeout);

  const std::shared_ptr<Monitor> monitor_;
  const std::shared_ptr<Operation> operation_;
  const std::vector<at::Tensor> outputs_;
  const bool stops_host_;
  c10::intrusive_ptr<c10::ivalue::Future> future_;
};

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
#endif  // NPU_GLUE_DISTRIBUTED_WORK_H_
