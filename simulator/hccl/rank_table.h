// Rank tables: JSON files that say which server and device has which rank.
#ifndef CANN_SIMULATOR_HCCL_RANK_TABLE_H_
#define CANN_SIMULATOR_HCCL_RANK_TABLE_H_

#include <string>
#include <vector>

#include "result.h"

namespace cann_simulator::hccl {

struct RankTable {
  std::string text;                         // the file, as it is
  std::vector<std::string> server_of_rank;  // its address: host_ip, otherwise server_id
  std::size_t servers = 0;
};

// Reads the versions with a "server_list"; HCCL_E_OPEN_FILE_FAILURE or HCCL_E_PARA say what is wrong with it.
Result read_rank_table(const std::string& path, RankTable* table);

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_RANK_TABLE_H_
