#include "socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace cann_simulator::hccl {
namespace {

constexpr int kKind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
constexpr int kBacklog = 512;

// The abstract name: a zero byte, then the name without one at the end.
socklen_t local_address(const std::string& name, sockaddr_un* address) {
  std::memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  const std::size_t length = std::min(name.size(), sizeof address->sun_path - 1);
  std::memcpy(address->sun_path + 1, name.data(), length);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
}

Result network_address(const std::string& text, std::uint16_t port, sockaddr_in* address) {
  std::memset(address, 0, sizeof *address);
  address->sin_family = AF_INET;
  address->sin_port = htons(port);
  if (inet_pton(AF_INET, text.c_str(), &address->sin_addr) == 1) return {};
  return failure(HCCL_E_PARA, "'%s' is no IPv4 address", text.c_str());
}

void send_at_once(const Descriptor& socket) {
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A host that vanishes without a word (power, cable) must be noticed: after 10 + 3 * 5 seconds.
  const int idle = 10;
  const int interval = 5;
  const int probes = 3;
  const int unacknowledged = 25000;  // milliseconds; the same for data on their way
  setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(socket.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(socket.get(), IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(socket.get(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged, sizeof unacknowledged);
}

// Waits until the socket can be read or written.
Result await(const Descriptor& socket, short events, const Deadline& deadline) {
  std::vector<pollfd> entries = {{socket.get(), events, 0}};
  entries.insert(entries.end(), deadline.files().begin(), deadline.files().end());
  while (true) {
    const int ready = poll(entries.data(), entries.size(), deadline.milliseconds());
    if (ready > 0 && entries[0].revents != 0) return {};
    if (ready > 0) return failure(HCCL_E_AGAIN, "the wait was ended");
    if (ready < 0 && errno != EINTR) return system_failure(HCCL_E_SYSCALL, "poll");
    if (deadline.passed()) return failure(HCCL_E_TIMEOUT, "the other end did not answer in time");
  }
}

Result connect_to(const sockaddr* address, socklen_t size, const char* what, const Deadline& deadline,
                  Descriptor* socket) {
  Descriptor fresh(::socket(address->sa_family, kKind, 0));
  if (!fresh.valid()) return system_failure(HCCL_E_SYSCALL, "cannot make a socket");
  int refused = connect(fresh.get(), address, size);
  // A Unix socket says EAGAIN when the listener's queue is full, as when many ranks come at once.
  while (refused != 0 && errno == EAGAIN && !deadline.passed() && !deadline.disturbed()) {
    poll(nullptr, 0, 10);
    refused = connect(fresh.get(), address, size);
  }
  if (refused != 0) {
    if (errno != EINPROGRESS) return system_failure(HCCL_E_TCP_CONNECT, "cannot connect to %s", what);
    if (Result result = await(fresh, POLLOUT, deadline); !result.ok()) return result;
    int problem = 0;
    socklen_t length = sizeof problem;
    getsockopt(fresh.get(), SOL_SOCKET, SO_ERROR, &problem, &length);
    errno = problem;
    if (problem != 0) return system_failure(HCCL_E_TCP_CONNECT, "cannot connect to %s", what);
  }
  if (address->sa_family == AF_INET) send_at_once(fresh);
  *socket = std::move(fresh);
  return {};
}

Result listen_at(const sockaddr* address, socklen_t size, const std::string& what, Descriptor* socket) {
  Descriptor fresh(::socket(address->sa_family, kKind, 0));
  const int on = 1;
  if (fresh.valid() && address->sa_family == AF_INET)
    setsockopt(fresh.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fresh.valid() || bind(fresh.get(), address, size) != 0 || listen(fresh.get(), kBacklog) != 0) {
    return system_failure(HCCL_E_NETWORK, "cannot listen at %s", what.c_str());
  }
  *socket = std::move(fresh);
  return {};
}

bool same_user(const Descriptor& socket) {
  ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == geteuid();
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

union FileMessage {  // a union for its alignment
  char bytes[CMSG_SPACE(sizeof(int))];
  cmsghdr header;
};

}  // namespace

Result listen_local(const std::string& name, Descriptor* socket) {
  sockaddr_un address;
  const socklen_t size = local_address(name, &address);
  return listen_at(reinterpret_cast<sockaddr*>(&address), size, "the local socket @" + name, socket);
}

Result listen_network(const std::string& text, std::uint16_t* port, Descriptor* socket) {
  sockaddr_in address;
  if (Result result = network_address(text, *port, &address); !result.ok()) return result;
  const std::string what = text + ":" + std::to_string(*port);
  if (Result result = listen_at(reinterpret_cast<sockaddr*>(&address), sizeof address, what, socket);
      !result.ok()) {
    return result;
  }
  socklen_t size = sizeof address;
  getsockname(socket->get(), reinterpret_cast<sockaddr*>(&address), &size);
  *port = ntohs(address.sin_port);
  return {};
}

Result connect_local(const std::string& name, const Deadline& deadline, Descriptor* socket) {
  sockaddr_un address;
  const socklen_t size = local_address(name, &address);
  return connect_to(reinterpret_cast<sockaddr*>(&address), size, ("the local socket @" + name).c_str(),
                    deadline, socket);
}

Result connect_network(const std::string& text, std::uint16_t port, const Deadline& deadline,
                       Descriptor* socket) {
  sockaddr_in address;
  if (Result result = network_address(text, port, &address); !result.ok()) return result;
  return connect_to(reinterpret_cast<sockaddr*>(&address), sizeof address,
                    (text + ":" + std::to_string(port)).c_str(), deadline, socket);
}

Descriptor accept_connection(const Descriptor& listener) {
  sockaddr_storage address;
  socklen_t size = sizeof address;
  Descriptor socket(
      accept4(listener.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid()) return socket;
  if (address.ss_family == AF_INET) {
    send_at_once(socket);
  } else if (!same_user(socket)) {
    return Descriptor();
  }
  return socket;
}

Result socket_pair(Descriptor* first, Descriptor* second) {
  int numbers[2];
  if (socketpair(AF_UNIX, kKind, 0, numbers) != 0)
    return system_failure(HCCL_E_SYSCALL, "cannot make a pair of sockets");
  *first = Descriptor(numbers[0]);
  *second = Descriptor(numbers[1]);
  return {};
}

Result send_all(const Descriptor& socket, const void* data, std::size_t size, const Deadline& deadline) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(socket.get(), next, size, MSG_NOSIGNAL);
    if (sent > 0) {
      next += sent;
      size -= static_cast<std::size_t>(sent);
    } else if (!would_block()) {
      return system_failure(HCCL_E_REMOTE, "the other end has gone");
    } else if (Result result = await(socket, POLLOUT, deadline); !result.ok()) {
      return result;
    }
  }
  return {};
}

Result receive_all(const Descriptor& socket, void* data, std::size_t size, const Deadline& deadline) {
  char* next = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t received = recv(socket.get(), next, size, 0);
    if (received > 0) {
      next += received;
      size -= static_cast<std::size_t>(received);
    } else if (received == 0) {
      return failure(HCCL_E_REMOTE, "the other end has gone");
    } else if (!would_block()) {
      return system_failure(HCCL_E_REMOTE, "the other end has gone");
    } else if (Result result = await(socket, POLLIN, deadline); !result.ok()) {
      return result;
    }
  }
  return {};
}

Result send_file(const Descriptor& socket, int file, const Deadline& deadline) {
  char word = file >= 0 ? 'f' : '-';
  iovec part = {&word, 1};
  FileMessage control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (file >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof file);
    std::memcpy(CMSG_DATA(header), &file, sizeof file);
  }
  while (sendmsg(socket.get(), &message, MSG_NOSIGNAL) != 1) {
    if (!would_block()) return system_failure(HCCL_E_REMOTE, "cannot pass device memory to another rank");
    if (Result result = await(socket, POLLOUT, deadline); !result.ok()) return result;
  }
  return {};
}

Result receive_file(const Descriptor& socket, Descriptor* file, const Deadline& deadline) {
  char word = 0;
  iovec part = {&word, 1};
  FileMessage control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t received = 0;
  while ((received = recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC)) != 1) {
    if (received == 0) return failure(HCCL_E_REMOTE, "the other end has gone");
    if (!would_block()) return system_failure(HCCL_E_REMOTE, "the other end has gone");
    if (Result result = await(socket, POLLIN, deadline); !result.ok()) return result;
  }
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int number = -1;
    std::memcpy(&number, CMSG_DATA(header), sizeof number);
    *file = Descriptor(number);
  } else if (word == 'f') {  // the process may open no more files
    return failure(HCCL_E_UNAVAIL, "another rank's device memory could not be received: too many open files");
  }
  return {};
}

}  // namespace cann_simulator::hccl
