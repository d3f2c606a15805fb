// What a rank was asked to do, as it tells the others, who must have been asked the same.
#ifndef CANN_SIMULATOR_HCCL_OPERATION_H_
#define CANN_SIMULATOR_HCCL_OPERATION_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "result.h"

namespace cann_simulator::hccl {

enum class Kind : std::uint32_t {
  kAllReduce,
  kReduce,
  kReduceScatter,
  kReduceScatterV,
  kAllGather,
  kAllGatherV,
  kBroadcast,
  kScatter,
  kAlltoAll,
  kAlltoAllV,
  kAlltoAllVC,
  kBarrier,
  kFused,  // an operator of libopapi, which `name` tells from the others
  kSend,
  kRecv,
  kBatchSendRecv,
};

constexpr std::uint32_t kNone = 0xffffffff;

struct Operation {
  Kind kind = Kind::kBarrier;
  std::uint32_t dtype = kNone;
  std::uint32_t reduction = kNone;
  std::uint32_t root = kNone;  // of a send or receive: the other rank
  std::uint64_t count = 0;     // elements; 0 where every rank has its own
  char name[48] = "";
  std::uint64_t number = 0;  // of the operations of this communicator; not compared
};

const char* name_of(Kind kind);

// "AllReduce of 4 float32 (sum)", "Broadcast of 8 int64 from rank 2"
std::string text_of(const Operation& operation);

// Whether two ranks were asked for the same collective operation.
bool same(const Operation& one, const Operation& other);

// Bytes per element; 0 for what is no data type.
std::size_t size_of(HcclDataType dtype);
std::string name_of(HcclDataType dtype);

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_OPERATION_H_
