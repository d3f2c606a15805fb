#include "same_as_aclnn.h"

#include <cstddef>
#include <limits>
#include <string>

#include "aclnn.h"
#include "descriptions.h"
#include "layout.h"

namespace cann_simulator {
namespace {

aclError refuse(const NamedCall& call, const std::string& text) {
  return cann_simulator_fail(ACL_ERROR_INVALID_PARAM, (std::string(call.name) + ": " + text).c_str());
}

bool plain(const aclTensorDesc* desc, const aclDataBuffer* data) {
  return desc != nullptr && data != nullptr && stored_sizes_of(desc) == sizes_of(desc);
}

// What is wrong with the number of operands or with how one is stored; empty when nothing is.
std::string problem_of(const NamedCall& call, int inputs) {
  if (call.inputs != inputs || call.outputs != 1) {
    return "takes " + std::to_string(inputs) + " inputs and one output, and was given " +
           std::to_string(call.inputs) + " and " + std::to_string(call.outputs);
  }
  bool fits = plain(call.output_desc[0], call.output[0]);
  for (int index = 0; index < inputs; ++index) {
    fits = fits && plain(call.input_desc[index], call.input[index]);
  }
  return fits ? "" : "an operand is NULL, or stored in a private format";
}

}  // namespace

aclError cdist(const NamedCall& call) {
  if (const std::string problem = problem_of(call, 2); !problem.empty()) return refuse(call, problem);
  const Sizes sizes = sizes_of(call.input_desc[0]);
  if (sizes.empty() || sizes != sizes_of(call.input_desc[1])) {
    return refuse(call, "the inputs' shapes differ, or have no dimension");
  }
  if (sizes_of(call.output_desc[0]) != Sizes(sizes.begin(), sizes.end() - 1)) {
    return refuse(call, "the output's shape is not that of the inputs without the last dimension");
  }
  const double* const given = cann_simulator_number(call.attributes, "p");
  const double p = given == nullptr ? 2.0 : *given;
  if (p < 0 && p != -1)
    return refuse(call, "'p' is " + std::to_string(p) + "; it must be -1 or not negative");
  int64_t pairs = 1;
  for (std::size_t index = 0; index + 1 < sizes.size(); ++index) pairs *= sizes[index];
  const Sizes rows = {pairs, 1, sizes.back()};
  const Tensor x1 = tensor_of(call.input_desc[0], call.input[0], rows);
  const Tensor x2 = tensor_of(call.input_desc[1], call.input[1], rows);
  const Tensor out = tensor_of(call.output_desc[0], call.output[0], {pairs, 1, 1});
  if (!x1 || !x2 || !out) return ACL_ERROR_INVALID_PARAM;  // whoever did not make a tensor said why
  const float exponent = p == -1 ? std::numeric_limits<float>::infinity() : static_cast<float>(p);
  return queue_aclnn<const aclTensor*, const aclTensor*, float, int64_t, const aclTensor*>(
      call.name, "Cdist", call.stream, x1.get(), x2.get(), exponent, 0, out.get());
}

aclError log_space(const NamedCall& call) {
  if (const std::string problem = problem_of(call, 1); !problem.empty()) return refuse(call, problem);
  double values[4] = {};
  const char* const names[] = {"start", "end", "steps", "base"};
  for (std::size_t index = 0; index < 4; ++index) {
    const double* const value = cann_simulator_number(call.attributes, names[index]);
    if (value == nullptr) return refuse(call, std::string("the attribute '") + names[index] + "' is missing");
    values[index] = *value;
  }
  const auto steps = static_cast<int64_t>(values[2]);
  if (sizes_of(call.output_desc[0]) != Sizes{steps}) {
    return refuse(call,
                  "the output does not have one dimension of 'steps' elements, " + std::to_string(steps));
  }
  const Scalar start = scalar_of(values[0]);
  const Scalar end = scalar_of(values[1]);
  const Tensor out = tensor_of(call.output_desc[0], call.output[0], {steps});
  if (!start || !end || !out) return ACL_ERROR_INVALID_PARAM;  // whoever did not make a handle said why
  return queue_aclnn<const aclScalar*, const aclScalar*, int64_t, double, const aclTensor*>(
      call.name, "LogSpace", call.stream, start.get(), end.get(), steps, values[3], out.get());
}

}  // namespace cann_simulator
