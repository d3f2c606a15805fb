// Operations between two ranks, of HCCL's C ABI.
#include <cstring>

#include "call.h"
#include "entry.h"

using namespace cann_simulator::hccl;

namespace {

// The parts of a batch, in the order of its items; what goes to the rank itself is copied in that order, too.
struct Batch {
  std::vector<Send> sends;
  std::vector<Receive> receives;
  std::vector<Send> sends_to_self;
  std::vector<Receive> receives_from_self;
};

void add(Call* call, const HcclSendRecvItem& item, Batch* batch) {
  const Elements elements = call->elements(item.dataType, item.count);
  call->partner_or_self(item.remoteRank);
  const bool sends = item.sendRecvType == HCCL_SEND;
  char* data = sends ? call->buffer("buf of an item", item.buf, item.count, elements)
                     : call->output("buf of an item", item.buf, item.count, elements);
  if (!call->ok()) return;
  const bool self = item.remoteRank == call->rank();
  const std::size_t bytes = item.count * elements.size;
  if (sends) {
    (self ? batch->sends_to_self : batch->sends).push_back({item.remoteRank, data, bytes, elements.dtype});
  } else {
    (self ? batch->receives_from_self : batch->receives)
        .push_back({item.remoteRank, data, bytes, elements.dtype});
  }
}

Result run(Session& session, const Batch& batch) {
  for (std::size_t index = 0; index < batch.sends_to_self.size(); ++index) {
    const Send& send = batch.sends_to_self[index];
    if (send.size > 0) std::memmove(batch.receives_from_self[index].to, send.data, send.size);
  }
  return session.exchange(batch.sends, batch.receives);
}

Result check_self(const Batch& batch) {
  if (batch.sends_to_self.size() != batch.receives_from_self.size())
    return failure(HCCL_E_PARA, "the batch sends %zu times to its own rank and receives %zu times from it",
                   batch.sends_to_self.size(), batch.receives_from_self.size());
  for (std::size_t index = 0; index < batch.sends_to_self.size(); ++index) {
    if (batch.sends_to_self[index].size != batch.receives_from_self[index].size)
      return failure(HCCL_E_PARA, "what the batch sends to its own rank and what it receives differ in size");
  }
  return {};
}

}  // namespace

extern "C" {

HcclResult HcclSend(void* sendBuf, uint64_t count, HcclDataType dataType, uint32_t destRank, HcclComm comm,
                    aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kSend);
    const Elements elements = call.elements(dataType, count);
    call.partner(destRank);
    const Send send{destRank, call.buffer("sendBuf", sendBuf, count, elements), count * elements.size,
                    elements.dtype};
    return call.launch(stream, [=](Session& session) { return session.exchange({send}, {}); });
  });
}

HcclResult HcclRecv(void* recvBuf, uint64_t count, HcclDataType dataType, uint32_t srcRank, HcclComm comm,
                    aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kRecv);
    const Elements elements = call.elements(dataType, count);
    call.partner(srcRank);
    const Receive receive{srcRank, call.output("recvBuf", recvBuf, count, elements), count * elements.size,
                          elements.dtype};
    return call.launch(stream, [=](Session& session) { return session.exchange({}, {receive}); });
  });
}

HcclResult HcclBatchSendRecv(HcclSendRecvItem* sendRecvInfo, uint32_t itemNum, HcclComm comm,
                             aclrtStream stream) {
  return entry(__func__, [=]() -> Result {
    if (sendRecvInfo == nullptr) return null_argument("sendRecvInfo");
    Call call(comm, Kind::kBatchSendRecv);
    Batch batch;
    for (uint32_t index = 0; index < itemNum; ++index) add(&call, sendRecvInfo[index], &batch);
    if (call.ok()) call.refuse(check_self(batch));
    call.operation() = {};
    call.operation().kind = Kind::kBatchSendRecv;
    return call.launch(stream, [batch](Session& session) { return run(session, batch); });
  });
}

}  // extern "C"
