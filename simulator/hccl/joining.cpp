#include "joining.h"

#include <poll.h>

#include <cstring>

#include "gathering.h"
#include "socket.h"

namespace cann_simulator::hccl {
namespace {

// How long a rank that has failed waits for the root's reason.
constexpr int kReasonSeconds = 1;
// How long the root may take to know what a rank has seen.
constexpr int kRootKnowsMilliseconds = 500;
// Who is missed by a rank may be missed by the root in a moment, which then says so in better words.
constexpr int kRootFirstMilliseconds = 100;

bool something_comes(const Descriptor& socket, int milliseconds) {
  pollfd entry = {socket.get(), POLLIN, 0};
  return poll(&entry, 1, milliseconds) > 0;
}

}  // namespace

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

Result Joining::join(const Meeting& meeting, const Greeting& greeting, const Deadline& deadline,
                     std::string* key, std::vector<Place>* places) {
  root_ = meeting.root;
  Result result = connect_place(root_, greeting, meeting.network_only, deadline, &socket_);
  while (meeting.patient && result.code == HCCL_E_TCP_CONNECT && !deadline.passed()) {
    poll(nullptr, 0, 50);
    result = connect_place(root_, greeting, meeting.network_only, deadline, &socket_);
  }
  if (!result.ok()) {
    result.message = "the root of the set-up (" + text_of(root_) + ") is out of reach: " + result.message;
    return result;
  }
  std::string bytes;
  result = hear(deadline, &bytes);
  if (result.code == HCCL_E_AGAIN) {
    // Somebody whom the caller watches has gone, as one does, too, for whom all is done: the root knows.
    if (!something_comes(socket_, kRootKnowsMilliseconds)) return result;
    result = hear(Deadline::in_seconds(kReasonSeconds), &bytes);
  }
  if (!result.ok()) return result;
  const std::size_t of_places = bytes.size() < kKeyBytes ? 0 : bytes.size() - kKeyBytes;
  if (of_places != greeting.ranks * sizeof(Place))
    return failure(HCCL_E_INTERNAL, "the root of the set-up (%s) names other ranks", text_of(root_).c_str());
  *key = bytes.c_str();
  places->resize(greeting.ranks);
  std::memcpy(places->data(), bytes.data() + kKeyBytes, of_places);
  return {};
}

// One word of the root: good, with what it says, or why there is no communicator.
Result Joining::hear(const Deadline& deadline, std::string* bytes) {
  Answer head = {};
  Result result = receive_all(socket_, &head, sizeof head, deadline);
  if (result.code == HCCL_E_AGAIN) return result;
  bytes->assign(head.bytes, '\0');
  if (result.ok()) result = receive_all(socket_, &(*bytes)[0], bytes->size(), deadline);
  if (!result.ok()) {
    heard_the_last_ = result.code != HCCL_E_TIMEOUT;
    result.message = "the root of the set-up (" + text_of(root_) + ") is out of reach: " + result.message;
    return result;
  }
  heard_the_last_ = head.code != HCCL_SUCCESS;
  if (heard_the_last_) return {static_cast<HcclResult>(head.code), *bytes};
  return {};
}

Deadline Joining::watched(const Deadline& deadline) const {
  return deadline.watching({{socket_.get(), POLLIN, 0}});
}

Result Joining::finish(Result own, const Deadline& deadline) {
  if (!socket_.valid() || heard_the_last_) return own;
  std::string nothing;
  if (own.ok()) {
    say(socket_, {}, "");
    return hear(deadline, &nothing);
  }
  const bool missed = own.code == HCCL_E_REMOTE || own.code == HCCL_E_AGAIN || own.code == HCCL_E_TCP_CONNECT;
  if (!missed || !something_comes(socket_, kRootFirstMilliseconds)) {
    if (missed) own.code = HCCL_E_REMOTE;
    say(socket_, own, "");
  }
  Result reason = hear(Deadline::in_seconds(kReasonSeconds), &nothing);
  return reason.ok() || reason.code == HCCL_E_TIMEOUT ? own : reason;
}

void decline(const Meeting& meeting, const Greeting& greeting, const Result& reason) {
  Descriptor socket;
  const Deadline deadline = Deadline::in_seconds(kReasonSeconds);
  if (!connect_place(meeting.root, greeting, meeting.network_only, deadline, &socket).ok()) return;
  say(socket, reason, "");
}

}  // namespace cann_simulator::hccl
