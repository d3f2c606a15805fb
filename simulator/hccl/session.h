// One operation while it runs: moves data between this rank and the others until all is done, somebody is
// missing, somebody does something else, or the time is over.
#ifndef CANN_SIMULATOR_HCCL_SESSION_H_
#define CANN_SIMULATOR_HCCL_SESSION_H_

#include <cstdint>
#include <vector>

#include "communicator.h"
#include "deadline.h"
#include "operation.h"
#include "reduction.h"

namespace cann_simulator::hccl {

// Addresses are those at which device memory can be read and written here.
struct Send {
  std::uint32_t to;
  const char* data;
  std::size_t size;  // bytes
  std::uint32_t dtype;
};

struct Receive {
  std::uint32_t from;
  char* to;
  std::size_t size;  // bytes
  std::uint32_t dtype;
  Combine combine = nullptr;  // nullptr: copy
};

class Session {
 public:
  Session(Communicator* communicator, const Operation& operation);

  std::uint32_t rank() const { return communicator_.rank(); }
  std::uint32_t size() const { return communicator_.size(); }

  // Does all of it; receives are done in their order, so that reductions round the same every time. When it
  // returns, this rank's data have been read by those that they were for. In a collective operation the first
  // exchange also waits until all ranks have come and makes sure that they came for the same.
  Result exchange(const std::vector<Send>& sends, const std::vector<Receive>& receives);

 private:
  // What this exchange still needs of one rank.
  struct Need {
    bool involved = false;
    bool enter = false;
    int receives = 0;
  };

  bool collective() const { return operation_.kind < Kind::kSend; }
  void announce(const std::vector<Send>& sends, const std::vector<Receive>& receives);
  void post(const Send& send);
  Result advance(const std::vector<Receive>& receives);
  Result greet(Peer* peer);
  Result take(const Receive& receive, bool* done);
  Result check(const Receive& receive, const Peer& peer) const;
  void use(const Receive& receive, const char* data) const;
  bool take_payload(const Receive& receive, Peer* peer);
  bool finished(std::size_t receives) const;
  Result look_for_trouble() const;
  Result wait();
  Result late() const;
  Result stuck_on(const Peer& peer) const;
  Result disagreement(const Peer& peer) const;

  Communicator& communicator_;
  const Operation operation_;
  const Deadline deadline_;
  bool entered_ = false;
  std::vector<Need> needs_;  // by rank
  std::size_t next_ = 0;     // of the receives
  std::size_t taken_ = 0;    // bytes of that one
  bool asked_ = false;       // for its payload
  std::vector<char> bounce_;
};

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_SESSION_H_
