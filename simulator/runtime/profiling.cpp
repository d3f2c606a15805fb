#include "profiling.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

namespace cann_simulator {
namespace {

std::uint64_t clock_ns(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1000000000 + static_cast<std::uint64_t>(time.tv_nsec);
}

Status cannot(const char* what, const std::string& path) {
  return failure(ACL_ERROR_INVALID_PARAM, "the profiler cannot %s %s: %s", what, path.c_str(),
                 std::strerror(errno));
}

Status make_folder(const std::string& path) {
  return mkdir(path.c_str(), 0750) == 0 || errno == EEXIST ? Status() : cannot("make", path);
}

Status write_file(const std::string& path, const std::string& text) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return cannot("write", path);
  const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && whole ? Status() : cannot("write", path);
}

// The name of a mark is the program's.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') result += '\\';
    result += static_cast<unsigned char>(character) < 0x20 ? ' ' : character;
  }
  return result + '"';
}

// PROF_000001_20261130204612555_ABCDEFGHIJKLMNOP: a count, the local time, letters that tell processes apart.
std::string folder_name(int count) {
  const std::uint64_t now = clock_ns(CLOCK_REALTIME);
  const time_t seconds = static_cast<time_t>(now / 1000000000);
  tm local;
  localtime_r(&seconds, &local);
  char date[32];
  std::strftime(date, sizeof date, "%Y%m%d%H%M%S", &local);
  std::uint64_t mixed = (now ^ (static_cast<std::uint64_t>(getpid()) << 40)) * 0x9E3779B97F4A7C15ULL;
  std::string letters;
  for (int index = 0; index < 16; ++index, mixed = (mixed >> 4) | (mixed << 60)) {
    letters += static_cast<char>('A' + (mixed + static_cast<std::uint64_t>(index)) % 26);
  }
  char text[96];
  std::snprintf(text, sizeof text, "PROF_%06d_%s%03u_%s", count, date,
                static_cast<unsigned>(now / 1000000 % 1000), letters.c_str());
  return text;
}

}  // namespace

Profiling& Profiling::instance() {
  static Profiling* const one = new Profiling;  // streams may run longer than the program's last line
  return *one;
}

std::uint64_t Profiling::now() { return clock_ns(CLOCK_REALTIME); }

Asked Profiling::asked() {
  static thread_local const int thread = static_cast<int>(syscall(SYS_gettid));
  return {now(), thread};
}

Status Profiling::init(const std::string& folder) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (initialized_) {
    return failure(ACL_ERROR_PROF_ALREADY_RUN,
                   "the profiler writes into %s already; call aclprofFinalize first", parent_.c_str());
  }
  struct stat found;
  if (stat(folder.c_str(), &found) != 0) return cannot("use", folder);
  if (!S_ISDIR(found.st_mode)) {
    return failure(ACL_ERROR_INVALID_PARAM, "the profiler writes into a folder, and %s is none",
                   folder.c_str());
  }
  if (access(folder.c_str(), W_OK | X_OK) != 0) return cannot("write into", folder);
  initialized_ = true;
  parent_ = folder;
  return {};
}

Status Profiling::warm_up() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (initialized_) return {};
  return failure(ACL_ERROR_PROF_NOT_RUN, "call aclprofInit first");
}

Status Profiling::start(std::vector<std::uint32_t> devices) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!initialized_) return failure(ACL_ERROR_PROF_NOT_RUN, "call aclprofInit first");
  if (on()) return failure(ACL_ERROR_PROF_ALREADY_RUN, "the profiler runs already; call aclprofStop first");
  devices_ = std::move(devices);
  events_.clear();
  ++starts_;
  if (Status status = begin_folder(); !status.ok()) return status;
  on_.store(true);
  return {};
}

Status Profiling::stop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!on()) return failure(ACL_ERROR_PROF_NOT_RUN, "the profiler does not run; call aclprofStart first");
  on_.store(false);
  Status status = write();
  events_.clear();
  return status;
}

Status Profiling::finalize() {
  if (on()) {
    if (Status status = stop(); !status.ok()) return status;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!initialized_) return failure(ACL_ERROR_PROF_NOT_RUN, "call aclprofInit first");
  initialized_ = false;
  return {};
}

void Profiling::ran(int device, int stream, const char* name, bool kernel, const Asked& asked,
                    std::uint64_t begun) {
  const std::uint64_t ended = now();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!on() || std::count(devices_.begin(), devices_.end(), static_cast<std::uint32_t>(device)) == 0) return;
  events_.push_back({device, stream, name, kernel, asked, begun, ended});
}

// The times by which programs translate the counter of CANN's reports into the time of day.
Status Profiling::begin_folder() {
  folder_ = parent_ + "/" + folder_name(starts_);
  const std::string times = "{\"collectionTimeBegin\": \"" + std::to_string(clock_ns(CLOCK_REALTIME) / 1000) +
                            "\", \"clockMonotonicRaw\": \"" + std::to_string(clock_ns(CLOCK_MONOTONIC_RAW)) +
                            "\"}";
  for (const char* part : {"", "/host", "/host/data"}) {
    if (Status status = make_folder(folder_ + part); !status.ok()) return status;
  }
  if (Status status = write_file(folder_ + "/host/start_info", times); !status.ok()) return status;
  for (const std::uint32_t device : devices_) {
    const std::string place = folder_ + "/device_" + std::to_string(device);
    for (const std::string& part : {place, place + "/data"}) {
      if (Status status = make_folder(part); !status.ok()) return status;
    }
    if (Status status = write_file(place + "/start_info." + std::to_string(device), times); !status.ok())
      return status;
  }
  return {};
}

Status Profiling::write() const {
  std::map<int, std::string> lines;
  for (const std::uint32_t device : devices_) lines[static_cast<int>(device)];
  for (const Event& event : events_) {
    std::string& text = lines[event.device];
    text +=
        "{\"name\": " + quoted(event.name) + ", \"kernel\": " + (event.kernel ? "true" : "false") +
        ", \"stream\": " + std::to_string(event.stream) + ", \"asked\": " + std::to_string(event.asked.time) +
        ", \"thread\": " + std::to_string(event.asked.thread) +
        ", \"begun\": " + std::to_string(event.begun) + ", \"ended\": " + std::to_string(event.ended) + "}\n";
  }
  for (const auto& [device, text] : lines) {
    const std::string path = folder_ + "/device_" + std::to_string(device) + "/data/cann_simulator.jsonl";
    if (Status status = write_file(path, text); !status.ok()) return status;
  }
  return {};
}

}  // namespace cann_simulator
