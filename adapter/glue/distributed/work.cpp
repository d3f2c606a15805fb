#include "distributed/work.h"

#if NPU_HAS_GROUP_NAMES

#include <thread>

#include "distributed/on_stream.h"

namespace npu::hccl {
namespace {

constexpr std::chrono::microseconds kShortest{20};
constexpr std::chrono::microseconds kLongest{1000};

}  // namespace

Work::Work(std::shared_ptr<Monitor> monitor, std::shared_ptr<Operation> operation,
           std::vector<at::Tensor> outputs, int64_t stream, bool stops_host)
    : c10d::Work(monitor->identity().rank, operation->type),
      monitor_(std::move(monitor)),
      operation_(std::move(operation)),
      outputs_(std::move(outputs)),
      stops_host_(stops_host) {
  const OnStream scope(operation_->device, stream);  // the future's event is recorded there
  future_ = c10::make_intrusive<c10::ivalue::Future>(
      c10::ListType::create(c10::TensorType::get()),
      std::vector<c10::Device>{c10::Device(kType, operation_->device)});
  future_->markCompleted(c10::IValue(outputs_));
}

bool Work::isCompleted() { return monitor_->failed() || operation_->end.reached(); }

bool Work::isSuccess() const { return exception() == nullptr; }

std::exception_ptr Work::exception() const {
  try {
    monitor_->raise_if_failed();
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

void Work::synchronize() {
  monitor_->raise_if_failed();
  operation_->end.block(operation_->device, npu_current_stream(operation_->device));
}

bool Work::wait(std::chrono::milliseconds timeout) {
  synchronize();
  if (stops_host_ || timeout != kNoTimeout)
    wait_on_host(timeout != kNoTimeout ? timeout : operation_->timeout);
  return true;
}

// It looks at the monitor itself: the thread that watches looks ten times a second only.
void Work::wait_on_host(std::chrono::milliseconds timeout) {
  const auto end = Clock::now() + timeout;
  auto pause = kShortest;
  while (!operation_->end.reached()) {
    monitor_->raise_if_failed();
    if (Clock::now() > end) {
      C10_THROW_ERROR(DistBackendError, "process group " + monitor_->identity().name + " (hccl, rank " +
                                            std::to_string(monitor_->identity().rank) + " of " +
                                            std::to_string(monitor_->identity().size) +
                                            "): " + operation_->text() + " is not done after " +
                                            std::to_string(timeout.count()) + " ms");
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongest);
  }
  monitor_->look();
  monitor_->raise_if_failed();
}

void Work::abort() { TORCH_CHECK(false, "an operation of backend hccl cannot be aborted; abort its group"); }

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
