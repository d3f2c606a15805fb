// Limits on cores of CANN's C ABI. They are kept and told, as adapters rely on them before every operator;
// what computes here has no cores of an NPU.
#include <map>
#include <mutex>

#include "process.h"
#include "soc.h"

using namespace cann_simulator;

namespace {

struct DeviceLimits {
  std::mutex mutex;
  std::map<std::pair<int, int>, std::uint32_t> limits;  // by device and kind of core
};

DeviceLimits& device_limits() {
  static DeviceLimits* const kept = new DeviceLimits;
  return *kept;
}

// The stream whose limits hold for what the calling thread launches.
thread_local std::weak_ptr<Stream> used_stream;

Status cores_of(int device, aclrtDevResLimitType type, std::uint32_t* count) {
  if (Status status = Process::instance().check_device(device); !status.ok()) return status;
  const Config* config = nullptr;
  if (Status status = Process::instance().config(&config); !status.ok()) return status;
  if (type != ACL_RT_DEV_RES_CUBE_CORE && type != ACL_RT_DEV_RES_VECTOR_CORE) {
    return failure(ACL_ERROR_INVALID_PARAM, "resource %d does not exist", type);
  }
  const Soc soc = soc_of(config->soc);
  *count = static_cast<std::uint32_t>(type == ACL_RT_DEV_RES_CUBE_CORE ? soc.cube_cores : soc.vector_cores);
  return {};
}

Status check_limit(int device, aclrtDevResLimitType type, std::uint32_t value) {
  std::uint32_t cores = 0;
  if (Status status = cores_of(device, type, &cores); !status.ok()) return status;
  if (value >= 1 && value <= cores) return {};
  return failure(ACL_ERROR_RT_PARAM_INVALID,
                 "a limit of %u cores; it must be 1 to %u, as many as device %d has", value, cores, device);
}

Status device_limit(int device, aclrtDevResLimitType type, std::uint32_t* value) {
  if (Status status = cores_of(device, type, value); !status.ok()) return status;
  const std::lock_guard<std::mutex> lock(device_limits().mutex);
  const auto found = device_limits().limits.find({device, type});
  if (found != device_limits().limits.end()) *value = found->second;
  return {};
}

Status stream_limit(const Stream& stream, aclrtDevResLimitType type, std::uint32_t* value) {
  if (Status status = device_limit(stream.device(), type, value); !status.ok()) return status;
  if (const std::uint32_t own = stream.core_limit(type); own != 0) *value = own;
  return {};
}

}  // namespace

extern "C" {

aclError aclrtGetDeviceResLimit(int32_t device_id, aclrtDevResLimitType type, uint32_t* value) {
  return entry(__func__, [=] {
    return value == nullptr ? null_argument("value") : device_limit(device_id, type, value);
  });
}

aclError aclrtSetDeviceResLimit(int32_t device_id, aclrtDevResLimitType type, uint32_t value) {
  return entry(__func__, [=]() -> Status {
    if (Status status = check_limit(device_id, type, value); !status.ok()) return status;
    const std::lock_guard<std::mutex> lock(device_limits().mutex);
    device_limits().limits[{device_id, type}] = value;
    return {};
  });
}

aclError aclrtResetDeviceResLimit(int32_t device_id) {
  return entry(__func__, [=]() -> Status {
    if (Status status = Process::instance().check_device(device_id); !status.ok()) return status;
    const std::lock_guard<std::mutex> lock(device_limits().mutex);
    for (const int type : {ACL_RT_DEV_RES_CUBE_CORE, ACL_RT_DEV_RES_VECTOR_CORE}) {
      device_limits().limits.erase({device_id, type});
    }
    return {};
  });
}

aclError aclrtGetStreamResLimit(aclrtStream handle, aclrtDevResLimitType type, uint32_t* value) {
  return entry(__func__, [=]() -> Status {
    if (value == nullptr) return null_argument("value");
    std::shared_ptr<Stream> stream;
    Status status = Process::instance().stream(handle, &stream);
    return status.ok() ? stream_limit(*stream, type, value) : status;
  });
}

aclError aclrtSetStreamResLimit(aclrtStream handle, aclrtDevResLimitType type, uint32_t value) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    Status status = check_limit(stream->device(), type, value);
    if (status.ok()) stream->set_core_limit(type, value);
    return status;
  });
}

aclError aclrtResetStreamResLimit(aclrtStream handle) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    for (const int type : {ACL_RT_DEV_RES_CUBE_CORE, ACL_RT_DEV_RES_VECTOR_CORE})
      stream->set_core_limit(type, 0);
    return {};
  });
}

aclError aclrtUseStreamResInCurrentThread(aclrtStream handle) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    Status status = Process::instance().stream(handle, &stream);
    if (status.ok()) used_stream = stream;
    return status;
  });
}

aclError aclrtUnuseStreamResInCurrentThread(aclrtStream handle) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    Status status = Process::instance().stream(handle, &stream);
    if (status.ok()) used_stream.reset();
    return status;
  });
}

aclError aclrtGetResInCurrentThread(aclrtDevResLimitType type, uint32_t* value) {
  return entry(__func__, [=]() -> Status {
    if (value == nullptr) return null_argument("value");
    if (const std::shared_ptr<Stream> stream = used_stream.lock(); stream != nullptr) {
      return stream_limit(*stream, type, value);
    }
    std::shared_ptr<Context> context;
    Status status = Process::instance().current_context(&context);
    return status.ok() ? device_limit(context->device(), type, value) : status;
  });
}

}  // extern "C"
