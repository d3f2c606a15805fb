// Communicators of HCCL's C ABI.
#include <atomic>
#include <cstring>

#include "entry.h"
#include "registry.h"
#include "setup.h"

using namespace cann_simulator::hccl;

namespace {

static_assert(sizeof(RootInfo) <= HCCL_ROOT_INFO_BYTES, "the root info is too small for what it must say");

// Queued operations may take this long to end when their communicator is destroyed.
constexpr int kDestroySeconds = 5;

std::atomic<int32_t> deterministic{0};

// Runs `body` with a communicator that is live; a failure when the handle is none.
template <class Body>
Result on_communicator(HcclComm comm, const Body& body) {
  std::shared_ptr<Communicator> communicator;
  Result found = Registry::instance().find(comm, &communicator);
  return found.ok() ? body(*communicator) : found;
}

HcclResult init_root_info(const char* function, uint32_t ranks, const HcclRootInfo* info, uint32_t rank,
                          const HcclCommConfig* config, HcclComm* comm) {
  return entry(function, [=]() -> Result {
    if (info == nullptr) return null_argument("rootInfo");
    if (comm == nullptr) return null_argument("comm");
    RootInfo root;
    std::memcpy(&root, info->internal, sizeof root);
    std::shared_ptr<Communicator> communicator;
    Result result = join_root(root, ranks, rank, config, &communicator);
    if (result.ok()) *comm = Registry::instance().add(std::move(communicator));
    return result;
  });
}

HcclResult init_cluster_info(const char* function, const char* path, uint32_t rank,
                             const HcclCommConfig* config, HcclComm* comm) {
  return entry(function, [=]() -> Result {
    if (path == nullptr) return null_argument("clusterInfo");
    if (comm == nullptr) return null_argument("comm");
    std::shared_ptr<Communicator> communicator;
    Result result = join_table(path, rank, config, &communicator);
    if (result.ok()) *comm = Registry::instance().add(std::move(communicator));
    return result;
  });
}

// As HCCL itself does, so that the caller needs to have set none of them; the thread keeps its own.
Result open_devices(const std::vector<int32_t>& devices) {
  int32_t current = -1;
  const bool had_one = cann_simulator_current_device(&current) == ACL_SUCCESS;
  for (const int32_t device : devices) {
    if (aclrtSetDevice(device) == ACL_SUCCESS) continue;
    const char* message = aclGetRecentErrMsg();
    return failure(HCCL_E_RUNTIME, "%s", message != nullptr ? message : "a device cannot be set");
  }
  if (had_one) (void)aclrtSetDevice(current);
  return {};
}

}  // namespace

extern "C" {

HcclResult HcclGetRootInfo(HcclRootInfo* root_info) {
  return entry(__func__, [=]() -> Result {
    if (root_info == nullptr) return null_argument("rootInfo");
    RootInfo info = {};
    Result result = make_root_info(&info);
    std::memset(root_info->internal, 0, sizeof root_info->internal);
    if (result.ok()) std::memcpy(root_info->internal, &info, sizeof info);
    return result;
  });
}

HcclResult HcclCommInitRootInfo(uint32_t n_ranks, const HcclRootInfo* root_info, uint32_t rank,
                                HcclComm* comm) {
  return init_root_info(__func__, n_ranks, root_info, rank, nullptr, comm);
}

HcclResult HcclCommInitRootInfoConfig(uint32_t n_ranks, const HcclRootInfo* root_info, uint32_t rank,
                                      const HcclCommConfig* config, HcclComm* comm) {
  return init_root_info(__func__, n_ranks, root_info, rank, config, comm);
}

HcclResult HcclCommInitClusterInfo(const char* cluster_info, uint32_t rank, HcclComm* comm) {
  return init_cluster_info(__func__, cluster_info, rank, nullptr, comm);
}

HcclResult HcclCommInitClusterInfoConfig(const char* cluster_info, uint32_t rank, HcclCommConfig* config,
                                         HcclComm* comm) {
  return init_cluster_info(__func__, cluster_info, rank, config, comm);
}

HcclResult HcclCommInitAll(uint32_t ndev, int32_t* devices, HcclComm* comms) {
  return entry(__func__, [=]() -> Result {
    if (devices == nullptr) return null_argument("devices");
    if (comms == nullptr) return null_argument("comms");
    if (ndev < 1) return failure(HCCL_E_PARA, "ndev is 0");
    const std::vector<int32_t> chosen(devices, devices + ndev);
    if (Result result = open_devices(chosen); !result.ok()) return result;
    std::vector<std::shared_ptr<Communicator>> communicators;
    if (Result result = connect_devices(chosen, &communicators); !result.ok()) return result;
    for (uint32_t rank = 0; rank < ndev; ++rank) comms[rank] = Registry::instance().add(communicators[rank]);
    return {};
  });
}

// A rank that is not in the new communicator passes no ranks and gets none.
HcclResult HcclCreateSubCommConfig(HcclComm* comm, uint32_t rank_num, uint32_t* rank_ids,
                                   uint64_t sub_comm_id, uint32_t sub_comm_rank_id, HcclCommConfig* config,
                                   HcclComm* sub_comm) {
  return entry(__func__, [=]() -> Result {
    if (comm == nullptr) return null_argument("comm");
    if (sub_comm == nullptr) return null_argument("subComm");
    std::shared_ptr<Communicator> parent;
    if (Result result = Registry::instance().find(*comm, &parent); !result.ok()) return result;
    if (rank_ids == nullptr) {
      constexpr uint64_t kNotInIt = 0xffffffff;
      if (sub_comm_id != kNotInIt) return null_argument("rankIds");
      *sub_comm = nullptr;
      return {};
    }
    Choices choices;
    if (Result result = read_choices(config, &choices); !result.ok()) return result;
    const std::vector<uint32_t> ranks(rank_ids, rank_ids + rank_num);
    std::shared_ptr<Communicator> communicator;
    Result result = split(*parent, ranks, sub_comm_id, sub_comm_rank_id, choices, &communicator);
    if (result.ok()) *sub_comm = Registry::instance().add(std::move(communicator));
    return result;
  });
}

HcclResult HcclCommDestroy(HcclComm comm) {
  return entry(__func__, [=]() -> Result {
    std::shared_ptr<Communicator> communicator;
    Result result = Registry::instance().remove(comm, &communicator);
    if (result.ok()) communicator->destroy(Deadline::in_seconds(kDestroySeconds));
    return result;
  });
}

HcclResult HcclCommSuspend(HcclComm comm) {
  return entry(__func__, [=]() -> Result {
    return on_communicator(comm, [](Communicator& communicator) -> Result {
      communicator.suspend();
      return {};
    });
  });
}

HcclResult HcclCommResume(HcclComm comm) {
  return entry(__func__, [=]() -> Result {
    return on_communicator(comm, [](Communicator& communicator) { return communicator.resume(); });
  });
}

HcclResult HcclGetRankSize(HcclComm comm, uint32_t* rank_size) {
  return entry(__func__, [=]() -> Result {
    if (rank_size == nullptr) return null_argument("rankSize");
    return on_communicator(comm, [=](Communicator& communicator) -> Result {
      *rank_size = communicator.size();
      return {};
    });
  });
}

HcclResult HcclGetRankId(HcclComm comm, uint32_t* rank) {
  return entry(__func__, [=]() -> Result {
    if (rank == nullptr) return null_argument("rank");
    return on_communicator(comm, [=](Communicator& communicator) -> Result {
      *rank = communicator.rank();
      return {};
    });
  });
}

HcclResult HcclGetCommName(HcclComm comm, char* comm_name) {
  return entry(__func__, [=]() -> Result {
    if (comm_name == nullptr) return null_argument("commName");
    return on_communicator(comm, [=](Communicator& communicator) -> Result {
      std::snprintf(comm_name, HCCL_COMM_NAME_BYTES, "%s", communicator.membership().name.c_str());
      return {};
    });
  });
}

HcclResult HcclCommGetHandleWithName(const char* comm_name, HcclComm* comm) {
  return entry(__func__, [=]() -> Result {
    if (comm_name == nullptr) return null_argument("commName");
    if (comm == nullptr) return null_argument("comm");
    return Registry::instance().find(std::string(comm_name), comm);
  });
}

// Success says that the question was answered; *asyncError is the answer.
HcclResult HcclGetCommAsyncError(HcclComm comm, HcclResult* async_error) {
  return entry(__func__, [=]() -> Result {
    if (async_error == nullptr) return null_argument("asyncError");
    return on_communicator(comm, [=](Communicator& communicator) -> Result {
      const Result state = communicator.asynchronous_error();
      if (!state.ok()) cann_simulator_fail(state.code, state.message.c_str());
      *async_error = state.code;
      return {};
    });
  });
}

// Every result here is the same each time, so both settings are kept and change nothing.
HcclResult HcclSetConfig(HcclConfig config, HcclConfigValue config_value) {
  return entry(__func__, [=]() -> Result {
    if (config != HCCL_DETERMINISTIC)
      return failure(HCCL_E_NOT_SUPPORT, "configuration %d is not known here", static_cast<int>(config));
    if (config_value.value < 0 || config_value.value > 2)
      return failure(HCCL_E_PARA, "HCCL_DETERMINISTIC is %d; it must be 0, 1 or 2", config_value.value);
    deterministic = config_value.value;
    return {};
  });
}

HcclResult HcclGetConfig(HcclConfig config, HcclConfigValue* config_value) {
  return entry(__func__, [=]() -> Result {
    if (config_value == nullptr) return null_argument("configValue");
    if (config != HCCL_DETERMINISTIC)
      return failure(HCCL_E_NOT_SUPPORT, "configuration %d is not known here", static_cast<int>(config));
    config_value->value = deterministic;
    return {};
  });
}

uint32_t HcclGetCommConfigCapability(void) { return HCCL_COMM_CONFIG_RESERVED; }

const char* HcclGetErrorString(HcclResult code) {
  static const char* const texts[] = {
      "no error",
      "parameter error",
      "empty pointer",
      "memory error",
      "internal error",
      "feature not supported",
      "resource not found",
      "resource unavailable",
      "system call error",
      "timeout",
      "cannot open file",
      "TCP connection failed",
      "RoCE connection failed",
      "TCP transfer failed",
      "RoCE transfer failed",
      "runtime error",
      "driver error",
      "profiling error",
      "CCE error",
      "network error",
      "try again",
      "error of a remote rank",
      "communicator is suspended",
      "operation cannot be retried",
      "out of memory",
  };
  const auto index = static_cast<std::size_t>(code);
  return index < sizeof texts / sizeof *texts ? texts[index] : "unknown error";
}

}  // extern "C"
