// What CANN's profiler collects of a device: when the host asked for each task, and when a stream ran it.
//
// It is kept in memory from aclprofStart to aclprofStop and then written into a folder as CANN names it, one
// line of JSON for each task; src/cann_simulator/tools turns that into CANN's tables and timeline.
#ifndef CANN_SIMULATOR_PROFILING_H_
#define CANN_SIMULATOR_PROFILING_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "status.h"

namespace cann_simulator {

// When, in ns since 1970, and by which thread of the host. No time: nobody was listening.
struct Asked {
  std::uint64_t time = 0;
  int thread = 0;
};

class Profiling {
 public:
  static Profiling& instance();

  bool on() const { return on_.load(std::memory_order_relaxed); }
  static std::uint64_t now();
  static Asked asked();

  // The folder must be there and writable. Each start makes a folder in it, PROF_<count>_<time>_<letters>.
  Status init(const std::string& folder);
  Status warm_up() const;
  // Tasks of other devices are not collected.
  Status start(std::vector<std::uint32_t> devices);
  // Writes what was collected; streams may still run tasks that were asked for before.
  Status stop();
  Status finalize();

  // A task has run, from `begun` until now.
  void ran(int device, int stream, const char* name, bool kernel, const Asked& asked, std::uint64_t begun);

 private:
  struct Event {
    int device;
    int stream;
    std::string name;
    bool kernel;
    Asked asked;
    std::uint64_t begun;
    std::uint64_t ended;
  };

  Status begin_folder();
  Status write() const;

  std::atomic<bool> on_{false};
  mutable std::mutex mutex_;
  bool initialized_ = false;
  std::string parent_;
  std::string folder_;  // of this start
  std::vector<std::uint32_t> devices_;
  std::vector<Event> events_;
  int starts_ = 0;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_PROFILING_H_
