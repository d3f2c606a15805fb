// HCCL's environment variables, as far as they mean something on a simulated device.
#ifndef CANN_SIMULATOR_HCCL_SETTINGS_H_
#define CANN_SIMULATOR_HCCL_SETTINGS_H_

#include <cstdint>
#include <string>

#include "result.h"

namespace cann_simulator::hccl {

// HCCL_CONNECT_TIMEOUT   seconds until all ranks must have joined a communicator (120)
// HCCL_EXEC_TIMEOUT      seconds that an operation may take once it runs; 0: no limit (1836)
// HCCL_IF_IP             this host's address for other hosts; otherwise
// HCCL_SOCKET_IFNAME     interfaces, by prefix: "eth,en"; "=eth0" is exact, "^docker" excludes; otherwise the
//                        first interface that is up, loopback last
// HCCL_IF_BASE_PORT      the port at which rank 0 of a rank table is met (60000)
// HCCL_INTRA_ROCE_ENABLE 1: the network between the ranks of one machine, too, instead of shared memory
struct Settings {
  int connect_timeout = 120;
  int execute_timeout = 1836;
  std::string address;  // HCCL_IF_IP
  std::string interfaces;
  std::uint16_t base_port = 60000;
  bool network_only = false;
};

// Reads the environment; HCCL_E_PARA names the variable that cannot be understood.
Result read_settings(Settings* settings);

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_SETTINGS_H_
