// The end of the process: what is to be said about it, and its exit code.
#ifndef CANN_SIMULATOR_ENDING_H_
#define CANN_SIMULATOR_ENDING_H_

namespace cann_simulator {

// From now on a process that ends by exit() or by returning from main() ends with a code of its own where it
// would have ended with 0 although it had races (--check) or calls that failed were passed over (--refusals).
void watch_end();

// The program ends now, and what its streams still hold is waited for as long as the configuration says. Then
// only what somebody outside can see runs, with all that it needs: copies to the host, functions of the host,
// operations of several processes. The rest is skipped, with a line on stderr.
void begin_ending();
// The streams have ended.
void finish_ending();
// Python's own end comes before exit(): adapters synchronize there. To be called when the device is first
// used; does nothing in another program.
void watch_python();

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_ENDING_H_
