// What became of calls that failed and that a program could go on after as if nothing had happened.
//
// A refusal: an operator or a function that the simulator lacks was asked for. The caller gets an error; a
// program that goes on to its end all the same ends with another exit code than 0 and a summary. What a
// function that is there does not take, such as a flag, is an answer: CANN gives the like, and adapters ask
// to hear it.
//
// A stopped queue: published adapters launch from a thread of their own (TASK_QUEUE_ENABLE). When a launch
// fails there, the adapter raises one exception, at some later call, and then drops every launch without a
// word; synchronizing succeeds, since nothing is on the stream. CANN cannot tell, and what such a program
// reads on an NPU is old memory, too. Here everything by which it would come to a result fails from then on.
#ifndef CANN_SIMULATOR_REFUSALS_H_
#define CANN_SIMULATOR_REFUSALS_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "config.h"
#include "status.h"

namespace cann_simulator {

class Refusals {
 public:
  static Refusals& instance();

  void begin(RefusalMode mode) { mode_.store(mode); }

  // `what` is lacking, such as "operator 'Sqrt'", and the caller is told so.
  void refused(const std::string& what, const std::string& message);

  struct Refusal {
    std::string what;
    std::string message;  // the first one's
    std::uint64_t count;
  };
  // Those so far, which do not count any more: who takes them answers for them.
  std::vector<Refusal> take();

  // How a launch of the calling thread ended. On an adapter's queue the newest counts: one that goes on
  // launching has not stopped.
  void launch_failed(const Status& status);
  void launch_passed();

  // The failure of all that waits for the device or reads from it, when a queue has stopped.
  Status stopped() const {
    return stopped_queues_.load(std::memory_order_acquire) == 0 ? Status{} : describe_stop();
  }

  // Prints what there was; whether there was anything. `ends_well`: the program's own exit code is 0.
  bool summarize(bool ends_well, int exit_code);

 private:
  Status describe_stop() const;

  std::atomic<RefusalMode> mode_{RefusalMode::kReport};
  std::atomic<int> stopped_queues_{0};
  mutable std::mutex mutex_;
  std::vector<Refusal> refusals_;  // in the order of their first
  Status stop_;                    // what the first queue that stopped was told
  mutable bool stop_told_ = false;
};

// The code of a launch, with what it means for the thread's queue taken in.
aclError launched(aclError code) noexcept;

// The frame of an entry point that puts something on a stream.
template <class Body>
aclError launching(const char* function, Body&& body) noexcept {
  return launched(entry(function, std::forward<Body>(body)));
}

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_REFUSALS_H_
