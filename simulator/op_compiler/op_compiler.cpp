// libacl_op_compiler: operators by name, CANN's older path. An adapter that does not find an aclnn operator
// falls back to it, so an answer of success would pass garbage off as a result: every operator but a few is
// refused, with what a report of the missing one needs. The compiler's settings are kept and told.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "broadcast.h"
#include "cann_simulator/abi.h"
#include "formats.h"
#include "recurrent.h"
#include "same_as_aclnn.h"

namespace {

// "float32 [2, 3]" would be ATen's words; here types are CANN's numbers, as its own log prints them.
std::string describe(int count, const aclTensorDesc* const descriptions[]) {
  std::string text;
  for (int index = 0; descriptions != nullptr && index < count; ++index) {
    const aclTensorDesc* desc = descriptions[index];
    text += index == 0 ? "" : ", ";
    if (desc == nullptr) {
      text += "none";
      continue;
    }
    text += "dtype " + std::to_string(aclGetTensorDescType(desc)) + " [";
    for (std::size_t dimension = 0; dimension < aclGetTensorDescNumDims(desc); ++dimension) {
      int64_t size = 0;
      aclGetTensorDescDimV2(desc, dimension, &size);
      text += (dimension == 0 ? "" : ", ") + std::to_string(size);
    }
    text += "]";
  }
  return text;
}

aclError refuse(const char* function, const char* op_type, const std::string& inputs) {
  std::string message = std::string(function) + ": the CANN simulator has no operator '" +
                        (op_type == nullptr ? "(NULL)" : op_type) + "'";
  if (!inputs.empty()) message += " (inputs: " + inputs + ")";
  message +=
      "; it runs aclnn operators only, and the adapter found none for this call. 'cann-simulator info "
      "--json' "
      "lists what there is; to report the missing one, send this message with the versions of torch, "
      "torch_npu "
      "and cann-simulator to the simulator's issue tracker";
  const std::string what = std::string("operator ") + (op_type == nullptr ? "(NULL)" : op_type);
  return cann_simulator_lack(what.c_str(), message.c_str());
}

constexpr aclCompileOpt kJitCompile = 10;
constexpr aclCompileOpt kLastOption = 16;

struct CompileOptions {
  std::mutex mutex;
  // An adapter asks for the default: operators are there when a program starts, none is compiled on first
  // use.
  std::map<aclCompileOpt, std::string> values{{kJitCompile, "disable"}};
};

CompileOptions& options() {
  static CompileOptions* const kept = new CompileOptions;
  return *kept;
}

aclError refuse_option(const char* function, aclCompileOpt opt, const char* why) {
  const std::string message = std::string(function) + ": compile option " + std::to_string(opt) + " " + why;
  return cann_simulator_fail_no_launch(ACL_ERROR_INVALID_PARAM, message.c_str());
}

}  // namespace

extern "C" {

aclError aclopCompileAndExecute(const char* op_type, int num_inputs, const aclTensorDesc* const input_desc[],
                                const aclDataBuffer* const inputs[], int num_outputs,
                                const aclTensorDesc* const output_desc[], aclDataBuffer* const outputs[],
                                const aclopAttr* attr, int, int, const char*, aclrtStream stream) {
  const cann_simulator::NamedCall call{op_type,     num_inputs, input_desc, inputs, num_outputs,
                                       output_desc, outputs,    attr,       stream};
  const std::string name = op_type == nullptr ? "" : op_type;
  // The second input, the shape, is the output's.
  if (name == "BroadcastTo" && num_inputs > 0 && num_outputs == 1) {
    return cann_simulator::broadcast_to(input_desc[0], inputs[0], output_desc[0], outputs[0], stream);
  }
  if (name == "Identity" && num_inputs == 1 && num_outputs == 1) {
    return cann_simulator::identity(input_desc[0], inputs[0], output_desc[0], outputs[0], stream);
  }
  if (name == "Cdist") return cann_simulator::cdist(call);
  if (name == "LogSpaceD") return cann_simulator::log_space(call);
  aclError result = ACL_SUCCESS;
  if (cann_simulator::recurrent(call, &result)) return result;
  return refuse(__func__, op_type, describe(num_inputs, input_desc));
}

aclError aclopCompileAndExecuteV2(const char* op_type, int num_inputs, aclTensorDesc* input_desc[],
                                  aclDataBuffer* inputs[], int num_outputs, aclTensorDesc* output_desc[],
                                  aclDataBuffer* outputs[], aclopAttr* attr, int engine_type,
                                  int compile_flag, const char* op_path, aclrtStream stream) {
  return aclopCompileAndExecute(op_type, num_inputs, input_desc, inputs, num_outputs, output_desc, outputs,
                                attr, engine_type, compile_flag, op_path, stream);
}

// The parameters after the name of the operator are not read, so they are not declared.
__attribute__((visibility("default"))) aclError aclopCompile(const char* op_type) {
  return refuse(__func__, op_type, "");
}
__attribute__((visibility("default"))) aclError aclGenGraphAndDumpForOp(const char* op_type) {
  return refuse(__func__, op_type, "");
}
// NULL is how CANN reports a failure; without options no graph can be dumped.
__attribute__((visibility("default"))) aclGraphDumpOption* aclCreateGraphDumpOpt(void) {
  (void)cann_simulator_lack("function aclCreateGraphDumpOpt",
                            "aclCreateGraphDumpOpt: the CANN simulator compiles no graphs of operators");
  return nullptr;
}
__attribute__((visibility("default"))) aclError aclDestroyGraphDumpOpt(const aclGraphDumpOption*) {
  return cann_simulator_fail_no_launch(ACL_ERROR_INVALID_PARAM,
                                       "aclDestroyGraphDumpOpt: these are no live options");
}

aclError aclSetCompileopt(aclCompileOpt opt, const char* value) {
  if (opt < 0 || opt > kLastOption) return refuse_option(__func__, opt, "does not exist");
  if (value == nullptr) return refuse_option(__func__, opt, "was given NULL");
  const std::lock_guard<std::mutex> lock(options().mutex);
  options().values[opt] = value;
  return ACL_SUCCESS;
}

size_t aclGetCompileoptSize(aclCompileOpt opt) {
  const std::lock_guard<std::mutex> lock(options().mutex);
  const auto found = options().values.find(opt);
  return found == options().values.end() ? 0 : found->second.size() + 1;
}

aclError aclGetCompileopt(aclCompileOpt opt, char* value, size_t length) {
  const std::lock_guard<std::mutex> lock(options().mutex);
  const auto found = options().values.find(opt);
  if (found == options().values.end()) return refuse_option(__func__, opt, "has no value");
  if (value == nullptr || length < found->second.size() + 1) {
    return refuse_option(__func__, opt, "does not fit: see aclGetCompileoptSize");
  }
  std::memcpy(value, found->second.c_str(), found->second.size() + 1);
  return ACL_SUCCESS;
}

aclError aclopSetCompileFlag(int flag) {
  (void)flag;  // how operators by name would be compiled
  return ACL_SUCCESS;
}

}  // extern "C"
