// torch.ops.torch_npu.*: what the Python package asks of the native side. No Python here, so one library
// serves every interpreter.
#include <ATen/core/Generator.h>
#include <torch/library.h>

#include <cstdio>
#include <sstream>

#include "aten/fallback.h"
#include "aten/registration.h"
#include "op_table.h"
#include "runtime/device.h"
#include "runtime/generator.h"
#include "runtime/saturation.h"

namespace npu {
namespace {

std::string quote(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned char>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string cann_info() {
  npu_cann_info info{};
  const npu_status status = npu_cann(&info);
  const auto text = [](const char* value) { return quote(value == nullptr ? "" : value); };
  std::ostringstream out;
  out << "{\"loaded\": " << (info.loaded ? "true" : "false")
      << ", \"simulated\": " << (info.simulated ? "true" : "false") << ", \"home\": " << text(info.home)
      << ", \"version\": " << text(info.version) << ", \"library\": " << text(info.library)
      << ", \"error\": " << text(status == NPU_OK ? "" : npu_last_error()) << "}";
  return out.str();
}

int64_t count_devices() { return device_count(); }
int64_t get_device() { return npu_current_device(); }
void set_device(int64_t device) { check(npu_set_device(static_cast<int32_t>(device))); }
int64_t exchange_device(int64_t device) {
  const int64_t before = npu_current_device();
  if (device >= 0 && device != before) set_device(device);
  return before;
}
void init() { check(npu_init()); }
bool is_initialized() { return npu_is_initialized() != 0; }
bool in_bad_fork() { return npu_in_bad_fork() != 0; }
void shutdown() { npu_shutdown(); }
void synchronize(int64_t device) { check(npu_synchronize_device(static_cast<int32_t>(device))); }

std::string device_name(int64_t device) {
  char name[256] = "";
  check(npu_device_name(static_cast<int32_t>(device), name, sizeof(name)));
  return name;
}

std::vector<int64_t> memory_info(int64_t device) {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  check(npu_memory_info(static_cast<int32_t>(device), &free_bytes, &total_bytes));
  return {static_cast<int64_t>(free_bytes), static_cast<int64_t>(total_bytes)};
}

std::string stats_json(const npu_memory_stats& stats) {
  std::ostringstream out;
  const auto add = [&out](const char* name, const npu_stat& stat) {
    const std::pair<const char*, int64_t> fields[] = {
        {"current", stat.current}, {"peak", stat.peak}, {"allocated", stat.allocated}, {"freed", stat.freed}};
    for (const auto& [field, value] : fields)
      out << "\"" << name << ".all." << field << "\": " << value << ", ";
  };
  out << "{";
  add("allocated_bytes", stats.allocated_bytes);
  add("reserved_bytes", stats.reserved_bytes);
  add("allocation", stats.allocations);
  add("segment", stats.segments);
  out << "\"num_alloc_retries\": " << stats.num_alloc_retries << ", \"num_ooms\": " << stats.num_ooms << "}";
  return out.str();
}

std::string memory_stats(int64_t device) {
  npu_memory_stats stats{};
  check(npu_get_memory_stats(static_cast<int32_t>(device), &stats));
  return stats_json(stats);
}

std::string host_memory_stats() {
  npu_memory_stats stats{};
  check(npu_get_host_stats(&stats));
  return stats_json(stats);
}
void reset_host_memory_stats(bool peaks) { check(npu_reset_host_stats(peaks)); }
void empty_host_cache() { check(npu_host_empty_cache()); }

void reset_peak(int64_t device) { check(npu_reset_peak_stats(static_cast<int32_t>(device))); }
void reset_accumulated(int64_t device) { check(npu_reset_accumulated_stats(static_cast<int32_t>(device))); }
void empty_cache() { check(npu_empty_cache(-1)); }
void set_memory_fraction(int64_t device, double fraction) {
  check(npu_set_memory_fraction(static_cast<int32_t>(device), fraction));
}

int64_t raw_alloc(int64_t device, int64_t size, int64_t stream) {
  TORCH_CHECK_VALUE(size >= 0, "caching_allocator_alloc: size must not be negative, got ", size);
  void* pointer = nullptr;
  check(npu_malloc(static_cast<int32_t>(device), stream, static_cast<size_t>(size), &pointer));
  return reinterpret_cast<int64_t>(pointer);
}
void raw_free(int64_t pointer) { npu_free(reinterpret_cast<void*>(pointer)); }

optional<at::Generator> get_default_generator(int64_t device) {
  return default_generator(static_cast<c10::DeviceIndex>(device));
}

int64_t stream_from_pool(int64_t device, int64_t priority) {
  int64_t id = 0;
  check(npu_stream_from_pool(static_cast<int32_t>(device), priority < 0, &id));
  return id;
}
int64_t current_stream(int64_t device) { return npu_current_stream(static_cast<int32_t>(device)); }
void set_stream(int64_t device, int64_t stream) {
  npu_set_current_stream(static_cast<int32_t>(device), stream);
}
int64_t stream_handle(int64_t device, int64_t stream) {
  void* handle = nullptr;
  check(npu_stream_handle(static_cast<int32_t>(device), stream, &handle));
  return reinterpret_cast<int64_t>(handle);
}
void stream_synchronize(int64_t device, int64_t stream) {
  check(npu_stream_synchronize(static_cast<int32_t>(device), stream));
}
void stream_wait_for_all(int64_t device, int64_t stream) {
  check(npu_stream_wait_for_all(static_cast<int32_t>(device), stream));
}
void all_streams_wait(int64_t device, int64_t stream) {
  check(npu_all_streams_wait(static_cast<int32_t>(device), stream));
}
bool stream_query(int64_t device, int64_t stream) {
  int32_t done = 0;
  check(npu_stream_query(static_cast<int32_t>(device), stream, &done));
  return done != 0;
}

npu_event* as_event(int64_t event) { return reinterpret_cast<npu_event*>(event); }
int64_t event_create(int64_t device, bool timing) {
  npu_event* event = nullptr;
  check(npu_event_create(static_cast<int32_t>(device), timing, &event));
  return reinterpret_cast<int64_t>(event);
}
void event_destroy(int64_t event) { npu_event_destroy(as_event(event)); }
void event_record(int64_t event, int64_t stream) { check(npu_event_record(as_event(event), stream)); }
void event_block(int64_t event, int64_t device, int64_t stream) {
  check(npu_event_block(as_event(event), static_cast<int32_t>(device), stream));
}
void event_synchronize(int64_t event) { check(npu_event_synchronize(as_event(event))); }
bool event_query(int64_t event) {
  int32_t done = 0;
  check(npu_event_query(as_event(event), &done));
  return done != 0;
}
double event_elapsed_time(int64_t start, int64_t end) {
  double milliseconds = 0;
  check(npu_event_elapsed_ms(as_event(start), as_event(end), &milliseconds));
  return milliseconds;
}

void record_stream(const at::Tensor& self, int64_t device, int64_t stream) {
  TORCH_CHECK(self.device() == at::Device(kType, static_cast<c10::DeviceIndex>(device)),
              "record_stream: a tensor on ", self.device(), " cannot be used on a stream of npu:", device);
  void* data = self.storage().data_ptr().get();
  if (data != nullptr) check(npu_record_stream(data, stream));
}

std::string counts_json() {
  std::string out = "{";
  for (const auto& [name, count] : fallback_counts()) {
    if (out.size() > 1) out += ", ";
    out += quote(name) + ": " + std::to_string(count);
  }
  return out + "}";
}

std::string op_table() { return kOpTable; }

TORCH_LIBRARY(torch_npu, m) {
  m.def("cann_info() -> str", &cann_info);
  m.def("device_count() -> int", &count_devices);
  m.def("current_device() -> int", &get_device);
  m.def("set_device(int device) -> ()", &set_device);
  m.def("exchange_device(int device) -> int", &exchange_device);
  m.def("init() -> ()", &init);
  m.def("is_initialized() -> bool", &is_initialized);
  m.def("in_bad_fork() -> bool", &in_bad_fork);
  m.def("shutdown() -> ()", &shutdown);
  m.def("synchronize(int device) -> ()", &synchronize);
  m.def("device_name(int device) -> str", &device_name);
  m.def("saturates(int device) -> bool", &saturates);
  m.def("warn_where_saturating(int device) -> ()", &warn_where_saturating);
  m.def("memory_info(int device) -> int[]", &memory_info);
  m.def("memory_stats(int device) -> str", &memory_stats);
  m.def("reset_peak_memory_stats(int device) -> ()", &reset_peak);
  m.def("reset_accumulated_memory_stats(int device) -> ()", &reset_accumulated);
  m.def("empty_cache() -> ()", &empty_cache);
  m.def("host_memory_stats() -> str", &host_memory_stats);
  m.def("reset_host_memory_stats(bool peaks) -> ()", &reset_host_memory_stats);
  m.def("empty_host_cache() -> ()", &empty_host_cache);
  m.def("set_memory_fraction(int device, float fraction) -> ()", &set_memory_fraction);
  m.def("caching_allocator_alloc(int device, int size, int stream) -> int", &raw_alloc);
  m.def("caching_allocator_free(int pointer) -> ()", &raw_free);
  m.def("default_generator(int device) -> Generator?", &get_default_generator);
  m.def("stream_from_pool(int device, int priority) -> int", &stream_from_pool);
  m.def("current_stream(int device) -> int", &current_stream);
  m.def("set_stream(int device, int stream) -> ()", &set_stream);
  m.def("stream_handle(int device, int stream) -> int", &stream_handle);
  m.def("stream_synchronize(int device, int stream) -> ()", &stream_synchronize);
  m.def("stream_wait_for_all(int device, int stream) -> ()", &stream_wait_for_all);
  m.def("all_streams_wait(int device, int stream) -> ()", &all_streams_wait);
  m.def("stream_query(int device, int stream) -> bool", &stream_query);
  m.def("event_create(int device, bool timing) -> int", &event_create);
  m.def("event_destroy(int event) -> ()", &event_destroy);
  m.def("event_record(int event, int stream) -> ()", &event_record);
  m.def("event_block(int event, int device, int stream) -> ()", &event_block);
  m.def("event_synchronize(int event) -> ()", &event_synchronize);
  m.def("event_query(int event) -> bool", &event_query);
  m.def("event_elapsed_time(int start, int end) -> float", &event_elapsed_time);
  m.def("record_stream(Tensor self, int device, int stream) -> ()", &record_stream);
  m.def("set_fallback(str mode) -> str", [](std::string mode) { return set_fallback(mode); });
  m.def("fallback_counts() -> str", &counts_json);
  m.def("op_table() -> str", &op_table);
  m.def("left_out(bool needed) -> str[]",
        [](bool needed) { return left_out(needed ? Kernel::kNeeded : Kernel::kOptional); });
}

}  // namespace
}  // namespace npu
