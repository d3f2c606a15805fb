// The algorithms: what each rank sends and receives. All run on a stream, on addresses that can be read
// there.
//
// Every element is reduced by one rank alone, in one order, so all ranks get the same bits, every time.
#ifndef CANN_SIMULATOR_HCCL_COLLECTIVES_H_
#define CANN_SIMULATOR_HCCL_COLLECTIVES_H_

#include <cstdint>
#include <vector>

#include "session.h"

namespace cann_simulator::hccl {

// What the elements are and, for a reduction, how two become one.
struct Elements {
  std::uint32_t dtype;
  std::size_t size;  // bytes of one
  Combine combine = nullptr;
};

// A part of a buffer, in elements.
struct Part {
  std::uint64_t offset;
  std::uint64_t count;
};

Result all_reduce(Session& session, const Elements& elements, const char* from, char* to,
                  std::uint64_t count);
Result reduce(Session& session, const Elements& elements, const char* from, char* to, std::uint64_t count,
              std::uint32_t root);
// parts[i] of every rank's `from` are reduced into rank i's `to`.
Result reduce_scatter(Session& session, const Elements& elements, const char* from, char* to,
                      const std::vector<Part>& parts);
// Rank i's `from` goes to parts[i] of every rank's `to`.
Result all_gather(Session& session, const Elements& elements, const char* from, char* to,
                  const std::vector<Part>& parts);
Result broadcast(Session& session, const Elements& elements, char* buffer, std::uint64_t count,
                 std::uint32_t root);
Result scatter(Session& session, const Elements& elements, const char* from, char* to, std::uint64_t count,
               std::uint32_t root);
// sends[i] of `from` go to rank i, receives[i] of `to` come from rank i.
Result all_to_all(Session& session, const Elements& sent, const char* from, const std::vector<Part>& sends,
                  const Elements& received, char* to, const std::vector<Part>& receives);
Result barrier(Session& session);

// `parts` of equal size, one behind the other.
std::vector<Part> equal_parts(std::uint32_t parts, std::uint64_t count);

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_COLLECTIVES_H_
