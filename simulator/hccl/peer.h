// The connection to one other rank, and that rank's device memory where it can be seen.
//
// Everything that two ranks say to each other goes through one socket, in order: so the death of a rank is
// the end of its stream, behind everything that it still said. Small data follow their frame. Large data of
// ranks on one machine stay where they are: the frame says where, the receiver reads them through a mapping
// of the sender's device memory and says when it has. Between machines the receiver asks for large data when
// it is ready for them, so that nothing else must wait behind them.
#ifndef CANN_SIMULATOR_HCCL_PEER_H_
#define CANN_SIMULATOR_HCCL_PEER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "deadline.h"
#include "descriptor.h"
#include "operation.h"
#include "place.h"

namespace cann_simulator::hccl {

enum class Word : std::uint32_t {
  kEnter = 1,  // I have come to this collective operation
  kData,       // I have `size` bytes for you; `way` says where
  kReady,      // send me the payload of your oldest kData that goes kOnDemand
  kPayload,    // here it is: `size` bytes follow
  kTaken,      // I have read what you announced
  kAbort,      // I give up; `offset` is the code, `size` bytes of text follow
  kLeave,      // I destroy the communicator, all is well
};

enum class Way : std::uint32_t {
  kInline = 0,  // right behind the frame
  kMemory,      // at `offset` of my device memory
  kOnDemand,    // in a kPayload, when you are ready
};

constexpr std::size_t kLargestInline = 16 << 10;

struct Frame {
  Word word = Word::kEnter;
  Way way = Way::kInline;
  std::uint32_t acknowledge = 0;  // answer kTaken
  std::uint32_t reserved = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
  Operation operation;
};

// The device memory of this rank, as the others may map it.
struct DeviceMemory {
  int file = -1;  // of the runtime, which keeps it open; -1: cannot be shared
  const char* start = nullptr;
  std::size_t size = 0;

  bool holds(const void* data, std::size_t bytes) const {
    const char* first = static_cast<const char*>(data);
    return file >= 0 && first >= start && bytes <= size && first <= start + (size - bytes);
  }
};

class Peer {
 public:
  Peer() = default;
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Takes a connection over. Both ends then call offer() and, when all have offered, accept(): they tell each
  // other their device memory. `shared`: through a Unix socket, so that it can be mapped.
  void connect(std::uint32_t rank, const Place& place, Descriptor socket, bool shared);
  Result offer(const DeviceMemory& memory, const Deadline& deadline);
  Result accept(const Deadline& deadline);

  std::uint32_t rank() const { return rank_; }
  int socket() const { return socket_.get(); }
  // Whether the other end may map this rank's device memory.
  bool shared() const { return shared_; }

  // Queues a frame and, for kData, its payload (`frame.size` bytes), which must stay until this end is owed
  // nothing and has flushed.
  void post(const Frame& frame, const void* payload = nullptr);
  // Sends what the socket takes.
  void flush();
  bool flushed() const { return outgoing_.empty(); }
  // Whether the other end still has to take something: what it must acknowledge, or what can be sent no more.
  bool owes() const { return untaken_ > 0 || undeliverable_; }

  // Reads what has come, up to a payload.
  void receive();
  // The oldest frame that an operation must handle, kEnter or kData; nullptr when there is none.
  const Frame* pending() const { return pending_.empty() ? nullptr : &pending_.front().frame; }
  void finish_pending() { pending_.pop_front(); }
  // How many pending frames can be handled even when the other rank is no more.
  int deliverable() const;
  // Data of the pending frame that are there: inline ones, or in the other rank's device memory; nullptr when
  // they would lie outside of it.
  const char* pending_data() const;
  // As much of the payload as the socket has, at most `size`; 0 before it has begun.
  std::size_t read_payload(void* to, std::size_t size);

  // True when the stream has ended: the rank has died, has given up or has left.
  bool gone() const { return gone_; }
  bool left() const { return left_; }
  // "rank 2 (process 17 on 10.0.0.1) ended without a word"
  Result how_it_went() const;

  // Says why this rank gives up, or that it leaves, as far as the socket takes it without waiting.
  void abort(const Result& reason);
  void leave();

 private:
  struct Outgoing {
    Frame frame;
    const char* payload;
    std::size_t payload_size;
    std::size_t sent;
  };
  struct Pending {
    Frame frame;
    std::string inline_data;
  };

  bool fill(char* to, std::size_t size, std::size_t* have);
  bool receive_frame();
  bool handle(const Frame& frame);
  void drop_outgoing();
  void lose();
  void say_last(const Frame& frame, const std::string& text);

  std::uint32_t rank_ = 0;
  Place place_ = {};
  Descriptor socket_;
  bool shared_ = false;
  char* window_ = nullptr;  // the other rank's device memory, to read only
  std::size_t window_size_ = 0;

  std::deque<Outgoing> outgoing_;
  std::deque<Outgoing> on_demand_;  // announced, not asked for yet
  int untaken_ = 0;
  bool undeliverable_ = false;
  bool closed_ = false;  // this end has said its last word

  Frame frame_;              // the one that is being read
  std::size_t have_ = 0;     // bytes of it and of what follows it
  std::string following_;    // inline data, or the reason of kAbort
  std::size_t payload_ = 0;  // bytes of a payload that are still to be read
  std::deque<Pending> pending_;
  bool gone_ = false;
  bool left_ = false;
  Result reason_;
};

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_PEER_H_
