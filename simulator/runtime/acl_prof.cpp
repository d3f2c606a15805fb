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

aclError aclprofInit(const char* profilerResultPath, size_t length) {
  return entry("aclprofInit", [=]() -> Status {
    if (profilerResultPath == nullptr) return null_argument("profilerResultPath");
    if (std::strlen(profilerResultPath) != length) {
      return failure(ACL_ERROR_INVALID_PARAM, "length is %zu, and profilerResultPath has %zu bytes", length,
                     std::strlen(profilerResultPath));
    }
    return Profiling::instance().init(profilerResultPath);
  });
}

aclError aclprofFinalize(void) {
  return entry("aclprofFinalize", [] { return Profiling::instance().finalize(); });
}

aclprofConfig* aclprofCreateConfig(uint32_t* deviceIdList, uint32_t deviceNums, int32_t,
                                   const aclprofAicoreEvents*, uint64_t) {
  aclprofConfig* config = nullptr;
  entry("aclprofCreateConfig", [&]() -> Status {
    if (deviceIdList == nullptr || deviceNums == 0) return null_argument("deviceIdList");
    config = new aclprofConfig{{deviceIdList, deviceIdList + deviceNums}};
    return {};
  });
  return config;
}

aclError aclprofDestroyConfig(const aclprofConfig* profilerConfig) {
  return entry("aclprofDestroyConfig", [=]() -> Status {
    if (profilerConfig == nullptr) return null_argument("profilerConfig");
    delete profilerConfig;
    return {};
  });
}

// Each asks for counters of hardware that is not there.
aclError aclprofSetConfig(int32_t configType, const char*, size_t) {
  return entry("aclprofSetConfig", [=] {
    return failure(ACL_ERROR_API_NOT_SUPPORT, "the CANN simulator has nothing to measure for setting %d",
                   configType);
  });
}

aclError aclprofWarmup(const aclprofConfig* profilerConfig) {
  return entry("aclprofWarmup", [=]() -> Status {
    if (profilerConfig == nullptr) return null_argument("profilerConfig");
    return Profiling::instance().warm_up();
  });
}

aclError aclprofStart(const aclprofConfig* profilerConfig) {
  return entry("aclprofStart", [=]() -> Status {
    if (profilerConfig == nullptr) return null_argument("profilerConfig");
    return Profiling::instance().start(profilerConfig->devices);
  });
}

aclError aclprofStop(const aclprofConfig* profilerConfig) {
  return entry("aclprofStop", [=]() -> Status {
    if (profilerConfig == nullptr) return null_argument("profilerConfig");
    return Profiling::instance().stop();
  });
}

aclError aclprofMarkEx(const char* msg, size_t msgLen, aclrtStream handle) {
  return launching("aclprofMarkEx", [=]() -> Status {
    if (msg == nullptr) return null_argument("msg");
    if (handle == nullptr) return null_argument("stream");
    if (msgLen == 0 || msgLen > kLongestMark || std::strlen(msg) != msgLen) {
      return failure(ACL_ERROR_INVALID_PARAM,
                     "msgLen is %zu, and msg has %zu bytes; both must be equal, 1 to %zu", msgLen,
                     std::strlen(msg), kLongestMark);
    }
    std::shared_ptr<Stream> stream;
    if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
    return stream->submit(std::make_unique<MarkTask>(msg));
  });
}

}  // extern "C"
