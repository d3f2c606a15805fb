// What CANN tells about devices and itself.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "process.h"
#include "soc.h"

using namespace cann_simulator;

namespace {

// The configuration, when the device is one that this process sees.
Status config_for(std::int64_t device, const Config** config) {
  if (device > INT32_MAX) return Process::instance().check_device(-1);
  if (Status status = Process::instance().check_device(static_cast<int>(device)); !status.ok()) return status;
  return Process::instance().config(config);
}

Status device_attribute(uint32_t device, aclrtDevAttr attribute, int64_t* value) {
  if (value == nullptr) return null_argument("value");
  const Config* config = nullptr;
  if (Status status = config_for(device, &config); !status.ok()) return status;
  const Soc soc = soc_of(config->soc);
  switch (attribute) {
    case ACL_DEV_ATTR_AICPU_CORE_NUM:
      *value = 1;
      return {};
    case ACL_DEV_ATTR_AICORE_CORE_NUM:
    case ACL_DEV_ATTR_CUBE_CORE_NUM:
      *value = soc.cube_cores;
      return {};
    case ACL_DEV_ATTR_VECTOR_CORE_NUM:
      *value = soc.vector_cores;
      return {};
    case ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE:
      *value = static_cast<int64_t>(config->memory);
      return {};
    case ACL_DEV_ATTR_L2_CACHE_SIZE:
      *value = soc.l2_bytes;
      return {};
    case ACL_DEV_ATTR_PHY_CHIP_ID:
      *value = config->visible[device];
      return {};
    case ACL_DEV_ATTR_IS_VIRTUAL:
      *value = 0;
      return {};
  }
  return failure(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "the simulator does not know device attribute %d",
                 attribute);
}

Status capability(uint32_t device, aclDeviceInfo info, int64_t* value) {
  switch (info) {
    case ACL_DEVICE_INFO_AI_CORE_NUM:
      return device_attribute(device, ACL_DEV_ATTR_AICORE_CORE_NUM, value);
    case ACL_DEVICE_INFO_VECTOR_CORE_NUM:
      return device_attribute(device, ACL_DEV_ATTR_VECTOR_CORE_NUM, value);
    case ACL_DEVICE_INFO_L2_SIZE:
      return device_attribute(device, ACL_DEV_ATTR_L2_CACHE_SIZE, value);
  }
  return failure(ACL_ERROR_INVALID_PARAM, "device information %d does not exist", info);
}

// What the SoC can do, in the order of aclGetCannAttributeList.
constexpr aclCannAttr kAttributes[] = {ACL_CANN_ATTR_INF_NAN, ACL_CANN_ATTR_BF16, ACL_CANN_ATTR_JIT_COMPILE};

Status cann_attribute(aclCannAttr attribute, int32_t* value) {
  if (value == nullptr) return null_argument("value");
  const Config* config = nullptr;
  if (Status status = Process::instance().config(&config); !status.ok()) return status;
  const Soc soc = soc_of(config->soc);
  switch (attribute) {
    case ACL_CANN_ATTR_INF_NAN:
      *value = soc.inf_nan ? 1 : 0;
      return {};
    case ACL_CANN_ATTR_BF16:
      *value = soc.bf16 ? 1 : 0;
      return {};
    case ACL_CANN_ATTR_JIT_COMPILE:
      *value = 0;  // 0: operators need no compilation before they run
      return {};
  }
  return failure(ACL_ERROR_INVALID_PARAM, "CANN attribute %d does not exist", attribute);
}

}  // namespace

extern "C" {

aclError aclrtGetDeviceInfo(uint32_t device_id, aclrtDevAttr attr, int64_t* value) {
  return entry(__func__, [=] { return device_attribute(device_id, attr, value); });
}

aclError aclGetDeviceCapability(uint32_t device_id, aclDeviceInfo device_info, int64_t* value) {
  return entry(__func__, [=] { return capability(device_id, device_info, value); });
}

// Kernels of the simulator use no core of an NPU; the memory is as full as it is.
aclError aclrtGetDeviceUtilizationRate(int32_t device_id, aclrtUtilizationInfo* utilization_info) {
  return entry(__func__, [=]() -> Status {
    if (utilization_info == nullptr) return null_argument("utilizationInfo");
    const Config* config = nullptr;
    if (Status status = config_for(device_id, &config); !status.ok()) return status;
    const std::size_t free = Process::instance().heap(device_id).free_bytes();
    const std::size_t used = free == 0 ? 0 : config->memory - free;  // not opened yet: nothing is used
    *utilization_info = {0, 0, 0, static_cast<int32_t>(used * 100 / config->memory), nullptr};
    return {};
  });
}

// The same for a device in every process, different for every device.
aclError aclrtDeviceGetUuid(int32_t device_id, aclrtUuid* uuid) {
  return entry(__func__, [=]() -> Status {
    if (uuid == nullptr) return null_argument("uuid");
    const Config* config = nullptr;
    if (Status status = config_for(device_id, &config); !status.ok()) return status;
    char text[sizeof uuid->bytes + 1];
    std::snprintf(text, sizeof text, "cann-simulator%02d", config->visible[static_cast<size_t>(device_id)]);
    std::memcpy(uuid->bytes, text, sizeof uuid->bytes);
    return {};
  });
}

aclError aclrtDeviceGetBareTgid(int32_t* pid) {
  return entry(__func__, [=]() -> Status {
    if (pid == nullptr) return null_argument("pid");
    *pid = static_cast<int32_t>(getpid());
    return {};
  });
}

aclError aclrtGetPrimaryCtxState(int32_t device_id, uint32_t* flags, int32_t* active) {
  return entry(__func__, [=]() -> Status {
    if (flags != nullptr) *flags = 0;
    if (active == nullptr) return null_argument("active");
    bool is_active = false;
    Status status = Process::instance().primary_active(device_id, &is_active);
    *active = is_active ? 1 : 0;
    return status;
  });
}

// CANN calls "user's" what a program passes to aclrtSetDevice, "logical" what the driver numbers.
aclError aclrtGetLogicDevIdByUserDevId(int32_t user_devid, int32_t* logic_dev_id) {
  return entry(__func__, [=]() -> Status {
    if (logic_dev_id == nullptr) return null_argument("logicDevId");
    const Config* config = nullptr;
    Status status = config_for(user_devid, &config);
    if (status.ok()) *logic_dev_id = config->visible[static_cast<size_t>(user_devid)];
    return status;
  });
}

aclError aclGetCannAttributeList(const aclCannAttr** cann_attr_list, size_t* num) {
  return entry(__func__, [=]() -> Status {
    if (cann_attr_list == nullptr || num == nullptr) return null_argument("cannAttrList or num");
    *cann_attr_list = kAttributes;
    *num = sizeof kAttributes / sizeof *kAttributes;
    return {};
  });
}

aclError aclGetCannAttribute(aclCannAttr cann_attr, int32_t* value) {
  return entry(__func__, [=] { return cann_attribute(cann_attr, value); });
}

// Every package of the simulated CANN has CANN's version.
aclError aclsysGetVersionStr(char* pkg_name, char* version_str) {
  return entry(__func__, [=]() -> Status {
    constexpr std::size_t kRoom = 128;
    if (pkg_name == nullptr || version_str == nullptr) return null_argument("pkgName or versionStr");
    const Config* config = nullptr;
    Status status = Process::instance().config(&config);
    if (status.ok()) std::snprintf(version_str, kRoom, "%s", config->cann.c_str());
    return status;
  });
}

}  // extern "C"
