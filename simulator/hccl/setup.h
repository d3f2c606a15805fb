// The ways to a connected communicator.
#ifndef CANN_SIMULATOR_HCCL_SETUP_H_
#define CANN_SIMULATOR_HCCL_SETUP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "communicator.h"
#include "place.h"
#include "settings.h"

namespace cann_simulator::hccl {

// What HcclCommConfig says, as far as it means something here.
struct Choices {
  std::string name;          // empty: made up
  int execute_timeout = -1;  // seconds; negative: HCCL_EXEC_TIMEOUT
};

// Reads as much of the structure as its sender knew; NULL says nothing.
Result read_choices(const HcclCommConfig* config, Choices* choices);

// Prepares this process as the one that all ranks of a new communicator meet first.
Result make_root_info(RootInfo* info);

// Whatever this rank cannot do it tells the root, so that the others do not wait. `config` may be nullptr.
Result join_root(const RootInfo& info, std::uint32_t ranks, std::uint32_t rank, const HcclCommConfig* config,
                 std::shared_ptr<Communicator>* communicator);

// `path`: a rank table, in which rank 0's server is where all meet.
Result join_table(const std::string& path, std::uint32_t rank, const HcclCommConfig* config,
                  std::shared_ptr<Communicator>* communicator);

// Among ranks of `parent`, which meet at the first of them: ranks[sub_rank] is this one.
Result split(const Communicator& parent, const std::vector<std::uint32_t>& ranks, std::uint64_t id,
             std::uint32_t sub_rank, const Choices& choices, std::shared_ptr<Communicator>* communicator);

// One rank per device, all in this process.
Result connect_devices(const std::vector<std::int32_t>& devices,
                       std::vector<std::shared_ptr<Communicator>>* communicators);

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_SETUP_H_
