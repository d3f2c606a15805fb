// Process, devices and contexts of CANN's C ABI.
#include <cstdio>
#include <cstring>
#include <sstream>
#include <vector>

#include "ending.h"
#include "process.h"
#include "refusals.h"

using namespace cann_simulator;

namespace {

template <std::size_t Size>
void copy_text(char (&to)[Size], const std::string& text) {
  std::snprintf(to, Size, "%s", text.c_str());
}

// "7.0.RC1" -> version, "7", "0", "RC1".
void fill_version(const std::string& version, aclCANNPackageVersion* filled) {
  std::memset(filled, 0, sizeof *filled);
  std::vector<std::string> parts(4);
  std::istringstream stream(version);
  for (std::string& part : parts) std::getline(stream, part, '.');
  copy_text(filled->version, version);
  copy_text(filled->majorVersion, parts[0]);
  copy_text(filled->minorVersion, parts[1]);
  copy_text(filled->releaseVersion, parts[2]);
  copy_text(filled->patchVersion, parts[3]);
}

}  // namespace

extern "C" {

aclError aclInit(const char* config_path) {
  (void)config_path;  // dump and profiling settings, which have no effect here
  return entry(__func__, [] { return Process::instance().initialize(); });
}

aclError aclFinalize(void) {
  return entry(__func__, [] { return Process::instance().finalize(); });
}

const char* aclGetRecentErrMsg(void) { return take_message(); }

const char* aclrtGetSocName(void) {
  const char* name = nullptr;
  entry(__func__, [&] {
    const Config* config = nullptr;
    Status status = Process::instance().config(&config);
    if (status.ok()) name = config->soc.c_str();
    return status;
  });
  return name;
}

// The level of the runtime interface that is followed here; CANN's own version is cann_simulator_version().
aclError aclrtGetVersion(int32_t* major, int32_t* minor, int32_t* patch) {
  return entry(__func__, [=]() -> Status {
    if (major == nullptr || minor == nullptr || patch == nullptr)
      return null_argument("major, minor or patch");
    *major = 1;
    *minor = 15;
    *patch = 0;
    return {};
  });
}

aclError aclsysGetCANNVersion(aclCANNPackageName name, aclCANNPackageVersion* version) {
  return entry(__func__, [=]() -> Status {
    if (version == nullptr) return null_argument("version");
    if (name != ACL_PKG_NAME_CANN && name != ACL_PKG_NAME_RUNTIME) {
      return failure(ACL_ERROR_INVALID_PARAM, "package %d is not part of the simulator", name);
    }
    const Config* config = nullptr;
    Status status = Process::instance().config(&config);
    if (status.ok()) fill_version(config->cann, version);
    return status;
  });
}

const char* cann_simulator_version(void) {
  const Config* config = nullptr;
  entry(__func__, [&] { return Process::instance().config(&config); });
  return config != nullptr ? config->cann.c_str() : "";
}

void cann_simulator_begin_ending(void) { begin_ending(); }

void cann_simulator_stop(void) {
  // Without entry(): nobody reads a message any more, and "not initialized" is no error here.
  begin_ending();
  if (!forked_after_use()) (void)Process::instance().finalize();
  finish_ending();
}

aclError aclrtGetDeviceCount(uint32_t* count) {
  return entry(__func__, [=]() -> Status {
    if (count == nullptr) return null_argument("count");
    int devices = 0;
    Status status = Process::instance().device_count(&devices);
    *count = static_cast<uint32_t>(devices);
    return status;
  });
}

aclError aclrtSetDevice(int32_t device_id) {
  return entry(__func__, [=] { return Process::instance().set_device(device_id); });
}

aclError aclrtResetDevice(int32_t device_id) {
  return entry(__func__, [=] { return Process::instance().reset_device(device_id); });
}

aclError aclrtGetDevice(int32_t* device_id) {
  return entry(__func__, [=]() -> Status {
    if (device_id == nullptr) return null_argument("deviceId");
    std::shared_ptr<Context> context;
    Status status = Process::instance().current_context(&context);
    if (status.ok()) *device_id = context->device();
    return status;
  });
}

aclError cann_simulator_current_device(int32_t* device) { return aclrtGetDevice(device); }

aclError aclrtGetRunMode(aclrtRunMode* run_mode) {
  return entry(__func__, [=]() -> Status {
    if (run_mode == nullptr) return null_argument("runMode");
    *run_mode = ACL_HOST;
    return {};
  });
}

aclError aclrtSynchronizeDeviceWithTimeout(int32_t timeout_ms) {
  return entry(__func__, [=]() -> Status {
    Process& process = Process::instance();
    if (Status status = Refusals::instance().stopped(); !status.ok()) return status;
    std::shared_ptr<Context> context;
    if (Status status = process.current_context(&context); !status.ok()) return status;
    if (Status status = process.refuse_captured(context->device()); !status.ok()) return status;
    if (Status status = process.drain(context->device(), timeout_ms); !status.ok()) return status;
    return process.take_failure(context->device());
  });
}

aclError aclrtSynchronizeDevice(void) { return aclrtSynchronizeDeviceWithTimeout(kForever); }

aclError aclrtDeviceCanAccessPeer(int32_t* can_access_peer, int32_t device_id, int32_t peer_device_id) {
  return entry(__func__, [=]() -> Status {
    if (can_access_peer == nullptr) return null_argument("canAccessPeer");
    for (const int32_t device : {device_id, peer_device_id}) {
      if (Status status = Process::instance().check_device(device); !status.ok()) return status;
    }
    *can_access_peer = device_id == peer_device_id ? 0 : 1;
    return {};
  });
}

aclError aclrtDeviceEnablePeerAccess(int32_t peer_device_id, uint32_t flags) {
  return entry(__func__, [=]() -> Status {
    Process& process = Process::instance();
    std::shared_ptr<Context> context;
    if (Status status = process.current_context(&context); !status.ok()) return status;
    if (Status status = process.check_device(peer_device_id); !status.ok()) return status;
    if (flags != 0) return failure(ACL_ERROR_INVALID_PARAM, "flags must be 0, not %u", flags);
    if (peer_device_id == context->device())
      return failure(ACL_ERROR_INVALID_PARAM, "a device is no peer of itself");
    return {};  // every device reaches every other
  });
}

aclError aclrtCreateContext(aclrtContext* context, int32_t device_id) {
  return entry(__func__, [=]() -> Status {
    if (context == nullptr) return null_argument("context");
    return Process::instance().create_context(device_id, context);
  });
}

aclError aclrtDestroyContext(aclrtContext context) {
  return entry(__func__, [=] { return Process::instance().destroy_context(context); });
}

aclError aclrtSetCurrentContext(aclrtContext context) {
  return entry(__func__, [=] { return Process::instance().set_context(context); });
}

aclError aclrtGetCurrentContext(aclrtContext* context) {
  return entry(__func__, [=]() -> Status {
    if (context == nullptr) return null_argument("context");
    std::shared_ptr<Context> current;
    Status status = Process::instance().current_context(&current);
    if (status.ok()) *context = current.get();
    return status;
  });
}

}  // extern "C"
