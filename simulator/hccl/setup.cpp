#include "setup.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "cann_simulator/runtime.h"
#include "endpoint.h"
#include "gathering.h"
#include "joining.h"
#include "rank_table.h"

namespace cann_simulator::hccl {
namespace {

// The joining ranks wait a little longer than the root, whose message names who is missing.
constexpr int kRootFirstSeconds = 3;

// The device of the calling thread; refuses in a fork of a process that has used one.
Result current_device(int* device) {
  std::int32_t current = 0;
  if (cann_simulator_current_device(&current) != ACL_SUCCESS) {
    const char* message = aclGetRecentErrMsg();
    return failure(HCCL_E_RUNTIME, "%s", message != nullptr ? message : "no device");
  }
  *device = current;
  return {};
}

// The first digits of a name that is too long for people.
std::string short_form(const std::string& name) {
  return std::string(name.c_str(), std::min<std::size_t>(name.size(), 8));
}

std::string digest(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

Greeting greeting_of(const Meeting& meeting, std::uint32_t ranks, std::uint32_t rank, const Place& place) {
  Greeting greeting = {};
  std::memcpy(greeting.magic, kMagic, sizeof kMagic);
  greeting.purpose = Purpose::kJoin;
  greeting.rank = rank;
  greeting.ranks = ranks;
  greeting.early = meeting.early ? 1 : 0;
  copy_text(greeting.key, meeting.key);
  greeting.place = place;
  return greeting;
}

// A rank that cannot take part lets the others know, so that nobody waits for it.
Result declined(const Meeting& meeting, std::uint32_t ranks, std::uint32_t rank, Result reason) {
  Place place = {};
  copy_text(place.machine, machine_identity());
  copy_text(place.address, "this rank's host");
  std::string address;
  if (host_address({}, &address).ok()) copy_text(place.address, address);
  place.process = getpid();
  decline(meeting, greeting_of(meeting, ranks, rank, place), reason);
  return reason;
}

// What this rank knows before it meets the others.
struct Self {
  std::uint32_t ranks = 0;
  Membership membership;        // without key and places
  std::vector<pollfd> watched;  // no wait for the root goes on once something has come here
};

// Connects to all other ranks; `joining` ends what waits when the set-up fails elsewhere.
Result link(const Joining& joining, Membership membership, int timeout,
            std::shared_ptr<Communicator>* communicator) {
  auto fresh = std::make_shared<Communicator>(std::move(membership));
  Result result = fresh->connect(joining.watched(Deadline::in_seconds(timeout + kRootFirstSeconds)));
  if (result.ok()) *communicator = std::move(fresh);
  return result;
}

// Meets the other ranks, connects to each, and returns when all have.
Result meet(const Meeting& meeting, Self self, const Settings& settings,
            std::shared_ptr<Communicator>* communicator) {
  const std::uint32_t rank = self.membership.rank;
  Endpoint* endpoint = nullptr;
  if (Result result = Endpoint::start(settings, &endpoint); !result.ok())
    return declined(meeting, self.ranks, rank, result);
  Joining joining;
  const Deadline deadline = Deadline::in_seconds(settings.connect_timeout + kRootFirstSeconds);
  Result result =
      joining.join(meeting, greeting_of(meeting, self.ranks, rank, endpoint->place()),
                   deadline.watching(self.watched), &self.membership.key, &self.membership.places);
  if (result.code == HCCL_E_AGAIN)
    result = failure(HCCL_E_REMOTE, "a rank ended while the communicator was being set up");
  const std::string key = self.membership.key;
  if (result.ok()) result = link(joining, std::move(self.membership), settings.connect_timeout, communicator);
  const Deadline last = Deadline::in_seconds(settings.connect_timeout + kRootFirstSeconds);
  result = joining.finish(std::move(result), last);
  if (result.ok()) return result;
  communicator->reset();
  if (!key.empty()) endpoint->forget_links(key);
  return result;
}

// What the environment and the thread's device say of this rank.
Result know_self(const Choices& choices, const Settings& settings, std::uint32_t ranks, std::uint32_t rank,
                 Self* self) {
  if (Result result = check_rank(ranks, rank); !result.ok()) return result;
  self->ranks = ranks;
  Membership& membership = self->membership;
  membership.rank = rank;
  membership.execute_timeout =
      choices.execute_timeout >= 0 ? choices.execute_timeout : settings.execute_timeout;
  membership.network_only = settings.network_only;
  if (!choices.name.empty()) membership.name = choices.name;
  return current_device(&membership.device);
}

}  // namespace

Result read_choices(const HcclCommConfig* config, Choices* choices) {
  if (config == nullptr) return {};
  if (config->magicWord != HCCL_COMM_CONFIG_MAGIC_WORD) {
    return failure(HCCL_E_PARA,
                   "the configuration was not made by HcclCommConfigInit: its magic word is 0x%x",
                   config->magicWord);
  }
  if (config->size >= offsetof(HcclCommConfig, hcclUdi)) {
    const std::size_t length = strnlen(config->hcclCommName, sizeof config->hcclCommName);
    if (length == sizeof config->hcclCommName)
      return failure(HCCL_E_PARA, "hcclCommName is longer than %d bytes", HCCL_COMM_NAME_BYTES - 1);
    choices->name.assign(config->hcclCommName, length);
  }
  if (config->size >= offsetof(HcclCommConfig, hcclAlgo) &&
      config->hcclExecTimeOut != HCCL_COMM_EXEC_TIMEOUT_NOT_SET) {
    if (config->hcclExecTimeOut < 0)
      return failure(HCCL_E_PARA, "hcclExecTimeOut is %d; it must be 0 or more", config->hcclExecTimeOut);
    choices->execute_timeout = config->hcclExecTimeOut;
  }
  return {};
}

Result make_root_info(RootInfo* info) {
  int device = 0;
  if (Result result = current_device(&device); !result.ok()) return result;
  Settings settings;
  if (Result result = read_settings(&settings); !result.ok()) return result;
  Endpoint* endpoint = nullptr;
  if (Result result = Endpoint::start(settings, &endpoint); !result.ok()) return result;
  std::string key;
  if (Result result = random_name(&key); !result.ok()) return result;
  std::memcpy(info->magic, kMagic, sizeof kMagic);
  copy_text(info->key, key);
  info->root = endpoint->place();
  endpoint->gather(key, settings.connect_timeout);
  return {};
}

Result join_root(const RootInfo& info, std::uint32_t ranks, std::uint32_t rank, const HcclCommConfig* config,
                 std::shared_ptr<Communicator>* communicator) {
  if (std::memcmp(info.magic, kMagic, sizeof kMagic) != 0) {
    return failure(HCCL_E_PARA,
                   "the root info was not made by this HcclGetRootInfo; rank 0 calls it and "
                   "passes what it got to all others");
  }
  Meeting meeting;
  meeting.root = info.root;
  meeting.key = info.key;
  Self self;
  self.membership.name =
      std::string(info.root.address) + "_" + std::to_string(info.root.port) + "_" + short_form(meeting.key);
  Choices choices;
  Settings settings;
  Result result = read_choices(config, &choices);
  if (result.ok()) result = read_settings(&settings);
  meeting.network_only = settings.network_only;
  if (result.ok()) result = know_self(choices, settings, ranks, rank, &self);
  if (!result.ok()) return declined(meeting, ranks, rank, result);
  return meet(meeting, std::move(self), settings, communicator);
}

Result join_table(const std::string& path, std::uint32_t rank, const HcclCommConfig* config,
                  std::shared_ptr<Communicator>* communicator) {
  RankTable table;
  if (Result result = read_rank_table(path, &table); !result.ok()) return result;
  const auto ranks = static_cast<std::uint32_t>(table.server_of_rank.size());
  Choices choices;
  Settings settings;
  Self self;
  self.membership.name = "hccl_world_" + short_form(digest(table.text));
  Result result = read_choices(config, &choices);
  if (result.ok()) result = read_settings(&settings);
  if (result.ok()) result = know_self(choices, settings, ranks, rank, &self);
  const std::string local = "cann-simulator-hccl-table-" + digest(table.text);
  const std::string& root_server = table.server_of_rank[0];
  Meeting meeting;
  meeting.key = "table-" + digest(table.text);
  meeting.network_only = settings.network_only;
  meeting.patient = true;
  meeting.early = true;
  if (rank >= ranks || table.server_of_rank[rank] == root_server)
    copy_text(meeting.root.machine, machine_identity());
  copy_text(meeting.root.local, local);
  copy_text(meeting.root.address, root_server);
  meeting.root.port = settings.base_port;
  if (!result.ok()) return declined(meeting, ranks, rank, result);
  if (rank == 0) {
    Endpoint* endpoint = nullptr;
    if (result = Endpoint::start(settings, &endpoint); !result.ok()) return result;
    // The addresses of a table of one server need not be this machine's: everybody meets without them.
    const std::string address = table.servers > 1 || settings.network_only ? root_server : "";
    if (result = endpoint->listen_also(local, address, settings.base_port); !result.ok()) {
      result.message += "; another process may have begun as rank 0 of this rank table";
      return declined(meeting, ranks, rank, result);
    }
    endpoint->gather(meeting.key, settings.connect_timeout);
  }
  return meet(meeting, std::move(self), settings, communicator);
}

Result split(const Communicator& parent, const std::vector<std::uint32_t>& ranks, std::uint64_t id,
             std::uint32_t sub_rank, const Choices& choices, std::shared_ptr<Communicator>* communicator) {
  const auto size = static_cast<std::uint32_t>(ranks.size());
  if (Result result = check_rank(size, sub_rank); !result.ok()) return result;
  std::string key = parent.membership().key + "/" + std::to_string(id);
  for (const std::uint32_t rank : ranks) {
    if (rank >= parent.size())
      return failure(HCCL_E_PARA, "rankIds has %u; the parent has ranks 0 to %u", rank, parent.size() - 1);
    key += "/" + std::to_string(rank);
  }
  if (ranks[sub_rank] != parent.rank()) {
    return failure(HCCL_E_PARA,
                   "rank %u of the new communicator is rank %u of the parent, but this is rank %u", sub_rank,
                   ranks[sub_rank], parent.rank());
  }
  Settings settings;
  if (Result result = read_settings(&settings); !result.ok()) return result;
  Meeting meeting;
  meeting.root = parent.membership().places[ranks[0]];
  meeting.key = "sub-" + digest(key);
  meeting.network_only = parent.membership().network_only;
  meeting.early = true;
  Self self;
  self.ranks = size;
  self.membership = parent.membership();
  self.membership.key.clear();
  self.membership.rank = sub_rank;
  if (choices.execute_timeout >= 0) self.membership.execute_timeout = choices.execute_timeout;
  self.membership.name =
      choices.name.empty() ? parent.membership().name + "_sub_" + std::to_string(id) : choices.name;
  self.watched = parent.ends(ranks);
  if (sub_rank == 0) {
    Endpoint* endpoint = nullptr;
    if (Result result = Endpoint::start(settings, &endpoint); !result.ok()) return result;
    endpoint->gather(meeting.key, settings.connect_timeout);
  }
  return meet(meeting, std::move(self), settings, communicator);
}

Result connect_devices(const std::vector<std::int32_t>& devices,
                       std::vector<std::shared_ptr<Communicator>>* communicators) {
  const std::size_t ranks = devices.size();
  Settings settings;
  if (Result result = read_settings(&settings); !result.ok()) return result;
  Membership membership;
  if (Result result = random_name(&membership.key); !result.ok()) return result;
  membership.name = "hccl_process_" + short_form(membership.key);
  membership.execute_timeout = settings.execute_timeout;
  Place place = {};
  copy_text(place.machine, machine_identity());
  copy_text(place.address, "this host");
  place.process = getpid();
  membership.places.assign(ranks, place);
  std::vector<std::vector<Descriptor>> sockets(ranks);
  for (auto& row : sockets) row.resize(ranks);
  for (std::size_t one = 0; one < ranks; ++one) {
    for (std::size_t other = one + 1; other < ranks; ++other) {
      if (Result result = socket_pair(&sockets[one][other], &sockets[other][one]); !result.ok())
        return result;
    }
  }
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    membership.rank = static_cast<std::uint32_t>(rank);
    membership.device = devices[rank];
    communicators->push_back(std::make_shared<Communicator>(membership));
    communicators->back()->connect_with(std::move(sockets[rank]));
  }
  // Everybody offers before anybody accepts: there is one thread for both ends.
  const Deadline deadline = Deadline::in_seconds(settings.connect_timeout);
  for (const auto& communicator : *communicators) {
    if (Result result = communicator->offer_memory(deadline); !result.ok()) return result;
  }
  for (const auto& communicator : *communicators) {
    if (Result result = communicator->accept_memory(deadline); !result.ok()) return result;
  }
  return {};
}

}  // namespace cann_simulator::hccl
