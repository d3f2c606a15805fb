// The --check mode: finds two accesses to the same device memory, at least one of them a write, that nothing
// orders. As in every happens-before detector, what counts is the order that streams, events and waits of the
// host guarantee, not the one in which threads happened to run, so one run finds what another would stumble
// over.
//
// Every stream, and the host, has a clock. All threads of the host count as one: how a program orders its own
// threads cannot be seen from here, and a queue between them must not look like a race.
#ifndef CANN_SIMULATOR_RACES_H_
#define CANN_SIMULATOR_RACES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cann_simulator/abi.h"
#include "config.h"
#include "status.h"

namespace cann_simulator {

// What has happened before, by the number of accesses of each stream.
using Clock = std::map<int, std::uint64_t>;

class Races {
 public:
  static Races& instance();

  // Begins, changes or ends the search; what was accessed before does not count.
  void begin(CheckMode mode);
  bool on() const { return on_.load(std::memory_order_relaxed); }

  // An access by a task that is being queued on a stream, or by the host itself (kHost). In error mode a race
  // is returned as a failure, in report mode it is printed once per pair of names.
  static constexpr int kHost = -1;
  Status access(int stream, const char* name, const std::vector<cann_simulator_range>& ranges);
  // The memory is nobody's any more; freeing it is an access, too.
  Status freed(const void* pointer, std::size_t size);

  // A stream passes an event: what `clock` is when it is queued. Waiting for it orders.
  Clock recorded(int stream);
  void stream_waited(int stream, const Clock& event);
  void host_waited(const Clock& event);
  // What the stream holds now; the host waits for it.
  Clock now(int stream) { return recorded(stream); }

  // One race of each pair of names, in the order they were found, and takes them away: what is left is
  // nobody's, and the end of the process says nothing of them.
  std::vector<std::string> take();

  // Prints how many races were found; whether there were any.
  bool summarize(int exit_code) const;

 private:
  struct Access {
    int stream = kHost;
    std::uint64_t time = 0;
    const char* name = nullptr;
  };
  // Memory with one history. Segments do not overlap.
  struct Segment {
    std::uintptr_t end = 0;
    Access write;               // the last one; without a name there was none
    std::vector<Access> reads;  // since then, the last one of each stream
  };
  using Segments = std::map<std::uintptr_t, Segment>;

  // Makes segments begin at `begin` and end at `end`; the first of them.
  Segments::iterator isolate(std::uintptr_t begin, std::uintptr_t end);
  void split(std::uintptr_t address);
  void check(const Access& access, const Clock& clock, const cann_simulator_range& range);
  void conflict(const Access& first, bool first_wrote, const Access& second, bool second_writes,
                std::uintptr_t begin, std::uintptr_t end);
  Status take_race();

  std::atomic<bool> on_{false};
  std::atomic<std::uint64_t> found_{0};
  std::mutex mutex_;
  CheckMode mode_ = CheckMode::kOff;
  std::map<int, Clock> clocks_;
  Segments segments_;
  std::set<std::pair<std::string, std::string>> reported_;
  std::vector<std::string> texts_;  // of the reported ones
  std::string race_;                // of the access being checked
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_RACES_H_
