// torch.ops.torch_npu.hccl_*: how a process group of Python gets its backend, without a binding of our own.
//
// Python makes a plain process group with the store and gives it a name; here it is found by the name and
// gets a backend, of which Python then asks the group.
#include "compat.h"

#if NPU_HAS_GROUP_NAMES

#include <torch/library.h>
#include <torch/csrc/distributed/c10d/GroupRegistry.hpp>

#include "distributed/backend.h"
#include "runtime/later_torch.h"

namespace npu {
namespace {

// The store is a protected member, and has a function that returns it from 2.6 on only.
struct Opened : c10d::ProcessGroup {
  static c10::intrusive_ptr<c10d::Store> store_of(const c10d::ProcessGroup& group) {
    return group.*(&Opened::store_);
  }
};

void attach(const std::string& name, const std::string& title, int64_t timeout_ms, int64_t buffer_mib,
            bool high_priority) {
  const c10::intrusive_ptr<c10d::ProcessGroup> group = c10d::resolve_process_group(name);
  hccl::functions();  // what CANN lacks is said now rather than in the first operation
  hccl::Settings settings{title, std::chrono::milliseconds(timeout_ms), buffer_mib, high_priority};
  auto backend = c10::make_intrusive<hccl::Backend>(Opened::store_of(*group), group->getRank(),
                                                    group->getSize(), std::move(settings));
  group->setBackend(kType, c10d::ProcessGroup::BackendType::CUSTOM,
                    c10::static_intrusive_pointer_cast<c10d::Backend>(backend));
}

std::string communicator_name(const std::string& name, int64_t device) {
  const c10::intrusive_ptr<c10d::ProcessGroup> group = c10d::resolve_process_group(name);
  const auto backend = group->getBackend(kType);
  auto* found = dynamic_cast<hccl::Backend*>(backend.get());
  TORCH_CHECK(found != nullptr, "expected a process group of backend hccl, but got one of ",
              backend->getBackendName());
  return found->communicator_name({kType, static_cast<c10::DeviceIndex>(device)});
}

void stop() {
  hccl::stop_monitoring();
  hccl::destroy_communicators();
}

TORCH_LIBRARY_FRAGMENT(torch_npu, m) {
#if NPU_SERVES_LATER && !defined(NPU_ONLY_IN)
  if (torch_is_later()) return;  // lib/torch-X.Y has them, for its class of backends
#endif
  m.def("hccl_attach(str name, str title, int timeout_ms, int buffer_mib, bool high_priority) -> ()",
        &attach);
  m.def("hccl_communicator_name(str name, int device) -> str", &communicator_name);
  m.def("hccl_stop() -> ()", &stop);
}

}  // namespace
}  // namespace npu

#endif  // NPU_HAS_GROUP_NAMES
