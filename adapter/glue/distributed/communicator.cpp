#include "distributed/communicator.h"

#if NPU_HAS_GROUP_NAMES

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <utility>

#include "distributed/hccl.h"

namespace npu::hccl {
namespace {

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

// "0 and 2"; "0, 1 and 2"
std::string listed(const std::vector<int>& ranks) {
  std::string text;
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (i > 0) text += i + 1 == ranks.size() ? " and " : ", ";
    text += std::to_string(ranks[i]);
  }
  return text;
}

// The number that the machine gives a device of this process: ASCEND_RT_VISIBLE_DEVICES renumbers them.
std::string physical_device(c10::DeviceIndex device) {
  const char* visible = std::getenv("ASCEND_RT_VISIBLE_DEVICES");
  std::string numbers = visible == nullptr ? "" : visible;
  for (int skipped = 0; skipped < device && !numbers.empty(); ++skipped) {
    const size_t comma = numbers.find(',');
    numbers = comma == std::string::npos ? "" : numbers.substr(comma + 1);
  }
  numbers = numbers.substr(0, numbers.find(','));
  return numbers.empty() ? std::to_string(device) : numbers;
}

// A device as no other process of this machine names it, unless it uses the same one. Containers of one host
// may number their devices alike, so each is a machine of its own here.
std::string place_of(c10::DeviceIndex device) {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string machine;
  std::getline(file, machine);
  struct stat root{};
  if (stat("/proc/self/ns/mnt", &root) == 0) machine += "/" + std::to_string(root.st_ino);
  return machine + " npu " + physical_device(device);
}

class Live {
 public:
  void add(HcclComm comm) {
    const std::lock_guard<std::mutex> lock(mutex_);
    all_.insert(comm);
  }
  bool remove(HcclComm comm) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return all_.erase(comm) > 0;
  }
  std::set<HcclComm> take_all() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(all_, {});
  }

 private:
  std::mutex mutex_;
  std::set<HcclComm> all_;
};

Live& live() {
  static Live* const live = new Live;  // leaked: groups are destroyed until the very end of the process
  return *live;
}

bool takes_configuration(HcclCommConfigCapability wanted) {
  const Functions& all = functions();
  return all.HcclCommInitRootInfoConfig != nullptr && all.HcclGetCommConfigCapability != nullptr &&
         all.HcclGetCommConfigCapability() > static_cast<uint32_t>(wanted);
}

// As HcclCommConfigInit leaves it: nothing is chosen.
HcclCommConfig unset_configuration() {
  HcclCommConfig config;
  std::memset(&config, 0, sizeof config);
  config.size = sizeof config;
  config.magicWord = HCCL_COMM_CONFIG_MAGIC_WORD;
  config.version = static_cast<uint32_t>(functions().HcclGetCommConfigCapability());
  config.hcclBufferSize = 200;
  config.hcclDeterministic = 0;
  config.hcclRdmaTrafficClass = 0xffffffff;
  config.hcclRdmaServiceLevel = 0xffffffff;
  config.hcclExecTimeOut = HCCL_COMM_EXEC_TIMEOUT_NOT_SET;
  return config;
}

// The time limit of an operation is the group's, so that HCCL's own message names the ranks that are missing.
HcclCommConfig configuration(const Settings& settings) {
  HcclCommConfig config = unset_configuration();
  std::snprintf(config.hcclCommName, sizeof config.hcclCommName, "%s", settings.name.c_str());
  if (settings.buffer_mib > 0) config.hcclBufferSize = static_cast<uint32_t>(settings.buffer_mib);
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(settings.timeout).count();
  config.hcclExecTimeOut = static_cast<int32_t>(std::clamp<int64_t>(seconds, 1, 0x7ffffff));
  return config;
}

HcclResult join(const HcclRootInfo& root, const Identity& identity, const Settings& settings,
                HcclComm* comm) {
  const auto size = static_cast<uint32_t>(identity.size);
  const auto rank = static_cast<uint32_t>(identity.rank);
  if (!takes_configuration(HCCL_COMM_CONFIG_EXEC_TIMEOUT))
    return functions().HcclCommInitRootInfo(size, &root, rank, comm);
  const HcclCommConfig config = configuration(settings);
  return functions().HcclCommInitRootInfoConfig(size, &root, rank, &config, comm);
}

}  // namespace

Communicator::Communicator(const c10::intrusive_ptr<c10d::Store>& store, const std::string& key,
                           const Settings& settings, std::shared_ptr<Monitor> monitor,
                           c10::DeviceIndex device)
    : monitor_(std::move(monitor)), device_(device), inputs_ready_(device) {
  const DeviceScope scope(device);
  npu::check(npu_stream_from_pool(device, settings.high_priority, &stream_));
  npu::check(npu_stream_handle(device, stream_, &stream_handle_));
  meet(store.get(), key, settings);
  connect(store.get(), key, settings);
  monitor_->add(handle_);
  live().add(handle_);
}

Communicator::~Communicator() {
  monitor_->remove(handle_);
  if (live().remove(handle_) && npu_is_initialized() != 0) functions().HcclCommDestroy(handle_);
}

// HCCL would wait for ranks that never come for minutes, and for two of one device for ever.
void Communicator::meet(c10d::Store* store, const std::string& key, const Settings& settings) {
  const Identity& own = monitor_->identity();
  const auto name = [&key](int rank) { return key + "/rank/" + std::to_string(rank); };
  const std::string place = place_of(device_);
  store->set(name(own.rank), bytes_of(place));
  std::vector<std::string> names;
  for (int rank = 0; rank < own.size; ++rank) names.push_back(name(rank));
  try {
    store->wait(names, settings.timeout);
  } catch (const std::exception& error) {
    std::vector<int> missing;
    for (int rank = 0; rank < own.size; ++rank) {
      if (!store->check({name(rank)})) missing.push_back(rank);
    }
    if (missing.empty()) throw;
    C10_THROW_ERROR(DistBackendError,
                    "process group " + own.name + " (hccl, rank " + std::to_string(own.rank) + " of " +
                        std::to_string(own.size) + "): rank" + (missing.size() > 1 ? "s " : " ") +
                        listed(missing) + " did not come to the group's first operation within " +
                        std::to_string(settings.timeout.count()) + " ms, the group's timeout");
  }
  for (int rank = 0; rank < own.size; ++rank) {
    if (rank == own.rank || store->get(name(rank)) != bytes_of(place)) continue;
    C10_THROW_ERROR(DistBackendError,
                    "process group " + own.name + ": ranks " + std::to_string(std::min(rank, own.rank)) +
                        " and " + std::to_string(std::max(rank, own.rank)) + " both use NPU " +
                        physical_device(device_) +
                        " of one machine; each rank needs its own. Call torch.npu.set_device(local_rank) "
                        "before the first collective, or pass device_id to init_process_group.");
  }
}

void Communicator::connect(c10d::Store* store, const std::string& key, const Settings& settings) {
  const std::string place = key + "/root";
  HcclRootInfo root;
  if (monitor_->identity().rank == 0) {
    const HcclResult result = functions().HcclGetRootInfo(&root);
    const std::string problem = result == HCCL_SUCCESS ? "" : error_of(result, "HcclGetRootInfo");
    const std::string root_bytes(root.internal, sizeof root.internal);
    store->set(place, bytes_of(problem.empty() ? root_bytes : problem));
    if (!problem.empty()) C10_THROW_ERROR(DistBackendError, std::string(problem));
  } else {
    store->wait({place}, settings.timeout);
    const std::vector<uint8_t> bytes = store->get(place);
    if (bytes.size() != sizeof root.internal)
      C10_THROW_ERROR(DistBackendError, "on rank 0: " + std::string(bytes.begin(), bytes.end()));
    std::memcpy(root.internal, bytes.data(), bytes.size());
  }
  check(join(root, monitor_->identity(), settings, &handle_), "HcclCommInitRootInfo");
}

void destroy_communicators() {
  if (npu_is_initialized() == 0) return;
  for (HcclComm comm : live().take_all()) functions().HcclCommDestroy(comm);
}

void Communicator::wait_for_current_stream() {
  inputs_ready_.record(npu_current_stream(device_));
  inputs_ready_.block(device_, stream_);
}

}  // namespace npu::hccl

#endif  // NPU_HAS_GROUP_NAMES
