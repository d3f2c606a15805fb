#include "call.h"

#include <algorithm>

#include "registry.h"

namespace cann_simulator::hccl {
namespace {

constexpr std::uint64_t kLargestCount = std::uint64_t{1} << 48;  // times an element stays far below 64 bits

const char* launch_name(Kind kind) {
  static const char* const names[] = {
      "HcclAllReduce", "HcclReduce",     "HcclReduceScatter", "HcclReduceScatterV",
      "HcclAllGather", "HcclAllGatherV", "HcclBroadcast",     "HcclScatter",
      "HcclAlltoAll",  "HcclAlltoAllV",  "HcclAlltoAllVC",    "HcclBarrier",
      "HcclFused",     "HcclSend",       "HcclRecv",          "HcclBatchSendRecv",
  };
  return names[static_cast<std::size_t>(kind)];
}

}  // namespace

Call::Call(HcclComm comm, Kind kind) {
  operation_.kind = kind;
  result_ = Registry::instance().find(comm, &communicator_);
}

Elements Call::elements(HcclDataType dtype, std::uint64_t count) {
  Elements elements{static_cast<std::uint32_t>(dtype), size_of(dtype), nullptr};
  if (elements.size == 0)
    refuse(failure(HCCL_E_NOT_SUPPORT, "data type %d is not known", static_cast<int>(dtype)));
  if (count > kLargestCount)
    refuse(failure(HCCL_E_PARA, "%llu elements are too many", static_cast<unsigned long long>(count)));
  operation_.dtype = elements.dtype;
  operation_.count = count;
  return elements;
}

void Call::reduction(HcclReduceOp reduction, Elements* elements) {
  if (!ok()) return;
  operation_.reduction = static_cast<std::uint32_t>(reduction);
  if (static_cast<std::uint32_t>(reduction) > HCCL_REDUCE_MIN)
    return refuse(failure(HCCL_E_NOT_SUPPORT, "reduction %d is not known", static_cast<int>(reduction)));
  const auto dtype = static_cast<HcclDataType>(elements->dtype);
  elements->combine = find_combine(dtype, reduction);
  if (elements->combine != nullptr) return;
  refuse(
      failure(HCCL_E_NOT_SUPPORT,
              "HCCL does not reduce %s; it reduces int8, int16, int32, int64, float16, bfloat16 and float32",
              name_of(dtype).c_str()));
}

void Call::root(std::uint32_t root) {
  if (!ok()) return;
  operation_.root = root;
  if (root >= size()) refuse(failure(HCCL_E_PARA, "root is %u; the ranks are 0 to %u", root, size() - 1));
}

void Call::partner_or_self(std::uint32_t rank) {
  if (!ok()) return;
  if (rank >= size())
    refuse(failure(HCCL_E_PARA, "rank %u does not exist; the ranks are 0 to %u", rank, size() - 1));
}

void Call::partner(std::uint32_t rank) {
  partner_or_self(rank);
  operation_.root = rank;
  if (ok() && rank == this->rank())
    refuse(failure(HCCL_E_PARA, "rank %u cannot send to itself or receive from itself", rank));
}

char* Call::buffer(const char* name, const void* pointer, std::uint64_t count, const Elements& elements) {
  if (!ok() || count == 0) return nullptr;
  if (pointer == nullptr) {
    refuse(failure(HCCL_E_PTR, "%s is NULL", name));
    return nullptr;
  }
  const std::size_t bytes = count * elements.size;
  std::int32_t device = 0;
  void* address = cann_simulator_alias(pointer, bytes, &device);
  if (address == nullptr) {
    refuse(failure(HCCL_E_PARA, "%s (%p, %zu bytes) does not lie inside live device memory", name, pointer,
                   bytes));
  } else if (device != communicator_->membership().device) {
    refuse(failure(HCCL_E_PARA, "%s lies on device %d, the communicator is of device %d", name, device,
                   communicator_->membership().device));
  }
  touched_.push_back({pointer, bytes, false});
  return static_cast<char*>(address);
}

char* Call::buffer(const char* name, const void* pointer, const std::vector<Part>& parts,
                   const Elements& elements) {
  std::uint64_t end = 0;
  for (const Part& part : parts) {
    if (part.count > 0) end = std::max(end, part.offset + part.count);
  }
  return buffer(name, pointer, end, elements);
}

std::vector<Part> Call::parts(const char* name, const void* counts, const void* offsets) {
  std::vector<Part> parts;
  if (!ok()) return parts;
  if (counts == nullptr || offsets == nullptr) {
    refuse(failure(HCCL_E_PTR, "the counts or the displacements of %s are NULL", name));
    return parts;
  }
  for (std::uint32_t rank = 0; rank < size(); ++rank) {
    const Part part = {static_cast<const std::uint64_t*>(offsets)[rank],
                       static_cast<const std::uint64_t*>(counts)[rank]};
    if (part.offset > kLargestCount || part.count > kLargestCount)
      refuse(failure(HCCL_E_PARA, "the part of rank %u in %s is too large", rank, name));
    parts.push_back(part);
  }
  return parts;
}

void Call::refuse(Result result) {
  if (result_.ok()) result_ = std::move(result);
}

Result Call::launch(aclrtStream stream, Communicator::Body body) {
  if (!ok()) return result_;
  return communicator_->launch(operation_, launch_name(operation_.kind), touched_, stream, std::move(body));
}

}  // namespace cann_simulator::hccl
