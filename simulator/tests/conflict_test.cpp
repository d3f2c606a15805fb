// A second CANN in one program is refused, whichever way it is found.
#include <dlfcn.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>

#include "check.h"
#include "children.h"

namespace {

// A folder like CANN's home, with a copy of the library; made once.
const std::string& copied_home() {
  static const std::string home = [] {
    char folder[] = "/tmp/cann-simulator-test-XXXXXX";
    CHECK(mkdtemp(folder) != nullptr);
    const std::string path = folder;
    CHECK(mkdir((path + "/lib64").c_str(), 0700) == 0);
    Dl_info info;
    CHECK(dladdr(reinterpret_cast<void*>(&aclInit), &info) != 0);
    std::ofstream(path + "/lib64/libascendcl.so", std::ios::binary)
        << std::ifstream(info.dli_fname, std::ios::binary).rdbuf();
    return path;
  }();
  return home;
}

TEST_CASE(another_home_is_refused) {
  for (const char* variable : {"ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"}) {
    with(variable, copied_home().c_str(),
         [] { CHECK_FAILS(aclInit(nullptr), ACL_ERROR_RT_INTERNAL_ERROR, copied_home()); });
  }
  with("ASCEND_HOME_PATH", "/nowhere", [] { CHECK_OK(aclInit(nullptr)); });
}

TEST_CASE(another_library_that_is_loaded_is_refused) {
  CHECK_OK(aclInit(nullptr));
  CHECK_OK(aclFinalize());
  CHECK(dlopen((copied_home() + "/lib64/libascendcl.so").c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr);
  CHECK_FAILS(aclInit(nullptr), ACL_ERROR_RT_INTERNAL_ERROR, "two CANNs in one program");
}

}  // namespace

int main(int argc, char** argv) {
  copied_home();  // before any case forks a process that would make its own
  const int code = test::run(argc, argv);
  for (const char* path : {"/lib64/libascendcl.so", "/lib64", ""})
    std::remove((copied_home() + path).c_str());
  return code;
}
