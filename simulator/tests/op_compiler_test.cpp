// Operators by name: refused with what a report needs, never a success. The compiler's settings are kept.
#include <cstring>

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

}  // namespace

int main(int argc, char** argv) { return test::run(argc, argv); }
