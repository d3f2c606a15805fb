// Where other processes reach this one: one listener of each kind and one thread for all communicators.
//
// The thread accepts connections, reads their greeting, and either lets a rank join a communicator that
// starts here (this process is its root) or keeps the connection until the communicator that it is for asks
// for it.
#ifndef CANN_SIMULATOR_HCCL_ENDPOINT_H_
#define CANN_SIMULATOR_HCCL_ENDPOINT_H_

#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cann_simulator/threads.h"
#include "gathering.h"
#include "place.h"
#include "socket.h"

namespace cann_simulator::hccl {

class Endpoint {
 public:
  // The process's own; listeners and thread start with the first call. Fails once the process is ending.
  static Result start(const Settings& settings, Endpoint** endpoint);
  // Ends the thread at the end of the process; nothing when there is none.
  static void stop();

  const Place& place() const { return place_; }

  // From now on ranks may join the communicator that meets at `key` here.
  void gather(const std::string& key, int connect_timeout);
  // Listens at a name, and unless `address` is empty at an address, that other processes know before: of rank
  // 0 of a rank table. Nothing when it listens there already.
  Result listen_also(const std::string& name, const std::string& address, std::uint16_t port);

  // The connection that `rank` of the communicator `key` has made to the rank `target` of this process.
  Result await_link(const std::string& key, std::uint32_t target, std::uint32_t rank,
                    const Deadline& deadline, Descriptor* socket);
  // Closes what others have made for a communicator that did not come about: who has is not kept waiting.
  void forget_links(const std::string& key);

 private:
  struct Arrival {  // a connection that has not finished its greeting
    Descriptor socket;
    Greeting greeting;
    std::size_t received = 0;
    Deadline deadline;
  };
  Endpoint() = default;
  Result open(const Settings& settings);
  void serve();
  void poll_once();
  void accept_all(const Descriptor& listener);
  // False when the arrival is done with, for good or bad.
  bool read_greeting(Arrival* arrival);
  void settle(Arrival* arrival);
  void join(Arrival* arrival);

  Place place_ = {};
  Descriptor wake_;  // eventfd: stop, or look at the lists anew
  Thread thread_;

  std::mutex mutex_;
  Condition linked_;
  bool stopping_ = false;
  std::vector<Descriptor> listeners_;
  std::set<std::string> also_;                        // the names of listen_also()
  std::map<std::string, Gathering> gatherings_;       // those that are over, too: for who comes late
  std::map<std::string, std::deque<Arrival>> early_;  // by key: the root has not begun yet
  std::map<std::tuple<std::string, std::uint32_t, std::uint32_t>, std::deque<Descriptor>>
      links_;                        // key, target, rank
  std::set<std::string> forgotten_;  // keys of links
  std::deque<Arrival> arrivals_;     // the thread's alone
};

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_ENDPOINT_H_
