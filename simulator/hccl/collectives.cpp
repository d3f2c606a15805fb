#include "collectives.h"

#include <cstring>

namespace cann_simulator::hccl {
namespace {

// Up to here every rank reduces everything itself, which takes one step instead of two.
constexpr std::size_t kSmallAllReduce = 4 << 10;

// Copies inside a rank; a program may pass one buffer for both.
void copy(char* to, const char* from, std::size_t size) {
  if (size > 0 && to != from) std::memmove(to, from, size);
}

// The other ranks, the next one first: so not all of them begin with the same one.
std::vector<std::uint32_t> others(const Session& session) {
  std::vector<std::uint32_t> ranks;
  for (std::uint32_t step = 1; step < session.size(); ++step)
    ranks.push_back((session.rank() + step) % session.size());
  return ranks;
}

// Cuts `count` elements into one part per rank, the first ones larger by one.
std::vector<Part> shares(std::uint32_t ranks, std::uint64_t count) {
  std::vector<Part> parts;
  std::uint64_t offset = 0;
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    const std::uint64_t size = count / ranks + (rank < count % ranks ? 1 : 0);
    parts.push_back({offset, size});
    offset += size;
  }
  return parts;
}

// Every rank gets all inputs and reduces them in order of rank.
Result all_reduce_small(Session& session, const Elements& elements, const char* from, char* to,
                        std::uint64_t count) {
  const std::size_t bytes = count * elements.size;
  std::vector<char> inputs(bytes * session.size());
  std::vector<Send> sends;
  std::vector<Receive> receives;
  for (const std::uint32_t other : others(session)) {
    sends.push_back({other, from, bytes, elements.dtype});
    receives.push_back({other, inputs.data() + other * bytes, bytes, elements.dtype});
  }
  if (Result result = session.exchange(sends, receives); !result.ok()) return result;
  copy(inputs.data() + session.rank() * bytes, from, bytes);
  for (std::uint32_t rank = 1; rank < session.size(); ++rank)
    elements.combine(inputs.data(), inputs.data() + rank * bytes, count);
  copy(to, inputs.data(), bytes);
  return {};
}

}  // namespace

std::vector<Part> equal_parts(std::uint32_t parts, std::uint64_t count) {
  std::vector<Part> equal;
  for (std::uint64_t index = 0; index < parts; ++index) equal.push_back({index * count, count});
  return equal;
}

Result all_reduce(Session& session, const Elements& elements, const char* from, char* to,
                  std::uint64_t count) {
  if (count * elements.size <= kSmallAllReduce) return all_reduce_small(session, elements, from, to, count);
  const std::vector<Part> parts = shares(session.size(), count);
  char* const mine = to + parts[session.rank()].offset * elements.size;
  if (Result result = reduce_scatter(session, elements, from, mine, parts); !result.ok()) return result;
  return all_gather(session, elements, mine, to, parts);
}

Result reduce_scatter(Session& session, const Elements& elements, const char* from, char* to,
                      const std::vector<Part>& parts) {
  const Part& own = parts[session.rank()];
  std::vector<Send> sends;
  std::vector<Receive> receives;
  for (const std::uint32_t other : others(session)) {
    const Part& part = parts[other];
    sends.push_back({other, from + part.offset * elements.size, part.count * elements.size, elements.dtype});
    receives.push_back({other, to, own.count * elements.size, elements.dtype, elements.combine});
  }
  copy(to, from + own.offset * elements.size, own.count * elements.size);
  return session.exchange(sends, receives);
}

Result all_gather(Session& session, const Elements& elements, const char* from, char* to,
                  const std::vector<Part>& parts) {
  const Part& own = parts[session.rank()];
  std::vector<Send> sends;
  std::vector<Receive> receives;
  for (const std::uint32_t other : others(session)) {
    const Part& part = parts[other];
    sends.push_back({other, from, own.count * elements.size, elements.dtype});
    receives.push_back({other, to + part.offset * elements.size, part.count * elements.size, elements.dtype});
  }
  copy(to + own.offset * elements.size, from, own.count * elements.size);
  return session.exchange(sends, receives);
}

Result reduce(Session& session, const Elements& elements, const char* from, char* to, std::uint64_t count,
              std::uint32_t root) {
  const std::size_t bytes = count * elements.size;
  if (session.rank() != root) return session.exchange({{root, from, bytes, elements.dtype}}, {});
  std::vector<Receive> receives;
  for (const std::uint32_t other : others(session))
    receives.push_back({other, to, bytes, elements.dtype, elements.combine});
  copy(to, from, bytes);
  return session.exchange({}, receives);
}

Result broadcast(Session& session, const Elements& elements, char* buffer, std::uint64_t count,
                 std::uint32_t root) {
  const std::size_t bytes = count * elements.size;
  if (session.rank() != root) return session.exchange({}, {{root, buffer, bytes, elements.dtype}});
  std::vector<Send> sends;
  for (const std::uint32_t other : others(session)) sends.push_back({other, buffer, bytes, elements.dtype});
  return session.exchange(sends, {});
}

Result scatter(Session& session, const Elements& elements, const char* from, char* to, std::uint64_t count,
               std::uint32_t root) {
  const std::size_t bytes = count * elements.size;
  if (session.rank() != root) return session.exchange({}, {{root, to, bytes, elements.dtype}});
  std::vector<Send> sends;
  for (const std::uint32_t other : others(session))
    sends.push_back({other, from + other * bytes, bytes, elements.dtype});
  copy(to, from + root * bytes, bytes);
  return session.exchange(sends, {});
}

Result all_to_all(Session& session, const Elements& sent, const char* from, const std::vector<Part>& sends,
                  const Elements& received, char* to, const std::vector<Part>& receives) {
  const Part& away = sends[session.rank()];
  const Part& back = receives[session.rank()];
  if (away.count * sent.size != back.count * received.size) {
    return failure(HCCL_E_PARA, "rank %u sends %llu elements to itself and receives %llu", session.rank(),
                   static_cast<unsigned long long>(away.count), static_cast<unsigned long long>(back.count));
  }
  std::vector<Send> outgoing;
  std::vector<Receive> incoming;
  for (const std::uint32_t other : others(session)) {
    const Part& out = sends[other];
    const Part& in = receives[other];
    outgoing.push_back({other, from + out.offset * sent.size, out.count * sent.size, sent.dtype});
    incoming.push_back({other, to + in.offset * received.size, in.count * received.size, received.dtype});
  }
  copy(to + back.offset * received.size, from + away.offset * sent.size, away.count * sent.size);
  return session.exchange(outgoing, incoming);
}

Result barrier(Session& session) { return session.exchange({}, {}); }

}  // namespace cann_simulator::hccl
