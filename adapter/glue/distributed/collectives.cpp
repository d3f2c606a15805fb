// The operations of the backend: what is checked, with PyTorch's classes and words, and which call of HCCL
// each is.
#include <ATen/ATen.h>

#include "distributed/backend.h"

#if NPU_HAS_GROUP_NAMES

namespace npu::hccl {
namespace {

void check_tensor(const at::Tensor& tensor) {
  TORCH_CHECK_VALUE(tensor.device().type() == kType && tensor.layout() == at::kStrided,
                    "Tensors must be NPU and dense, got one on ", tensor.device(), " with layout ",
                    tensor.layout());
  TORCH_CHECK_VALUE(tensor.is_contiguous(tensor.suggest_memory_format()), "Tensors must be contiguous");
}

void check_tensors(const Tensors& tensors) {
  TORCH_CHECK_VALUE(!tensors.empty(), "Tensor list must be nonempty");
  for (const at::Tensor& tensor : tensors) {
    check_tensor(tensor);
    TORCH_CHECK_TYPE(tensor.scalar_type() == tensors.front().scalar_type(),
                     "Tensors must have identical type, got ", tensors.front().scalar_type(), " and ",
                     tensor.scalar_type());
    TORCH_CHECK_VALUE(tensor.device() == tensors.front().device(),
                      "Expected list of tensors on the same device, got ", tensors.front().device(), " and ",
                      tensor.device());
  }
}

const at::Tensor& only(const Tensors& tensors) {
  TORCH_CHECK(tensors.size() == 1, "Expecting one tensor only but got ", tensors.size());
  check_tensor(tensors.front());
  return tensors.front();
}

void check_pair(const at::Tensor& output, const at::Tensor& input) {
  check_tensors({output});
  check_tensors({input});
  TORCH_CHECK_TYPE(output.scalar_type() == input.scalar_type(),
                   "output tensor must have the same type as input tensor, got ", output.scalar_type(),
                   " and ", input.scalar_type());
  TORCH_CHECK_VALUE(output.device() == input.device(),
                    "output tensor must be on the device of the input tensor, got ", output.device(), " and ",
                    input.device());
}

// One tensor per rank, like `like` in type and device.
void check_list(const Tensors& tensors, const at::Tensor& like, int ranks, const char* name) {
  TORCH_CHECK_VALUE(tensors.size() == static_cast<size_t>(ranks), "number of tensors in ", name,
                    " should match the world size, got ", tensors.size(), " for ", ranks, " ranks");
  check_tensors(tensors);
  check_pair(tensors.front(), like);
}

bool all_of_size(const Tensors& tensors, int64_t numel) {
  return std::all_of(tensors.begin(), tensors.end(), [=](const auto& one) { return one.numel() == numel; });
}

at::Tensor room(const at::Tensor& like, int64_t elements) {
  return at::empty({elements}, like.options().memory_format(at::MemoryFormat::Contiguous));
}

at::Tensor flat(const at::Tensor& tensor) { return tensor.reshape({-1}); }

at::Tensor joined(const Tensors& tensors) {
  Tensors parts;
  for (const at::Tensor& tensor : tensors) parts.push_back(flat(tensor.detach()));
  return at::cat(parts);
}

// Puts the pieces of one long tensor into those of a list.
void copy_apart(const at::Tensor& joined, const Tensors& tensors) {
  int64_t start = 0;
  for (const at::Tensor& tensor : tensors) {
    tensor.copy_(joined.narrow(0, start, tensor.numel()).view(tensor.sizes()), /*non_blocking=*/true);
    start += tensor.numel();
  }
}

// Counts and displacements in elements of HCCL's type: what is moved as bytes has more of them.
struct Parts {
  std::vector<uint64_t> counts;
  std::vector<uint64_t> starts;

  void add(uint64_t count) {
    starts.push_back(starts.empty() ? 0 : starts.back() + counts.back());
    counts.push_back(count);
  }
};

Parts parts_of(const Tensors& tensors) {
  Parts parts;
  for (const at::Tensor& tensor : tensors) parts.add(elements_of(tensor).count);
  return parts;
}

// ---- the calls ------------------------------------------------------------------------------------

void all_gather(const Place& place, const at::Tensor& output, const at::Tensor& input) {
  const Elements sent = elements_of(input);
  if (sent.count == 0) return;
  NPU_HCCL(HcclAllGather, sent.data, output.data_ptr(), sent.count, sent.dtype, place.comm, place.stream);
}

void broadcast_one(const Place& place, const at::Tensor& tensor, uint32_t root) {
  const Elements moved = elements_of(tensor);
  if (moved.count > 0)
    NPU_HCCL(HcclBroadcast, moved.data, moved.count, moved.dtype, root, place.comm, place.stream);
}

// Every rank has its own size: one call, or on an early CANN a broadcast of each rank.
void all_gather_uneven(const Place& place, const Tensors& outputs, const at::Tensor& input, int rank) {
  if (functions().HcclAllGatherV == nullptr) {
    outputs[static_cast<size_t>(rank)].copy_(input);
    for (size_t root = 0; root < outputs.size(); ++root)
      broadcast_one(place, outputs[root], static_cast<uint32_t>(root));
    return;
  }
  const Parts parts = parts_of(outputs);
  const at::Tensor all = joined(outputs);
  const Elements sent = elements_of(input);
  NPU_HCCL(HcclAllGatherV, sent.data, sent.count, all.data_ptr(), parts.counts.data(), parts.starts.data(),
           sent.dtype, place.comm, place.stream);
  copy_apart(all, outputs);
}

void all_to_all(const Place& place, const at::Tensor& output, const Parts& received, const at::Tensor& input,
                const Parts& sent) {
  const Elements from = elements_of(input);
  NPU_HCCL(HcclAlltoAllV, from.data, sent.counts.data(), sent.starts.data(), from.dtype, output.data_ptr(),
           received.counts.data(), received.starts.data(), from.dtype, place.comm, place.stream);
}

// The elements of all ranks, one row each, of which every rank computes the same.
at::Tensor gathered_rows(const Place& place, const at::Tensor& input, int ranks) {
  const at::Tensor rows = room(input, ranks * input.numel());
  all_gather(place, rows, input);
  return rows.view({ranks, -1});
}

// The native part of a reduction: `call` gets what HCCL reads and where it writes.
template <class Call>
void reduce_natively(const Reduction& reduction, const at::Tensor& output, const at::Tensor& input,
                     const Call& call) {
  const at::Tensor from = reduction.input(input);
  const at::Tensor to = output.is_complex() ? at::view_as_real(output) : output;
  if (from.numel() == 0) return;
  call(from, to);
  reduction.finish(output);
}

void all_reduce(const Place& place, const at::Tensor& tensor, const Reduction& reduction, int ranks) {
  if (!reduction.native) {
    const at::Tensor rows = gathered_rows(place, flat(tensor), ranks);
    tensor.copy_(reduction.here(rows).view(tensor.sizes()));
    return reduction.finish(tensor);
  }
  reduce_natively(reduction, tensor, tensor, [&](const at::Tensor& from, const at::Tensor& to) {
    NPU_HCCL(HcclAllReduce, from.data_ptr(), to.data_ptr(), static_cast<uint64_t>(to.numel()),
             reduction.dtype, reduction.op, place.comm, place.stream);
  });
}

// `input` has one equal part for each rank.
void reduce_scatter_even(const Place& place, const at::Tensor& output, const at::Tensor& input,
                         const Reduction& reduction, int ranks) {
  if (!reduction.native) {
    const at::Tensor rows = room(input, input.numel());
    Parts parts;
    for (int rank = 0; rank < ranks; ++rank) parts.add(elements_of(output).count);
    all_to_all(place, rows, parts, input, parts);
    output.copy_(reduction.here(rows.view({ranks, -1})).view(output.sizes()));
    return reduction.finish(output);
  }
  reduce_natively(reduction, output, input, [&](const at::Tensor& from, const at::Tensor& to) {
    NPU_HCCL(HcclReduceScatter, from.data_ptr(), to.data_ptr(), static_cast<uint64_t>(to.numel()),
             reduction.dtype, reduction.op, place.comm, place.stream);
  });
}

// All of it everywhere, then one's own part: what is uneven is rare.
void reduce_scatter_uneven(const Place& place, const at::Tensor& output, const Tensors& inputs,
                           const Reduction& reduction, int rank, int ranks) {
  const at::Tensor all = joined(inputs);
  all_reduce(place, all, reduction, ranks);
  int64_t start = 0;
  for (int before = 0; before < rank; ++before) start += inputs[static_cast<size_t>(before)].numel();
  output.copy_(all.narrow(0, start, output.numel()).view(output.sizes()));
}

void batch(const Place& place, std::vector<HcclSendRecvItem>* items) {
  if (functions().HcclBatchSendRecv == nullptr) npu::check(npu_missing_symbol("HcclBatchSendRecv"));
  NPU_HCCL(HcclBatchSendRecv, items->data(), static_cast<uint32_t>(items->size()), place.comm, place.stream);
}

// Splits of the first dimension, in elements; none means equal parts. `name` is PyTorch's for the tensor.
Parts splits_of(const at::Tensor& tensor, const std::vector<int64_t>& splits, int ranks) {
  const int64_t rows = tensor.dim() > 0 ? tensor.size(0) : 0;
  Parts parts;
  if (splits.empty()) {
    TORCH_CHECK(rows % ranks == 0, "Tensor's dim 0 does not divide equally across group size");
    for (int rank = 0; rank < ranks; ++rank)
      parts.add(elements_of(tensor).count / static_cast<size_t>(ranks));
    return parts;
  }
  TORCH_CHECK(splits.size() == static_cast<size_t>(ranks), "Number of tensor splits not equal to group size");
  int64_t sum = 0;
  const uint64_t of_row = rows == 0 ? 0 : elements_of(tensor).count / static_cast<uint64_t>(rows);
  for (const int64_t split : splits) {
    sum += split;
    parts.add(static_cast<uint64_t>(split) * of_row);
  }
  TORCH_CHECK(sum == rows, "Split sizes doesn't match total dim 0 size");
  return parts;
}

}  // namespace

WorkPointer Backend::broadcast(Tensors& tensors, const c10d::BroadcastOptions& options) {
  const at::Tensor& tensor = only(tensors);
  const auto root = static_cast<uint32_t>(options.rootRank);
  return queue({c10d::OpType::BROADCAST, {}, tensors, options.timeout},
               [&](const Place& place) { broadcast_one(place, tensor, root); });
}

WorkPointer Backend::allreduce(Tensors& tensors, const c10d::AllreduceOptions& options) {
  const at::Tensor& tensor = only(tensors);
  const Reduction reduction(options.reduceOp, tensor, getSize());
  return queue({c10d::OpType::ALLREDUCE, {}, tensors, options.timeout},
               [&](const Place& place) { all_reduce(place, tensor, reduction, getSize()); });
}

WorkPointer Backend::allreduce_coalesced(Tensors& tensors, const c10d::AllreduceCoalescedOptions& options) {
  TORCH_CHECK_VALUE(!tensors.empty(), "Tensor list must be nonempty");
  std::vector<Reduction> reductions;
  for (const at::Tensor& tensor : tensors) {
    check_tensor(tensor);
    reductions.emplace_back(options.reduceOp, tensor, getSize());
  }
  return queue({c10d::OpType::ALLREDUCE_COALESCED, {}, tensors, options.timeout}, [&](const Place& place) {
    for (size_t i = 0; i < tensors.size(); ++i) all_reduce(place, tensors[i], reductions[i], getSize());
  });
}

WorkPointer Backend::reduce(Tensors& tensors, const c10d::ReduceOptions& options) {
  const at::Tensor& tensor = only(tensors);
  const Reduction reduction(options.reduceOp, tensor, getSize());
  const auto root = static_cast<uint32_t>(options.rootRank);
  const bool receives = getRank() == options.rootRank;
  return queue({c10d::OpType::REDUCE, {}, tensors, options.timeout}, [&](const Place& place) {
    if (!reduction.native) {
      const at::Tensor rows = gathered_rows(place, flat(tensor), getSize());
      if (!receives) return;
      tensor.copy_(reduction.here(rows).view(tensor.sizes()));
      return reduction.finish(tensor);
    }
    // HCCL may use the output of other ranks as it likes; PyTorch leaves theirs as they are.
    const at::Tensor output = receives ? tensor : at::empty_like(tensor);
    reduce_natively(reduction, output, tensor, [&](const at::Tensor& from, const at::Tensor& to) {
      NPU_HCCL(HcclReduce, from.data_ptr(), to.data_ptr(), static_cast<uint64_t>(to.numel()), reduction.dtype,
               reduction.op, root, place.comm, place.stream);
    });
  });
}

WorkPointer Backend::allgather(TensorLists& outputs, Tensors& inputs, const c10d::AllgatherOptions& options) {
  const at::Tensor& input = only(inputs);
  TORCH_CHECK_VALUE(outputs.size() == 1, "Expecting one list of output tensors but got ", outputs.size());
  const Tensors& list = outputs.front();
  check_list(list, input, getSize(), "output_tensors");
  TORCH_CHECK_VALUE(list[static_cast<size_t>(getRank())].numel() == input.numel(),
                    "the output tensor of this rank must have as many elements as its input tensor, got ",
                    list[static_cast<size_t>(getRank())].numel(), " and ", input.numel());
  return queue({c10d::OpType::ALLGATHER, inputs, list, options.timeout}, [&](const Place& place) {
    if (!all_of_size(list, input.numel())) return all_gather_uneven(place, list, input, getRank());
    const at::Tensor all = room(input, getSize() * input.numel());
    all_gather(place, all, input);
    copy_apart(all, list);
  });
}

WorkPointer Backend::_allgather_base(at::Tensor& output, at::Tensor& input,
                                     const c10d::AllgatherOptions& options) {
  check_pair(output, input);
  TORCH_CHECK_VALUE(output.numel() == input.numel() * getSize(),
                    "output tensor size must be equal to world_size times input tensor size");
  return queue({c10d::OpType::_ALLGATHER_BASE, {input}, {output}, options.timeout},
               [&](const Place& place) { all_gather(place, output, input); });
}

WorkPointer Backend::allgather_coalesced(TensorLists& outputs, Tensors& inputs,
                                         const c10d::AllgatherOptions& options) {
  TORCH_CHECK_VALUE(!inputs.empty() && outputs.size() == inputs.size(),
                    "expected one list of output tensors for each of the ", inputs.size(), " inputs, got ",
                    outputs.size());
  Tensors all;
  for (size_t i = 0; i < inputs.size(); ++i) {
    check_list(outputs[i], inputs[i], getSize(), "output_lists");
    TORCH_CHECK_VALUE(all_of_size(outputs[i], inputs[i].numel()),
                      "the output tensors of one input must all have its size");
    all.insert(all.end(), outputs[i].begin(), outputs[i].end());
  }
  return queue({c10d::OpType::ALLGATHER_COALESCED, inputs, all, options.timeout}, [&](const Place& place) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const at::Tensor gathered = room(inputs[i], getSize() * inputs[i].numel());
      all_gather(place, gathered, inputs[i]);
      copy_apart(gathered, outputs[i]);
    }
  });
}

WorkPointer Backend::allgather_into_tensor_coalesced(Tensors& outputs, Tensors& inputs,
                                                     const c10d::AllgatherOptions& options) {
  TORCH_CHECK_VALUE(!inputs.empty() && outputs.size() == inputs.size(),
                    "expected one output tensor for each of the ", inputs.size(), " inputs, got ",
                    outputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    check_pair(outputs[i], inputs[i]);
    TORCH_CHECK_VALUE(outputs[i].numel() == inputs[i].numel() * getSize(),
                      "output tensor size must be equal to world_size times input tensor size");
  }
  return queue({c10d::OpType::COALESCED, inputs, outputs, options.timeout}, [&](const Place& place) {
    for (size_t i = 0; i < inputs.size(); ++i) all_gather(place, outputs[i], inputs[i]);
  });
}

WorkPointer Backend::gather(TensorLists& outputs, Tensors& inputs, const c10d::GatherOptions& options) {
  const at::Tensor& input = only(inputs);
  const bool receives = getRank() == options.rootRank;
  TORCH_CHECK_VALUE(outputs.size() == (receives ? 1U : 0U),
                    receives ? "requires a single-element output list containing a list with "
                             : "requires empty output on non-root, not a list of ",
                    receives ? getSize() : static_cast<int>(outputs.size()), " tensors");
  if (receives) {
    check_list(outputs.front(), input, getSize(), "output_tensors");
    TORCH_CHECK_VALUE(all_of_size(outputs.front(), input.numel()),
                      "tensors of gather must be of one size, that of the input");
  }
  const Tensors list = receives ? outputs.front() : Tensors();
  return queue({c10d::OpType::GATHER, inputs, list, options.timeout}, [&](const Place& place) {
    std::vector<HcclSendRecvItem> items;
    const Elements sent = elements_of(input);
    if (sent.count == 0) return;
    if (!receives)
      items.push_back(
          {HCCL_SEND, sent.data, sent.count, sent.dtype, static_cast<uint32_t>(options.rootRank)});
    for (size_t rank = 0; rank < list.size(); ++rank) {
      if (static_cast<int>(rank) == getRank()) {
        list[rank].copy_(input);
      } else {
        items.push_back(
            {HCCL_RECV, list[rank].data_ptr(), sent.count, sent.dtype, static_cast<uint32_t>(rank)});
      }
    }
    if (!items.empty()) batch(place, &items);
  });
}

WorkPointer Backend::scatter(Tensors& outputs, TensorLists& inputs, const c10d::ScatterOptions& options) {
  const at::Tensor& output = only(outputs);
  const bool sends = getRank() == options.rootRank;
  TORCH_CHECK_VALUE(inputs.size() == (sends ? 1U : 0U),
                    sends ? "requires a single-element input list containing a list with "
                          : "requires empty input on non-root, not a list of ",
                    sends ? getSize() : static_cast<int>(inputs.size()), " tensors");
  if (sends) {
    check_list(inputs.front(), output, getSize(), "input_tensors");
    TORCH_CHECK_VALUE(all_of_size(inputs.front(), output.numel()),
                      "tensors of scatter must be of one size, that of the output");
  }
  const Tensors list = sends ? inputs.front() : Tensors();
  return queue({c10d::OpType::SCATTER, list, outputs, options.timeout}, [&](const Place& place) {
    const Elements received = elements_of(output);
    if (received.count == 0) return;
    const at::Tensor all = sends ? joined(list) : at::Tensor();
    NPU_HCCL(HcclScatter, sends ? all.data_ptr() : nullptr, received.data, received.count, received.dtype,
             static_cast<uint32_t>(options.rootRank), place.comm, place.stream);
  });
}

WorkPointer Backend::reduce_scatter(Tensors& outputs, TensorLists& inputs,
                                    const c10d::ReduceScatterOptions& options) {
  const at::Tensor& output = only(outputs);
  TORCH_CHECK_VALUE(inputs.size() == 1, "Expecting one list of input tensors but got ", inputs.size());
  const Tensors& list = inputs.front();
  check_list(list, output, getSize(), "input_tensors");
  const Reduction reduction(options.reduceOp, output, getSize());
  return queue({c10d::OpType::REDUCE_SCATTER, list, outputs, options.timeout}, [&](const Place& place) {
    if (!all_of_size(list, output.numel()))
      return reduce_scatter_uneven(place, output, list, reduction, getRank(), getSize());
    reduce_scatter_even(place, output, joined(list), reduction, getSize());
  });
}

WorkPointer Backend::_reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                                          const c10d::ReduceScatterOptions& options) {
  check_pair(output, input);
  TORCH_CHECK_VALUE(input.numel() == output.numel() * getSize(),
                    "input tensor must be the same size as output size times world size");
  const Reduction reduction(options.reduceOp, output, getSize());
  return queue({c10d::OpType::_REDUCE_SCATTER_BASE, {input}, {output}, options.timeout},
               [&](const Place& place) { reduce_scatter_even(place, output, input, reduction, getSize()); });
}

WorkPointer Backend::reduce_scatter_tensor_coalesced(Tensors& outputs, Tensors& inputs,
                                                     const c10d::ReduceScatterOptions& options) {
  TORCH_CHECK_VALUE(!inputs.empty() && outputs.size() == inputs.size(),
                    "expected one output tensor for each of the ", inputs.size(), " inputs, got ",
                    outputs.size());
  std::vector<Reduction> reductions;
  for (size_t i = 0; i < inputs.size(); ++i) {
    check_pair(outputs[i], inputs[i]);
    TORCH_CHECK_VALUE(inputs[i].numel() == outputs[i].numel() * getSize(),
                      "input tensor must be the same size as output size times world size");
    reductions.emplace_back(options.reduceOp, outputs[i], getSize());
  }
  return queue({c10d::OpType::COALESCED, inputs, outputs, options.timeout}, [&](const Place& place) {
    for (size_t i = 0; i < inputs.size(); ++i)
      reduce_scatter_even(place, outputs[i], inputs[i], reductions[i], getSize());
  });
}

WorkPointer Backend::alltoall_base(at::Tensor& output, at::Tensor& input, std::vector<int64_t>& output_splits,
                                   std::vector<int64_t>& input_splits, const c10d::AllToAllOptions& options) {
  check_pair(output, input);
  const Parts received = splits_of(output, output_splits, getSize());
  const Parts sent = splits_of(input, input_splits, getSize());
  return queue({c10d::OpType::ALLTOALL_BASE, {input}, {output}, options.timeout},
               [&](const Place& place) { all_to_all(place, output, received, input, sent); });
}

WorkPointer Backend::alltoall(Tensors& outputs, Tensors& inputs, const c10d::AllToAllOptions& options) {
  check_list(outputs, inputs.empty() ? at::Tensor() : inputs.front(), getSize(), "output_tensors");
  check_list(inputs, outputs.front(), getSize(), "input_tensors");
  return queue({c10d::OpType::ALLTOALL, inputs, outputs, options.timeout}, [&](const Place& place) {
    const at::Tensor from = joined(inputs);
    int64_t total = 0;
    for (const at::Tensor& output : outputs) total += output.numel();
    const at::Tensor to = room(outputs.front(), total);
    all_to_all(place, to, parts_of(outputs), from, parts_of(inputs));
    copy_apart(to, outputs);
  });
}

WorkPointer Backend::send(Tensors& tensors, int destination, int) {
  const Elements sent = elements_of(only(tensors));
  return exchange({c10d::OpType::SEND, tensors, {}},
                  {HCCL_SEND, sent.data, sent.count, sent.dtype, static_cast<uint32_t>(destination)});
}

WorkPointer Backend::recv(Tensors& tensors, int source, int) {
  const Elements received = elements_of(only(tensors));
  return exchange({c10d::OpType::RECV, {}, tensors},
                  {HCCL_RECV, received.data, received.count, received.dtype, static_cast<uint32_t>(source)});
}

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
