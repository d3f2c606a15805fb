// The process group backend `hccl`: PyTorch's collective operations on CANN's.
//
// Each device of a group has one communicator and one stream, made by its first operation. Operations are
// queued in the order of their calls: behind what the caller's stream holds, before what waits for their
// work.
#ifndef NPU_GLUE_DISTRIBUTED_BACKEND_H_
#define NPU_GLUE_DISTRIBUTED_BACKEND_H_

#include "compat.h"

#if NPU_HAS_GROUP_NAMES

#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <functional>
#include <map>

#include "distributed/hccl.h"
#include "distributed/reduction.h"
#include "distributed/work.h"

namespace npu::hccl {

using Tensors = std::vector<at::Tensor>;
using TensorLists = std::vector<Tensors>;
using WorkPointer = c10::intrusive_ptr<c10d::Work>;

// What a queued operation gives to HCCL.
struct Place {
  HcclComm comm;
  aclrtStream stream;
  const at::Device device;
};

// Which functions c10d::Backend declares differs between torch versions, so none says `override` here: what a
// version does not declare is then a function that nobody calls.
class Backend final : public c10d::Backend {
 public:
  Backend(c10::intrusive_ptr<c10d::Store> store, int rank, int size, Settings settings);
  ~Backend();

  const std::string getBackendName() const { return "hccl"; }
  void setTimeout(std::chrono::milliseconds timeout) { settings_.timeout = timeout; }
  bool supportsSplitting() const { return true; }
  bool supportsCoalescing() const { return true; }
  void setSequenceNumberForGroup() {}
  uint64_t getSequenceNumberForGroup() { return operations_; }
  c10::intrusive_ptr<c10d::Backend::Options> getBackendOptions();
  c10::intrusive_ptr<c10d::Backend> split(const c10::intrusive_ptr<c10d::Store>& store,
                                          const std::vector<int>& ranks,
                                          const c10::intrusive_ptr<c10d::Backend::Options>& options);
  void eagerConnectSingleDevice(at::Device device);
  // As CANN's operators of several ranks name the communicator of a device; all ranks must ask the first
  // time.
  std::string communicator_name(at::Device device);
  // After it every operation is an error.
  void abort();
  void shutdown();

  // Operations between the two are one: sends and receives may then meet in any order. Their works are in the
  // one that the end returns.
  void startCoalescing();
  WorkPointer endCoalescing();

  WorkPointer broadcast(Tensors& tensors, const c10d::BroadcastOptions& options);
  WorkPointer allreduce(Tensors& tensors, const c10d::AllreduceOptions& options);
  WorkPointer allreduce_coalesced(Tensors& tensors, const c10d::AllreduceCoalescedOptions& options);
  WorkPointer reduce(Tensors& tensors, const c10d::ReduceOptions& options);
  WorkPointer allgather(TensorLists& outputs, Tensors& inputs, const c10d::AllgatherOptions& options);
  WorkPointer _allgather_base(at::Tensor& output, at::Tensor& input, const c10d::AllgatherOptions& options);
  WorkPointer allgather_coalesced(TensorLists& outputs, Tensors& inputs,
                                  const c10d::AllgatherOptions& options);
  WorkPointer allgather_into_tensor_coalesced(Tensors& outputs, Tensors& inputs,
                                              const c10d::AllgatherOptions& options);
  WorkPointer gather(TensorLists& outputs, Tensors& inputs, const c10d::GatherOptions& options);
  WorkPointer scatter(Tensors& outputs, TensorLists& inputs, const c10d::ScatterOptions& options);
  WorkPointer reduce_scatter(Tensors& outputs, TensorLists& inputs,
                             const c10d::ReduceScatterOptions& options);
  WorkPointer _reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                                   const c10d::ReduceScatterOptions& options);
  WorkPointer reduce_scatter_tensor_coalesced(Tensors& outputs, Tensors& inputs,
                                              const c10d::ReduceScatterOptions& options);
  WorkPointer alltoall_base(at::Tensor& output, at::Tensor& input, std::vector<int64_t>& output_splits,
                            std::vector<int64_t>& input_splits, const c10d::AllToAllOptions& options);
  WorkPointer alltoall(Tensors& outputs, Tensors& inputs, const c10d::AllToAllOptions& options);
  WorkPointer send(Tensors& tensors, int destination, int tag);
  WorkPointer recv(Tensors& tensors, int source, int tag);
  WorkPointer barrier(const c10d::BarrierOptions& options);

 private:
  struct Request {
    c10d::OpType type;
    Tensors inputs;
    Tensors outputs;
    std::chrono::milliseconds timeout = c10d::kUnsetTimeout;
    bool stops_host = false;
  };
  using Launch = std::function<void(const Place&)>;

  // Queues `launch` on the communicator's stream, in the order that the class says.
  WorkPointer queue(const Request& request, const Launch& launch);
  WorkPointer queue_on(at::Device device, const Request& request, const Launch& launch);
  std::shared_ptr<Operation> queue_operation(Communicator& communicator, const Request& request,
                                             const Launch& launch);
  WorkPointer exchange(const Request& request, const HcclSendRecvItem& item);
  Communicator& communicator(at::Device device);
  void close(const std::string& why);
  void check_open() const;

  const c10::intrusive_ptr<c10d::Store> store_;
  Settings settings_;
  const std::shared_ptr<Monitor> monitor_;
  std::mutex mutex_;  // of all below: operations of two threads have an order
  std::map<c10::DeviceIndex, std::unique_ptr<Communicator>> communicators_;
  uint64_t met_ = 0;         // communicators that were begun, so that each has a key of its own in the store
  uint64_t operations_ = 0;  // that were queued
  std::string closed_;       // why nothing can be queued any more
  at::Device last_device_{kType, -1};

  struct Coalescing {
    bool active = false;
    bool queued = false;  // something was, other than the items
    std::vector<HcclSendRecvItem> items;
    Request request{c10d::OpType::COALESCED, {}, {}};
  };
  Coalescing coalescing_;
};

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
#endif  // NPU_GLUE_DISTRIBUTED_BACKEND_H_
