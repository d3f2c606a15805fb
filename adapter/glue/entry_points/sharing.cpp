// torch.ops.torch_npu.ipc_*: device memory that another process lends, as a tensor of bytes.
#include "compat.h"

#if NPU_LENDS_MEMORY

#include <torch/library.h>

#include <atomic>

#include "runtime/allocator.h"
#include "runtime/device.h"

namespace npu {
namespace {

// Memory that was borrowed, and where the lender reads that it was given back.
struct Loan {
  std::string key;
  c10::DeviceIndex device;
  at::Tensor table;  // int64 on the CPU, in memory that both processes share
  int64_t slot;
};

// The lender frees the memory when its slot is 0, so the close, which waits for the device, comes first.
void give_back(void* context) {
  const std::unique_ptr<Loan> loan(static_cast<Loan*>(context));
  npu_ipc_close(loan->device, loan->key.c_str());  // after the end of CANN nothing is left to be closed
  auto* slot = static_cast<int64_t*>(loan->table.data_ptr()) + loan->slot;
  __atomic_store_n(slot, int64_t{0}, __ATOMIC_RELEASE);
}

std::tuple<std::string, int64_t> lend(int64_t pointer) {
  char key[NPU_IPC_KEY_BYTES] = "";
  size_t offset = 0;
  check(npu_ipc_export(reinterpret_cast<void*>(pointer), key, &offset));
  return {key, static_cast<int64_t>(offset)};
}

void withdraw(const std::string& key) { check(npu_ipc_withdraw(key.c_str())); }

at::Tensor borrow(const std::string& key, int64_t offset, int64_t bytes, int64_t device,
                  const at::Tensor& table, int64_t slot) {
  const auto index = static_cast<c10::DeviceIndex>(device);
  const DeviceScope scope(index);
  void* start = nullptr;
  check(npu_ipc_import(index, key.c_str(), &start));
  auto* loan = new Loan{key, index, table, slot};
  c10::DataPtr data(static_cast<char*>(start) + offset, loan, &give_back, {kType, index});
  c10::Storage storage(c10::Storage::use_byte_size_t(), static_cast<size_t>(bytes), std::move(data),
                       device_allocator(), /*resizable=*/false);
  at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(kKey),
                                                               caffe2::TypeMeta::Make<uint8_t>());
  tensor.unsafeGetTensorImpl()->set_sizes_contiguous({bytes});
  return tensor;
}

TORCH_LIBRARY_FRAGMENT(torch_npu, m) {
  m.def("ipc_lend(int pointer) -> (str, int)", &lend);
  m.def("ipc_withdraw(str key) -> ()", &withdraw);
  m.def("ipc_borrow(str key, int offset, int bytes, int device, Tensor table, int slot) -> Tensor", &borrow);
}

}  // namespace
}  // namespace npu

#endif  // NPU_LENDS_MEMORY
