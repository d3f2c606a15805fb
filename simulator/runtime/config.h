// What is simulated: read once from the environment, before the first device is looked at.
#ifndef CANN_SIMULATOR_CONFIG_H_
#define CANN_SIMULATOR_CONFIG_H_

#include <cstddef>
#include <string>
#include <vector>

#include "faults.h"
#include "status.h"

namespace cann_simulator {

enum class CheckMode { kOff, kReport, kError };
enum class RefusalMode { kReport, kIgnore };

// CANN_SIMULATOR_DEVICES  how many devices the machine has (1..64; 2)
// CANN_SIMULATOR_MEMORY   memory of each: bytes, or with K, M, G, T for powers of 1024 (2G)
// CANN_SIMULATOR_SOC      SoC name (Ascend910B1)
// CANN_SIMULATOR_CANN     CANN version to play (9.1.0)
// CANN_SIMULATOR_FAULT    what goes wrong, see FaultPlan (nothing)
// CANN_SIMULATOR_CHECK    "report" or "error": look for races between streams (off)
// CANN_SIMULATOR_REFUSALS "report" or "ignore": whether a program that passed over failed calls ends with a
// code
//                         of its own (report)
// CANN_SIMULATOR_DRAIN    how many seconds the end of a program waits for what nobody will see (5)
// ASCEND_RT_VISIBLE_DEVICES  comma-separated indices: which of the devices this process sees, in that
//                         order; as in CANN the list ends at the first entry that is no device or comes twice
struct Config {
  int physical_devices = 2;
  std::size_t memory = std::size_t{2} << 30;
  std::string soc = "Ascend910B1";
  std::string cann = "9.1.0";
  FaultPlan faults;
  CheckMode check = CheckMode::kOff;
  RefusalMode refusals = RefusalMode::kReport;
  int drain_seconds = 5;
  std::vector<int> visible = {0, 1};  // logical index -> physical device
};

// Fills *config but for the visible devices; ACL_ERROR_INVALID_PARAM names the variable that cannot be
// understood.
Status read_config(Config* config);

// The values of CANN_SIMULATOR_FAULT and CANN_SIMULATOR_CHECK; "" stands for nothing and off.
Status parse_faults(const char* text, FaultPlan* plan);
Status parse_check(const char* text, CheckMode* mode);

// Which devices this process sees. Asked when the first of them is, and not before: a program may set the
// variable after it has loaded an adapter, which asks for names and versions by then.
std::vector<int> read_visible_devices(int physical_devices);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_CONFIG_H_
