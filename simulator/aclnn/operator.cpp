#include "operator.h"

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/util/Exception.h>

#include <cstdio>
#include <cstring>
#include <unordered_set>
#include <variant>
#include <vector>

#include "cann_simulator/abi.h"
#include "cann_simulator/threads.h"

namespace cann_simulator {
namespace {

struct Executor {
  const Operator* operation;
  int32_t device;
  std::vector<Value> values;
};

void release_executor(void* content) { delete static_cast<Executor*>(content); }

// Kernels run below autograd and whatever else the calling thread has switched on.
class PlainDispatch {
 public:
  PlainDispatch() : excluded_(c10::autocast_dispatch_keyset | kPythonKeys) {}

 private:
  at::NoGradGuard no_grad_;
  at::AutoDispatchBelowADInplaceOrView below_autograd_;
  c10::impl::ExcludeDispatchKeyGuard excluded_;
};

// Shapes, types and values that passed the operator's check before, per thread.
class CheckedCalls {
 public:
  bool contains(const std::string& key) const { return keys_.count(key) > 0; }
  void add(std::string key) {
    constexpr std::size_t kMost = 4096;
    if (keys_.size() >= kMost) keys_.clear();
    keys_.insert(std::move(key));
  }

 private:
  std::unordered_set<std::string> keys_;
};

int32_t current_device() {
  int32_t device = 0;
  if (const aclError code = cann_simulator_current_device(&device); code != ACL_SUCCESS) {
    const char* message = aclGetRecentErrMsg();
    throw Refusal{code, message != nullptr ? message : "the thread has no device"};
  }
  return device;
}

void check_shapes(const Operator& operation, const std::vector<Value>& values) {
  if (operation.check == nullptr) return;
  thread_local CheckedCalls checked;
  thread_local std::string key;
  const Operator* const identity = &operation;
  key.assign(reinterpret_cast<const char*>(&identity), sizeof identity);
  for (const Value& value : values) append_key(value, &key);
  if (checked.contains(key)) return;

  Silent silent;  // a check resizes outputs that do not fit; the refusal says so, no warning need to
  const WarningGuard no_warnings(&silent);
  const PlainDispatch plain;
  Frame frame(values, operation.parameters, Frame::Place::kMeta);
  operation.check(frame);
  frame.require_shapes_kept();
  checked.add(key);
}

// One CPU thread per stream: two streams must not fight for the machine with a team of threads each.
// at::set_num_threads also sets what threads that start later get, so a thread that ends at once sets it
// back.
void prepare_stream_thread() {
  thread_local bool prepared = false;
  if (prepared) return;
  prepared = true;
  const int threads_of_program = at::get_num_threads();
  at::set_num_threads(1);
  Thread restoring;
  if (restoring.start([=] { at::set_num_threads(threads_of_program); }) == 0) restoring.join();
}

struct Launch {
  std::unique_ptr<Executor> executor;
  void* workspace;  // readable
};

// What torch's CPU kernels say when they lack a type or take it in one operand only; nothing was computed.
bool wants_wider_type(const c10::Error& error) {
  const std::string message = error.what_without_backtrace();
  return message.find("Half") != std::string::npos || message.find("BFloat16") != std::string::npos;
}

// Where torch's CPU kernels lack 16-bit floating point (older ones have no matrix product and no convolution
// of float16; none mixes it with float32 statistics), the result is computed in float32 and rounded.
void compute(const Operator& operation, const std::vector<Value>& values) {
  const auto run_in = [&](Frame::Place place) {
    Frame frame(values, operation.parameters, place);
    operation.run(frame);
    frame.require_shapes_kept();
    if (place == Frame::Place::kWide) frame.store_wide();
  };
  try {
    run_in(Frame::Place::kMemory);
  } catch (const c10::Error& error) {
    if (!wants_wider_type(error)) throw;
    run_in(Frame::Place::kWide);
  }
}

aclError run_kernel(void* argument, char* message, std::size_t capacity) {
  const auto& launch = *static_cast<Launch*>(argument);
  const Operator& operation = *launch.executor->operation;
  try {
    prepare_stream_thread();
    // A kernel may leave anything in its workspace; memory that is somebody else's by now shows it.
    if (operation.workspace > 0) std::memset(launch.workspace, 0xA5, operation.workspace);
    const PlainDispatch plain;
    compute(operation, launch.executor->values);
    return ACL_SUCCESS;
  } catch (const c10::Error& error) {
    std::snprintf(message, capacity, "%s", error.what_without_backtrace());
  } catch (const std::exception& error) {
    std::snprintf(message, capacity, "%s", error.what());
  } catch (...) {
    std::snprintf(message, capacity, "an exception of unknown type");
  }
  return ACL_ERROR_RT_AICORE_EXCEPTION;
}

void release_launch(void* argument) { delete static_cast<Launch*>(argument); }

void* resolve_workspace(const Operator& operation, void* workspace, uint64_t size, int32_t device) {
  if (operation.workspace == 0) return nullptr;
  const std::string need = "needs a workspace of " + std::to_string(operation.workspace) + " bytes";
  if (workspace == nullptr) throw Refusal{ACLNN_ERR_PARAM_NULLPTR, need + "; NULL was given"};
  if (size < operation.workspace) {
    throw Refusal{ACLNN_ERR_PARAM_INVALID, need + "; " + std::to_string(size) + " were given"};
  }
  int32_t owner = -1;
  void* readable = cann_simulator_alias(workspace, operation.workspace, &owner);
  if (readable == nullptr || owner != device) {
    throw Refusal{ACLNN_ERR_PARAM_INVALID,
                  need + " on device " + std::to_string(device) + "; what was given is no live memory there"};
  }
  return readable;
}

// What the kernel reads and writes, for --check. A view counts from its first element to its last.
std::vector<cann_simulator_range> touched(const Executor& executor, const void* workspace) {
  std::vector<cann_simulator_range> ranges;
  if (!cann_simulator_checking()) return ranges;
  const Operator& operation = *executor.operation;
  const auto add = [&](const TensorView& view, bool written) {
    if (view.bytes > 0) ranges.push_back({view.device_data, view.bytes, written});
  };
  for (std::size_t index = 0; index < executor.values.size(); ++index) {
    const bool written = operation.parameters[index].written;
    if (const auto* view = std::get_if<TensorView>(&executor.values[index])) add(*view, written);
    if (const auto* list = std::get_if<ViewList>(&executor.values[index])) {
      for (const auto& view : *list) {
        if (view) add(*view, written);
      }
    }
  }
  if (operation.workspace > 0) ranges.push_back({workspace, operation.workspace, true});
  return ranges;
}

// Streams must have ended before torch's own static objects go: this object was made after them.
struct StopAtExit {
  ~StopAtExit() { cann_simulator_stop(); }
} stop_at_exit;

// Turns the exception that is being handled into a code and a message.
aclnnStatus refused(const char* name) noexcept {
  const auto fail = [name](aclnnStatus code, const std::string& text) {
    return cann_simulator_fail(code, (std::string(name) + ": " + text).c_str());
  };
  try {
    throw;
  } catch (const Refusal& refusal) {
    return fail(refusal.code, refusal.message);
  } catch (const c10::Error& error) {
    return fail(ACLNN_ERR_PARAM_INVALID, error.what_without_backtrace());
  } catch (const std::exception& error) {
    return fail(ACLNN_ERR_INNER, error.what());
  } catch (...) {
    return fail(ACLNN_ERR_INNER, "an exception of unknown type");
  }
}

}  // namespace

aclnnStatus prepare(const Operator& operation, const Given* given, uint64_t* workspace_size,
                    aclOpExecutor** executor) {
  try {
    if (workspace_size == nullptr) throw Refusal{ACLNN_ERR_PARAM_NULLPTR, "workspaceSize is NULL"};
    if (executor == nullptr) throw Refusal{ACLNN_ERR_PARAM_NULLPTR, "executor is NULL"};
    const int32_t device = current_device();
    auto values = collect(operation.parameters, given, operation.count, device);
    check_shapes(operation, values);
    auto prepared = std::make_unique<Executor>(Executor{&operation, device, std::move(values)});
    *executor = cann_simulator_keep_executor(&operation, prepared.release(), release_executor);
    if (*executor == nullptr) throw std::bad_alloc();
    *workspace_size = operation.workspace;
    return ACL_SUCCESS;
  } catch (...) {
    return refused(operation.name);
  }
}

aclnnStatus launch(const Operator& operation, void* workspace, uint64_t workspace_size,
                   aclOpExecutor* executor, aclrtStream stream) {
  try {
    if (executor == nullptr) throw Refusal{ACLNN_ERR_PARAM_NULLPTR, "the executor is NULL"};
    std::unique_ptr<Executor> taken(
        static_cast<Executor*>(cann_simulator_take_executor(executor, &operation)));
    if (taken == nullptr) {
      throw Refusal{ACLNN_ERR_PARAM_INVALID,
                    "the executor is not one of this operator, or was used before; it serves one call"};
    }
    resolve(taken->values, operation.parameters, taken->device);
    void* readable = resolve_workspace(operation, workspace, workspace_size, taken->device);
    const auto ranges = touched(*taken, workspace);
    auto* argument = new Launch{std::move(taken), readable};
    return cann_simulator_launch_touching(stream, operation.name, ranges.data(), ranges.size(), run_kernel,
                                          argument, release_launch);
  } catch (...) {
    return refused(operation.name);
  }
}

}  // namespace cann_simulator
