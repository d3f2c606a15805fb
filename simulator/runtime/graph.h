// Graphs: what captured streams are given is kept instead of run, and replayed as a whole.
//
// A graph keeps its tasks in the order in which the program gave them. That order respects every event that
// the streams of the capture waited for, so a replay runs them one after the other, on one stream.
#ifndef CANN_SIMULATOR_GRAPH_H_
#define CANN_SIMULATOR_GRAPH_H_

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cann_simulator/abi.h"
#include "races.h"
#include "stream.h"
#include "task.h"

namespace cann_simulator {

// The condition of conditional tasks: a number in device memory.
struct GraphCondition {
  std::weak_ptr<Graph> graph;
  std::uint64_t* device = nullptr;    // what the program writes to
  std::uint64_t* readable = nullptr;  // the same memory, for the streams
  std::uint64_t initial = 0;
  bool assigned = false;  // `initial` at the beginning of each replay
};

class Graph : public std::enable_shared_from_this<Graph> {
 public:
  // Of a new graph, or of one branch of a conditional task of `parent`.
  Graph(int device, std::shared_ptr<Graph> parent);
  ~Graph();

  std::uint32_t id() const { return id_; }
  int device() const { return device_; }
  bool is_branch() const { return branch_; }

  // Capture. `stream` is the one that begins it; *this belongs to the calling thread.
  Status begin(Stream& stream, aclmdlRICaptureMode mode);
  // Another stream comes in, by waiting for an event with this clock.
  Status join(Stream& stream, const Clock& clock);
  // What has been captured of the stream so far, and what it has waited for.
  Clock clock(const Stream& stream) const;
  Status append(std::unique_ptr<Task> task, const Stream& stream);
  // The capture is over, whatever is returned: all streams run again.
  Status end(Stream& stream);
  // Without a result; for streams that go away.
  void abandon();
  bool capturing() const;
  aclmdlRICaptureStatus status() const;
  // Calls that a capture forbids to the calling thread: any running capture, whoever began it.
  static Status refuse_unsafe(const char* what);
  // The thread's mode, exchanged for another.
  static aclmdlRICaptureMode exchange_mode(aclmdlRICaptureMode mode);
  static bool any_capturing() { return capture_count.load(std::memory_order_acquire) > 0; }
  // Whether tasks must say what memory they touch: for a capture or the update of a task group.
  static bool any_recording() { return any_capturing() || update_count.load(std::memory_order_acquire) > 0; }

  // Task groups: tasks between the two calls. `first` and `count` are their places.
  Status begin_group(const Stream& stream);
  Status end_group(const Stream& stream, std::size_t* first, std::size_t* count);
  // Puts other tasks in place of those; they are of the same kinds.
  Status replace(std::size_t first, std::vector<std::unique_ptr<Task>> tasks);
  std::vector<std::string> names(std::size_t first, std::size_t count) const;

  Status add_condition(std::uint64_t initial, bool assigned, std::shared_ptr<GraphCondition>* condition);

  // Checks that a replay can run: what the tasks use is still there. Counts for races and faults.
  Status prepare(Stream& stream, std::unique_ptr<Task>* replay);
  // One line per task: {"id": 0, "stream": 3, "name": "aclnnAdd"}.
  std::string json() const;
  bool seen_outside() const;

 private:
  friend class Replay;
  struct Memory {
    cann_simulator_range range;
    const char* readable;
  };
  struct Node {
    std::shared_ptr<Task> task;
    int stream;
    std::vector<Memory> memory;
  };
  using Prepared = std::map<std::size_t, std::shared_ptr<Task>>;

  static std::vector<Memory> memory_of(const Task& task);
  static Status check(const Node& node);
  void finish();  // mutex_ is held by nobody
  Status run(Stream& stream, const Prepared& prepared, const std::vector<KernelFault>& faults,
             const Asked& asked);

  friend class GroupUpdate;
  static std::atomic<int> capture_count;
  static std::atomic<int> update_count;
  static std::atomic<std::uint32_t> next_id;

  const std::uint32_t id_;
  const int device_;
  const bool branch_;
  const std::weak_ptr<Graph> parent_;
  std::mutex running_;  // replays of one graph follow each other
  mutable std::mutex mutex_;
  bool capturing_ = false;
  Status invalid_;  // why the capture can only fail
  aclmdlRICaptureMode mode_ = ACL_MODEL_RI_CAPTURE_MODE_GLOBAL;
  pthread_t thread_{};
  int origin_ = -1;  // the number of the stream that began the capture
  std::map<int, std::weak_ptr<Stream>> streams_;
  std::map<int, Clock> clocks_;
  std::vector<Node> nodes_;
  int group_stream_ = -1;  // where a group is being captured
  std::size_t group_first_ = 0;
  std::vector<std::shared_ptr<GraphCondition>> conditions_;
};

// A handle of aclrtTaskGrp.
struct TaskGroup {
  std::weak_ptr<Graph> graph;
  std::size_t first = 0;
  std::size_t count = 0;
};

// The tasks that a stream is given while it updates a group.
class GroupUpdate {
 public:
  explicit GroupUpdate(std::shared_ptr<TaskGroup> group) : group_(std::move(group)) { ++Graph::update_count; }
  ~GroupUpdate() { --Graph::update_count; }
  GroupUpdate(const GroupUpdate&) = delete;
  GroupUpdate& operator=(const GroupUpdate&) = delete;
  Status add(std::unique_ptr<Task> task);
  // The task that puts them into the graph, when the stream comes there.
  Status finish(std::unique_ptr<Task>* task);

 private:
  const std::shared_ptr<TaskGroup> group_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Task>> tasks_;
};

// Runs the branch that the condition chooses.
std::unique_ptr<Task> conditional_task(std::shared_ptr<GraphCondition> condition, aclmdlRICondTaskType type,
                                       std::vector<std::shared_ptr<Graph>> branches);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_GRAPH_H_
