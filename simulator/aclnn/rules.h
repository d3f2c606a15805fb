// Rules of CANN's documentation for the arguments of an operator, with the code that CANN gives when one is
// broken. The trial of phase one meets them, before anything is queued. What follows the condition is the
// message, in parts; they are looked at when the rule is broken only.
#ifndef CANN_SIMULATOR_RULES_H_
#define CANN_SIMULATOR_RULES_H_

#include <c10/util/StringUtil.h>

#include "arguments.h"

#define SIMULATOR_EXPECT(code, holds, ...)                    \
  do {                                                        \
    if (!(holds)) throw Refusal{code, c10::str(__VA_ARGS__)}; \
  } while (false)

// What CANN's checks of parameters refuse: types, values of attributes, lists of another length.
#define EXPECT_PARAMETER(holds, ...) SIMULATOR_EXPECT(ACLNN_ERR_PARAM_INVALID, holds, __VA_ARGS__)
// What CANN's tiling refuses: shapes that do not fit each other, attributes that do not fit a shape.
#define EXPECT_TILING(holds, ...) SIMULATOR_EXPECT(ACLNN_ERR_INNER_TILING_ERROR, holds, __VA_ARGS__)
// What must be there in this mode, and is not.
#define EXPECT_GIVEN(holds, ...) SIMULATOR_EXPECT(ACLNN_ERR_PARAM_NULLPTR, holds, __VA_ARGS__)

namespace cann_simulator {

// Positions are of int32 or int64.
inline void expect_positions(const char* name, const at::Tensor& positions) {
  EXPECT_PARAMETER(positions.scalar_type() == at::kInt || positions.scalar_type() == at::kLong, "'", name,
                   "' has data type ", positions.scalar_type(), "; it must be int32 or int64");
}

}  // namespace cann_simulator

#endif  // CANN_SIMULATOR_RULES_H_
