#include "operation.h"

#include <cstring>

namespace cann_simulator::hccl {
namespace {

struct DataType {
  HcclDataType value;
  const char* name;
  std::size_t size;
};

constexpr DataType kDataTypes[] = {
    {HCCL_DATA_TYPE_INT8, "int8", 1},       {HCCL_DATA_TYPE_INT16, "int16", 2},
    {HCCL_DATA_TYPE_INT32, "int32", 4},     {HCCL_DATA_TYPE_INT64, "int64", 8},
    {HCCL_DATA_TYPE_UINT8, "uint8", 1},     {HCCL_DATA_TYPE_UINT16, "uint16", 2},
    {HCCL_DATA_TYPE_UINT32, "uint32", 4},   {HCCL_DATA_TYPE_UINT64, "uint64", 8},
    {HCCL_DATA_TYPE_FP16, "float16", 2},    {HCCL_DATA_TYPE_BFP16, "bfloat16", 2},
    {HCCL_DATA_TYPE_FP32, "float32", 4},    {HCCL_DATA_TYPE_FP64, "float64", 8},
    {HCCL_DATA_TYPE_INT128, "int128", 16},  {HCCL_DATA_TYPE_HIF8, "hif8", 1},
    {HCCL_DATA_TYPE_FP8E4M3, "fp8e4m3", 1}, {HCCL_DATA_TYPE_FP8E5M2, "fp8e5m2", 1},
    {HCCL_DATA_TYPE_FP8E8M0, "fp8e8m0", 1},
};

const DataType* find(HcclDataType dtype) {
  for (const DataType& candidate : kDataTypes) {
    if (candidate.value == dtype) return &candidate;
  }
  return nullptr;
}

const char* reduction_name(std::uint32_t reduction) {
  static const char* const names[] = {"sum", "prod", "max", "min"};
  return reduction < 4 ? names[reduction] : "unknown reduction";
}

}  // namespace

const char* name_of(Kind kind) {
  static const char* const names[] = {
      "AllReduce",   "Reduce",  "ReduceScatter", "ReduceScatterV", "AllGather",  "AllGatherV",
      "Broadcast",   "Scatter", "AlltoAll",      "AlltoAllV",      "AlltoAllVC", "Barrier",
      "an operator", "Send",    "Recv",          "BatchSendRecv",
  };
  const auto index = static_cast<std::size_t>(kind);
  return index < sizeof names / sizeof *names ? names[index] : "an unknown operation";
}

std::string text_of(const Operation& operation) {
  std::string text = operation.kind == Kind::kFused ? operation.name : name_of(operation.kind);
  const bool own_counts = operation.kind == Kind::kReduceScatterV || operation.kind == Kind::kAllGatherV ||
                          operation.kind == Kind::kAlltoAllV || operation.kind == Kind::kAlltoAllVC;
  if (operation.dtype != kNone) {
    text += own_counts ? " of " : " of " + std::to_string(operation.count) + " ";
    text += name_of(static_cast<HcclDataType>(operation.dtype));
  }
  if (operation.reduction != kNone) text += std::string(" (") + reduction_name(operation.reduction) + ")";
  if (operation.root != kNone) {
    const bool to = operation.kind == Kind::kReduce || operation.kind == Kind::kSend;
    text += std::string(to ? " to rank " : " from rank ") + std::to_string(operation.root);
  }
  return text;
}

bool same(const Operation& one, const Operation& other) {
  return one.kind == other.kind && one.dtype == other.dtype && one.reduction == other.reduction &&
         one.root == other.root && one.count == other.count &&
         std::strncmp(one.name, other.name, sizeof one.name) == 0;
}

std::size_t size_of(HcclDataType dtype) {
  const DataType* found = find(dtype);
  return found == nullptr ? 0 : found->size;
}

std::string name_of(HcclDataType dtype) {
  const DataType* found = find(dtype);
  return found == nullptr ? "data type " + std::to_string(static_cast<int>(dtype)) : found->name;
}

}  // namespace cann_simulator::hccl
