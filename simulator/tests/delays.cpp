// Preloaded by hccl_orders.py: every step with which processes meet takes a random time, the same for the
// same seed. Nothing of the simulator knows of it.
#include <dlfcn.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <atomic>
#include <cstdint>

namespace {

std::atomic<std::uint64_t> state{0};
std::atomic<std::uint32_t> longest{0};  // microseconds; 0: no delays

// xorshift64*, drawn from by all threads
std::uint32_t draw() {
  std::uint64_t before = state.load();
  std::uint64_t after = 0;
  do {
    after = before;
    after ^= after >> 12;
    after ^= after << 25;
    after ^= after >> 27;
  } while (!state.compare_exchange_weak(before, after));
  return static_cast<std::uint32_t>((after * 0x2545f4914f6cdd1d) >> 32);
}

// Three of four steps go on at once: an order comes of few delays, not of many.
void dawdle() {
  const std::uint32_t most = longest.load();
  if (most == 0 || draw() % 4 != 0) return;
  const std::uint32_t pause = draw() % most;
  const timespec duration = {pause / 1000000, static_cast<long>(pause % 1000000) * 1000};
  nanosleep(&duration, nullptr);
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

void delays_begin(std::uint64_t seed, std::uint32_t microseconds) {
  state = seed * 0x9e3779b97f4a7c15 + 1;
  longest = microseconds;
}

int connect(int socket, const sockaddr* address, socklen_t size) {
  dawdle();
  return next<int (*)(int, const sockaddr*, socklen_t)>("connect")(socket, address, size);
}

int accept4(int socket, sockaddr* address, socklen_t* size, int flags) {
  dawdle();
  return next<int (*)(int, sockaddr*, socklen_t*, int)>("accept4")(socket, address, size, flags);
}

ssize_t send(int socket, const void* data, size_t size, int flags) {
  dawdle();
  return next<ssize_t (*)(int, const void*, size_t, int)>("send")(socket, data, size, flags);
}

ssize_t sendmsg(int socket, const msghdr* message, int flags) {
  dawdle();
  return next<ssize_t (*)(int, const msghdr*, int)>("sendmsg")(socket, message, flags);
}

ssize_t recv(int socket, void* data, size_t size, int flags) {
  dawdle();
  return next<ssize_t (*)(int, void*, size_t, int)>("recv")(socket, data, size, flags);
}

ssize_t recvmsg(int socket, msghdr* message, int flags) {
  dawdle();
  return next<ssize_t (*)(int, msghdr*, int)>("recvmsg")(socket, message, flags);
}

}  // extern "C"
