#include "graph.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "pinned.h"
#include "process.h"

namespace cann_simulator {
namespace {

thread_local aclmdlRICaptureMode mode_of_thread = ACL_MODEL_RI_CAPTURE_MODE_GLOBAL;

// The captures that are going on, for calls that they forbid.
struct Captures {
  std::mutex mutex;
  std::map<const Graph*, std::pair<aclmdlRICaptureMode, pthread_t>> all;
};

Captures& captures() {
  static Captures* const kept = new Captures;
  return *kept;
}

bool forbids(aclmdlRICaptureMode mode, bool own_thread) {
  if (mode == ACL_MODEL_RI_CAPTURE_MODE_RELAXED || mode_of_thread == ACL_MODEL_RI_CAPTURE_MODE_RELAXED)
    return false;
  if (own_thread) return true;
  return mode == ACL_MODEL_RI_CAPTURE_MODE_GLOBAL && mode_of_thread == ACL_MODEL_RI_CAPTURE_MODE_GLOBAL;
}

void merge(const Clock& from, Clock* to) {
  for (const auto& [stream, time] : from) {
    std::uint64_t& known = (*to)[stream];
    known = std::max(known, time);
  }
}

class UpdateTask : public Task {
 public:
  UpdateTask(std::shared_ptr<TaskGroup> group, std::vector<std::unique_ptr<Task>> tasks)
      : group_(std::move(group)), tasks_(std::move(tasks)) {}
  const char* name() const override { return "task group update"; }
  Status run(Stream&) override {
    const std::shared_ptr<Graph> graph = group_->graph.lock();
    if (graph == nullptr) return failure(ACL_ERROR_RT_INVALID_HANDLE, "the graph was destroyed");
    return graph->replace(group_->first, std::move(tasks_));
  }

 private:
  const std::shared_ptr<TaskGroup> group_;
  std::vector<std::unique_ptr<Task>> tasks_;
};

}  // namespace

std::atomic<int> Graph::capture_count{0};
std::atomic<int> Graph::update_count{0};
std::atomic<std::uint32_t> Graph::next_id{0};

// One replay on one stream.
class Replay : public Task {
 public:
  Replay(std::shared_ptr<Graph> graph, Graph::Prepared prepared, std::vector<KernelFault> faults)
      : graph_(std::move(graph)), prepared_(std::move(prepared)), faults_(std::move(faults)) {}
  const char* name() const override { return "graph"; }
  Status run(Stream& stream) override { return graph_->run(stream, prepared_, faults_, asked()); }
  bool stands_for_others() const override { return true; }
  bool seen_outside() const override { return graph_->seen_outside(); }

 private:
  const std::shared_ptr<Graph> graph_;
  const Graph::Prepared prepared_;
  const std::vector<KernelFault> faults_;
};

Graph::Graph(int device, std::shared_ptr<Graph> parent)
    : id_(next_id.fetch_add(1)), device_(device), branch_(parent != nullptr), parent_(parent) {}

Graph::~Graph() {
  for (const auto& condition : conditions_) {
    if (Process::instance().alias(condition->device, sizeof(std::uint64_t)) !=
        reinterpret_cast<char*>(condition->readable))
      continue;  // the device was reset
    (void)Process::instance().heap(device_).release(condition->device);
  }
}

Status Graph::refuse_unsafe(const char* what) {
  if (!any_capturing()) return {};
  const std::lock_guard<std::mutex> lock(captures().mutex);
  for (const auto& [graph, owner] : captures().all) {
    if (!forbids(owner.first, pthread_equal(owner.second, pthread_self()) != 0)) continue;
    return failure(
        ACL_ERROR_RT_CAPTURE_MODE_NOT_SUPPORT,
        "a stream is being captured, and %s would not be part of the graph; end the capture first, or "
        "allow it to this thread (aclmdlRICaptureThreadExchangeMode)",
        what);
  }
  return {};
}

aclmdlRICaptureMode Graph::exchange_mode(aclmdlRICaptureMode mode) {
  return std::exchange(mode_of_thread, mode);
}

Status Graph::begin(Stream& stream, aclmdlRICaptureMode mode) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (capturing_) return failure(ACL_ERROR_RT_MODEL_CAPTURED, "graph %u is being captured already", id_);
    if (!nodes_.empty()) return failure(ACL_ERROR_RT_MODEL_CAPTURED, "graph %u holds a capture already", id_);
    capturing_ = true;
    mode_ = mode;
    thread_ = pthread_self();
    origin_ = stream.id();
    streams_[stream.id()] = stream.weak_from_this();
    clocks_[stream.id()];
  }
  {
    const std::lock_guard<std::mutex> lock(captures().mutex);
    captures().all[this] = {mode, pthread_self()};
  }
  capture_count.fetch_add(1);
  stream.set_capture(shared_from_this());
  return {};
}

Status Graph::join(Stream& stream, const Clock& clock) {
  if (const std::shared_ptr<Graph> other = stream.capture(); other != nullptr && other.get() != this) {
    return failure(ACL_ERROR_STREAM_CAPTURE_CONFLICT,
                   "stream %d belongs to the capture of graph %u and waits for an event of that of graph %u",
                   stream.id(), other->id(), id_);
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!capturing_)
      return failure(ACL_ERROR_RT_CAPTURE_DEPENDENCY, "the capture of graph %u has ended", id_);
    streams_[stream.id()] = stream.weak_from_this();
    merge(clock, &clocks_[stream.id()]);
  }
  stream.set_capture(shared_from_this());
  return {};
}

Clock Graph::clock(const Stream& stream) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = clocks_.find(stream.id());
  return found == clocks_.end() ? Clock() : found->second;
}

std::vector<Graph::Memory> Graph::memory_of(const Task& task) {
  std::vector<Memory> memory;
  for (const cann_simulator_range& range : task.touched()) {
    memory.push_back({range, Process::instance().alias(range.pointer, range.size)});
  }
  return memory;
}

Status Graph::append(std::unique_ptr<Task> task, const Stream& stream) {
  std::vector<Memory> memory = memory_of(*task);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!capturing_) return failure(ACL_ERROR_RT_STREAM_NOT_CAPTURED, "the capture of graph %u has ended", id_);
  if (!invalid_.ok()) return invalid_;
  if (group_stream_ == stream.id() && !task->is_kernel()) {
    invalid_ = failure(ACL_ERROR_RT_TASK_TYPE_NOT_SUPPORT, "a task group holds operators only, and not '%s'",
                       task->name());
    return invalid_;
  }
  Clock& clock = clocks_[stream.id()];
  ++clock[stream.id()];
  nodes_.push_back({std::move(task), stream.id(), std::move(memory)});
  return {};
}

Status Graph::end(Stream& stream) {
  Status status;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stream.id() != origin_) {
      return failure(ACL_ERROR_RT_STREAM_CAPTURE_UNMATCHED,
                     "the capture was begun on stream %d and cannot be ended on stream %d", origin_,
                     stream.id());
    }
    if (mode_ != ACL_MODEL_RI_CAPTURE_MODE_RELAXED && pthread_equal(thread_, pthread_self()) == 0) {
      return failure(
          ACL_ERROR_RT_STREAM_CAPTURE_WRONG_THREAD,
          "a capture ends on the thread that began it; only one of mode relaxed may end on another");
    }
    status = invalid_.ok() ? Status{}
                           : failure(ACL_ERROR_RT_STREAM_CAPTURE_INVALIDATED, "%s", invalid_.message.c_str());
    if (status.ok() && group_stream_ >= 0)
      status = failure(ACL_ERROR_STREAM_TASK_GROUP_STATUS, "a task group of stream %d was not ended",
                       group_stream_);
    Clock& seen = clocks_[origin_];
    for (auto& [other, clock] : clocks_) {
      if (!status.ok() || clock[other] <= seen[other]) continue;
      status = failure(
          ACL_ERROR_RT_STREAM_UNJOINED,
          "stream %d came into the capture, and stream %d, which began it, does not wait for the end of "
          "what that was given; record an event there and wait for it",
          other, origin_);
    }
    if (!status.ok()) invalid_ = status;
  }
  finish();
  return status;
}

void Graph::abandon() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (invalid_.ok()) {
      invalid_ = failure(ACL_ERROR_RT_STREAM_CAPTURE_INVALIDATED, "a stream of the capture was destroyed");
    }
  }
  finish();
}

void Graph::finish() {
  std::map<int, std::weak_ptr<Stream>> streams;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!capturing_) return;
    capturing_ = false;
    streams.swap(streams_);
  }
  capture_count.fetch_sub(1);
  {
    const std::lock_guard<std::mutex> lock(captures().mutex);
    captures().all.erase(this);
  }
  for (const auto& entry : streams) {
    const std::shared_ptr<Stream> stream = entry.second.lock();
    if (stream != nullptr && stream->capture().get() == this) stream->set_capture(nullptr);
  }
}

bool Graph::capturing() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return capturing_;
}

aclmdlRICaptureStatus Graph::status() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!invalid_.ok()) return ACL_MODEL_RI_CAPTURE_STATUS_INVALIDATED;
  return capturing_ ? ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE : ACL_MODEL_RI_CAPTURE_STATUS_NONE;
}

Status Graph::begin_group(const Stream& stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (group_stream_ >= 0) {
    return failure(ACL_ERROR_STREAM_TASK_GROUP_STATUS, "stream %d has begun a task group that is not ended",
                   group_stream_);
  }
  group_stream_ = stream.id();
  group_first_ = nodes_.size();
  return {};
}

Status Graph::end_group(const Stream& stream, std::size_t* first, std::size_t* count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (group_stream_ != stream.id()) {
    return failure(ACL_ERROR_STREAM_TASK_GROUP_STATUS, "stream %d has begun no task group", stream.id());
  }
  group_stream_ = -1;
  if (!invalid_.ok()) return failure(ACL_ERROR_RT_STREAM_CAPTURE_INVALIDATED, "%s", invalid_.message.c_str());
  *first = group_first_;
  *count = nodes_.size() - group_first_;
  return {};
}

std::vector<std::string> Graph::names(std::size_t first, std::size_t count) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> names;
  for (std::size_t index = first; index < first + count && index < nodes_.size(); ++index) {
    names.emplace_back(nodes_[index].task->name());
  }
  return names;
}

Status Graph::replace(std::size_t first, std::vector<std::unique_ptr<Task>> tasks) {
  for (std::size_t index = 0; index < tasks.size(); ++index) {
    std::vector<Memory> memory = memory_of(*tasks[index]);
    const std::lock_guard<std::mutex> lock(mutex_);
    nodes_[first + index].task = std::move(tasks[index]);
    nodes_[first + index].memory = std::move(memory);
  }
  return {};
}

Status Graph::add_condition(std::uint64_t initial, bool assigned,
                            std::shared_ptr<GraphCondition>* condition) {
  void* pointer = nullptr;
  if (Status status = Process::instance().heap(device_).allocate(sizeof(std::uint64_t), &pointer);
      !status.ok())
    return status;
  char* const readable = Process::instance().alias(pointer, sizeof(std::uint64_t));
  *condition = std::make_shared<GraphCondition>(
      GraphCondition{weak_from_this(), static_cast<std::uint64_t*>(pointer),
                     reinterpret_cast<std::uint64_t*>(readable), initial, assigned});
  *(*condition)->readable = initial;
  const std::lock_guard<std::mutex> lock(mutex_);
  conditions_.push_back(*condition);
  return {};
}

Status Graph::check(const Node& node) {
  for (const Memory& memory : node.memory) {
    const char* const readable = Process::instance().alias(memory.range.pointer, memory.range.size);
    if (readable != nullptr && readable == memory.readable) continue;
    return failure(
        ACL_ERROR_RT_PARAM_INVALID,
        "'%s' was captured with the %zu bytes at %p, which have been freed or mapped anew since; keep what a "
        "graph uses as long as the graph",
        node.task->name(), memory.range.size, memory.range.pointer);
  }
  const void* const host = node.task->host_memory();
  if (host == nullptr || is_pinned(host)) return {};
  return failure(ACL_ERROR_RT_PARAM_INVALID,
                 "'%s' was captured with pinned memory at %p, which has been freed since", node.task->name(),
                 host);
}

Status Graph::prepare(Stream& stream, std::unique_ptr<Task>* replay) {
  Prepared prepared;
  std::vector<KernelFault> faults;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (capturing_)
    return failure(ACL_ERROR_RT_MODEL_CAPTURED, "graph %u is being captured; end that first", id_);
  if (!invalid_.ok())
    return failure(ACL_ERROR_RT_STREAM_CAPTURE_INVALIDATED, "the capture failed: %s",
                   invalid_.message.c_str());
  for (std::size_t index = 0; index < nodes_.size(); ++index) {
    const Node& node = nodes_[index];
    if (Status status = check(node); !status.ok()) return status;
    if (Races::instance().on()) {
      Status status = Races::instance().access(stream.id(), node.task->name(), node.task->touched());
      if (!status.ok()) return status;
    }
    faults.push_back(node.task->is_kernel() ? Faults::instance().next_kernel() : KernelFault::kNone);
    if (std::shared_ptr<Task> renewed = node.task->renewed(); renewed != nullptr)
      prepared.emplace(index, std::move(renewed));
  }
  *replay = std::make_unique<Replay>(shared_from_this(), std::move(prepared), std::move(faults));
  return {};
}

Status Graph::run(Stream& stream, const Prepared& prepared, const std::vector<KernelFault>& faults,
                  const Asked& asked) {
  const std::lock_guard<std::mutex> running(running_);
  for (const auto& condition : conditions_) {
    if (condition->assigned) *condition->readable = condition->initial;
  }
  for (std::size_t index = 0;; ++index) {
    std::shared_ptr<Task> task;
    {
      // Asked for anew each time: an update may have come while an earlier task waited for it.
      const std::lock_guard<std::mutex> lock(mutex_);
      if (index >= nodes_.size()) return {};
      const auto found = prepared.find(index);
      task = found == prepared.end() ? nodes_[index].task : found->second;
    }
    task->meet(index < faults.size() ? faults[index] : KernelFault::kNone);
    Status status = stream.run_profiled(*task, asked);
    if (status.ok()) continue;
    return {status.code, "in graph " + std::to_string(id_) + ", " + task->name() + ": " + status.message,
            false};
  }
}

std::string Graph::json() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string text =
      "{\"model\": " + std::to_string(id_) + ", \"device\": " + std::to_string(device_) + ", \"tasks\": [";
  for (std::size_t index = 0; index < nodes_.size(); ++index) {
    text += index == 0 ? "\n" : ",\n";
    text += "  {\"id\": " + std::to_string(index) + ", \"stream\": " + std::to_string(nodes_[index].stream) +
            ", \"type\": \"" + (nodes_[index].task->is_kernel() ? "kernel" : "other") + "\", \"name\": \"" +
            nodes_[index].task->name() + "\"}";
  }
  return text + (nodes_.empty() ? "]}\n" : "\n]}\n");
}

bool Graph::seen_outside() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [](const Node& node) { return node.task->seen_outside(); });
}

Status GroupUpdate::add(std::unique_ptr<Task> task) {
  if (!task->is_kernel()) {
    return failure(ACL_ERROR_RT_TASK_TYPE_NOT_SUPPORT,
                   "a task group is updated with operators only, and not '%s'", task->name());
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  tasks_.push_back(std::move(task));
  return {};
}

Status GroupUpdate::finish(std::unique_ptr<Task>* task) {
  const std::shared_ptr<Graph> graph = group_->graph.lock();
  if (graph == nullptr)
    return failure(ACL_ERROR_RT_INVALID_HANDLE, "the graph of the task group was destroyed");
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::vector<std::string> names = graph->names(group_->first, group_->count);
  bool same = names.size() == tasks_.size();
  for (std::size_t index = 0; same && index < names.size(); ++index)
    same = names[index] == tasks_[index]->name();
  if (!same) {
    std::string wanted, given;
    for (const std::string& name : names) wanted += (wanted.empty() ? "" : ", ") + name;
    for (const auto& one : tasks_) given += (given.empty() ? "" : ", ") + std::string(one->name());
    return failure(ACL_ERROR_STREAM_TASK_GROUP_STATUS, "the task group holds [%s] and cannot become [%s]",
                   wanted.c_str(), given.c_str());
  }
  *task = std::make_unique<UpdateTask>(group_, std::move(tasks_));
  return {};
}

namespace {

class ConditionalTask : public Task {
 public:
  ConditionalTask(std::shared_ptr<GraphCondition> condition, aclmdlRICondTaskType type,
                  std::vector<std::shared_ptr<Graph>> branches)
      : condition_(std::move(condition)), type_(type), branches_(std::move(branches)) {}
  const char* name() const override { return "conditional"; }
  bool stands_for_others() const override { return true; }
  Status run(Stream& stream) override {
    if (type_ == ACL_MODEL_RI_COND_TYPE_WHILE) {
      // pause(0): a loop without an end must not outlive its stream.
      while (value() != 0 && stream.pause(0)) {
        if (Status status = run_branch(0, stream); !status.ok()) return status;
      }
      return {};
    }
    if (type_ == ACL_MODEL_RI_COND_TYPE_IF) return run_branch(value() != 0 ? 0 : 1, stream);
    return run_branch(value(), stream);
  }
  bool seen_outside() const override {
    return std::any_of(branches_.begin(), branches_.end(),
                       [](const std::shared_ptr<Graph>& branch) { return branch->seen_outside(); });
  }

 private:
  std::uint64_t value() const { return __atomic_load_n(condition_->readable, __ATOMIC_ACQUIRE); }
  Status run_branch(std::uint64_t index, Stream& stream) const {
    if (index >= branches_.size()) return {};
    std::unique_ptr<Task> replay;
    if (Status status = branches_[index]->prepare(stream, &replay); !status.ok()) return status;
    replay->set_asked(asked());
    return replay->run(stream);
  }

  const std::shared_ptr<GraphCondition> condition_;
  const aclmdlRICondTaskType type_;
  const std::vector<std::shared_ptr<Graph>> branches_;
};

}  // namespace

std::unique_ptr<Task> conditional_task(std::shared_ptr<GraphCondition> condition, aclmdlRICondTaskType type,
                                       std::vector<std::shared_ptr<Graph>> branches) {
  return std::make_unique<ConditionalTask>(std::move(condition), type, std::move(branches));
}

}  // namespace cann_simulator
