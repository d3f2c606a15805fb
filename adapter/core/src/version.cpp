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

// `length` characters from `start`, which lie within the text: substr would check that once more, with
// a function that the oldest libstdc++ to be supported does not have.
std::string part(const std::string& text, size_t start, size_t length) {
  return std::string(text.data() + start, length);
}

std::string parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : part(path, 0, slash);
}

// "version=7.0.RC1" gives "7.0.RC1"; "toolkit_running_version=[7.0.0.5.242:7.0.RC1]", version.cfg's
// way of naming a package and the release it came with, gives the release. "" for any other line.
std::string version_of_line(const std::string& line) {
  const size_t end = line.find_last_not_of(" \t\r") + 1;  // npos + 1 is 0: nothing but blanks
  const size_t equals = line.find('=');
  if (equals == std::string::npos || equals >= end) return "";
  const std::string key = part(line, 0, equals);
  const std::string value = part(line, equals + 1, end - equals - 1);
  if (key == "version") return value;
  if (key != "toolkit_running_version" && key != "runtime_running_version") return "";
  const size_t colon = value.find(':');
  if (colon == std::string::npos || value[value.size() - 1] != ']') return "";
  return part(value, colon + 1, value.size() - colon - 2);
}

std::string version_in_file(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const std::string version = version_of_line(line);
    if (!version.empty()) return version;
  }
  return "";
}

std::string version_in_home(const std::string& home) {
  const std::array<std::string, 4> candidates = {home + "/ascend_toolkit_install.info",
                                                 home + kArchDirectory + "/ascend_toolkit_install.info",
                                                 home + "/version.cfg", home + "/version.info"};
  for (const std::string& path : candidates) {
    const std::string version = version_in_file(path);
    if (!version.empty()) return version;
  }
  return "";
}

}  // namespace

std::string find_cann_version(const AclFunctions& acl, const std::string& home,
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
  const std::string version = version_in_home(parent(parent(library_path)));
  return version.empty() && !home.empty() ? version_in_home(home) : version;
}

}  // namespace npu
