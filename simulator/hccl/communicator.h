// One rank's view of a communicator: its peers, the order of its operations, and its failure.
#ifndef CANN_SIMULATOR_HCCL_COMMUNICATOR_H_
#define CANN_SIMULATOR_HCCL_COMMUNICATOR_H_

#include <poll.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cann_simulator/runtime.h"
#include "operation.h"
#include "peer.h"
#include "place.h"
#include "turnstile.h"

namespace cann_simulator::hccl {

class Session;

// What a communicator is, before it is connected.
struct Membership {
  std::string key;   // the same on all ranks, unlike any other communicator's
  std::string name;  // for people; HcclGetCommName
  std::uint32_t rank = 0;
  std::vector<Place> places;  // of all ranks
  int device = 0;             // logical index in this process
  int execute_timeout = 0;    // seconds; 0: none
  bool network_only = false;
};

class Communicator : public std::enable_shared_from_this<Communicator> {
 public:
  // Runs on a stream; what it returns is how the operation ended.
  using Body = std::function<Result(Session&)>;

  explicit Communicator(Membership membership);
  ~Communicator();

  std::uint32_t rank() const { return membership_.rank; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(membership_.places.size()); }
  const Membership& membership() const { return membership_; }

  // Connects to all other ranks, which do the same.
  Result connect(const Deadline& deadline);
  // Connections to other ranks, to be polled: something comes when one's process has ended.
  std::vector<pollfd> ends(const std::vector<std::uint32_t>& ranks) const;
  // As connect(), in one process, with connections that are there already (by rank; this rank's is not looked
  // at). Every rank then offers its device memory and, after all have, accepts that of the others.
  void connect_with(std::vector<Descriptor> sockets);
  Result offer_memory(const Deadline& deadline);
  Result accept_memory(const Deadline& deadline);

  // Queues an operation that reads and writes `touched`; fails at once when the communicator has failed, is
  // suspended or destroyed. `name` is that of the kernel.
  Result launch(const Operation& operation, const char* name,
                const std::vector<cann_simulator_range>& touched, aclrtStream stream, Body body);

  // The failure that ended the communicator; looks for ranks that died while no operation was running.
  Result asynchronous_error();
  // From then on operations are refused (HCCL_E_SUSPENDING), until resume().
  void suspend() { suspended_ = true; }
  Result resume();

  // Lets queued operations end, for a while, then says good-bye to the others.
  void destroy(const Deadline& patience);

 private:
  friend class Session;
  struct Work;

  static void* renew(const void* work);
  static aclError run(void* work, char* message, std::size_t capacity);
  static void release(void* work);
  Result perform(const Operation& operation, const Body& body);
  Result connect_peer(std::uint32_t other, const Deadline& deadline);
  // Keeps the first failure and tells the others; work_ is held.
  void fail(const Result& result);
  Result failed() const;
  std::string title() const;
  std::string title(const Operation& operation) const;

  const Membership membership_;
  DeviceMemory memory_;
  Descriptor wake_;  // eventfd: an operation that waits must look at stopping_
  std::atomic<bool> stopping_{false};
  std::atomic<bool> suspended_{false};

  std::mutex launching_;  // keeps tickets in the order of a stream's queue
  Turnstile turns_;
  std::mutex work_;         // the peers: held by the operation that runs
  std::deque<Peer> peers_;  // by rank; this rank's own is never connected
  mutable std::mutex state_;
  Result failure_;
};

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_COMMUNICATOR_H_
