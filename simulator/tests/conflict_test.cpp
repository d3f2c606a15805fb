// A second CANN in one program is refused, whichever way it is found.
#include <dlfcn.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>

#include "check.h"
#include "children.h"

namespace {

std::string copy_of_the_library() {
  char folder[] = "/tmp/cann-simulator-test-XXXXXX";
  CHECK(mkdtemp(folder) != nullptr);
  const std::string home = folder;
  CHECK(mkdir((home + "/lib64").c_str(), 0700) == 0);
  Dl_info info;
  CHECK(dladdr(reinterpret_cast<void*>(&aclInit), &info) != 0);
  const std::string path = home + "/lib64/libascendcl.so";
  std::ofstream(path, std::ios::binary) << std::ifstream(info.dli_fname, std::ios::binary).rdbuf();
  return home;
}

void another_home_is_refused(const std::string& home) {
  for (const char* variable : {"ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"}) {
    with(variable, home.c_str(),
         [&] { CHECK_FAILS(aclInit(nullptr), ACL_ERROR_RT_INTERNAL_ERROR, home.c_str()); });
  }
  with("ASCEND_HOME_PATH", "/nowhere", [] { CHECK_OK(aclInit(nullptr)); });
}

void another_library_that_is_loaded_is_refused(const std::string& home) {
  CHECK_OK(aclInit(nullptr));
  CHECK_OK(aclFinalize());
  CHECK(dlopen((home + "/lib64/libascendcl.so").c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr);
  CHECK_FAILS(aclInit(nullptr), ACL_ERROR_RT_INTERNAL_ERROR, "two CANNs in one program");
}

}  // namespace

int main() {
  const std::string home = copy_of_the_library();
  std::printf("another home is refused\n");
  another_home_is_refused(home);
  std::printf("another library that is loaded is refused\n");
  another_library_that_is_loaded_is_refused(home);
  std::remove((home + "/lib64/libascendcl.so").c_str());
  std::remove((home + "/lib64").c_str());
  std::remove(home.c_str());
  return 0;
}
