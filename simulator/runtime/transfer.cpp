#include "transfer.h"

#include <cstring>

#include "faults.h"
#include "graph.h"
#include "process.h"
#include "races.h"

namespace cann_simulator {
namespace {

// What the caller says a pointer is. In CANN and here the kind of a copy must be true.
enum class Side { kHost, kDevice, kEither };

// The address to read or write at; an error when the pointer is not of that side or leaves its allocation.
Status resolve(const char* name, const void* pointer, std::size_t size, Side side, bool written,
               std::vector<cann_simulator_range>* touched, char** address) {
  int device = 0;
  const bool on_device = Process::instance().is_device_memory(pointer, &device);
  if (side == Side::kDevice && !on_device) {
    return failure(ACL_ERROR_RT_INVALID_MEMORY_TYPE, "%s (%p) must be device memory and is host memory", name,
                   pointer);
  }
  if (side == Side::kHost && on_device) {
    return failure(ACL_ERROR_RT_INVALID_MEMORY_TYPE, "%s (%p) must be host memory and is memory of device %d",
                   name, pointer, device);
  }
  *address = static_cast<char*>(const_cast<void*>(pointer));
  if (on_device) {
    if (Status status = Faults::instance().device_failure(device); !status.ok()) return status;
    if (Races::instance().on() || Graph::any_recording()) touched->push_back({pointer, size, written});
    *address = Process::instance().alias(pointer, size);
  }
  if (*address != nullptr) return {};
  return failure(ACL_ERROR_RT_PARAM_INVALID,
                 "%s: %zu bytes at %p of device %d do not lie inside one live allocation", name, size,
                 pointer, device);
}

}  // namespace

void Copy::run() const { std::memmove(to, from, size); }

std::int32_t Copy::milliseconds() const { return Faults::instance().copy_milliseconds(size); }

void Fill::run() const { std::memset(to, value, size); }

Status prepare_copy(void* dst, std::size_t dst_size, const void* src, std::size_t count, aclrtMemcpyKind kind,
                    Copy* copy) {
  static constexpr Side kDestination[] = {Side::kHost, Side::kDevice, Side::kHost, Side::kDevice,
                                          Side::kEither};
  static constexpr Side kSource[] = {Side::kHost, Side::kHost, Side::kDevice, Side::kDevice, Side::kEither};
  if (Status status = Process::instance().require_devices(); !status.ok()) return status;
  if (dst == nullptr) return null_argument("dst");
  if (src == nullptr) return null_argument("src");
  if (static_cast<int>(kind) < 0 || kind > ACL_MEMCPY_DEFAULT) {
    return failure(ACL_ERROR_INVALID_PARAM, "a copy of kind %d is not supported", kind);
  }
  if (count > dst_size) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "%zu bytes do not fit into the destination's %zu", count,
                   dst_size);
  }
  char* from = nullptr;
  if (Status status = resolve("dst", dst, count, kDestination[kind], true, &copy->touched, &copy->to);
      !status.ok())
    return status;
  if (Status status = resolve("src", src, count, kSource[kind], false, &copy->touched, &from); !status.ok())
    return status;
  copy->from = from;
  copy->size = count;
  copy->to_host = copy->to == dst;
  if (from == src) copy->host = src;
  if (copy->to_host) copy->host = dst;
  return {};
}

Status prepare_fill(void* pointer, std::size_t capacity, std::int32_t value, std::size_t count, Fill* fill) {
  if (Status status = Process::instance().require_devices(); !status.ok()) return status;
  if (pointer == nullptr) return null_argument("devPtr");
  if (count > capacity) {
    return failure(ACL_ERROR_RT_PARAM_INVALID, "%zu bytes do not fit into the memory's %zu", count, capacity);
  }
  fill->value = value;
  fill->size = count;
  return resolve("devPtr", pointer, count, Side::kDevice, true, &fill->touched, &fill->to);
}

}  // namespace cann_simulator
