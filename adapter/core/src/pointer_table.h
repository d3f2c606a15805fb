// What lies at an address: the live block that starts there, the segment that contains it.
#ifndef NPU_CORE_POINTER_TABLE_H_
#define NPU_CORE_POINTER_TABLE_H_

#include "block_pool.h"

namespace npu {

// Live blocks, of all devices. Thread-safe.
void insert_block(Block* block);
Block* find_block(const void* address);    // NULL when no live block starts there
Block* remove_block(const void* address);  // the same, and takes it out

// Segments, of all devices. Thread-safe.
void register_segment(const Segment& segment, int32_t device);
void unregister_segment(const Segment& segment);
// The device of the segment that contains the address, -1 when none does.
int32_t device_of_address(const void* address);
// The segment that contains the address; false when none does.
bool segment_of_address(const void* address, Segment* segment);

}  // namespace npu

#endif  // NPU_CORE_POINTER_TABLE_H_
