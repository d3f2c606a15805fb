#include "peer.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "socket.h"

namespace cann_simulator::hccl {
namespace {

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Peer::~Peer() {
  if (window_ != nullptr) munmap(window_, window_size_);
}

void Peer::connect(std::uint32_t rank, const Place& place, Descriptor socket, bool shared) {
  rank_ = rank;
  place_ = place;
  socket_ = std::move(socket);
  shared_ = shared;
}

Result Peer::offer(const DeviceMemory& memory, const Deadline& deadline) {
  if (!shared_) return {};
  const std::uint64_t size = memory.size;
  if (Result result = send_file(socket_, memory.file, deadline); !result.ok()) return result;
  return send_all(socket_, &size, sizeof size, deadline);
}

Result Peer::accept(const Deadline& deadline) {
  if (!shared_) return {};
  Descriptor file;
  std::uint64_t size = 0;
  if (Result result = receive_file(socket_, &file, deadline); !result.ok()) return result;
  if (Result result = receive_all(socket_, &size, sizeof size, deadline); !result.ok()) return result;
  if (!file.valid()) return {};
  void* mapping = mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
  if (mapping == MAP_FAILED) {
    return system_failure(HCCL_E_MEMORY, "cannot map the %llu bytes of device memory of rank %u",
                          static_cast<unsigned long long>(size), rank_);
  }
  window_ = static_cast<char*>(mapping);
  window_size_ = size;
  return {};
}

void Peer::post(const Frame& frame, const void* payload) {
  if (frame.acknowledge != 0) ++untaken_;
  if (gone_ || closed_) {
    undeliverable_ = true;
    return;
  }
  const char* data = static_cast<const char*>(payload);
  const bool follows = frame.word == Word::kData && frame.way == Way::kInline;
  outgoing_.push_back({frame, data, follows ? frame.size : 0, 0});
  if (frame.word != Word::kData || frame.way != Way::kOnDemand) return;
  Frame later;
  later.word = Word::kPayload;
  later.size = frame.size;
  on_demand_.push_back({later, data, frame.size, 0});
}

void Peer::flush() {
  while (!outgoing_.empty()) {
    Outgoing& next = outgoing_.front();
    const std::size_t total = sizeof(Frame) + next.payload_size;
    iovec parts[2] = {{&next.frame, sizeof(Frame)}, {const_cast<char*>(next.payload), next.payload_size}};
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = next.payload_size > 0 ? 2 : 1;
    const std::size_t of_frame = std::min(next.sent, sizeof(Frame));
    parts[0] = {reinterpret_cast<char*>(&next.frame) + of_frame, sizeof(Frame) - of_frame};
    if (next.payload_size > 0) {
      const std::size_t of_payload = next.sent - of_frame;
      parts[1] = {const_cast<char*>(next.payload) + of_payload, next.payload_size - of_payload};
    }
    const ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      // Whoever has gone may have said why: receive() finds that, and the end of the stream.
      if (!would_block()) drop_outgoing();
      return;
    }
    next.sent += static_cast<std::size_t>(sent);
    if (next.sent < total) return;
    outgoing_.pop_front();
  }
}

// Reads until `*have` is `size`; false when that is not all there yet.
bool Peer::fill(char* to, std::size_t size, std::size_t* have) {
  while (*have < size) {
    const ssize_t received = recv(socket_.get(), to + *have, size - *have, 0);
    if (received > 0) {
      *have += static_cast<std::size_t>(received);
      continue;
    }
    if (received == 0 || !would_block()) lose();
    return false;
  }
  return true;
}

void Peer::drop_outgoing() {
  if (!outgoing_.empty() || !on_demand_.empty()) undeliverable_ = true;
  outgoing_.clear();
  on_demand_.clear();
}

void Peer::lose() {
  gone_ = true;
  if (frame_.word == Word::kAbort && !following_.empty())  // as much as has come
    reason_ = {static_cast<HcclResult>(frame_.offset), following_};
  drop_outgoing();
}

void Peer::receive() {
  while (!gone_ && payload_ == 0 && receive_frame()) {
    if (!handle(frame_)) lose();
  }
}

// One frame and what follows it at once; false when it is not all there yet.
bool Peer::receive_frame() {
  if (have_ < sizeof frame_) {
    if (!fill(reinterpret_cast<char*>(&frame_), sizeof frame_, &have_)) return false;
    const bool follows =
        frame_.word == Word::kAbort || (frame_.word == Word::kData && frame_.way == Way::kInline);
    following_.assign(follows ? std::min<std::uint64_t>(frame_.size, kLargestInline) : 0, '\0');
  }
  std::size_t have = have_ - sizeof frame_;
  const bool complete = fill(&following_[0], following_.size(), &have);
  have_ = complete ? 0 : sizeof frame_ + have;
  return complete;
}

// False when no rank of this library would say that.
bool Peer::handle(const Frame& frame) {
  switch (frame.word) {
    case Word::kEnter:
    case Word::kData:
      pending_.push_back({frame, std::move(following_)});
      return true;
    case Word::kReady:
      if (on_demand_.empty()) return false;
      outgoing_.push_back(on_demand_.front());
      on_demand_.pop_front();
      return true;
    case Word::kPayload:
      payload_ = frame.size;
      return true;
    case Word::kTaken:
      --untaken_;
      return true;
    case Word::kLeave:
      left_ = true;
      return true;
    case Word::kAbort:
      reason_ = {static_cast<HcclResult>(frame.offset), following_};
      return false;  // the last word
  }
  return false;
}

int Peer::deliverable() const {
  return static_cast<int>(std::count_if(pending_.begin(), pending_.end(), [](const Pending& pending) {
    return pending.frame.way != Way::kOnDemand;
  }));
}

const char* Peer::pending_data() const {
  const Pending& next = pending_.front();
  if (next.frame.way == Way::kInline) return next.inline_data.data();
  const bool inside = next.frame.size <= window_size_ && next.frame.offset <= window_size_ - next.frame.size;
  return window_ != nullptr && inside ? window_ + next.frame.offset : nullptr;
}

std::size_t Peer::read_payload(void* to, std::size_t size) {
  std::size_t have = 0;
  fill(static_cast<char*>(to), std::min(size, payload_), &have);
  payload_ -= have;
  return have;
}

Result Peer::how_it_went() const {
  const std::string who = "rank " + std::to_string(rank_) + " (" + text_of(place_) + ")";
  if (!reason_.ok()) return {reason_.code, who + " gave up: " + reason_.message};
  if (left_) return {HCCL_E_REMOTE, who + " has destroyed its communicator or ended its program"};
  return {HCCL_E_REMOTE, who + " was killed or crashed: it ended without a word"};
}

void Peer::say_last(const Frame& frame, const std::string& text) {
  flush();
  // In the middle of another frame no word can be said; the end of the stream says enough.
  if (!closed_ && !gone_ && (outgoing_.empty() || outgoing_.front().sent == 0)) {
    Frame last = frame;
    last.size = text.size();
    iovec parts[2] = {{&last, sizeof last}, {const_cast<char*>(text.data()), text.size()}};
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = text.empty() ? 1 : 2;
    (void)!sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  }
  closed_ = true;
  drop_outgoing();
  // The other end reads on until here; closing at once could take away what it has not read yet.
  shutdown(socket_.get(), SHUT_WR);
}

void Peer::abort(const Result& reason) {
  Frame frame;
  frame.word = Word::kAbort;
  frame.offset = reason.code;
  say_last(frame, reason.message.size() <= kLargestInline ? reason.message : "");
}

void Peer::leave() {
  Frame frame;
  frame.word = Word::kLeave;
  say_last(frame, "");
}

}  // namespace cann_simulator::hccl
