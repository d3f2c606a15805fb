#include "distributed/backend.h"

#if NPU_HAS_GROUP_NAMES

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include <algorithm>

#include "distributed/on_stream.h"

namespace npu::hccl {
namespace {

void record_use(const Tensors& tensors, int64_t stream) {
  for (const at::Tensor& tensor : tensors) {
    void* data = tensor.storage().data_ptr().get();
    int32_t device = 0;
    // Memory that another process lent is not the allocator's.
    if (data != nullptr && npu_pointer_device(data, &device) != 0)
      npu::check(npu_record_stream(data, stream));
  }
}

int64_t elements_in(const Tensors& tensors) {
  int64_t elements = 0;
  for (const at::Tensor& tensor : tensors) elements += tensor.numel();
  return elements;
}

}  // namespace

Backend::Backend(c10::intrusive_ptr<c10d::Store> store, int rank, int size, Settings settings)
    : c10d::Backend(rank, size),
      store_(std::move(store)),
      settings_(std::move(settings)),
      monitor_(Monitor::start({settings_.name, rank, size})) {}

Backend::~Backend() { close("was destroyed"); }

c10::intrusive_ptr<c10d::Backend::Options> Backend::getBackendOptions() {
  return c10::make_intrusive<c10d::Backend::Options>("hccl", settings_.timeout);
}

c10::intrusive_ptr<c10d::Backend> Backend::split(const c10::intrusive_ptr<c10d::Store>& store,
                                                 const std::vector<int>& ranks,
                                                 const c10::intrusive_ptr<c10d::Backend::Options>& options) {
  const auto found = std::find(ranks.begin(), ranks.end(), getRank());
  if (found == ranks.end()) return nullptr;
  Settings settings = settings_;
  settings.name += "/" + std::to_string(ranks.front()) + "-" + std::to_string(ranks.size());
  if (options) settings.timeout = options->timeout;
  const auto rank = static_cast<int>(found - ranks.begin());
  return c10::make_intrusive<Backend>(store, rank, static_cast<int>(ranks.size()), settings);
}

void Backend::eagerConnectSingleDevice(at::Device device) {
  const std::lock_guard<std::mutex> lock(mutex_);
  communicator(device);
}

std::string Backend::communicator_name(at::Device device) {
  const std::lock_guard<std::mutex> lock(mutex_);
  check_open();
  char name[HCCL_COMM_NAME_BYTES] = "";
  check(functions().HcclGetCommName(communicator(device).handle(), name), "HcclGetCommName");
  return name;
}

void Backend::abort() { close("was aborted"); }
void Backend::shutdown() { close("was shut down"); }

void Backend::close(const std::string& why) {
  Monitor::stop(monitor_);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_.empty()) closed_ = "process group " + settings_.name + " (hccl) " + why;
  communicators_.clear();
}

void Backend::check_open() const {
  if (!closed_.empty()) C10_THROW_ERROR(DistBackendError, closed_ + ": it takes no operation any more");
  monitor_->raise_if_failed();
}

Communicator& Backend::communicator(at::Device device) {
  const c10::DeviceIndex index = index_of(device);
  auto& found = communicators_[index];
  if (found == nullptr) {
    const std::string key = "hccl/" + std::to_string(met_++);
    found = std::make_unique<Communicator>(store_, key, settings_, monitor_, index);
  }
  return *found;
}

WorkPointer Backend::queue(const Request& request, const Launch& launch) {
  const Tensors& some = request.inputs.empty() ? request.outputs : request.inputs;
  return queue_on(some.front().device(), request, launch);
}

WorkPointer Backend::queue_on(at::Device device, const Request& request, const Launch& launch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  check_open();
  const at::NoGradGuard no_grad;
  Communicator& chosen = communicator(device);
  last_device_ = at::Device(kType, chosen.device());
  const std::shared_ptr<Operation> operation = queue_operation(chosen, request, launch);
  if (coalescing_.active) {
    coalescing_.queued = true;
    auto& outputs = coalescing_.request.outputs;
    outputs.insert(outputs.end(), request.outputs.begin(), request.outputs.end());
    return nullptr;
  }
  return c10::make_intrusive<Work>(monitor_, operation, request.outputs, chosen.stream(), request.stops_host);
}

std::shared_ptr<Operation> Backend::queue_operation(Communicator& chosen, const Request& request,
                                                    const Launch& launch) {
  const bool own_limit = request.timeout != c10d::kUnsetTimeout && request.timeout != kNoTimeout;
  auto operation = std::make_shared<Operation>(request.type, ++operations_, chosen.device(),
                                               own_limit ? request.timeout : settings_.timeout);
  operation->elements = elements_in(request.inputs.empty() ? request.outputs : request.inputs);
  chosen.wait_for_current_stream();
  {
    const OnStream scope(chosen.device(), chosen.stream());
    launch({chosen.handle(), chosen.stream_handle(), at::Device(kType, chosen.device())});
    operation->end.record(chosen.stream());
  }
  record_use(request.inputs, chosen.stream());
  record_use(request.outputs, chosen.stream());
  monitor_->watch(operation);
  return operation;
}

void Backend::startCoalescing() {
  const std::lock_guard<std::mutex> lock(mutex_);
  check_open();
  coalescing_ = {};
  coalescing_.active = true;
}

WorkPointer Backend::endCoalescing() {
  Coalescing gathered;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::swap(gathered, coalescing_);
  }
  if (gathered.items.empty() && !gathered.queued) return nullptr;
  return queue_on(last_device_, gathered.request, [&](const Place& place) {
    if (gathered.items.empty()) return;
    if (functions().HcclBatchSendRecv == nullptr) npu::check(npu_missing_symbol("HcclBatchSendRecv"));
    NPU_HCCL(HcclBatchSendRecv, gathered.items.data(), static_cast<uint32_t>(gathered.items.size()),
             place.comm, place.stream);
  });
}

// A send or a receive: queued, or kept for the end of what is coalesced.
WorkPointer Backend::exchange(const Request& request, const HcclSendRecvItem& item) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    check_open();
    if (coalescing_.active) {
      const Tensors& tensors = request.inputs.empty() ? request.outputs : request.inputs;
      auto& kept = request.inputs.empty() ? coalescing_.request.outputs : coalescing_.request.inputs;
      kept.insert(kept.end(), tensors.begin(), tensors.end());
      coalescing_.items.push_back(item);
      last_device_ = tensors.front().device();
      return nullptr;
    }
  }
  return queue(request, [&](const Place& place) {
    if (item.sendRecvType == HCCL_SEND) {
      NPU_HCCL(HcclSend, item.buf, item.count, item.dataType, item.remoteRank, place.comm, place.stream);
    } else {
      NPU_HCCL(HcclRecv, item.buf, item.count, item.dataType, item.remoteRank, place.comm, place.stream);
    }
  });
}

WorkPointer Backend::barrier(const c10d::BarrierOptions& options) {
  at::Device device = last_device_;
  if (!options.device_ids.empty())
    device = at::Device(kType, static_cast<c10::DeviceIndex>(options.device_ids.front()));
  else if (options.device.has_value() && options.device->type() == kType && options.device->has_index())
    device = *options.device;
  if (!device.has_index()) device = at::Device(kType, current_device());
  return queue_on(device, {c10d::OpType::BARRIER, {}, {}, options.timeout, /*stops_host=*/true},
                  [](const Place& place) { NPU_HCCL(HcclBarrier, place.comm, place.stream); });
}

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
