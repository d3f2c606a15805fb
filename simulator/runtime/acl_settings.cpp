// What CANN lets a program set for a device, a stream or the process.
#include <array>
#include <map>
#include <mutex>

#include "process.h"

using namespace cann_simulator;

namespace {

// Settings that are kept to be read back: CPU kernels are deterministic, follow IEEE arithmetic and have no
// time limit, whatever is set. Those of the process may be set before aclInit, as in CANN: programs choose
// the time limits of operators before they use a device.
struct Settings {
  std::mutex mutex;
  std::map<int, std::int64_t> of_process;
  std::map<std::pair<const Context*, int>, std::int64_t> of_context;
  aclrtFloatOverflowMode overflow_mode = ACL_RT_OVERFLOW_MODE_INFNAN;
};

Settings& settings() {
  static Settings* const kept = new Settings;
  return *kept;
}

Status check_option(aclSysParamOpt option) {
  if (option >= ACL_OPT_DETERMINISTIC && option <= ACL_OPT_STRONG_CONSISTENCY) return {};
  return failure(ACL_ERROR_INVALID_PARAM, "system parameter %d does not exist", option);
}

Status set_failure_mode(aclrtStream handle, std::uint64_t mode) {
  if (mode != ACL_CONTINUE_ON_FAILURE && mode != ACL_STOP_ON_FAILURE) {
    return failure(ACL_ERROR_INVALID_PARAM, "failure mode %llu does not exist",
                   static_cast<unsigned long long>(mode));
  }
  if (handle == nullptr) {
    return failure(ACL_ERROR_INVALID_PARAM, "the default stream's failure mode cannot be set");
  }
  std::shared_ptr<Stream> stream;
  Status status = Process::instance().stream(handle, &stream);
  if (status.ok()) stream->stop_on_failure(mode == ACL_STOP_ON_FAILURE);
  return status;
}

Status set_overflow_switch(aclrtStream handle, std::uint32_t flag) {
  if (flag > 1) return failure(ACL_ERROR_INVALID_PARAM, "the switch is %u; it must be 0 or 1", flag);
  std::shared_ptr<Stream> stream;
  Status status = Process::instance().stream(handle, &stream);
  if (status.ok()) stream->set_overflow_switch(flag == 1);
  return status;
}

}  // namespace

extern "C" {

aclError aclrtSetDeviceSatMode(aclrtFloatOverflowMode mode) {
  return entry(__func__, [=]() -> Status {
    if (mode != ACL_RT_OVERFLOW_MODE_SATURATION && mode != ACL_RT_OVERFLOW_MODE_INFNAN) {
      return failure(ACL_ERROR_INVALID_PARAM, "overflow mode %d does not exist", mode);
    }
    const std::lock_guard<std::mutex> lock(settings().mutex);
    settings().overflow_mode = mode;
    return {};
  });
}

aclError aclrtGetDeviceSatMode(aclrtFloatOverflowMode* mode) {
  return entry(__func__, [=]() -> Status {
    if (mode == nullptr) return null_argument("mode");
    const std::lock_guard<std::mutex> lock(settings().mutex);
    *mode = settings().overflow_mode;
    return {};
  });
}

aclError aclrtSetSysParamOpt(aclSysParamOpt opt, int64_t value) {
  return entry(__func__, [=]() -> Status {
    if (Status status = check_option(opt); !status.ok()) return status;
    const std::lock_guard<std::mutex> lock(settings().mutex);
    settings().of_process[opt] = value;
    return {};
  });
}

aclError aclrtGetSysParamOpt(aclSysParamOpt opt, int64_t* value) {
  return entry(__func__, [=]() -> Status {
    if (value == nullptr) return null_argument("value");
    if (Status status = check_option(opt); !status.ok()) return status;
    const std::lock_guard<std::mutex> lock(settings().mutex);
    const auto found = settings().of_process.find(opt);
    *value = found == settings().of_process.end() ? 0 : found->second;
    return {};
  });
}

aclError aclrtCtxSetSysParamOpt(aclSysParamOpt opt, int64_t value) {
  return entry(__func__, [=]() -> Status {
    if (Status status = check_option(opt); !status.ok()) return status;
    std::shared_ptr<Context> context;
    if (Status status = Process::instance().current_context(&context); !status.ok()) return status;
    const std::lock_guard<std::mutex> lock(settings().mutex);
    settings().of_context[{context.get(), opt}] = value;
    return {};
  });
}

aclError aclrtCtxGetSysParamOpt(aclSysParamOpt opt, int64_t* value) {
  return entry(__func__, [=]() -> Status {
    if (value == nullptr) return null_argument("value");
    if (Status status = check_option(opt); !status.ok()) return status;
    std::shared_ptr<Context> context;
    if (Status status = Process::instance().current_context(&context); !status.ok()) return status;
    const std::lock_guard<std::mutex> lock(settings().mutex);
    const auto found = settings().of_context.find({context.get(), opt});
    *value = found == settings().of_context.end() ? 0 : found->second;
    return {};
  });
}

aclError aclrtSetOpWaitTimeout(uint32_t timeout) {
  return entry(__func__, [=]() -> Status {
    (void)timeout;
    return {};
  });
}

aclError aclrtSetOpExecuteTimeOut(uint32_t timeout) {
  return entry(__func__, [=]() -> Status {
    (void)timeout;
    return {};
  });
}

aclError aclrtSetOpExecuteTimeOutV2(uint64_t timeout, uint64_t* actual_timeout) {
  return entry(__func__, [=]() -> Status {
    if (actual_timeout == nullptr) return null_argument("actualTimeout");
    *actual_timeout = timeout;
    return {};
  });
}

aclError aclrtSetStreamFailureMode(aclrtStream stream, uint64_t mode) {
  return entry(__func__, [=] { return set_failure_mode(stream, mode); });
}

aclError aclrtSetStreamOverflowSwitch(aclrtStream stream, uint32_t flag) {
  return entry(__func__, [=] { return set_overflow_switch(stream, flag); });
}

aclError aclrtGetStreamOverflowSwitch(aclrtStream handle, uint32_t* flag) {
  return entry(__func__, [=]() -> Status {
    if (flag == nullptr) return null_argument("flag");
    std::shared_ptr<Stream> stream;
    Status status = Process::instance().stream(handle, &stream);
    if (status.ok()) *flag = stream->overflow_switch() ? 1 : 0;
    return status;
  });
}

aclError aclrtSetStreamAttribute(aclrtStream stream, aclrtStreamAttr attribute, aclrtStreamAttrValue* value) {
  return entry(__func__, [=]() -> Status {
    if (value == nullptr) return null_argument("value");
    switch (attribute) {
      case ACL_STREAM_ATTR_FAILURE_MODE:
        return set_failure_mode(stream, value->failureMode);
      case ACL_STREAM_ATTR_FLOAT_OVERFLOW_CHECK:
        return set_overflow_switch(stream, value->overflowSwitch);
      case ACL_STREAM_ATTR_USER_CUSTOM_TAG:
      case ACL_STREAM_ATTR_CACHE_OP_INFO:
      case ACL_STREAM_ATTR_PRIORITY: {  // for profilers and schedulers, of which the simulator has neither
        std::shared_ptr<Stream> known;
        return Process::instance().stream(stream, &known);
      }
    }
    return failure(ACL_ERROR_INVALID_PARAM, "stream attribute %d does not exist", attribute);
  });
}

aclError aclrtGetLastError(aclrtLastErrLevel level) {
  (void)level;
  return take_code();
}

aclError aclrtPeekAtLastError(aclrtLastErrLevel level) {
  (void)level;
  return peek_code();
}

}  // extern "C"
