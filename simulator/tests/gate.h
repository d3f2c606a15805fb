// A gate (cann/testing/gate.h) before a stream's next task.
#ifndef CANN_SIMULATOR_TESTS_GATE_H_
#define CANN_SIMULATOR_TESTS_GATE_H_

#include "check.h"
#include "testing/gate.h"

class Gate : public test::Gate {
 public:
  // Queues the wait on a stream.
  void block(aclrtStream stream) { CHECK_OK(aclrtLaunchHostFunc(stream, &test::Gate::wait, this)); }
};

#endif  // CANN_SIMULATOR_TESTS_GATE_H_
