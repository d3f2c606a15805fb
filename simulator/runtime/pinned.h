// Pinned host memory: that of aclrtMallocHost, and what a program has registered.
#ifndef CANN_SIMULATOR_PINNED_H_
#define CANN_SIMULATOR_PINNED_H_

#include <cstddef>

#include "status.h"

namespace cann_simulator {

Status allocate_pinned(std::size_t size, void** pointer);
Status release_pinned(void* pointer);
// The program's own memory, which it keeps while it is registered.
Status register_pinned(void* pointer, std::size_t size);
Status unregister_pinned(void* pointer);
bool is_pinned(const void* pointer);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_PINNED_H_
