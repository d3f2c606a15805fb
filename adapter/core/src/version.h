// Which CANN this is.
#ifndef NPU_CORE_VERSION_H_
#define NPU_CORE_VERSION_H_

#include <string>

#include "acl_functions.h"

namespace npu {

// CANN's version, e.g. "7.0.RC1": asked of the library where it can tell, else read from the files of
// the installation that `home` or the library's own path names. "" when nothing tells.
std::string find_cann_version(const AclFunctions& acl, const std::string& home,
                              const std::string& library_path);

}  // namespace npu

#endif  // NPU_CORE_VERSION_H_
