// What a stream runs, and a graph keeps.
#ifndef CANN_SIMULATOR_TASK_H_
#define CANN_SIMULATOR_TASK_H_

#include <memory>
#include <vector>

#include "cann_simulator/abi.h"
#include "faults.h"
#include "profiling.h"
#include "status.h"

namespace cann_simulator {

class Stream;

class Task {
 public:
  virtual ~Task() = default;
  virtual const char* name() const = 0;
  // On the thread of `stream`. A task of a graph runs once in every replay.
  virtual Status run(Stream& stream) = 0;
  // Called instead of run() on a stream that has stopped. Others may wait for what the task stands for.
  virtual void skip(Stream&) {}

  // The device memory that it uses. May be empty where neither a race nor a graph asks for it.
  virtual const std::vector<cann_simulator_range>& touched() const {
    static const std::vector<cann_simulator_range> none;
    return none;
  }
  // The host memory that a copy uses; nullptr for none.
  virtual const void* host_memory() const { return nullptr; }
  // Whether anybody outside the devices can see that it ran: it must have, when the program ends.
  virtual bool seen_outside() const { return false; }

  // Kernels are what faults count, and what a task group may hold.
  virtual bool is_kernel() const { return false; }
  virtual void meet(KernelFault) {}
  // Whether the profiler is to see what it runs, and not itself.
  virtual bool stands_for_others() const { return false; }
  // When the host asked for it, noted while the profiler runs.
  void set_asked(const Asked& asked) { asked_ = asked; }
  const Asked& asked() const { return asked_; }
  // The task to run this time; nullptr for this one. Asked for when it is queued, and once per replay.
  virtual std::unique_ptr<Task> renewed() const { return nullptr; }

 private:
  Asked asked_;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_TASK_H_
