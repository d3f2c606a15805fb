// What the simulator knows of the SoCs that it plays: the figures that CANN's platform files give for them.
#ifndef CANN_SIMULATOR_SOC_H_
#define CANN_SIMULATOR_SOC_H_

#include <cstdint>
#include <string>

namespace cann_simulator {

struct Soc {
  std::int64_t cube_cores;
  std::int64_t vector_cores;
  std::int64_t l2_bytes;
  bool inf_nan;  // overflow gives inf and nan instead of the largest number
  bool bf16;
};

// Of the series that the name belongs to; a name that is not known counts as the newest.
inline Soc soc_of(const std::string& name) {
  constexpr std::int64_t kMiB = 1 << 20;
  const auto starts = [&](const char* prefix) { return name.rfind(prefix, 0) == 0; };
  if (starts("Ascend310P")) return {8, 7, 16 * kMiB, false, false};
  if (starts("Ascend310B")) return {1, 1, 4 * kMiB, true, false};
  if (starts("Ascend910B3") || starts("Ascend910B4")) return {20, 40, 192 * kMiB, true, true};
  if (starts("Ascend910A") || starts("Ascend910P") || name == "Ascend910B" || name == "Ascend910") {
    return {32, 32, 32 * kMiB, false, false};
  }
  return {24, 48, 192 * kMiB, true, true};
}

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_SOC_H_
