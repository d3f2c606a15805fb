// How a rank's process is reached, and the words with which processes meet. Plain structures that travel as
// they are: all ranks of a communicator run one version of this library on one kind of machine, which the
// greeting's magic says.
#ifndef CANN_SIMULATOR_HCCL_PLACE_H_
#define CANN_SIMULATOR_HCCL_PLACE_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace cann_simulator::hccl {

constexpr std::uint32_t kLargestCommunicator = 1024;

struct Place {
  char machine[96];  // machine_identity(): equal for processes that can meet at a Unix socket
  char local[64];    // name of the abstract Unix socket
  char address[48];  // IPv4
  std::uint32_t port;
  std::int32_t process;
};

enum class Purpose : std::uint32_t {
  kJoin = 1,  // to the root: I am rank `rank` of the communicator that meets at `key`
  kLink = 2,  // to another rank: our connection in the communicator `key`
};

constexpr char kMagic[8] = {'H', 'C', 'C', 'L', 's', 'i', 'm', '2'};
constexpr std::size_t kKeyBytes = 96;

struct Greeting {
  char magic[8];
  Purpose purpose;
  std::uint32_t rank;
  std::uint32_t ranks;
  std::uint32_t target;  // kLink: the rank that is meant; a process may be several
  std::uint32_t early;   // kJoin: the root may not have begun yet, and then keeps who comes
  std::uint32_t reserved;
  char key[kKeyBytes];
  Place place;  // of the sender
};

// Who has joined keeps the connection to the root until all ranks are connected to each other, and both say
// two things at most: the root, who is there (a key of the communicator, then the places of all ranks), and
// how the set-up ended; the rank, how its own part of it ended. `bytes` follow; with a code, they are a
// sentence. So what goes wrong with one rank, its death too, reaches all others at once.
struct Answer {
  std::uint32_t code;
  std::uint32_t bytes;
};

// What HcclGetRootInfo writes into the opaque HcclRootInfo.
struct RootInfo {
  char magic[8];
  char key[kKeyBytes];
  Place root;
};

template <std::size_t Size>
void copy_text(char (&to)[Size], const std::string& text) {
  std::snprintf(to, Size, "%s", text.c_str());
}

// "process 12 on 10.0.0.1"
inline std::string text_of(const Place& place) {
  return "process " + std::to_string(place.process) + " on " + place.address;
}

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_PLACE_H_
