// Sockets between ranks: abstract Unix sockets on one machine (they leave nothing behind in any file system),
// TCP between machines. All of them are close-on-exec and non-blocking.
#ifndef CANN_SIMULATOR_HCCL_SOCKET_H_
#define CANN_SIMULATOR_HCCL_SOCKET_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "deadline.h"
#include "descriptor.h"
#include "result.h"
#include "settings.h"

namespace cann_simulator::hccl {

// What two processes must share to meet at an abstract Unix socket: the running kernel and the network
// namespace.
std::string machine_identity();

// This host's IPv4 address for other hosts, as HCCL_IF_IP or HCCL_SOCKET_IFNAME choose it.
Result host_address(const Settings& settings, std::string* address);

Result listen_local(const std::string& name, Descriptor* socket);
// Port 0: any free one. *port receives what it became.
Result listen_network(const std::string& address, std::uint16_t* port, Descriptor* socket);

// One attempt each; HCCL_E_TCP_CONNECT when nobody listens there.
Result connect_local(const std::string& name, const Deadline& deadline, Descriptor* socket);
Result connect_network(const std::string& address, std::uint16_t port, const Deadline& deadline,
                       Descriptor* socket);

// The next connection of another process of this user; an invalid descriptor when there is none now.
Descriptor accept_connection(const Descriptor& listener);

// A connected pair inside this process.
Result socket_pair(Descriptor* first, Descriptor* second);

// Whole messages with a deadline, for the set-up; HCCL_E_REMOTE when the other end has gone, HCCL_E_AGAIN
// when the deadline's files have ended the wait.
Result send_all(const Descriptor& socket, const void* data, std::size_t size, const Deadline& deadline);
Result receive_all(const Descriptor& socket, void* data, std::size_t size, const Deadline& deadline);

// An open file through a Unix socket; `file` -1 sends the word that there is none.
Result send_file(const Descriptor& socket, int file, const Deadline& deadline);
Result receive_file(const Descriptor& socket, Descriptor* file, const Deadline& deadline);

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_SOCKET_H_
