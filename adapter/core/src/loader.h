// Opens CANN: libascendcl with its table of functions, and the operator libraries.
#ifndef NPU_CORE_LOADER_H_
#define NPU_CORE_LOADER_H_

#include <string>

#include "acl_functions.h"
#include "error.h"

namespace npu {

struct Cann {
  AclFunctions acl;
  void* library = nullptr;  // libascendcl's handle, NULL when it could not be opened
  bool usable = false;      // every required function was found
  std::string home;         // ASCEND_HOME_PATH, else ASCEND_TOOLKIT_HOME, else ""
  std::string path;         // where libascendcl was loaded from
  std::string version;      // CANN's version, "" when it cannot be told
  std::string problem;      // why it is not usable, and what to do
};

// Opens CANN on the first call, and only then: what was found (or not) stays for the process.
const Cann& load_cann();

// The table of functions; only after load_cann() found CANN usable.
inline const AclFunctions& acl() { return load_cann().acl; }

// NPU_OK, or NPU_ERR_NO_CANN with the problem as the message.
npu_status require_cann();

// Sets the last error from CANN's return code unless it is ACL_SUCCESS.
npu_status check_acl(aclError code, const char* call);

}  // namespace npu

// Calls a function of CANN and checks its return code: NPU_ACL(aclrtFree, pointer).
#define NPU_ACL(function, ...) ::npu::check_acl(::npu::acl().function(__VA_ARGS__), #function)

#endif  // NPU_CORE_LOADER_H_
