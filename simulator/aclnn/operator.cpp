#include "operator.h"

#include <c10/util/Exception.h>

#include <cstdio>
#include <cstring>
#include <variant>
#include <vector>

#include "cann_simulator/abi.h"
#include "cann_simulator/joint.h"
#include "trial.h"

namespace cann_simulator {
namespace {

struct Executor {
  const Operator* operation;
  int32_t device;
  std::vector<Value> values;
  Widening widening;
};

void release_executor(void* content) { delete static_cast<Executor*>(content); }

int32_t current_device() {
  int32_t device = 0;
  if (const aclError code = cann_simulator_current_device(&device); code != ACL_SUCCESS) {
    const char* message = aclGetRecentErrMsg();
    throw Refusal{code, message != nullptr ? message : "the thread has no device"};
  }
  return device;
}

struct Launch {
  std::unique_ptr<Executor> executor;
  void* workspace;  // readable
};

aclError run_with(cann_simulator_meeting* meeting, void* argument, char* message, std::size_t capacity) {
  const auto& launch = *static_cast<Launch*>(argument);
  const Operator& operation = *launch.executor->operation;
  try {
    compute_alone();
    // A kernel may leave anything in its workspace; memory that is somebody else's by now shows it.
    if (operation.workspace > 0) std::memset(launch.workspace, 0xA5, operation.workspace);
    const PlainDispatch plain;
    compute(operation, launch.executor->values, launch.executor->widening, meeting);
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

aclError run_kernel(void* argument, char* message, std::size_t capacity) {
  return run_with(nullptr, argument, message, capacity);
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

// The communicator of an operator that communicates; nullptr for all others.
const GroupPlace* group_of(const std::vector<Value>& values) {
  for (const Value& value : values) {
    if (const auto* group = std::get_if<GroupPlace>(&value)) return group;
  }
  return nullptr;
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
    const Widening widening = tried(operation, values);
    auto prepared = std::make_unique<Executor>(Executor{&operation, device, std::move(values), widening});
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
    const GroupPlace* group = group_of(taken->values);
    auto* argument = new Launch{std::move(taken), readable};
    if (group != nullptr) {
      return cann_simulator_launch_in_group(group->name.c_str(), operation.name, ranges.data(), ranges.size(),
                                            stream, run_with, argument, release_launch);
    }
    return cann_simulator_launch_touching(stream, operation.name, ranges.data(), ranges.size(), run_kernel,
                                          argument, release_launch);
  } catch (...) {
    return refused(operation.name);
  }
}

}  // namespace cann_simulator
