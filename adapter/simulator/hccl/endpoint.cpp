#include "endpoint.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cann_simulator::hccl {
namespace {

constexpr int kGreetingSeconds = 10;

std::mutex instance_mutex;
Endpoint* instance = nullptr;  // never freed: threads may still be inside when main() has ended

// Wakes a thread that polls the eventfd.
void ring(const Descriptor& event) {
  const std::uint64_t one = 1;
  (void)!write(event.get(), &one, sizeof one);
}

// Signals are for the program's own threads.
int start_without_signals(Thread* thread, std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int problem = thread->start(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return problem;
}

// "0, 2 and 5"; at most eight are named.
std::string list_of(const std::vector<std::uint32_t>& ranks) {
  std::string text;
  for (std::size_t index = 0; index < ranks.size(); ++index) {
    if (index == 8) return text + " and " + std::to_string(ranks.size() - index) + " more";
    if (index > 0) text += index + 1 == ranks.size() ? " and " : ", ";
    text += std::to_string(ranks[index]);
  }
  return text;
}

void answer(const Descriptor& socket, const Result& result, const std::vector<Place>& places) {
  Answer head = {static_cast<std::uint32_t>(result.code), 0};
  std::string bytes = result.message;
  if (result.ok()) bytes.assign(reinterpret_cast<const char*>(places.data()), places.size() * sizeof(Place));
  head.bytes = static_cast<std::uint32_t>(bytes.size());
  // A rank that has gone meanwhile is the others' loss when they connect to it, not the root's now.
  const Deadline deadline = Deadline::in_seconds(kGreetingSeconds);
  if (send_all(socket, &head, sizeof head, deadline).ok())
    (void)send_all(socket, bytes.data(), bytes.size(), deadline);
}

}  // namespace

Result Endpoint::start(const Settings& settings, Endpoint** endpoint) {
  const std::lock_guard<std::mutex> lock(instance_mutex);
  if (instance == nullptr) {
    auto* fresh = new Endpoint;
    if (Result result = fresh->open(settings); !result.ok()) {
      delete fresh;
      return result;
    }
    instance = fresh;
  }
  const std::lock_guard<std::mutex> inside(instance->mutex_);
  if (instance->stopping_) return failure(HCCL_E_UNAVAIL, "the process is ending");
  *endpoint = instance;
  return {};
}

void Endpoint::stop() {
  Endpoint* endpoint = nullptr;
  {
    const std::lock_guard<std::mutex> lock(instance_mutex);
    endpoint = instance;
  }
  if (endpoint == nullptr || endpoint->place_.process != getpid()) return;  // a fork has no such thread
  {
    const std::lock_guard<std::mutex> lock(endpoint->mutex_);
    endpoint->stopping_ = true;
    endpoint->linked_.notify_all();
  }
  ring(endpoint->wake_);
  endpoint->thread_.join();
  const std::lock_guard<std::mutex> lock(endpoint->mutex_);
  endpoint->gatherings_.clear();
  endpoint->links_.clear();
  endpoint->listeners_.clear();
}

Result Endpoint::open(const Settings& settings) {
  std::string address;
  if (Result result = host_address(settings, &address); !result.ok()) return result;
  std::string name;
  if (Result result = random_name(&name); !result.ok()) return result;
  name = "cann-simulator-hccl-" + name;
  Descriptor local;
  Descriptor network;
  std::uint16_t port = 0;
  if (Result result = listen_local(name, &local); !result.ok()) return result;
  if (Result result = listen_network(address, &port, &network); !result.ok()) {
    result.message += "; HCCL_IF_IP or HCCL_SOCKET_IFNAME chooses another address";
    return result;
  }
  listeners_.push_back(std::move(local));
  listeners_.push_back(std::move(network));
  copy_text(place_.machine, machine_identity());
  copy_text(place_.local, name);
  copy_text(place_.address, address);
  place_.port = port;
  place_.process = getpid();
  wake_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return system_failure(HCCL_E_SYSCALL, "cannot make an eventfd");
  if (const int problem = start_without_signals(&thread_, [this] { serve(); }); problem != 0) {
    errno = problem;
    return system_failure(HCCL_E_SYSCALL, "cannot start a thread");
  }
  return {};
}

void Endpoint::gather(const std::string& key, int connect_timeout) {
  const std::lock_guard<std::mutex> lock(mutex_);
  gatherings_[key].connect_timeout = connect_timeout;
}

Result Endpoint::listen_also(const std::string& name, const std::string& address, std::uint16_t port) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (also_.count(name) > 0) return {};
  Descriptor local;
  Descriptor network;
  if (Result result = listen_local(name, &local); !result.ok()) return result;
  if (!address.empty()) {
    if (Result result = listen_network(address, &port, &network); !result.ok()) return result;
    listeners_.push_back(std::move(network));
  }
  listeners_.push_back(std::move(local));
  also_.insert(name);
  ring(wake_);
  return {};
}

Result Endpoint::await_link(const std::string& key, std::uint32_t target, std::uint32_t rank,
                            const Deadline& deadline, Descriptor* socket) {
  std::unique_lock<std::mutex> lock(mutex_);
  const std::tuple<std::string, std::uint32_t, std::uint32_t> wanted(key, target, rank);
  const bool come = linked_.wait_for(lock, deadline.milliseconds(),
                                     [&] { return stopping_ || links_.find(wanted) != links_.end(); });
  if (!come) return failure(HCCL_E_TIMEOUT, "it did not connect in time (HCCL_CONNECT_TIMEOUT)");
  if (stopping_) return failure(HCCL_E_UNAVAIL, "the process is ending");
  const auto found = links_.find(wanted);
  *socket = std::move(found->second.front());
  found->second.pop_front();
  if (found->second.empty()) links_.erase(found);
  return {};
}

void Endpoint::serve() {
  pthread_setname_np(pthread_self(), "hccl-endpoint");
  while (true) {
    poll_once();
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    for (const Descriptor& listener : listeners_) accept_all(listener);
    for (std::size_t count = arrivals_.size(); count > 0; --count) {
      Arrival arrival = std::move(arrivals_.front());
      arrivals_.pop_front();
      if (read_greeting(&arrival)) arrivals_.push_back(std::move(arrival));
    }
    look_after_gatherings();
  }
}

// Waits until anything happens: a connection, a greeting, a rank that leaves while it waits for others, the
// bell; at most a second while there are deadlines to watch.
void Endpoint::poll_once() {
  std::vector<pollfd> entries = {{wake_.get(), POLLIN, 0}};
  std::size_t without_deadline = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const Descriptor& listener : listeners_) entries.push_back({listener.get(), POLLIN, 0});
    without_deadline = entries.size();
    for (const auto& item : gatherings_) {
      for (const auto& joined : item.second.joined)
        entries.push_back({joined.second.socket.get(), POLLIN, 0});
    }
  }
  for (const Arrival& arrival : arrivals_) entries.push_back({arrival.socket.get(), POLLIN, 0});
  poll(entries.data(), entries.size(), entries.size() == without_deadline ? -1 : 1000);
  std::uint64_t rung = 0;
  (void)!read(wake_.get(), &rung, sizeof rung);
}

void Endpoint::accept_all(const Descriptor& listener) {
  while (true) {
    Descriptor socket = accept_connection(listener);
    if (!socket.valid()) return;
    arrivals_.push_back({std::move(socket), {}, 0, Deadline::in_seconds(kGreetingSeconds)});
  }
}

bool Endpoint::read_greeting(Arrival* arrival) {
  char* bytes = reinterpret_cast<char*>(&arrival->greeting);
  const std::size_t left = sizeof arrival->greeting - arrival->received;
  const ssize_t received = recv(arrival->socket.get(), bytes + arrival->received, left, 0);
  if (received > 0) {
    arrival->received += static_cast<std::size_t>(received);
    if (arrival->received == sizeof arrival->greeting) {
      settle(arrival);
      return false;
    }
    return true;
  }
  const bool waits = received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  return waits && !arrival->deadline.passed();
}

void Endpoint::settle(Arrival* arrival) {
  Greeting& greeting = arrival->greeting;
  if (std::memcmp(greeting.magic, kMagic, sizeof kMagic) != 0) return;  // no rank: not worth an answer
  greeting.key[sizeof greeting.key - 1] = '\0';
  if (greeting.purpose == Purpose::kJoin) return count_in(arrival);
  links_[std::make_tuple(std::string(greeting.key), greeting.target, greeting.rank)].push_back(
      std::move(arrival->socket));
  linked_.notify_all();
}

void Endpoint::count_in(Arrival* arrival) {
  const Greeting& greeting = arrival->greeting;
  const auto found = gatherings_.find(greeting.key);
  if (found == gatherings_.end()) {
    return answer(arrival->socket,
                  failure(HCCL_E_PARA, "this root info was used before; a communicator needs a fresh one"),
                  {});
  }
  Gathering& gathering = found->second;
  if (gathering.joined.empty()) {
    gathering.ranks = greeting.ranks;
    gathering.deadline = Deadline::in_seconds(gathering.connect_timeout);
  }
  const std::uint32_t rank = greeting.rank;
  Result result;
  if (greeting.ranks != gathering.ranks) {
    result = failure(HCCL_E_PARA, "rank %u says that there are %u ranks, rank %u says %u", rank,
                     greeting.ranks, gathering.joined.begin()->first, gathering.ranks);
  } else if (const auto twin = gathering.joined.find(rank); twin != gathering.joined.end()) {
    result = failure(HCCL_E_PARA, "two processes say that they are rank %u: %s and %s", rank,
                     text_of(twin->second.place).c_str(), text_of(greeting.place).c_str());
  }
  if (!result.ok()) {
    answer(arrival->socket, result, {});
    return finish(found, result);
  }
  gathering.joined[rank] = {std::move(arrival->socket), greeting.place};
  if (gathering.joined.size() == gathering.ranks) finish(found, {});
}

void Endpoint::finish(std::map<std::string, Gathering>::iterator gathering, const Result& result) {
  std::vector<Place> places;
  for (const auto& joined : gathering->second.joined) places.push_back(joined.second.place);
  for (const auto& joined : gathering->second.joined) answer(joined.second.socket, result, places);
  gatherings_.erase(gathering);
}

void Endpoint::look_after_gatherings() {
  for (auto next = gatherings_.begin(); next != gatherings_.end();) {
    const auto current = next++;
    Gathering& gathering = current->second;
    Result result;
    std::vector<std::uint32_t> missing;
    for (std::uint32_t rank = 0; rank < gathering.ranks; ++rank) {
      const auto joined = gathering.joined.find(rank);
      if (joined == gathering.joined.end()) {
        missing.push_back(rank);
        continue;
      }
      char byte;
      const ssize_t received = recv(joined->second.socket.get(), &byte, 1, MSG_PEEK);
      const bool alive = received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
      if (!alive && result.ok()) {
        result = failure(HCCL_E_REMOTE, "rank %u (%s) ended while the communicator was being set up", rank,
                         text_of(joined->second.place).c_str());
      }
    }
    if (result.ok() && !gathering.joined.empty() && gathering.deadline.passed()) {
      result =
          failure(HCCL_E_TIMEOUT, "rank%s %s of %u did not join within %d seconds (HCCL_CONNECT_TIMEOUT)",
                  missing.size() > 1 ? "s" : "", list_of(missing).c_str(), gathering.ranks,
                  gathering.connect_timeout);
    }
    if (!result.ok()) finish(current, result);
  }
}

Result random_name(std::string* name) {
  unsigned char bytes[16];
  // The system call itself: the C library has a function for it since 2.25 only.
  if (syscall(SYS_getrandom, bytes, sizeof bytes, 0) != static_cast<long>(sizeof bytes))
    return system_failure(HCCL_E_SYSCALL, "no random number");
  name->clear();
  for (const unsigned char byte : bytes) {
    name->push_back("0123456789abcdef"[byte >> 4]);
    name->push_back("0123456789abcdef"[byte & 15]);
  }
  return {};
}

bool same_machine(const Place& one, const Place& other) {
  return std::strcmp(one.machine, other.machine) == 0;
}

Result connect_place(const Place& place, const Greeting& greeting, bool network_only,
                     const Deadline& deadline, Descriptor* socket) {
  const bool local = same_machine(place, greeting.place) && !network_only;
  Result result =
      local ? connect_local(place.local, deadline, socket)
            : connect_network(place.address, static_cast<std::uint16_t>(place.port), deadline, socket);
  if (result.ok()) result = send_all(*socket, &greeting, sizeof greeting, deadline);
  return result;
}

Result join(const Place& root, const Greeting& greeting, bool network_only, bool patient,
            const Deadline& deadline, std::vector<Place>* places) {
  Descriptor socket;
  Result result = connect_place(root, greeting, network_only, deadline, &socket);
  while (patient && result.code == HCCL_E_TCP_CONNECT && !deadline.passed()) {
    poll(nullptr, 0, 50);
    result = connect_place(root, greeting, network_only, deadline, &socket);
  }
  Answer head = {};
  if (result.ok()) result = receive_all(socket, &head, sizeof head, deadline);
  std::string bytes(head.bytes, '\0');
  if (result.ok()) result = receive_all(socket, &bytes[0], bytes.size(), deadline);
  if (!result.ok()) {
    result.message =
        "the process that made the root info (" + text_of(root) + ") is out of reach: " + result.message;
    return result;
  }
  if (head.code != HCCL_SUCCESS) return {static_cast<HcclResult>(head.code), bytes};
  places->resize(bytes.size() / sizeof(Place));
  std::memcpy(places->data(), bytes.data(), places->size() * sizeof(Place));
  return {};
}

}  // namespace cann_simulator::hccl
