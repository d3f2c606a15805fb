// CANN's C ABI with default visibility: included by the sources that define it. The libraries are
// compiled with -fvisibility=hidden, so nothing else leaves them.
#ifndef CANN_SIMULATOR_ABI_H_
#define CANN_SIMULATOR_ABI_H_

#pragma GCC visibility push(default)
#include "cann/acl.h"
#include "cann/acl_device.h"
#include "cann/acl_graph.h"
#include "cann/acl_op.h"
#include "cann/acl_prof.h"
#include "cann/acl_report.h"
#include "cann/acl_virtual_memory.h"
#include "cann_simulator/executors.h"
#include "cann_simulator/runtime.h"
#pragma GCC visibility pop

#endif  // CANN_SIMULATOR_ABI_H_
