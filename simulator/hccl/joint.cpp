// Operators of libopapi that communicate: each is one operation of its communicator.
#pragma GCC visibility push(default)
#include "cann_simulator/joint.h"
#pragma GCC visibility pop

#include <cstdio>
#include <memory>

#include "call.h"
#include "entry.h"
#include "registry.h"

using namespace cann_simulator::hccl;

struct cann_simulator_meeting {
  Session& session;
  Result result;  // the first failure of what it sent and received

  template <class Body>
  HcclResult exchange(const Body& body) noexcept {
    try {
      if (result.ok()) result = body();
    } catch (const std::exception& error) {
      result = failure(HCCL_E_MEMORY, "%s", error.what());
    }
    return result.code;
  }
};

namespace {

constexpr std::size_t kLongestMessage = 1024;

Result find(const char* name, HcclComm* handle, std::shared_ptr<Communicator>* communicator) {
  if (name == nullptr) return null_argument("group");
  if (Result result = Registry::instance().find(std::string(name), handle); !result.ok()) return result;
  return Registry::instance().find(*handle, communicator);
}

Result meet(Session& session, cann_simulator_joint_kernel kernel, void* argument) {
  cann_simulator_meeting meeting{session, {}};
  char message[kLongestMessage] = "";
  const aclError code = kernel(&meeting, argument, message, sizeof message);
  if (!meeting.result.ok()) return meeting.result;
  return code == ACL_SUCCESS ? Result() : failure(HCCL_E_INTERNAL, "%s", message);
}

Elements summed(HcclDataType data_type) {
  return {static_cast<std::uint32_t>(data_type), size_of(data_type),
          find_combine(data_type, HCCL_REDUCE_SUM)};
}

const Elements kBytes = {HCCL_DATA_TYPE_UINT8, 1, nullptr};

std::vector<Part> one_behind_the_other(const std::uint64_t* sizes, std::uint32_t ranks) {
  std::vector<Part> parts;
  std::uint64_t offset = 0;
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    parts.push_back({offset, sizes[rank]});
    offset += sizes[rank];
  }
  return parts;
}

}  // namespace

extern "C" {

HcclResult cann_simulator_find_group(const char* name, cann_simulator_group* group) {
  return entry(__func__, [=]() -> Result {
    HcclComm handle = nullptr;
    std::shared_ptr<Communicator> communicator;
    if (Result result = find(name, &handle, &communicator); !result.ok()) return result;
    *group = {communicator->size(), communicator->rank(), communicator->membership().device};
    return {};
  });
}

HcclResult cann_simulator_launch_in_group(const char* group, const char* name,
                                          const cann_simulator_range* ranges, size_t count,
                                          aclrtStream stream, cann_simulator_joint_kernel kernel,
                                          void* argument, void (*release)(void*)) {
  const std::shared_ptr<void> owned(argument, release);
  return entry(name, [&]() -> Result {
    HcclComm handle = nullptr;
    std::shared_ptr<Communicator> communicator;
    if (Result result = find(group, &handle, &communicator); !result.ok()) return result;
    Operation operation;
    operation.kind = Kind::kFused;
    std::snprintf(operation.name, sizeof operation.name, "%s", name);
    const std::vector<cann_simulator_range> touched(ranges, ranges + count);
    return communicator->launch(operation, name, touched, stream,
                                [=](Session& session) { return meet(session, kernel, owned.get()); });
  });
}

HcclResult cann_simulator_all_reduce(cann_simulator_meeting* meeting, HcclDataType data_type,
                                     const void* from, void* to, uint64_t count) {
  return meeting->exchange([=] {
    return all_reduce(meeting->session, summed(data_type), static_cast<const char*>(from),
                      static_cast<char*>(to), count);
  });
}

HcclResult cann_simulator_reduce_scatter(cann_simulator_meeting* meeting, HcclDataType data_type,
                                         const void* from, void* to, uint64_t receive_count) {
  return meeting->exchange([=] {
    return reduce_scatter(meeting->session, summed(data_type), static_cast<const char*>(from),
                          static_cast<char*>(to), equal_parts(meeting->session.size(), receive_count));
  });
}

HcclResult cann_simulator_all_gather(cann_simulator_meeting* meeting, const void* from, void* to,
                                     uint64_t bytes) {
  return meeting->exchange([=] {
    return all_gather(meeting->session, kBytes, static_cast<const char*>(from), static_cast<char*>(to),
                      equal_parts(meeting->session.size(), bytes));
  });
}

HcclResult cann_simulator_all_to_all(cann_simulator_meeting* meeting, const void* from, const uint64_t* sends,
                                     void* to, const uint64_t* receives) {
  return meeting->exchange([=] {
    const std::uint32_t ranks = meeting->session.size();
    return all_to_all(meeting->session, kBytes, static_cast<const char*>(from),
                      one_behind_the_other(sends, ranks), kBytes, static_cast<char*>(to),
                      one_behind_the_other(receives, ranks));
  });
}

}  // extern "C"
