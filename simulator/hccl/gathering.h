// The ranks of one communicator as its root sees them, from the first that joins until all are connected to
// each other or something is wrong.
#ifndef CANN_SIMULATOR_HCCL_GATHERING_H_
#define CANN_SIMULATOR_HCCL_GATHERING_H_

#include <poll.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "deadline.h"
#include "descriptor.h"
#include "place.h"
#include "result.h"

namespace cann_simulator::hccl {

// Whatever is wrong ends the set-up for all ranks at once, and for those that come later when they come: with
// the same reason. Not safe for threads.
class Gathering {
 public:
  // Who has come must be complete `connect_timeout` seconds after the first, and all be connected as many
  // seconds later.
  explicit Gathering(int connect_timeout) : connect_timeout_(connect_timeout) {}

  bool over() const { return stage_ == Stage::kOver; }
  // Whether the process at `place` was rank `rank` here, or wanted to be.
  bool had(std::uint32_t rank, const Place& place) const;

  void join(Descriptor socket, const Greeting& greeting);
  // Handles what the ranks have said, who has gone and what is late.
  void look_after();
  void conclude(const Result& verdict);
  // What look_after() waits for.
  void add_files(std::vector<pollfd>* files) const;

 private:
  enum class Stage { kJoining, kLinking, kOver };
  struct Member {
    Descriptor socket;
    Place place;
    std::string said;  // what has come of its answer
    bool ended = false;
    bool linked = false;
  };

  Result objection(const Greeting& greeting) const;
  void begin_linking();
  void listen(Member* member);
  Result trouble();
  Result trouble_of(std::uint32_t rank, Member* member);
  Result lateness() const;

  const int connect_timeout_;
  Stage stage_ = Stage::kJoining;
  std::uint32_t ranks_ = 0;  // as the first to come says
  Deadline deadline_;
  std::map<std::uint32_t, Member> members_;
  std::set<std::pair<std::uint32_t, std::string>>
      told_;  // ranks that came too late, and their processes' names
  Result verdict_;
};

// Says `result` and, where it is good, `bytes`.
void say(const Descriptor& socket, const Result& result, const std::string& bytes);

// What is wrong with a rank of so many ranks.
Result check_rank(std::uint32_t ranks, std::uint32_t rank);

// Unlike any other: 32 hexadecimal digits.
Result random_name(std::string* name);

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_GATHERING_H_
