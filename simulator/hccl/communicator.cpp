#include "communicator.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "endpoint.h"
#include "joining.h"
#include "session.h"

namespace cann_simulator::hccl {
namespace {

// What a stream reports for an operation that failed.
aclError device_error(HcclResult code) {
  switch (code) {
    case HCCL_E_TIMEOUT:
      return ACL_ERROR_RT_FFTS_PLUS_TIMEOUT;
    case HCCL_E_REMOTE:
      return ACL_ERROR_RT_LINK_ERROR;
    default:
      return ACL_ERROR_RT_AICPU_EXCEPTION;
  }
}

}  // namespace

struct Communicator::Work {
  std::shared_ptr<Communicator> communicator;
  std::uint64_t ticket;  // kNone for what was asked for, from which each run draws its own
  Operation operation;
  Body body;

  static constexpr std::uint64_t kNone = UINT64_MAX;
};

Communicator::Communicator(Membership membership) : membership_(std::move(membership)), peers_(size()) {
  const void* start = nullptr;
  if (cann_simulator_device_memory(membership_.device, &memory_.file, &start, &memory_.size) != ACL_SUCCESS)
    memory_.file = -1;
  memory_.start = static_cast<const char*>(start);
  wake_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

Communicator::~Communicator() = default;

Result Communicator::connect(const Deadline& deadline) {
  for (std::uint32_t other = 0; other < size(); ++other) {
    if (other == rank()) continue;
    if (Result result = connect_peer(other, deadline); !result.ok()) {
      result.message = "rank " + std::to_string(rank()) + " cannot connect to rank " + std::to_string(other) +
                       " (" + text_of(membership_.places[other]) + "): " + result.message;
      return result;
    }
  }
  if (Result result = offer_memory(deadline); !result.ok()) return result;
  return accept_memory(deadline);
}

// The higher rank connects, the lower one waits for it; both ends know which is which.
Result Communicator::connect_peer(std::uint32_t other, const Deadline& deadline) {
  const Place& there = membership_.places[other];
  const Place& here = membership_.places[rank()];
  const bool shared = same_machine(here, there) && !membership_.network_only;
  Descriptor socket;
  Result result;
  if (other < rank()) {
    Greeting greeting = {};
    std::memcpy(greeting.magic, kMagic, sizeof kMagic);
    greeting.purpose = Purpose::kLink;
    greeting.rank = rank();
    greeting.ranks = size();
    greeting.target = other;
    copy_text(greeting.key, membership_.key);
    greeting.place = here;
    result = connect_place(there, greeting, membership_.network_only, deadline, &socket);
  } else {
    Endpoint* endpoint = nullptr;
    result = Endpoint::start({}, &endpoint);  // it runs already
    if (result.ok()) result = endpoint->await_link(membership_.key, rank(), other, deadline, &socket);
  }
  if (result.ok()) peers_[other].connect(other, there, std::move(socket), shared);
  return result;
}

void Communicator::connect_with(std::vector<Descriptor> sockets) {
  for (std::uint32_t other = 0; other < size(); ++other) {
    if (other != rank())
      peers_[other].connect(other, membership_.places[other], std::move(sockets[other]), true);
  }
}

std::vector<pollfd> Communicator::ends(const std::vector<std::uint32_t>& ranks) const {
  std::vector<pollfd> files;
  if (!failed().ok()) return files;  // what has ended by itself says nothing of the ranks
  for (const std::uint32_t other : ranks) {
    if (other != rank()) files.push_back({peers_[other].socket(), 0, 0});  // POLLHUP always counts
  }
  return files;
}

Result Communicator::offer_memory(const Deadline& deadline) {
  for (Peer& peer : peers_) {
    if (peer.socket() < 0) continue;
    if (Result result = peer.offer(memory_, deadline); !result.ok()) return result;
  }
  return {};
}

Result Communicator::accept_memory(const Deadline& deadline) {
  for (Peer& peer : peers_) {
    if (peer.socket() < 0) continue;
    if (Result result = peer.accept(deadline); !result.ok()) return result;
  }
  return {};
}

Result Communicator::launch(const Operation& operation, const char* name,
                            const std::vector<cann_simulator_range>& touched, aclrtStream stream, Body body) {
  if (suspended_) {
    return failure(HCCL_E_SUSPENDING, "communicator '%s' is suspended; HcclCommResume ends that",
                   membership_.name.c_str());
  }
  if (Result result = failed(); !result.ok()) {
    result.message = "communicator '" + membership_.name + "' has failed before: " + result.message;
    return result;
  }
  const std::lock_guard<std::mutex> lock(launching_);
  auto* work = new Work{shared_from_this(), Work::kNone, operation, std::move(body)};
  const aclError code =
      cann_simulator_launch_joint(stream, name, touched.data(), touched.size(), run, renew, work, release);
  if (code == ACL_SUCCESS) return {};
  const char* message = aclGetRecentErrMsg();
  return failure(HCCL_E_RUNTIME, "%s", message != nullptr ? message : "the stream does not take it");
}

// At once, or with each replay of the graph that holds it.
void* Communicator::renew(const void* argument) {
  const auto* asked = static_cast<const Work*>(argument);
  auto* work = new (std::nothrow) Work(*asked);
  if (work == nullptr) return nullptr;
  work->ticket = asked->communicator->turns_.draw();
  work->operation.number = work->ticket + 1;
  return work;
}

aclError Communicator::run(void* argument, char* message, std::size_t capacity) {
  auto* work = static_cast<Work*>(argument);
  Communicator& communicator = *work->communicator;
  communicator.turns_.wait(work->ticket);
  const Result result = communicator.perform(work->operation, work->body);
  if (result.ok()) return ACL_SUCCESS;
  std::snprintf(message, capacity, "%s", result.message.c_str());
  return device_error(result.code);
}

void Communicator::release(void* argument) {
  auto* work = static_cast<Work*>(argument);
  if (work->ticket != Work::kNone) work->communicator->turns_.done(work->ticket);
  delete work;
}

Result Communicator::perform(const Operation& operation, const Body& body) {
  const std::lock_guard<std::mutex> lock(work_);
  if (Result result = failed(); !result.ok()) return result;
  Session session(this, operation);
  Result result;
  try {
    result = body(session);
  } catch (const std::exception& error) {
    result = failure(HCCL_E_MEMORY, "%s", error.what());
  }
  if (result.ok()) return result;
  result.message = title(operation) + ": " + result.message;
  fail(result);
  return result;
}

// "rank 0 of 4, communicator 'x', AllReduce of 4 float32 (sum), operation 7"
std::string Communicator::title(const Operation& operation) const {
  return title() + ", " + text_of(operation) + ", operation " + std::to_string(operation.number);
}

std::string Communicator::title() const {
  return "rank " + std::to_string(rank()) + " of " + std::to_string(size()) + ", communicator '" +
         membership_.name + "'";
}

void Communicator::fail(const Result& result) {
  {
    const std::lock_guard<std::mutex> lock(state_);
    if (failure_.ok()) failure_ = result;
  }
  for (Peer& peer : peers_) {
    if (peer.socket() >= 0) peer.abort(result);
  }
}

Result Communicator::failed() const {
  const std::lock_guard<std::mutex> lock(state_);
  return failure_;
}

Result Communicator::asynchronous_error() {
  const std::unique_lock<std::mutex> working(work_, std::try_to_lock);
  if (!working.owns_lock()) return failed();  // the operation that runs will notice
  for (Peer& peer : peers_) {
    if (peer.socket() < 0 || !failed().ok()) continue;
    peer.receive();
    // A rank that has ended in good order is missed only by an operation that needs it.
    if (peer.gone() && !peer.left()) {
      Result lost = peer.how_it_went();
      lost.message = title() + ": " + lost.message;
      fail(lost);
    }
  }
  return failed();
}

Result Communicator::resume() {
  if (Result result = failed(); !result.ok()) {
    result.message = "communicator '" + membership_.name +
                     "' has failed and cannot be resumed; destroy it and create another: " + result.message;
    return result;
  }
  suspended_ = false;
  return {};
}

void Communicator::destroy(const Deadline& patience) {
  const bool drained = turns_.drain(patience);
  stopping_ = true;
  const std::uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
  const std::lock_guard<std::mutex> working(work_);
  {
    const std::lock_guard<std::mutex> lock(state_);
    if (failure_.ok()) {
      failure_ = failure(HCCL_E_UNAVAIL, "rank %u has destroyed communicator '%s'%s", rank(),
                         membership_.name.c_str(), drained ? "" : " while operations were waiting");
    }
  }
  for (Peer& peer : peers_) {
    if (peer.socket() >= 0) peer.leave();
  }
}

}  // namespace cann_simulator::hccl
