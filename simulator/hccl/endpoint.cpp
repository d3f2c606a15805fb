#include "endpoint.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
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

bool alive(const Descriptor& socket) {
  char byte;
  const ssize_t received = recv(socket.get(), &byte, 1, MSG_PEEK);
  return received > 0 || (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
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
  endpoint->early_.clear();
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
  const auto before = gatherings_.find(key);
  if (before != gatherings_.end()) {
    if (!before->second.over()) {
      before->second.look_after();
      before->second.conclude(failure(HCCL_E_PARA, "rank 0 has begun anew"));
    }
    gatherings_.erase(before);
  }
  Gathering& fresh = gatherings_.emplace(key, connect_timeout).first->second;
  for (Arrival& arrival : early_[key]) {
    if (alive(arrival.socket)) fresh.join(std::move(arrival.socket), arrival.greeting);
  }
  early_.erase(key);
  ring(wake_);
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
  constexpr int kLookMilliseconds = 20;  // how often the deadline's files are looked at
  const std::tuple<std::string, std::uint32_t, std::uint32_t> wanted(key, target, rank);
  while (true) {
    std::unique_lock<std::mutex> lock(mutex_);
    const bool come = linked_.wait_for(lock, deadline.at_most(kLookMilliseconds),
                                       [&] { return stopping_ || links_.find(wanted) != links_.end(); });
    if (stopping_) return failure(HCCL_E_UNAVAIL, "the process is ending");
    if (come) {
      const auto found = links_.find(wanted);
      *socket = std::move(found->second.front());
      found->second.pop_front();
      if (found->second.empty()) links_.erase(found);
      return {};
    }
    lock.unlock();
    if (deadline.passed())
      return failure(HCCL_E_TIMEOUT, "it did not connect in time (HCCL_CONNECT_TIMEOUT)");
    if (deadline.disturbed()) return failure(HCCL_E_AGAIN, "the wait was ended");
  }
}

void Endpoint::forget_links(const std::string& key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  forgotten_.insert(key);
  for (auto next = links_.begin(); next != links_.end();) {
    const auto current = next++;
    if (std::get<0>(current->first) == key) links_.erase(current);
  }
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
    for (auto& item : gatherings_) item.second.look_after();
    for (auto& item : early_) {
      auto& waiting = item.second;
      waiting.erase(std::remove_if(waiting.begin(), waiting.end(),
                                   [](const Arrival& arrival) { return !alive(arrival.socket); }),
                    waiting.end());
    }
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
    for (const auto& item : gatherings_) item.second.add_files(&entries);
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
  if (greeting.purpose == Purpose::kJoin) return join(arrival);
  if (forgotten_.count(greeting.key) > 0) return;
  links_[std::make_tuple(std::string(greeting.key), greeting.target, greeting.rank)].push_back(
      std::move(arrival->socket));
  linked_.notify_all();
}

void Endpoint::join(Arrival* arrival) {
  const Greeting& greeting = arrival->greeting;
  const auto found = gatherings_.find(greeting.key);
  const bool known = found != gatherings_.end();
  // The same process once more: at a rank table and among the ranks of a parent communicators meet again.
  const bool again = known && found->second.over() && found->second.had(greeting.rank, greeting.place);
  if (greeting.early != 0 && (!known || again)) {
    early_[greeting.key].push_back(std::move(*arrival));
  } else if (known) {
    found->second.join(std::move(arrival->socket), greeting);
  } else {
    say(arrival->socket,
        failure(HCCL_E_PARA, "%s is not where this communicator's ranks meet", text_of(place_).c_str()), "");
  }
}

}  // namespace cann_simulator::hccl
