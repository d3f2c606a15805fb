// The profiler of CANN's C ABI.
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "process.h"
#include "profiling.h"
#include "refusals.h"

using namespace cann_simulator;

struct aclprofConfig {
  std::vector<std::uint32_t> devices;
};

namespace {

constexpr std::size_t kLongestMark = 127;  // bytes

class MarkTask : public Task {
 public:
  explicit MarkTask(std::string text) : text_(std::move(text)) {}
  const char* name() const override { return text_.c_str(); }
  Status run(Stream&) override { return {}; }

 private:
  const std::string text_;
};

}  // namespace

extern "C" {

aclError aclprofInit(const char* profiler_result_path, size_t length) {
  return entry("aclprofInit", [=]() -> Status {
    if (profiler_result_path == nullptr) return null_argument("profilerResultPath");
    if (std::strlen(profiler_result_path) != length) {
      return failure(ACL_ERROR_INVALID_PARAM, "length is %zu, and profilerResultPath has %zu bytes", length,
                     std::strlen(profiler_result_path));
    }
    return Profiling::instance().init(profiler_result_path);
  });
}

aclError aclprofFinalize(void) {
  return entry("aclprofFinalize", [] { return Profiling::instance().finalize(); });
}

aclprofConfig* aclprofCreateConfig(uint32_t* device_id_list, uint32_t device_nums, int32_t,
                                   const aclprofAicoreEvents*, uint64_t) {
  aclprofConfig* config = nullptr;
  entry("aclprofCreateConfig", [&]() -> Status {
    if (device_id_list == nullptr || device_nums == 0) return null_argument("deviceIdList");
    config = new aclprofConfig{{device_id_list, device_id_list + device_nums}};
    return {};
  });
  return config;
}

aclError aclprofDestroyConfig(const aclprofConfig* profiler_config) {
  return entry("aclprofDestroyConfig", [=]() -> Status {
    if (profiler_config == nullptr) return null_argument("profilerConfig");
    delete profiler_config;
    return {};
  });
}

// Each asks for counters of hardware that is not there.
aclError aclprofSetConfig(int32_t config_type, const char*, size_t) {
  return entry("aclprofSetConfig", [=] {
    return failure(ACL_ERROR_API_NOT_SUPPORT, "the CANN simulator has nothing to measure for setting %d",
                   config_type);
  });
}

aclError aclprofWarmup(const aclprofConfig* profiler_config) {
  return entry("aclprofWarmup", [=]() -> Status {
    if (profiler_config == nullptr) return null_argument("profilerConfig");
    return Profiling::instance().warm_up();
  });
}

aclError aclprofStart(const aclprofConfig* profiler_config) {
  return entry("aclprofStart", [=]() -> Status {
    if (profiler_config == nullptr) return null_argument("profilerConfig");
    return Profiling::instance().start(profiler_config->devices);
  });
}

aclError aclprofStop(const aclprofConfig* profiler_config) {
  return entry("aclprofStop", [=]() -> Status {
    if (profiler_config == nullptr) return null_argument("profilerConfig");
    return Profiling::instance().stop();
  });
}

aclError aclprofMarkEx(const char* msg, size_t msg_len, aclrtStream handle) {
  return launching("aclprofMarkEx", [=]() -> Status {
    if (msg == nullptr) return null_argument("msg");
    if (handle == nullptr) return null_argument("stream");
    if (msg_len == 0 || msg_len > kLongestMark || std::strlen(msg) != msg_len) {
      return failure(ACL_ERROR_INVALID_PARAM,
                     "msgLen is %zu, and msg has %zu bytes; both must be equal, 1 to %zu", msg_len,
                     std::strlen(msg), kLongestMark);
    }
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    return stream->submit(std::make_unique<MarkTask>(msg));
  });
}

}  // extern "C"
