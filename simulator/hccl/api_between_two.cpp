// Operations between two ranks, of HCCL's C ABI.
#include <cstring>
#include <utility>
#include <vector>

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

Result launch_batch(const std::vector<HcclSendRecvItem>& items, HcclComm comm, aclrtStream stream) {
  Call call(comm, Kind::kBatchSendRecv);
  Batch batch;
  for (const HcclSendRecvItem& item : items) add(&call, item, &batch);
  if (call.ok()) call.refuse(check_self(batch));
  call.operation() = Operation{};
  call.operation().kind = Kind::kBatchSendRecv;
  return call.launch(stream, [batch](Session& session) { return run(session, batch); });
}

// What a thread has asked for since its HcclGroupStart: it becomes one batch per communicator and stream.
struct Group {
  struct Part {
    HcclComm comm;
    aclrtStream stream;
    std::vector<HcclSendRecvItem> items;
  };

  int depth = 0;
  std::vector<Part> parts;

  void add(HcclComm comm, aclrtStream stream, const HcclSendRecvItem& item) {
    for (Part& part : parts) {
      if (part.comm == comm && part.stream == stream) return part.items.push_back(item);
    }
    parts.push_back({comm, stream, {item}});
  }
};

Group& group() {
  thread_local Group of_thread;
  return of_thread;
}

Result send(const HcclSendRecvItem& item, HcclComm comm, aclrtStream stream) {
  Call call(comm, Kind::kSend);
  const Elements elements = call.elements(item.dataType, item.count);
  call.partner(item.remoteRank);
  const char* data = call.buffer("sendBuf", item.buf, item.count, elements);
  if (call.ok() && group().depth > 0) {
    group().add(comm, stream, item);
    return {};
  }
  const Send send{item.remoteRank, data, item.count * elements.size, elements.dtype};
  return call.launch(stream, [=](Session& session) { return session.exchange({send}, {}); });
}

Result receive(const HcclSendRecvItem& item, HcclComm comm, aclrtStream stream) {
  Call call(comm, Kind::kRecv);
  const Elements elements = call.elements(item.dataType, item.count);
  call.partner(item.remoteRank);
  char* data = call.output("recvBuf", item.buf, item.count, elements);
  if (call.ok() && group().depth > 0) {
    group().add(comm, stream, item);
    return {};
  }
  const Receive receive{item.remoteRank, data, item.count * elements.size, elements.dtype};
  return call.launch(stream, [=](Session& session) { return session.exchange({}, {receive}); });
}

}  // namespace

extern "C" {

HcclResult HcclSend(void* send_buf, uint64_t count, HcclDataType data_type, uint32_t dest_rank, HcclComm comm,
                    aclrtStream stream) {
  return entry(__func__,
               [=] { return send({HCCL_SEND, send_buf, count, data_type, dest_rank}, comm, stream); });
}

HcclResult HcclRecv(void* recv_buf, uint64_t count, HcclDataType data_type, uint32_t src_rank, HcclComm comm,
                    aclrtStream stream) {
  return entry(__func__,
               [=] { return receive({HCCL_RECV, recv_buf, count, data_type, src_rank}, comm, stream); });
}

HcclResult HcclBatchSendRecv(HcclSendRecvItem* send_recv_info, uint32_t item_num, HcclComm comm,
                             aclrtStream stream) {
  return entry(__func__, [=]() -> Result {
    if (send_recv_info == nullptr) return null_argument("sendRecvInfo");
    return launch_batch(std::vector<HcclSendRecvItem>(send_recv_info, send_recv_info + item_num), comm,
                        stream);
  });
}

// Sends and receives of this thread wait for the end of the group, and then run at once; collective
// operations do not need that and are queued as always.
HcclResult HcclGroupStart(void) {
  return entry(__func__, []() -> Result {
    ++group().depth;
    return {};
  });
}

HcclResult HcclGroupEnd(void) {
  return entry(__func__, []() -> Result {
    if (group().depth == 0) return failure(HCCL_E_PARA, "this thread has no open group");
    if (--group().depth > 0) return {};
    Result first;
    for (const Group::Part& part : std::exchange(group().parts, {})) {
      Result result = launch_batch(part.items, part.comm, part.stream);
      if (first.ok()) first = std::move(result);
    }
    return first;
  });
}

}  // extern "C"
