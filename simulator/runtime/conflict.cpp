#include "conflict.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdlib>
#include <string>

namespace cann_simulator {
namespace {

constexpr char kLibrary[] = "/libascendcl.so";

// Without links and dots; empty when there is no such file.
std::string real_path(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return {};
  std::string text = resolved;
  std::free(resolved);
  return text;
}

std::string own_path() {
  Dl_info info;
  return dladdr(reinterpret_cast<void*>(&find_conflict), &info) == 0 ? std::string()
                                                                     : real_path(info.dli_fname);
}

struct Search {
  std::string own;
  std::string other;
};

int look_at(dl_phdr_info* library, std::size_t, void* search_of_caller) {
  auto* search = static_cast<Search*>(search_of_caller);
  const std::string name = library->dlpi_name == nullptr ? "" : library->dlpi_name;
  if (name.find(kLibrary) == std::string::npos) return 0;
  const std::string path = real_path(name);
  if (path.empty() || path == search->own) return 0;
  search->other = name;
  return 1;
}

Status refuse(const std::string& other, const std::string& own) {
  return failure(
      ACL_ERROR_RT_INTERNAL_ERROR,
      "two CANNs in one program: %s, and the simulator %s; start it from a shell in which no other "
      "set_env.sh was sourced",
      other.c_str(), own.c_str());
}

}  // namespace

Status find_conflict() {
  Search search{own_path(), {}};
  if (search.own.empty()) return {};  // linked into a program: there is no path to compare
  if (dl_iterate_phdr(look_at, &search) != 0) return refuse(search.other, search.own);
  for (const char* variable : {"ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"}) {
    const char* const home = std::getenv(variable);
    if (home == nullptr || *home == '\0') continue;
    for (const char* folder : {"/lib64", "/lib"}) {
      const std::string other = real_path(std::string(home) + folder + kLibrary);
      if (!other.empty() && other != search.own)
        return refuse(std::string(variable) + "=" + home, search.own);
    }
  }
  return {};
}

}  // namespace cann_simulator
