// The arguments of one operation, checked one after the other; the first that is wrong decides.
#ifndef CANN_SIMULATOR_HCCL_CALL_H_
#define CANN_SIMULATOR_HCCL_CALL_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "cann_simulator/runtime.h"
#include "collectives.h"
#include "communicator.h"

namespace cann_simulator::hccl {

class Call {
 public:
  Call(HcclComm comm, Kind kind);

  // What follows does nothing once something was wrong.
  // The elements; `count` is what all ranks must say (0 where each has its own).
  Elements elements(HcclDataType dtype, std::uint64_t count);
  void reduction(HcclReduceOp reduction, Elements* elements);
  void root(std::uint32_t root);
  // Another rank, never this one.
  void partner(std::uint32_t rank);
  void partner_or_self(std::uint32_t rank);

  // The address at which a stream reads and writes `count` elements; nullptr for none.
  char* buffer(const char* name, const void* pointer, std::uint64_t count, const Elements& elements);
  char* buffer(const char* name, const void* pointer, const std::vector<Part>& parts,
               const Elements& elements);
  // The same for what the operation writes.
  template <class Extent>
  char* output(const char* name, const void* pointer, const Extent& extent, const Elements& elements) {
    const std::size_t before = touched_.size();
    char* address = buffer(name, pointer, extent, elements);
    if (touched_.size() > before) touched_.back().written = true;
    return address;
  }
  // One entry per rank of two host arrays of uint64_t.
  std::vector<Part> parts(const char* name, const void* counts, const void* offsets);

  void refuse(Result result);
  bool ok() const { return result_.ok(); }
  std::uint32_t rank() const { return communicator_->rank(); }
  std::uint32_t size() const { return communicator_->size(); }
  Operation& operation() { return operation_; }

  Result launch(aclrtStream stream, Communicator::Body body);

 private:
  std::shared_ptr<Communicator> communicator_;
  Operation operation_;
  std::vector<cann_simulator_range> touched_;
  Result result_;
};

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_CALL_H_
