#include "setup.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "cann_simulator/runtime.h"
#include "endpoint.h"
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

Result check_rank(std::uint32_t ranks, std::uint32_t rank) {
  if (ranks < 1 || ranks > kLargestCommunicator)
    return failure(HCCL_E_PARA, "%u ranks; a communicator has 1 to %u", ranks, kLargestCommunicator);
  if (rank < ranks) return {};
  return failure(HCCL_E_PARA, "rank %u of %u does not exist; ranks count from 0", rank, ranks);
}

struct Meeting {
  Place root;
  std::string key;
  std::string name;
  bool patient = false;  // the root may not be there yet
};

// Meets the other ranks, then connects to each.
Result meet(const Meeting& meeting, std::uint32_t ranks, std::uint32_t rank, const Settings& settings,
            const Choices& choices, std::shared_ptr<Communicator>* communicator) {
  Membership membership;
  membership.key = meeting.key;
  membership.name = choices.name.empty() ? meeting.name : choices.name;
  membership.rank = rank;
  membership.execute_timeout =
      choices.execute_timeout >= 0 ? choices.execute_timeout : settings.execute_timeout;
  membership.network_only = settings.network_only;
  if (Result result = current_device(&membership.device); !result.ok()) return result;
  Endpoint* endpoint = nullptr;
  if (Result result = Endpoint::start(settings, &endpoint); !result.ok()) return result;
  Greeting greeting = {};
  std::memcpy(greeting.magic, kMagic, sizeof kMagic);
  greeting.purpose = Purpose::kJoin;
  greeting.rank = rank;
  greeting.ranks = ranks;
  copy_text(greeting.key, meeting.key);
  greeting.place = endpoint->place();
  const Deadline deadline = Deadline::in_seconds(settings.connect_timeout + kRootFirstSeconds);
  if (Result result =
          join(meeting.root, greeting, settings.network_only, meeting.patient, deadline, &membership.places);
      !result.ok()) {
    return result;
  }
  auto fresh = std::make_shared<Communicator>(std::move(membership));
  if (Result result = fresh->connect(deadline); !result.ok()) return result;
  *communicator = std::move(fresh);
  return {};
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

Result join_root(const RootInfo& info, std::uint32_t ranks, std::uint32_t rank, const Choices& choices,
                 std::shared_ptr<Communicator>* communicator) {
  if (Result result = check_rank(ranks, rank); !result.ok()) return result;
  if (std::memcmp(info.magic, kMagic, sizeof kMagic) != 0) {
    return failure(HCCL_E_PARA,
                   "the root info was not made by this HcclGetRootInfo; rank 0 calls it and "
                   "passes what it got to all others");
  }
  Settings settings;
  if (Result result = read_settings(&settings); !result.ok()) return result;
  Meeting meeting;
  meeting.root = info.root;
  meeting.key = info.key;
  meeting.name =
      std::string(info.root.address) + "_" + std::to_string(info.root.port) + "_" + short_form(meeting.key);
  return meet(meeting, ranks, rank, settings, choices, communicator);
}

Result join_table(const std::string& path, std::uint32_t rank, const Choices& choices,
                  std::shared_ptr<Communicator>* communicator) {
  RankTable table;
  if (Result result = read_rank_table(path, &table); !result.ok()) return result;
  const auto ranks = static_cast<std::uint32_t>(table.server_of_rank.size());
  if (Result result = check_rank(ranks, rank); !result.ok()) return result;
  Settings settings;
  if (Result result = read_settings(&settings); !result.ok()) return result;
  const std::string local = "cann-simulator-hccl-table-" + digest(table.text);
  const std::string& root_server = table.server_of_rank[0];
  Meeting meeting;
  meeting.key = "table-" + digest(table.text);
  meeting.name = "hccl_world_" + short_form(digest(table.text));
  meeting.patient = true;
  if (table.server_of_rank[rank] == root_server) copy_text(meeting.root.machine, machine_identity());
  copy_text(meeting.root.local, local);
  copy_text(meeting.root.address, root_server);
  meeting.root.port = settings.base_port;
  if (rank == 0) {
    Endpoint* endpoint = nullptr;
    if (Result result = Endpoint::start(settings, &endpoint); !result.ok()) return result;
    // The addresses of a table of one server need not be this machine's: everybody meets without them.
    const std::string address = table.servers > 1 || settings.network_only ? root_server : "";
    if (Result result = endpoint->listen_also(local, address, settings.base_port); !result.ok())
      return result;
    endpoint->gather(meeting.key, settings.connect_timeout);
  }
  return meet(meeting, ranks, rank, settings, choices, communicator);
}

Result split(const Communicator& parent, const std::vector<std::uint32_t>& ranks, std::uint64_t id,
             std::uint32_t sub_rank, const Choices& choices, std::shared_ptr<Communicator>* communicator) {
  if (Result result = check_rank(static_cast<std::uint32_t>(ranks.size()), sub_rank); !result.ok())
    return result;
  Membership membership = parent.membership();
  std::string key = membership.key + "/" + std::to_string(id);
  membership.places.clear();
  for (const std::uint32_t rank : ranks) {
    if (rank >= parent.size())
      return failure(HCCL_E_PARA, "rankIds has %u; the parent has ranks 0 to %u", rank, parent.size() - 1);
    key += "/" + std::to_string(rank);
    membership.places.push_back(parent.membership().places[rank]);
  }
  if (ranks[sub_rank] != parent.rank()) {
    return failure(HCCL_E_PARA,
                   "rank %u of the new communicator is rank %u of the parent, but this is rank %u", sub_rank,
                   ranks[sub_rank], parent.rank());
  }
  Settings settings;
  if (Result result = read_settings(&settings); !result.ok()) return result;
  membership.key = "sub-" + digest(key);
  membership.name = choices.name.empty() ? membership.name + "_sub_" + std::to_string(id) : choices.name;
  membership.rank = sub_rank;
  if (choices.execute_timeout >= 0) membership.execute_timeout = choices.execute_timeout;
  auto fresh = std::make_shared<Communicator>(std::move(membership));
  if (Result result = fresh->connect(Deadline::in_seconds(settings.connect_timeout)); !result.ok())
    return result;
  *communicator = std::move(fresh);
  return {};
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
