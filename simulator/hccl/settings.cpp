#include "settings.h"

#include <cstdlib>

namespace cann_simulator::hccl {
namespace {

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

Result read_number(const char* name, int low, int high, int* number) {
  const char* text = variable(name);
  if (text == nullptr) return {};
  char* rest = nullptr;
  const long value = std::strtol(text, &rest, 10);
  if (*text < '0' || *text > '9' || *rest != '\0' || value < low || value > high) {
    return failure(HCCL_E_PARA, "%s is '%s'; it must be a number from %d to %d", name, text, low, high);
  }
  *number = static_cast<int>(value);
  return {};
}

}  // namespace

Result read_settings(Settings* settings) {
  constexpr int kDay = 24 * 60 * 60;
  int port = settings->base_port;
  int network_only = 0;
  Result result = read_number("HCCL_CONNECT_TIMEOUT", 1, kDay, &settings->connect_timeout);
  if (result.ok()) result = read_number("HCCL_EXEC_TIMEOUT", 0, 2147483, &settings->execute_timeout);
  if (result.ok()) result = read_number("HCCL_IF_BASE_PORT", 1024, 65535, &port);
  if (result.ok()) result = read_number("HCCL_INTRA_ROCE_ENABLE", 0, 1, &network_only);
  settings->base_port = static_cast<std::uint16_t>(port);
  settings->network_only = network_only == 1;
  if (const char* address = variable("HCCL_IF_IP")) settings->address = address;
  if (const char* interfaces = variable("HCCL_SOCKET_IFNAME")) settings->interfaces = interfaces;
  return result;
}

}  // namespace cann_simulator::hccl
