#include "session.h"

#include <poll.h>

#include <algorithm>
#include <cstring>

namespace cann_simulator::hccl {
namespace {

constexpr std::size_t kBounce = 256 << 10;  // a multiple of every element

bool between_two(Kind kind) { return kind >= Kind::kSend; }

std::string amount(std::size_t bytes, std::uint32_t dtype) {
  const std::size_t element = size_of(static_cast<HcclDataType>(dtype));
  if (element == 0) return std::to_string(bytes) + " bytes";
  return std::to_string(bytes / element) + " " + name_of(static_cast<HcclDataType>(dtype));
}

}  // namespace

Session::Session(Communicator* communicator, const Operation& operation)
    : communicator_(*communicator),
      operation_(operation),
      deadline_(Deadline::in_seconds(communicator->membership_.execute_timeout)),
      needs_(communicator->size()) {}

Result Session::exchange(const std::vector<Send>& sends, const std::vector<Receive>& receives) {
  announce(sends, receives);
  next_ = 0;
  for (std::uint32_t other = 0; other < size(); ++other) {
    if (needs_[other].involved) communicator_.peers_[other].receive();
  }
  while (true) {
    if (Result result = advance(receives); !result.ok()) return result;
    for (std::uint32_t other = 0; other < size(); ++other) {
      if (needs_[other].involved) communicator_.peers_[other].flush();
    }
    if (finished(receives.size())) return {};
    if (Result result = look_for_trouble(); !result.ok()) return result;
    if (Result result = wait(); !result.ok()) return result;
  }
}

void Session::announce(const std::vector<Send>& sends, const std::vector<Receive>& receives) {
  const bool enter = collective() && !entered_;
  entered_ = true;
  for (std::uint32_t other = 0; other < size(); ++other) {
    needs_[other] = {};
    if (other == rank() || !collective()) continue;
    needs_[other].involved = true;
    needs_[other].enter = enter;
    if (!enter) continue;
    Frame frame;
    frame.word = Word::kEnter;
    frame.operation = operation_;
    communicator_.peers_[other].post(frame);
  }
  for (const Receive& receive : receives) {
    needs_[receive.from].involved = true;
    ++needs_[receive.from].receives;
  }
  for (const Send& send : sends) {
    needs_[send.to].involved = true;
    post(send);
  }
}

void Session::post(const Send& send) {
  Peer& peer = communicator_.peers_[send.to];
  Frame frame;
  frame.word = Word::kData;
  frame.size = send.size;
  frame.operation = operation_;
  frame.operation.dtype = send.dtype;
  if (send.size > kLargestInline) {
    const bool visible = peer.shared() && communicator_.memory_.holds(send.data, send.size);
    frame.way = visible ? Way::kMemory : Way::kOnDemand;
  }
  // Between two ranks a send ends when it was received, however small it is: a program that relies on less
  // would hang on a device.
  frame.acknowledge = frame.way != Way::kInline || !collective() ? 1 : 0;
  if (frame.way == Way::kMemory)
    frame.offset = static_cast<std::uint64_t>(send.data - communicator_.memory_.start);
  peer.post(frame, send.data);
}

// Handles everything that has come.
Result Session::advance(const std::vector<Receive>& receives) {
  bool all_entered = true;
  for (std::uint32_t other = 0; other < size(); ++other) {
    if (!needs_[other].enter) continue;
    if (Result result = greet(&communicator_.peers_[other]); !result.ok()) return result;
    all_entered = all_entered && !needs_[other].enter;
  }
  // Not a byte of the output changes before it is sure that all ranks mean the same operation.
  while (all_entered && next_ < receives.size()) {
    bool done = false;
    if (Result result = take(receives[next_], &done); !result.ok()) return result;
    if (!done) break;
    --needs_[receives[next_].from].receives;
    ++next_;
  }
  return {};
}

Result Session::greet(Peer* peer) {
  const Frame* frame = peer->pending();
  if (frame == nullptr) return {};
  if (frame->word == Word::kEnter && same(frame->operation, operation_)) {
    needs_[peer->rank()].enter = false;
    peer->finish_pending();
    return {};
  }
  return disagreement(*peer);
}

Result Session::take(const Receive& receive, bool* done) {
  Peer& peer = communicator_.peers_[receive.from];
  const Frame* frame = peer.pending();
  if (frame == nullptr) return {};
  if (!asked_) {
    if (Result result = check(receive, peer); !result.ok()) return result;
  }
  if (frame->way == Way::kOnDemand) {
    if (!take_payload(receive, &peer)) return {};
  } else if (const char* data = peer.pending_data(); data != nullptr) {
    use(receive, data);
  } else {
    return failure(HCCL_E_INTERNAL, "rank %u announced data outside its device memory", receive.from);
  }
  const bool acknowledge = frame->acknowledge != 0;
  peer.finish_pending();
  if (acknowledge) {
    Frame taken;
    taken.word = Word::kTaken;
    peer.post(taken);
  }
  *done = true;
  return {};
}

void Session::use(const Receive& receive, const char* data) const {
  if (receive.size == 0) return;
  if (receive.combine == nullptr) {
    std::memcpy(receive.to, data, receive.size);
  } else {
    receive.combine(receive.to, data, receive.size / size_of(static_cast<HcclDataType>(receive.dtype)));
  }
}

// Whether the frame that has come is what this rank expects.
Result Session::check(const Receive& receive, const Peer& peer) const {
  const Frame& frame = *peer.pending();
  const bool fits = frame.word == Word::kData && (collective() ? frame.operation.kind == operation_.kind
                                                               : between_two(frame.operation.kind));
  if (!fits) {
    return disagreement(peer);
  }
  if (frame.size == receive.size && frame.operation.dtype == receive.dtype) return {};
  return failure(HCCL_E_PARA, "the ranks disagree: rank %u sends %s to rank %u, which expects %s",
                 peer.rank(), amount(frame.size, frame.operation.dtype).c_str(), rank(),
                 amount(receive.size, receive.dtype).c_str());
}

// Asks for the payload once and reads what there is of it; true when all of it is done.
bool Session::take_payload(const Receive& receive, Peer* peer) {
  if (!asked_) {
    asked_ = true;
    taken_ = 0;
    Frame ready;
    ready.word = Word::kReady;
    peer->post(ready);
  }
  const std::size_t element = size_of(static_cast<HcclDataType>(receive.dtype));
  while (taken_ < receive.size) {
    const std::size_t left = receive.size - taken_;
    if (receive.combine == nullptr) {
      const std::size_t got = peer->read_payload(receive.to + taken_, left);
      taken_ += got;
      if (got < left) return false;
      continue;
    }
    bounce_.resize(kBounce);
    const std::size_t have = taken_ % element;  // the start of an element that came in two parts
    const std::size_t wanted = std::min(left, bounce_.size() - have);
    const std::size_t got = peer->read_payload(bounce_.data() + have, wanted);
    const std::size_t whole = (have + got) / element;
    receive.combine(receive.to + (taken_ - have), bounce_.data(), whole);
    std::memmove(bounce_.data(), bounce_.data() + whole * element, (have + got) % element);
    taken_ += got;
    if (got < wanted) return false;
  }
  asked_ = false;
  return true;
}

bool Session::finished(std::size_t receives) const {
  if (next_ < receives) return false;
  for (std::uint32_t other = 0; other < size(); ++other) {
    if (!needs_[other].involved) continue;
    const Peer& peer = communicator_.peers_[other];
    if (needs_[other].enter || peer.owes() || !peer.flushed()) return false;
  }
  return true;
}

// Finds out whether something that is needed can come no more.
Result Session::look_for_trouble() const {
  if (communicator_.stopping_) {
    return failure(HCCL_E_UNAVAIL,
                   "this rank has destroyed the communicator or ends, still waiting for others");
  }
  for (std::uint32_t other = 0; other < size(); ++other) {
    const Need& need = needs_[other];
    if (!need.involved) continue;
    const Peer& peer = communicator_.peers_[other];
    if (peer.gone() && (need.enter || need.receives > peer.deliverable() || peer.owes()))
      return peer.how_it_went();
    if (Result result = stuck_on(peer); !result.ok()) return result;
  }
  return {};
}

// A send cannot end while the receiver is in an operation that cannot end before this one has.
Result Session::stuck_on(const Peer& peer) const {
  const Frame* frame = peer.pending();
  if (collective() || frame == nullptr || !peer.owes()) return {};
  if (frame->word == Word::kEnter) return disagreement(peer);
  if (operation_.kind != Kind::kSend || frame->operation.kind != Kind::kSend) return {};
  return failure(HCCL_E_PARA,
                 "ranks %u and %u send to each other and neither receives; let one receive first, or use "
                 "HcclBatchSendRecv (torch.distributed.batch_isend_irecv)",
                 rank(), peer.rank());
}

// This rank's operation beside what the other rank has come to.
Result Session::disagreement(const Peer& peer) const {
  return failure(HCCL_E_PARA, "the ranks disagree: rank %u called %s, rank %u called %s", rank(),
                 text_of(operation_).c_str(), peer.rank(), text_of(peer.pending()->operation).c_str());
}

Result Session::wait() {
  std::vector<pollfd> entries(1 + size(), pollfd{-1, 0, 0});
  entries[0] = {communicator_.wake_.get(), POLLIN, 0};
  for (std::uint32_t other = 0; other < size(); ++other) {
    const Peer& peer = communicator_.peers_[other];
    if (!needs_[other].involved || peer.gone()) continue;
    const int events = peer.flushed() ? POLLIN : POLLIN | POLLOUT;
    entries[1 + other] = {peer.socket(), static_cast<short>(events), 0};
  }
  const int ready = poll(entries.data(), entries.size(), deadline_.milliseconds());
  if (ready <= 0 && deadline_.passed()) return late();
  for (std::uint32_t other = 0; other < size(); ++other) {
    if ((entries[1 + other].revents & ~POLLOUT) != 0) communicator_.peers_[other].receive();
  }
  return {};
}

// Names the ranks that are waited for.
Result Session::late() const {
  std::string ranks;
  for (std::uint32_t other = 0; other < size(); ++other) {
    const Need& need = needs_[other];
    if (!need.involved) continue;
    const Peer& peer = communicator_.peers_[other];
    if (need.enter || need.receives > 0 || peer.owes() || !peer.flushed())
      ranks += (ranks.empty() ? "" : ", ") + std::to_string(other);
  }
  return failure(HCCL_E_TIMEOUT, "not done after %d seconds (HCCL_EXEC_TIMEOUT), still waiting for rank %s",
                 communicator_.membership_.execute_timeout, ranks.c_str());
}

}  // namespace cann_simulator::hccl
