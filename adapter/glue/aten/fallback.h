// Operators that the backend has no kernel for run on the CPU; this is the switch and the tally.
#ifndef NPU_GLUE_ATEN_FALLBACK_H_
#define NPU_GLUE_ATEN_FALLBACK_H_

#include <cstdint>
#include <map>
#include <string>

namespace npu {

// Sets what a fallback does: "warn" (once per operator), "error" or "silent". Returns what it did before;
// throws for another word. Starts as "error" when TORCH_NPU_FALLBACK_CPU_DISABLE=1, else as "warn".
std::string set_fallback(const std::string& mode);

// Operator name -> calls that ran on the CPU so far in this process.
std::map<std::string, int64_t> fallback_counts();

}  // namespace npu

#endif  // NPU_GLUE_ATEN_FALLBACK_H_
