// Where other processes reach this one: one listener of each kind and one thread for all communicators.
//
// The thread accepts connections, reads their greeting, and either counts a rank into a communicator that
// starts here (this process made the root info) or keeps the connection until the communicator that it is
// for asks for it.
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

  // From now on ranks may join the communicator `key` here; who has come must be complete
  // `connect_timeout` seconds after the first.
  void gather(const std::string& key, int connect_timeout);
  // Listens at a name, and unless `address` is empty at an address, that other processes know before: of rank
  // 0 of a rank table. Nothing when it listens there already.
  Result listen_also(const std::string& name, const std::string& address, std::uint16_t port);

  // The connection that `rank` of the communicator `key` has made to the rank `target` of this process.
  Result await_link(const std::string& key, std::uint32_t target, std::uint32_t rank,
                    const Deadline& deadline, Descriptor* socket);

 private:
  struct Arrival {  // a connection that has not finished its greeting
    Descriptor socket;
    Greeting greeting;
    std::size_t received = 0;
    Deadline deadline;
  };
  struct Joined {
    Descriptor socket;
    Place place;
  };
  struct Gathering {
    int connect_timeout = 0;
    std::uint32_t ranks = 0;  // as the first to come says
    Deadline deadline;
    std::map<std::uint32_t, Joined> joined;
  };

  Endpoint() = default;
  Result open(const Settings& settings);
  void serve();
  void poll_once();
  void accept_all(const Descriptor& listener);
  // False when the arrival is done with, for good or bad.
  bool read_greeting(Arrival* arrival);
  void settle(Arrival* arrival);
  void count_in(Arrival* arrival);
  void finish(std::map<std::string, Gathering>::iterator gathering, const Result& result);
  void look_after_gatherings();

  Place place_ = {};
  Descriptor wake_;  // eventfd: stop, or look at the lists anew
  Thread thread_;

  std::mutex mutex_;
  Condition linked_;
  bool stopping_ = false;
  std::vector<Descriptor> listeners_;
  std::set<std::string> also_;  // the names of listen_also()
  std::map<std::string, Gathering> gatherings_;
  std::map<std::tuple<std::string, std::uint32_t, std::uint32_t>, std::deque<Descriptor>>
      links_;                     // key, target, rank
  std::deque<Arrival> arrivals_;  // the thread's alone
};

// Unlike any other: 32 hexadecimal digits.
Result random_name(std::string* name);

// Tells the root that `greeting.rank` is here and waits for all others. `patient`: the root may not be there
// yet.
Result join(const Place& root, const Greeting& greeting, bool network_only, bool patient,
            const Deadline& deadline, std::vector<Place>* places);

// A connection to the process at `place`, with the greeting sent.
Result connect_place(const Place& place, const Greeting& greeting, bool network_only,
                     const Deadline& deadline, Descriptor* socket);

// Whether two processes can meet at a Unix socket and share memory.
bool same_machine(const Place& one, const Place& other);

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_ENDPOINT_H_
