#include "loader.h"

#include <dlfcn.h>
#include <link.h>

#include <array>
#include <cstdlib>

#include "phase.h"
#include "version.h"

namespace npu {
namespace {

constexpr const char* kRuntimeLibrary = "libascendcl.so";
constexpr const char* kWhatToDo =
    "Install Ascend CANN and run 'source <CANN>/set_env.sh' in this shell before starting the program. "
    "To try a program without an NPU, run it on the simulator: 'cann-simulator run -- python ...', or source "
    "the "
    "simulator's set_env.sh.";

std::string environment_home() {
  for (const char* name : {"ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && value[0] != '\0') return value;
  }
  return "";
}

// The loader's own search path comes first, as it does for every program linked against CANN.
// Opened lazily bound: CANN's libraries refer to functions of drivers that need not be installed.
void* open_library(const char* name, const std::string& home, std::string* problem) {
  if (void* handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL)) return handle;
  *problem = dlerror();
  if (home.empty()) return nullptr;
  const std::string path = home + "/lib64/" + name;
  if (void* handle = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL)) return handle;
  *problem += std::string("; ") + dlerror();
  return nullptr;
}

std::string path_of(void* handle) {
  link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr) return "";
  return map->l_name;
}

// Returns the name of the first required function that is missing, NULL when all are there.
const char* fill_table(void* handle, AclFunctions* acl) {
  const char* missing = nullptr;
#define NPU_ACL_LOOK_UP(name) acl->name = reinterpret_cast<decltype(acl->name)>(dlsym(handle, #name));
#define NPU_ACL_LOOK_UP_REQUIRED(name) \
  NPU_ACL_LOOK_UP(name)                \
  if (acl->name == nullptr && missing == nullptr) missing = #name;
  NPU_ACL_REQUIRED(NPU_ACL_LOOK_UP_REQUIRED)
  NPU_ACL_OPTIONAL(NPU_ACL_LOOK_UP)
#undef NPU_ACL_LOOK_UP_REQUIRED
#undef NPU_ACL_LOOK_UP
  return missing;
}

Cann* open_cann() {
  const LoadingScope scope;
  // Never deleted: other libraries' destructors run at exit in an unknown order and may still free
  // device memory through this table.
  Cann* cann = new Cann;
  cann->home = environment_home();
  std::string problem;
  cann->library = open_library(kRuntimeLibrary, cann->home, &problem);
  if (cann->library == nullptr) {
    cann->problem = "CANN was not found (" + problem + "). " + kWhatToDo;
  } else {
    cann->path = path_of(cann->library);
    const char* missing = fill_table(cann->library, &cann->acl);
    cann->version = find_cann_version(cann->acl, cann->home, cann->path);
    cann->usable = missing == nullptr;
    if (missing != nullptr) {
      cann->problem = cann->path + " is not a CANN runtime that this adapter can use: it has no function '" +
                      missing + "'" + (cann->version.empty() ? "" : " (CANN " + cann->version + ")") + ". " +
                      kWhatToDo;
    }
  }
  return cann;
}

// The operator libraries in the order in which an operator is looked up: the user's own operators go
// before CANN's, as CANN itself has it.
constexpr std::array<const char*, 3> kOperatorLibraries = {"libcust_opapi.so", "libopapi.so",
                                                           "libnnopbase.so"};

const std::array<void*, kOperatorLibraries.size()>& operator_libraries() {
  static const auto handles = [] {
    const LoadingScope scope;
    std::array<void*, kOperatorLibraries.size()> opened{};
    std::string ignored;  // a CANN without custom operators is the rule
    for (size_t i = 0; i < opened.size(); ++i) {
      opened[i] = open_library(kOperatorLibraries[i], load_cann().home, &ignored);
    }
    return opened;
  }();
  return handles;
}

// Opened by the first process group: a process without one never pays for it.
void* collective_library() {
  static void* const handle = [] {
    const LoadingScope scope;
    std::string ignored;  // who asks for a function says that it is missing
    return open_library("libhccl.so", load_cann().home, &ignored);
  }();
  return handle;
}

void* find_symbol(const char* name) {
  if (name == nullptr || in_bad_fork() || !load_cann().usable) return nullptr;
  for (void* handle : operator_libraries()) {
    if (handle == nullptr) continue;
    if (void* symbol = dlsym(handle, name)) return symbol;
  }
  return dlsym(load_cann().library, name);
}

}  // namespace

const Cann& load_cann() {
  static const Cann* cann = open_cann();
  return *cann;
}

npu_status require_cann() {
  NPU_RETURN_IF_ERROR(refuse_half_loaded());
  const Cann& cann = load_cann();
  return cann.usable ? NPU_OK : fail(NPU_ERR_NO_CANN, "%s", cann.problem.c_str());
}

npu_status check_acl(aclError code, const char* call) {
  if (__builtin_expect(code == ACL_SUCCESS, 1)) return NPU_OK;
  const char* text = require_cann() == NPU_OK ? acl().aclGetRecentErrMsg() : nullptr;
  if (text == nullptr || text[0] == '\0') text = "CANN gave no further message";
  return fail(NPU_ERR_ACL, "%s failed with %d: %s", call, code, text);
}

}  // namespace npu

extern "C" {

npu_status npu_cann(npu_cann_info* info) {
  return npu::guarded([&]() -> npu_status {
    if (info == nullptr) return npu::fail(NPU_ERR_BAD_ARGUMENT, "npu_cann: info is NULL");
    *info = {0, 0, "", "", ""};
    NPU_RETURN_IF_ERROR(npu::refuse_half_loaded());
    const npu::Cann& cann = npu::load_cann();
    info->loaded = cann.usable ? 1 : 0;
    info->simulated = cann.acl.cann_simulator_version != nullptr ? 1 : 0;
    info->home = cann.home.c_str();
    info->version = cann.version.c_str();
    info->library = cann.path.c_str();
    return npu::require_cann();
  });
}

void* npu_find_symbol(const char* name) {
  void* symbol = nullptr;
  npu::guarded([&] {
    symbol = npu::find_symbol(name);
    return npu_status{NPU_OK};
  });
  return symbol;
}

void* npu_find_collective_symbol(const char* name) {
  void* symbol = nullptr;
  npu::guarded([&] {
    if (name != nullptr && !npu::in_bad_fork() && npu::load_cann().usable) {
      void* const library = npu::collective_library();
      symbol = library == nullptr ? nullptr : dlsym(library, name);
    }
    return npu_status{NPU_OK};
  });
  return symbol;
}

npu_status npu_check_acl(int32_t code, const char* call) {
  return npu::check_acl(code, call == nullptr ? "a CANN function" : call);
}

npu_status npu_missing_symbol(const char* name) {
  return npu::guarded([&]() -> npu_status {
    NPU_RETURN_IF_ERROR(npu::require_cann());
    const npu::Cann& cann = npu::load_cann();
    return npu::fail(
        NPU_ERR_MISSING_SYMBOL,
        "CANN %s (%s) has no function '%s'. Install the CANN version that this build of the adapter "
        "was made for, with its operator package.",
        cann.version.empty() ? "of unknown version" : cann.version.c_str(), cann.path.c_str(),
        name == nullptr ? "" : name);
  });
}

}  // extern "C"
