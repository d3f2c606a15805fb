#include "gathering.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "socket.h"

namespace cann_simulator::hccl {
namespace {

constexpr int kAnswerSeconds = 10;
constexpr std::size_t kLongestSentence = 16 << 10;

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

std::string name_of(std::uint32_t rank, const Place& place) {
  return "rank " + std::to_string(rank) + " (" + text_of(place) + ")";
}

}  // namespace

void say(const Descriptor& socket, const Result& result, const std::string& bytes) {
  const std::string text = result.ok() ? bytes : result.message.substr(0, kLongestSentence);
  const Answer head = {static_cast<std::uint32_t>(result.code), static_cast<std::uint32_t>(text.size())};
  // Who has gone meanwhile is noticed when its connection is read.
  const Deadline deadline = Deadline::in_seconds(kAnswerSeconds);
  const std::string word = std::string(reinterpret_cast<const char*>(&head), sizeof head) + text;
  (void)send_all(socket, word.data(), word.size(), deadline);
}

Result check_rank(std::uint32_t ranks, std::uint32_t rank) {
  if (ranks < 1 || ranks > kLargestCommunicator)
    return failure(HCCL_E_PARA, "%u ranks; a communicator has 1 to %u", ranks, kLargestCommunicator);
  if (rank < ranks) return {};
  return failure(HCCL_E_PARA, "rank %u of %u does not exist; ranks count from 0", rank, ranks);
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

bool Gathering::had(std::uint32_t rank, const Place& place) const {
  const auto found = members_.find(rank);
  return told_.count({rank, place.local}) > 0 ||
         (found != members_.end() && std::strcmp(found->second.place.local, place.local) == 0);
}

void Gathering::join(Descriptor socket, const Greeting& greeting) {
  const Result result = verdict_.ok() ? objection(greeting) : verdict_;
  if (!result.ok()) {
    say(socket, result, "");
    told_.emplace(greeting.rank, greeting.place.local);
    // Ranks that are connected, or about to be, have nothing to do with one more.
    if (stage_ == Stage::kJoining) conclude(result);
    return;
  }
  if (members_.empty()) {
    ranks_ = greeting.ranks;
    deadline_ = Deadline::in_seconds(connect_timeout_);
  }
  members_[greeting.rank] = {std::move(socket), greeting.place, "", false, false};
  if (members_.size() == ranks_) begin_linking();
}

// Why the rank cannot be one of these.
Result Gathering::objection(const Greeting& greeting) const {
  if (Result result = check_rank(greeting.ranks, greeting.rank); !result.ok()) {
    result.message = text_of(greeting.place) + " is no rank of this communicator: " + result.message;
    return result;
  }
  if (members_.empty()) return {};
  if (greeting.ranks != ranks_) {
    return failure(HCCL_E_PARA, "rank %u says that there are %u ranks, rank %u says %u", greeting.rank,
                   greeting.ranks, members_.begin()->first, ranks_);
  }
  const auto twin = members_.find(greeting.rank);
  if (twin == members_.end()) return {};
  if (had(greeting.rank, greeting.place) && stage_ == Stage::kJoining) {
    return failure(HCCL_E_PARA, "%s says twice that it is rank %u", text_of(greeting.place).c_str(),
                   greeting.rank);
  }
  if (had(greeting.rank, greeting.place))
    return failure(HCCL_E_PARA, "this root info was used before; a communicator needs a fresh one");
  return failure(HCCL_E_PARA, "two processes say that they are rank %u: %s and %s", greeting.rank,
                 text_of(twin->second.place).c_str(), text_of(greeting.place).c_str());
}

void Gathering::begin_linking() {
  std::string name;
  if (Result result = random_name(&name); !result.ok()) return conclude(result);
  char key[kKeyBytes] = "";
  copy_text(key, name);
  std::string bytes(key, sizeof key);
  for (const auto& member : members_)
    bytes.append(reinterpret_cast<const char*>(&member.second.place), sizeof(Place));
  stage_ = Stage::kLinking;
  deadline_ = Deadline::in_seconds(connect_timeout_);
  for (const auto& member : members_) say(member.second.socket, {}, bytes);
}

// The root's own rank, whose program may end with what it hears, hears it last.
void Gathering::conclude(const Result& verdict) {
  for (auto member = members_.rbegin(); member != members_.rend(); ++member) {
    say(member->second.socket, verdict, "");
    member->second.socket = Descriptor();
  }
  verdict_ = verdict;
  stage_ = Stage::kOver;
}

void Gathering::add_files(std::vector<pollfd>* files) const {
  for (const auto& member : members_) {
    if (member.second.socket.valid()) files->push_back({member.second.socket.get(), POLLIN, 0});
  }
}

void Gathering::look_after() {
  if (stage_ == Stage::kOver || members_.empty()) return;
  std::uint32_t linked = 0;
  for (auto& member : members_) listen(&member.second);
  Result result = trouble();
  for (const auto& member : members_) linked += member.second.linked ? 1 : 0;
  if (result.ok() && linked < ranks_) result = lateness();
  if (!result.ok() || linked == ranks_) conclude(result);
}

// Reads what has come from a rank.
void Gathering::listen(Member* member) {
  char bytes[4096];
  while (member->said.size() < sizeof(Answer) + kLongestSentence) {
    const ssize_t received = recv(member->socket.get(), bytes, sizeof bytes, 0);
    if (received > 0) {
      member->said.append(bytes, static_cast<std::size_t>(received));
      continue;
    }
    member->ended = received == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    return;
  }
}

// The first thing that is wrong. What a rank has to say of itself explains more than what others say of it.
Result Gathering::trouble() {
  Result first;
  for (auto& member : members_) {
    Result result = trouble_of(member.first, &member.second);
    const bool better = first.ok() || (first.code == HCCL_E_REMOTE && result.code != HCCL_E_REMOTE);
    if (!result.ok() && better) first = std::move(result);
  }
  return first;
}

Result Gathering::trouble_of(std::uint32_t rank, Member* member) {
  Answer head = {};
  if (member->said.size() >= sizeof head) std::memcpy(&head, member->said.data(), sizeof head);
  if (member->said.size() >= sizeof head && member->said.size() >= sizeof head + head.bytes) {
    if (head.code != HCCL_SUCCESS) {
      // From pointers: substr() needs a newer libstdc++ than manylinux2014 has.
      const std::string said(member->said.data() + sizeof head, head.bytes);
      return {static_cast<HcclResult>(head.code), name_of(rank, member->place) + " gave up: " + said};
    }
    member->linked = stage_ == Stage::kLinking;
  }
  if (!member->ended) return {};
  return failure(HCCL_E_REMOTE, "%s ended while the communicator was being set up",
                 name_of(rank, member->place).c_str());
}

Result Gathering::lateness() const {
  if (!deadline_.passed()) return {};
  const bool joining = stage_ == Stage::kJoining;
  std::vector<std::uint32_t> late;
  for (std::uint32_t rank = 0; rank < ranks_; ++rank) {
    const auto member = members_.find(rank);
    if (member == members_.end() || (!joining && !member->second.linked)) late.push_back(rank);
  }
  return failure(HCCL_E_TIMEOUT, "rank%s %s of %u did not %s within %d seconds (HCCL_CONNECT_TIMEOUT)",
                 late.size() > 1 ? "s" : "", list_of(late).c_str(), ranks_,
                 joining ? "join" : "connect to all others", connect_timeout_);
}

}  // namespace cann_simulator::hccl
