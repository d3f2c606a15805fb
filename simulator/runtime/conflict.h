// Whether the program finds a second CANN beside this one.
#ifndef CANN_SIMULATOR_CONFLICT_H_
#define CANN_SIMULATOR_CONFLICT_H_

#include "status.h"

namespace cann_simulator {

// Fails, with both paths, when another libascendcl is loaded, or ASCEND_HOME_PATH or ASCEND_TOOLKIT_HOME
// names a CANN that is not this simulator: what would be looked up next might come from there.
Status find_conflict();

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_CONFLICT_H_
