// What phase one finds out before it accepts a call: whether the kernel computes these shapes and types at
// all. It runs once, on zeros of its own, so that no kernel fails on a stream for what could be known before.
#ifndef CANN_SIMULATOR_TRIAL_H_
#define CANN_SIMULATOR_TRIAL_H_

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <vector>

#include "operator.h"

namespace cann_simulator {

// Kernels run below autograd and whatever else the calling thread has switched on.
class PlainDispatch {
 public:
  PlainDispatch() : excluded_(c10::autocast_dispatch_keyset | kPythonKeys) {}

 private:
  at::NoGradGuard no_grad_;
  at::AutoDispatchBelowADInplaceOrView below_autograd_;
  c10::impl::ExcludeDispatchKeyGuard excluded_;
};

// One CPU thread for what the calling thread computes: two streams must not fight for the machine with a team
// of threads each.
void compute_alone();

// The types to compute in. Throws what the operator's check or its kernel says when it takes these values in
// none; what was found is remembered, per thread.
Widening tried(const Operator& operation, const std::vector<Value>& values);

// Runs the kernel on the memory of its tensors, with what the other ranks have where it communicates.
void compute(const Operator& operation, const std::vector<Value>& values, Widening widening,
             cann_simulator_meeting* meeting = nullptr);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_TRIAL_H_
