// Who this host is to the others.
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "socket.h"

namespace cann_simulator::hccl {
namespace {

struct Interface {
  std::string name;
  std::string address;
  bool loopback;
};

std::vector<Interface> interfaces() {
  std::vector<Interface> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET || !(entry->ifa_flags & IFF_UP))
      continue;
    char text[INET_ADDRSTRLEN] = "";
    const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
    inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
    found.push_back({entry->ifa_name, text, (entry->ifa_flags & IFF_LOOPBACK) != 0});
  }
  freeifaddrs(list);
  return found;
}

// HCCL_SOCKET_IFNAME: "[^][=]name,name,..."; "^" excludes, "=" wants whole names instead of prefixes.
bool chosen(const std::string& name, const std::string& rule) {
  const char* next = rule.c_str();
  const bool exclude = *next == '^';
  if (exclude) ++next;
  const bool exact = *next == '=';
  if (exact) ++next;
  bool listed = false;
  while (*next != '\0') {
    const std::size_t length = std::strcspn(next, ",");
    const bool fits = length > 0 && std::strncmp(name.c_str(), next, length) == 0;
    if (fits && (!exact || name.size() == length)) listed = true;
    next += length + (next[length] == ',' ? 1 : 0);
  }
  return listed != exclude;
}

std::string first_line(const char* path) {
  char line[128] = "";
  if (std::FILE* file = std::fopen(path, "re")) {
    if (std::fgets(line, sizeof line, file) == nullptr) line[0] = '\0';
    std::fclose(file);
  }
  line[std::strcspn(line, "\n")] = '\0';
  return line;
}

}  // namespace

std::string machine_identity() {
  char space[64] = "";
  const ssize_t length = readlink("/proc/self/ns/net", space, sizeof space - 1);
  return first_line("/proc/sys/kernel/random/boot_id") + " " + std::string(space, length > 0 ? length : 0);
}

Result host_address(const Settings& settings, std::string* address) {
  if (!settings.address.empty()) {
    *address = settings.address;
    return {};
  }
  std::string names;
  address->clear();
  bool is_loopback = false;
  for (const Interface& candidate : interfaces()) {
    names += (names.empty() ? "" : ", ") + candidate.name;
    if (!settings.interfaces.empty() && !chosen(candidate.name, settings.interfaces)) continue;
    if (!address->empty() && !(is_loopback && !candidate.loopback)) continue;
    *address = candidate.address;
    is_loopback = candidate.loopback;
  }
  if (!address->empty()) return {};
  if (!settings.interfaces.empty()) {
    return failure(HCCL_E_PARA,
                   "HCCL_SOCKET_IFNAME is '%s' and chooses none of the interfaces that are up (%s)",
                   settings.interfaces.c_str(), names.c_str());
  }
  *address = "127.0.0.1";
  return {};
}

}  // namespace cann_simulator::hccl
