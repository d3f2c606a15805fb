// The end of the process: what is to be said about it, and its exit code.
#ifndef CANN_SIMULATOR_ENDING_H_
#define CANN_SIMULATOR_ENDING_H_

namespace cann_simulator {

// From now on a process that ends by exit() or by returning from main() ends with a code of its own where it
// would have ended with 0 although it had races (--check) or calls that failed were passed over (--refusals).
void watch_end();

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_ENDING_H_
