// Operators that communicate: kernels of libopapi that all ranks of a communicator of libhccl compute
// together. No CANN has these symbols.
#ifndef CANN_SIMULATOR_JOINT_H_
#define CANN_SIMULATOR_JOINT_H_

#include "cann/hccl.h"
#include "cann_simulator/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int64_t ranks;
  int64_t rank;
  int32_t device;
} cann_simulator_group;

// The communicator of this process by the name that HcclGetCommName gives.
HcclResult cann_simulator_find_group(const char* name, cann_simulator_group* group);

// One such kernel while it runs. What it sends and receives lies at addresses that can be read here.
typedef struct cann_simulator_meeting cann_simulator_meeting;
typedef aclError (*cann_simulator_joint_kernel)(cann_simulator_meeting* meeting, void* argument,
                                                char* message, size_t capacity);

// Queues the kernel as an operation of the communicator: in the order of its operations, ended with an error
// when a rank is missing or does something else. `name` must live as long as the process; all ranks must say
// the same. Takes ownership of the argument in every case.
HcclResult cann_simulator_launch_in_group(const char* group, const char* name,
                                          const cann_simulator_range* ranges, size_t count,
                                          aclrtStream stream, cann_simulator_joint_kernel kernel,
                                          void* argument, void (*release)(void* argument));

// For such a kernel, as the functions of HCCL that have these names. After a failure the kernel must end; how
// it ends does not matter then.
HcclResult cann_simulator_all_reduce(cann_simulator_meeting* meeting, HcclDataType data_type,
                                     const void* from, void* to, uint64_t count);
HcclResult cann_simulator_reduce_scatter(cann_simulator_meeting* meeting, HcclDataType data_type,
                                         const void* from, void* to, uint64_t receive_count);
HcclResult cann_simulator_all_gather(cann_simulator_meeting* meeting, const void* from, void* to,
                                     uint64_t bytes);
// Bytes for and from each rank; both lie one behind the other.
HcclResult cann_simulator_all_to_all(cann_simulator_meeting* meeting, const void* from, const uint64_t* sends,
                                     void* to, const uint64_t* receives);

#ifdef __cplusplus
}
#endif
#endif  // CANN_SIMULATOR_JOINT_H_
