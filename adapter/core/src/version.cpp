#include "version.h"

#include <array>
#include <cstring>
#include <fstream>

namespace npu {
namespace {

#if defined(__aarch64__)
constexpr const char* kArchDirectory = "/aarch64-linux";
#else
constexpr const char* kArchDirectory = "/x86_64-linux";
#endif

std::string Parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

// "version=7.0.RC1" gives "7.0.RC1"; "toolkit_running_version=[7.0.0.5.242:7.0.RC1]", version.cfg's
// way of naming a package and the release it came with, gives the release. "" for any other line.
std::string VersionOfLine(std::string line) {
  const size_t end = line.find_last_not_of(" \t\r");
  line.erase(end == std::string::npos ? 0 : end + 1);
  const size_t equals = line.find('=');
  if (equals == std::string::npos) return "";
  const std::string key = line.substr(0, equals);
  const std::string value = line.substr(equals + 1);
  if (key == "version") return value;
  if (key != "toolkit_running_version" && key != "runtime_running_version") return "";
  const size_t colon = value.find(':');
  if (colon == std::string::npos || value.back() != ']') return "";
  return value.substr(colon + 1, value.size() - colon - 2);
}

std::string VersionInFile(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const std::string version = VersionOfLine(line);
    if (!version.empty()) return version;
  }
  return "";
}

std::string VersionInHome(const std::string& home) {
  const std::array<std::string, 4> candidates = {home + "/ascend_toolkit_install.info",
                                                 home + kArchDirectory + "/ascend_toolkit_install.info",
                                                 home + "/version.cfg", home + "/version.info"};
  for (const std::string& path : candidates) {
    const std::string version = VersionInFile(path);
    if (!version.empty()) return version;
  }
  return "";
}

}  // namespace

std::string FindCannVersion(const AclFunctions& acl, const std::string& home,
                            const std::string& library_path) {
  if (acl.cann_simulator_version != nullptr) return acl.cann_simulator_version();
  if (acl.aclsysGetCANNVersion != nullptr) {
    aclCANNPackageVersion answer{};
    if (acl.aclsysGetCANNVersion(ACL_PKG_NAME_CANN, &answer) == ACL_SUCCESS) {
      return std::string(answer.version, strnlen(answer.version, sizeof(answer.version)));
    }
  }
  // The library that was really loaded, <home>/lib64/libascendcl.so, counts before what the
  // environment says: a search path may lead to another installation than the home variable.
  const std::string version = VersionInHome(Parent(Parent(library_path)));
  return version.empty() && !home.empty() ? VersionInHome(home) : version;
}

}  // namespace npu
