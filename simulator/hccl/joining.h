// A rank's part in the set-up of a communicator: its connection to the root, which gathers all ranks.
#ifndef CANN_SIMULATOR_HCCL_JOINING_H_
#define CANN_SIMULATOR_HCCL_JOINING_H_

#include <string>
#include <vector>

#include "deadline.h"
#include "descriptor.h"
#include "place.h"
#include "result.h"

namespace cann_simulator::hccl {

// How to reach the root, and what may be so.
struct Meeting {
  Place root;
  std::string key;
  bool network_only = false;
  bool patient = false;  // the root may not listen yet
  bool early = false;    // the root may not have begun yet
};

class Joining {
 public:
  // Tells the root that `greeting.rank` is here and waits for all others; their places in order, and the key
  // that this communicator alone has. HCCL_E_AGAIN: the deadline's files ended the wait, and the root says
  // nothing.
  Result join(const Meeting& meeting, const Greeting& greeting, const Deadline& deadline, std::string* key,
              std::vector<Place>* places);

  // `deadline`, and not a moment longer when the root has ended the set-up.
  Deadline watched(const Deadline& deadline) const;

  // Says how this rank's own part ended; how the set-up did. A rank that knows that it has failed waits for
  // the root's reason, which may be a better one, a second at most.
  Result finish(Result own, const Deadline& deadline);

 private:
  Result hear(const Deadline& deadline, std::string* bytes);

  Descriptor socket_;
  Place root_ = {};
  bool heard_the_last_ = false;
};

// Tells the root that `greeting.rank` cannot take part, if it can be reached at once.
void decline(const Meeting& meeting, const Greeting& greeting, const Result& reason);

// A connection to the process at `place`, with the greeting sent.
Result connect_place(const Place& place, const Greeting& greeting, bool network_only,
                     const Deadline& deadline, Descriptor* socket);

// Whether two processes can meet at a Unix socket and share memory.
bool same_machine(const Place& one, const Place& other);

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_JOINING_H_
