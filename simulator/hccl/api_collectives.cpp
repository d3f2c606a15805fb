// Collective operations of HCCL's C ABI: check, then queue.
#include "call.h"
#include "entry.h"

using namespace cann_simulator::hccl;

namespace {

// sendCountMatrix[i * ranks + j]: what rank i sends to rank j. Both sides lie one behind the other.
struct Matrix {
  std::vector<Part> sends;
  std::vector<Part> receives;
};

Matrix read_matrix(const uint64_t* counts, uint32_t ranks, uint32_t rank) {
  Matrix matrix;
  uint64_t sent = 0;
  uint64_t received = 0;
  for (uint32_t other = 0; other < ranks; ++other) {
    const uint64_t out = counts[rank * ranks + other];
    const uint64_t in = counts[other * ranks + rank];
    matrix.sends.push_back({sent, out});
    matrix.receives.push_back({received, in});
    sent += out;
    received += in;
  }
  return matrix;
}

Result launch_all_to_all(Call* call, const Elements& sent, const void* from, const std::vector<Part>& sends,
                         const Elements& received, const void* to, const std::vector<Part>& receives,
                         aclrtStream stream) {
  const char* input = call->buffer("sendBuf", from, sends, sent);
  char* output = call->output("recvBuf", to, receives, received);
  return call->launch(stream, [=](Session& session) {
    return all_to_all(session, sent, input, sends, received, output, receives);
  });
}

}  // namespace

extern "C" {

HcclResult HcclAllReduce(void* sendBuf, void* recvBuf, uint64_t count, HcclDataType dataType, HcclReduceOp op,
                         HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kAllReduce);
    Elements elements = call.elements(dataType, count);
    call.reduction(op, &elements);
    const char* from = call.buffer("sendBuf", sendBuf, count, elements);
    char* to = call.output("recvBuf", recvBuf, count, elements);
    return call.launch(stream,
                       [=](Session& session) { return all_reduce(session, elements, from, to, count); });
  });
}

HcclResult HcclReduce(void* sendBuf, void* recvBuf, uint64_t count, HcclDataType dataType, HcclReduceOp op,
                      uint32_t root, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kReduce);
    Elements elements = call.elements(dataType, count);
    call.reduction(op, &elements);
    call.root(root);
    const char* from = call.buffer("sendBuf", sendBuf, count, elements);
    const bool receives = call.ok() && call.rank() == root;
    char* to = call.output("recvBuf", recvBuf, receives ? count : 0, elements);
    return call.launch(stream,
                       [=](Session& session) { return reduce(session, elements, from, to, count, root); });
  });
}

HcclResult HcclReduceScatter(void* sendBuf, void* recvBuf, uint64_t recvCount, HcclDataType dataType,
                             HcclReduceOp op, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kReduceScatter);
    Elements elements = call.elements(dataType, recvCount);
    call.reduction(op, &elements);
    const std::vector<Part> parts = equal_parts(call.ok() ? call.size() : 0, recvCount);
    const char* from = call.buffer("sendBuf", sendBuf, parts, elements);
    char* to = call.output("recvBuf", recvBuf, recvCount, elements);
    return call.launch(stream,
                       [=](Session& session) { return reduce_scatter(session, elements, from, to, parts); });
  });
}

HcclResult HcclReduceScatterV(void* sendBuf, const void* sendCounts, const void* sendDispls, void* recvBuf,
                              uint64_t recvCount, HcclDataType dataType, HcclReduceOp op, HcclComm comm,
                              aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kReduceScatterV);
    Elements elements = call.elements(dataType, 0);
    call.reduction(op, &elements);
    const std::vector<Part> parts = call.parts("sendBuf", sendCounts, sendDispls);
    if (call.ok() && parts[call.rank()].count != recvCount)
      call.refuse(failure(HCCL_E_PARA, "recvCount is not what sendCounts says for this rank"));
    const char* from = call.buffer("sendBuf", sendBuf, parts, elements);
    char* to = call.output("recvBuf", recvBuf, recvCount, elements);
    return call.launch(stream,
                       [=](Session& session) { return reduce_scatter(session, elements, from, to, parts); });
  });
}

HcclResult HcclAllGather(void* sendBuf, void* recvBuf, uint64_t sendCount, HcclDataType dataType,
                         HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kAllGather);
    const Elements elements = call.elements(dataType, sendCount);
    const std::vector<Part> parts = equal_parts(call.ok() ? call.size() : 0, sendCount);
    const char* from = call.buffer("sendBuf", sendBuf, sendCount, elements);
    char* to = call.output("recvBuf", recvBuf, parts, elements);
    return call.launch(stream,
                       [=](Session& session) { return all_gather(session, elements, from, to, parts); });
  });
}

HcclResult HcclAllGatherV(void* sendBuf, uint64_t sendCount, void* recvBuf, const void* recvCounts,
                          const void* recvDispls, HcclDataType dataType, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kAllGatherV);
    const Elements elements = call.elements(dataType, 0);
    const std::vector<Part> parts = call.parts("recvBuf", recvCounts, recvDispls);
    if (call.ok() && parts[call.rank()].count != sendCount)
      call.refuse(failure(HCCL_E_PARA, "sendCount is not what recvCounts says for this rank"));
    const char* from = call.buffer("sendBuf", sendBuf, sendCount, elements);
    char* to = call.output("recvBuf", recvBuf, parts, elements);
    return call.launch(stream,
                       [=](Session& session) { return all_gather(session, elements, from, to, parts); });
  });
}

HcclResult HcclBroadcast(void* buf, uint64_t count, HcclDataType dataType, uint32_t root, HcclComm comm,
                         aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kBroadcast);
    const Elements elements = call.elements(dataType, count);
    call.root(root);
    const bool sends = call.ok() && call.rank() == root;
    char* buffer =
        sends ? call.buffer("buf", buf, count, elements) : call.output("buf", buf, count, elements);
    return call.launch(stream,
                       [=](Session& session) { return broadcast(session, elements, buffer, count, root); });
  });
}

HcclResult HcclScatter(void* sendBuf, void* recvBuf, uint64_t recvCount, HcclDataType dataType, uint32_t root,
                       HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kScatter);
    const Elements elements = call.elements(dataType, recvCount);
    call.root(root);
    const bool sends = call.ok() && call.rank() == root;
    const std::vector<Part> parts = equal_parts(sends ? call.size() : 0, recvCount);
    const char* from = call.buffer("sendBuf", sendBuf, parts, elements);
    char* to = call.output("recvBuf", recvBuf, recvCount, elements);
    return call.launch(
        stream, [=](Session& session) { return scatter(session, elements, from, to, recvCount, root); });
  });
}

HcclResult HcclAlltoAll(const void* sendBuf, uint64_t sendCount, HcclDataType sendType, const void* recvBuf,
                        uint64_t recvCount, HcclDataType recvType, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kAlltoAll);
    const Elements received = call.elements(recvType, recvCount);
    const Elements sent = call.elements(sendType, sendCount);
    const uint32_t ranks = call.ok() ? call.size() : 0;
    return launch_all_to_all(&call, sent, sendBuf, equal_parts(ranks, sendCount), received, recvBuf,
                             equal_parts(ranks, recvCount), stream);
  });
}

HcclResult HcclAlltoAllV(const void* sendBuf, const void* sendCounts, const void* sdispls,
                         HcclDataType sendType, const void* recvBuf, const void* recvCounts,
                         const void* rdispls, HcclDataType recvType, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kAlltoAllV);
    const Elements received = call.elements(recvType, 0);
    const Elements sent = call.elements(sendType, 0);
    return launch_all_to_all(&call, sent, sendBuf, call.parts("sendBuf", sendCounts, sdispls), received,
                             recvBuf, call.parts("recvBuf", recvCounts, rdispls), stream);
  });
}

HcclResult HcclAlltoAllVC(const void* sendBuf, const void* sendCountMatrix, HcclDataType sendType,
                          const void* recvBuf, HcclDataType recvType, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=]() -> Result {
    Call call(comm, Kind::kAlltoAllVC);
    const Elements received = call.elements(recvType, 0);
    const Elements sent = call.elements(sendType, 0);
    if (sendCountMatrix == nullptr) call.refuse(null_argument("sendCountMatrix"));
    Matrix matrix;
    if (call.ok())
      matrix = read_matrix(static_cast<const uint64_t*>(sendCountMatrix), call.size(), call.rank());
    return launch_all_to_all(&call, sent, sendBuf, matrix.sends, received, recvBuf, matrix.receives, stream);
  });
}

HcclResult HcclBarrier(HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kBarrier);
    return call.launch(stream, [](Session& session) { return barrier(session); });
  });
}

}  // extern "C"
