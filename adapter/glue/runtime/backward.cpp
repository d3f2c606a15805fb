// The streams of a backward pass, for torches whose autograd knows only CUDA's.
#include "compat.h"

#if NPU_CHOOSES_BACKWARD_STREAMS
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/function.h>

#include <map>

#include "npu_graph.h"
#include "runtime/device.h"

namespace npu {
namespace {

// The device's work is ordered by `order`, or else, all of it done.
void ordered(int32_t device, npu_status (*order)(int32_t, int64_t)) {
  if (order(device, 0) != NPU_OK) (void)npu_synchronize_device(device);
}

// Outside a capture a backward pass runs on the default stream, whatever streams its forward pass and its
// caller use. It begins after what they were given, and what they are given next is run after it.
void order_streams(int32_t device) {
  thread_local std::map<int32_t, int> tasks;  // the backward pass that was ordered last
  const int task = torch::autograd::get_current_graph_task_id();
  const auto [last, is_first] = tasks.try_emplace(device, task);
  if (!is_first && last->second == task) return;
  last->second = task;
  ordered(device, &npu_stream_wait_for_all);
  torch::autograd::Engine::get_default_engine().queue_callback(
      [device] { ordered(device, &npu_all_streams_wait); });
}

// Autograd works in threads of its own, each on the default stream. Where the forward pass was captured, the
// backward pass belongs to the same graph: left out, its replays would give the gradients of no input. Nodes
// from before the capture, such as those that add to gradients which were there, go with the others.
int64_t stream_of_backward(int32_t device) {
  const std::shared_ptr<torch::autograd::Node> node = torch::autograd::get_current_node();
  if (node == nullptr) return 0;
  thread_local std::map<int32_t, int64_t> captured;
  int64_t& last = captured[device];
  const auto stream = node->stream(kType);
  if (stream.has_value() && stream->device_index() == device && npu_is_captured(device, stream->id()) != 0) {
    last = stream->id();
  } else if (npu_is_captured(device, last) == 0) {
    last = 0;
  }
  if (last == 0) order_streams(device);
  return last;
}

const bool kRegistered = [] {
  npu_set_stream_chooser(&stream_of_backward);
  return true;
}();

}  // namespace
}  // namespace npu

#endif  // NPU_CHOOSES_BACKWARD_STREAMS
