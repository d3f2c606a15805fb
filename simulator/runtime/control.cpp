// What test frames change and ask while a program runs: see cann_simulator/runtime.h.
#include "cann_simulator/abi.h"
#include "process.h"
#include "races.h"
#include "refusals.h"

namespace cann_simulator {
namespace {

// The environment was read before it is overruled, or a later reading would win.
Status configured() {
  const Config* config = nullptr;
  return Process::instance().config(&config);
}

Status set_faults(const char* faults) {
  if (faults == nullptr) return null_argument("faults");
  if (Status status = configured(); !status.ok()) return status;
  FaultPlan plan;
  if (Status status = parse_faults(faults, &plan); !status.ok()) return status;
  Faults::instance().plan(plan);
  Process::instance().forget_failures();
  return {};
}

Status set_check(const char* mode) {
  if (mode == nullptr) return null_argument("mode");
  if (Status status = configured(); !status.ok()) return status;
  CheckMode parsed = CheckMode::kOff;
  if (Status status = parse_check(mode, &parsed); !status.ok()) return status;
  Races::instance().begin(parsed);
  return {};
}

}  // namespace
}  // namespace cann_simulator

using namespace cann_simulator;

aclError cann_simulator_set_faults(const char* faults) {
  return entry(__func__, [=] { return set_faults(faults); });
}

aclError cann_simulator_set_check(const char* mode) {
  return entry(__func__, [=] { return set_check(mode); });
}

void cann_simulator_take_races(void (*each)(const char* race, void* argument), void* argument) {
  for (const std::string& race : Races::instance().take()) each(race.c_str(), argument);
}

void cann_simulator_take_refusals(void (*each)(const char* what, const char* message, uint64_t count,
                                               void* argument),
                                  void* argument) {
  for (const Refusals::Refusal& one : Refusals::instance().take()) {
    each(one.what.c_str(), one.message.c_str(), one.count, argument);
  }
}
