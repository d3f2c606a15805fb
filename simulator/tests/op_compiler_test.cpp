// Operators by name: refused with what a report needs, never a success. The compiler's settings are kept.
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "cann/acl_op.h"
#include "check.h"

namespace {

TEST_CASE(an_operator_by_name_is_refused_and_described) {
  const int64_t sizes[] = {2, 3};
  aclTensorDesc* desc = aclCreateTensorDesc(ACL_FLOAT, 2, sizes, ACL_FORMAT_ND);
  CHECK(aclGetTensorDescType(desc) == ACL_FLOAT && aclGetTensorDescNumDims(desc) == 2);
  CHECK_OK(aclSetTensorFormat(desc, ACL_FORMAT_ND));
  aclDataBuffer* buffer = aclCreateDataBuffer(nullptr, 0);
  aclopAttr* attributes = aclopCreateAttr();
  CHECK_OK(aclopSetAttrBool(attributes, "transpose_x1", 1));
  const aclTensorDesc* const inputs[] = {desc, nullptr};
  const aclDataBuffer* const buffers[] = {buffer, buffer};
  aclDataBuffer* const outputs[] = {buffer};
  CHECK_FAILS(aclopCompileAndExecute("MatMul", 2, inputs, buffers, 1, inputs, outputs, attributes, 0, 0,
                                     nullptr, nullptr),
              ACL_ERROR_API_NOT_SUPPORT, "'MatMul' (inputs: dtype 0 [2, 3], none)");
  CHECK_FAILS(aclopCompileAndExecute("Range", 0, nullptr, nullptr, 0, nullptr, nullptr, nullptr, 0, 0,
                                     nullptr, nullptr),
              ACL_ERROR_API_NOT_SUPPORT, "to report the missing one");
  aclopDestroyAttr(attributes);
  CHECK_OK(aclDestroyDataBuffer(buffer));
  aclDestroyTensorDesc(desc);
}

TEST_CASE(wrong_descriptions_are_refused) {
  CHECK(aclCreateTensorDesc(ACL_FLOAT, -1, nullptr, ACL_FORMAT_ND) == nullptr);
  CHECK(aclCreateTensorDesc(ACL_FLOAT, 1, nullptr, ACL_FORMAT_ND) == nullptr);
  aclTensorDesc* scalar = aclCreateTensorDesc(ACL_FLOAT, 0, nullptr, ACL_FORMAT_ND);
  CHECK(scalar != nullptr);
  int64_t size = 0;
  CHECK_FAILS(aclGetTensorDescDimV2(scalar, 0, &size), ACL_ERROR_INVALID_PARAM, "0 dimensions");
  aclDestroyTensorDesc(scalar);
  CHECK_FAILS(aclopSetAttrInt(nullptr, "axis", 1), ACL_ERROR_INVALID_PARAM, "attr is NULL");
}

TEST_CASE(compile_options_are_kept) {
  constexpr aclCompileOpt kCacheMode = 7;
  constexpr aclCompileOpt kJitCompile = 10;
  char value[16] = "";
  CHECK(aclGetCompileoptSize(kCacheMode) == 0);
  CHECK_OK(aclSetCompileopt(kCacheMode, "enable"));
  CHECK(aclGetCompileoptSize(kCacheMode) == 7);
  CHECK_OK(aclGetCompileopt(kCacheMode, value, sizeof value));
  CHECK(std::strcmp(value, "enable") == 0);
  CHECK_FAILS(aclGetCompileopt(kCacheMode, value, 6), ACL_ERROR_INVALID_PARAM, "does not fit");
  CHECK_OK(aclGetCompileopt(kJitCompile, value, sizeof value));  // an adapter asks for it unset
  CHECK(std::strcmp(value, "disable") == 0);
  CHECK_FAILS(aclSetCompileopt(99, "1"), ACL_ERROR_INVALID_PARAM, "99 does not exist");
}

// Operands of an operator by name, in memory of the device.
struct Operands {
  ~Operands() {
    for (const aclTensorDesc* desc : descs) aclDestroyTensorDesc(desc);
    for (aclDataBuffer* buffer : buffers) {
      if (aclGetDataBufferAddr(buffer) != nullptr) CHECK_OK(aclrtFree(aclGetDataBufferAddr(buffer)));
      CHECK_OK(aclDestroyDataBuffer(buffer));
    }
  }
  void add(std::initializer_list<int64_t> sizes, float value) {
    std::vector<float> numbers(1, value);
    for (const int64_t size : sizes) numbers.resize(numbers.size() * static_cast<std::size_t>(size), value);
    const std::size_t bytes = numbers.size() * sizeof(float);
    void* memory = nullptr;
    CHECK_OK(aclrtMalloc(&memory, bytes, ACL_MEM_MALLOC_NORMAL_ONLY));
    CHECK_OK(aclrtMemcpy(memory, bytes, numbers.data(), bytes, ACL_MEMCPY_HOST_TO_DEVICE));
    descs.push_back(
        aclCreateTensorDesc(ACL_FLOAT, static_cast<int>(sizes.size()), sizes.begin(), ACL_FORMAT_ND));
    buffers.push_back(aclCreateDataBuffer(memory, bytes));
  }
  void add_none() {
    descs.push_back(aclCreateTensorDesc(ACL_DT_UNDEFINED, 0, nullptr, ACL_FORMAT_UNDEFINED));
    buffers.push_back(aclCreateDataBuffer(nullptr, 0));
  }
  float first(std::size_t operand) const {
    float value = 0;
    CHECK_OK(aclrtMemcpy(&value, sizeof value, aclGetDataBufferAddr(buffers[operand]), sizeof value,
                         ACL_MEMCPY_DEVICE_TO_HOST));
    return value;
  }
  std::vector<const aclTensorDesc*> descs;
  std::vector<aclDataBuffer*> buffers;
};

aclError run(const char* name, const Operands& in, const Operands& out, const char* direction) {
  aclopAttr* attributes = aclopCreateAttr();
  CHECK_OK(aclopSetAttrString(attributes, "direction", direction));
  const aclError code =
      aclopCompileAndExecute(name, static_cast<int>(in.descs.size()), in.descs.data(), in.buffers.data(),
                             static_cast<int>(out.descs.size()), out.descs.data(), out.buffers.data(),
                             attributes, 0, 0, nullptr, nullptr);
  aclopDestroyAttr(attributes);
  return code;
}

void lstm_operands(Operands* in, Operands* out, int64_t rows = 5) {
  in->add({4, 3, 2}, 1);   // x: 4 steps, 3 sequences, 2 features
  in->add({rows, 12}, 0);  // the weight: 2 features and 3 hidden ones, 4 gates
  in->add({12}, 0);
  in->add_none();
  in->add({1, 3, 3}, 0);
  in->add({1, 3, 3}, 1);  // the cell's state
  for (int number = 0; number < 8; ++number) out->add({4, 3, 3}, 7);
}

TEST_CASE(a_layer_of_an_lstm_is_one_operator) {
  CHECK_OK(aclrtSetDevice(0));
  for (const char* direction : {"UNIDIRECTIONAL", "REDIRECTIONAL"}) {
    Operands in, out;
    lstm_operands(&in, &out);
    CHECK_OK(run("DynamicRNN", in, out, direction));
    CHECK_OK(aclrtSynchronizeDevice());
    // Without weights the gates are 1/2 and the new content is 0: the state halves at every step.
    const float cell = std::strcmp(direction, "UNIDIRECTIONAL") == 0 ? 0.5F : 0.0625F;
    CHECK(std::fabs(out.first(2) - cell) < 1e-6F);
    CHECK(std::fabs(out.first(0) - 0.5F * std::tanh(cell)) < 1e-6F);
    CHECK(std::fabs(out.first(7) - std::tanh(cell)) < 1e-6F);
  }
}

TEST_CASE(a_step_of_an_lstm_has_a_weight_of_x_and_one_of_h) {
  CHECK_OK(aclrtSetDevice(0));
  Operands in, out;
  in.add({1, 3, 2}, 1);  // x: a step, 3 sequences, 2 features
  in.add({2, 12}, 0.25F);
  in.add({3, 12}, 0.125F);
  in.add({12}, 0.5F);
  in.add_none();
  in.add({1, 3, 3}, 2);
  in.add({1, 3, 3}, 1);
  for (int number = 0; number < 8; ++number) out.add({1, 3, 3}, 7);
  CHECK_OK(run("DynamicRNNV2", in, out, "UNIDIRECTIONAL"));
  CHECK_OK(aclrtSynchronizeDevice());
  const float gate = 2 * 0.25F + 3 * 2 * 0.125F + 0.5F, open = 1 / (1 + std::exp(-gate));
  const float cell = open + open * std::tanh(gate);
  CHECK(std::fabs(out.first(2) - cell) < 1e-6F);
  CHECK(std::fabs(out.first(1) - open * std::tanh(cell)) < 1e-6F);
}

TEST_CASE(operands_of_a_layer_must_fit) {
  CHECK_OK(aclrtSetDevice(0));
  Operands in, out, wide, none;
  lstm_operands(&in, &out);
  lstm_operands(&wide, &none, 6);
  CHECK_FAILS(run("DynamicRNN", in, out, "SIDEWAYS"), ACL_ERROR_INVALID_PARAM, "'SIDEWAYS' is not known");
  CHECK_FAILS(run("DynamicRNN", wide, out, "UNIDIRECTIONAL"), ACL_ERROR_INVALID_PARAM, "weight is [6, 12]");
  CHECK_FAILS(run("DynamicGRUV2", in, out, "UNIDIRECTIONAL"), ACL_ERROR_INVALID_PARAM, "takes 7 inputs");
  aclDestroyTensorDesc(wide.descs.back());
  wide.descs.pop_back();
  CHECK_FAILS(run("DynamicRNN", wide, out, "UNIDIRECTIONAL"), ACL_ERROR_INVALID_PARAM, "was given 5");
}

}  // namespace

int main(int argc, char** argv) {
  CHECK_OK(aclInit(nullptr));
  const int failures = test::run(argc, argv);
  CHECK_OK(aclFinalize());
  return failures;
}
