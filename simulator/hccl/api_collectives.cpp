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

HcclResult HcclAllReduce(void* send_buf, void* recv_buf, uint64_t count, HcclDataType data_type,
                         HcclReduceOp op, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kAllReduce);
    Elements elements = call.elements(data_type, count);
    call.reduction(op, &elements);
    const char* from = call.buffer("sendBuf", send_buf, count, elements);
    char* to = call.output("recvBuf", recv_buf, count, elements);
    return call.launch(stream,
                       [=](Session& session) { return all_reduce(session, elements, from, to, count); });
  });
}

HcclResult HcclReduce(void* send_buf, void* recv_buf, uint64_t count, HcclDataType data_type, HcclReduceOp op,
                      uint32_t root, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kReduce);
    Elements elements = call.elements(data_type, count);
    call.reduction(op, &elements);
    call.root(root);
    const char* from = call.buffer("sendBuf", send_buf, count, elements);
    const bool receives = call.ok() && call.rank() == root;
    char* to = call.output("recvBuf", recv_buf, receives ? count : 0, elements);
    return call.launch(stream,
                       [=](Session& session) { return reduce(session, elements, from, to, count, root); });
  });
}

HcclResult HcclReduceScatter(void* send_buf, void* recv_buf, uint64_t recv_count, HcclDataType data_type,
                             HcclReduceOp op, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kReduceScatter);
    Elements elements = call.elements(data_type, recv_count);
    call.reduction(op, &elements);
    const std::vector<Part> parts = equal_parts(call.ok() ? call.size() : 0, recv_count);
    const char* from = call.buffer("sendBuf", send_buf, parts, elements);
    char* to = call.output("recvBuf", recv_buf, recv_count, elements);
    return call.launch(stream,
                       [=](Session& session) { return reduce_scatter(session, elements, from, to, parts); });
  });
}

HcclResult HcclReduceScatterV(void* send_buf, const void* send_counts, const void* send_displs,
                              void* recv_buf, uint64_t recv_count, HcclDataType data_type, HcclReduceOp op,
                              HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kReduceScatterV);
    Elements elements = call.elements(data_type, 0);
    call.reduction(op, &elements);
    const std::vector<Part> parts = call.parts("sendBuf", send_counts, send_displs);
    if (call.ok() && parts[call.rank()].count != recv_count)
      call.refuse(failure(HCCL_E_PARA, "recvCount is not what sendCounts says for this rank"));
    const char* from = call.buffer("sendBuf", send_buf, parts, elements);
    char* to = call.output("recvBuf", recv_buf, recv_count, elements);
    return call.launch(stream,
                       [=](Session& session) { return reduce_scatter(session, elements, from, to, parts); });
  });
}

HcclResult HcclAllGather(void* send_buf, void* recv_buf, uint64_t send_count, HcclDataType data_type,
                         HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kAllGather);
    const Elements elements = call.elements(data_type, send_count);
    const std::vector<Part> parts = equal_parts(call.ok() ? call.size() : 0, send_count);
    const char* from = call.buffer("sendBuf", send_buf, send_count, elements);
    char* to = call.output("recvBuf", recv_buf, parts, elements);
    return call.launch(stream,
                       [=](Session& session) { return all_gather(session, elements, from, to, parts); });
  });
}

HcclResult HcclAllGatherV(void* send_buf, uint64_t send_count, void* recv_buf, const void* recv_counts,
                          const void* recv_displs, HcclDataType data_type, HcclComm comm,
                          aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kAllGatherV);
    const Elements elements = call.elements(data_type, 0);
    const std::vector<Part> parts = call.parts("recvBuf", recv_counts, recv_displs);
    if (call.ok() && parts[call.rank()].count != send_count)
      call.refuse(failure(HCCL_E_PARA, "sendCount is not what recvCounts says for this rank"));
    const char* from = call.buffer("sendBuf", send_buf, send_count, elements);
    char* to = call.output("recvBuf", recv_buf, parts, elements);
    return call.launch(stream,
                       [=](Session& session) { return all_gather(session, elements, from, to, parts); });
  });
}

HcclResult HcclBroadcast(void* buf, uint64_t count, HcclDataType data_type, uint32_t root, HcclComm comm,
                         aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kBroadcast);
    const Elements elements = call.elements(data_type, count);
    call.root(root);
    const bool sends = call.ok() && call.rank() == root;
    char* buffer =
        sends ? call.buffer("buf", buf, count, elements) : call.output("buf", buf, count, elements);
    return call.launch(stream,
                       [=](Session& session) { return broadcast(session, elements, buffer, count, root); });
  });
}

HcclResult HcclScatter(void* send_buf, void* recv_buf, uint64_t recv_count, HcclDataType data_type,
                       uint32_t root, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kScatter);
    const Elements elements = call.elements(data_type, recv_count);
    call.root(root);
    const bool sends = call.ok() && call.rank() == root;
    const std::vector<Part> parts = equal_parts(sends ? call.size() : 0, recv_count);
    const char* from = call.buffer("sendBuf", send_buf, parts, elements);
    char* to = call.output("recvBuf", recv_buf, recv_count, elements);
    return call.launch(
        stream, [=](Session& session) { return scatter(session, elements, from, to, recv_count, root); });
  });
}

HcclResult HcclAlltoAll(const void* send_buf, uint64_t send_count, HcclDataType send_type,
                        const void* recv_buf, uint64_t recv_count, HcclDataType recv_type, HcclComm comm,
                        aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kAlltoAll);
    const Elements received = call.elements(recv_type, recv_count);
    const Elements sent = call.elements(send_type, send_count);
    const uint32_t ranks = call.ok() ? call.size() : 0;
    return launch_all_to_all(&call, sent, send_buf, equal_parts(ranks, send_count), received, recv_buf,
                             equal_parts(ranks, recv_count), stream);
  });
}

HcclResult HcclAlltoAllV(const void* send_buf, const void* send_counts, const void* sdispls,
                         HcclDataType send_type, const void* recv_buf, const void* recv_counts,
                         const void* rdispls, HcclDataType recv_type, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kAlltoAllV);
    const Elements received = call.elements(recv_type, 0);
    const Elements sent = call.elements(send_type, 0);
    return launch_all_to_all(&call, sent, send_buf, call.parts("sendBuf", send_counts, sdispls), received,
                             recv_buf, call.parts("recvBuf", recv_counts, rdispls), stream);
  });
}

HcclResult HcclAlltoAllVC(const void* send_buf, const void* send_count_matrix, HcclDataType send_type,
                          const void* recv_buf, HcclDataType recv_type, HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=]() -> Result {
    Call call(comm, Kind::kAlltoAllVC);
    const Elements received = call.elements(recv_type, 0);
    const Elements sent = call.elements(send_type, 0);
    if (send_count_matrix == nullptr) call.refuse(null_argument("sendCountMatrix"));
    Matrix matrix;
    if (call.ok())
      matrix = read_matrix(static_cast<const uint64_t*>(send_count_matrix), call.size(), call.rank());
    return launch_all_to_all(&call, sent, send_buf, matrix.sends, received, recv_buf, matrix.receives,
                             stream);
  });
}

HcclResult HcclBarrier(HcclComm comm, aclrtStream stream) {
  return entry(__func__, [=] {
    Call call(comm, Kind::kBarrier);
    return call.launch(stream, [](Session& session) { return barrier(session); });
  });
}

}  // extern "C"
