// What the simulator's own libraries, and programs that want to know that they run on it, may call
// beside CANN's C ABI. Exported by libascendcl.so. No CANN has these symbols.
#ifndef CANN_SIMULATOR_RUNTIME_H_
#define CANN_SIMULATOR_RUNTIME_H_

#include "cann/acl.h"
#include "cann/acl_op.h"

#ifdef __cplusplus
extern "C" {
#endif

// The CANN version that is played (CANN_SIMULATOR_CANN), e.g. "9.1.0". Never NULL.
const char* cann_simulator_version(void);

// The readable address of [pointer, pointer + size): NULL when that range does not lie inside one live
// device allocation. *device (may be NULL) receives the logical index of the device that owns it. The
// address may be used only by a task running on a stream; it stays valid until the allocation is freed.
void* cann_simulator_alias(const void* pointer, size_t size, int32_t* device);

// The memory of a device that is open, as another process can map it: a file (the simulator's own; send a
// copy through a socket), and where its first byte lies among this process's readable addresses. Read-only
// mappings of it elsewhere see what kernels here have written.
aclError cann_simulator_device_memory(int32_t device, int* file, const void** start, size_t* size);

// The device of the calling thread's context; ACL_ERROR_RT_CONTEXT_NULL when it has none.
aclError cann_simulator_current_device(int32_t* device);

// A kernel: returns ACL_SUCCESS, or a 507xxx code and a message of at most `capacity` bytes.
typedef aclError (*cann_simulator_kernel)(void* argument, char* message, size_t capacity);

// Queues `kernel(argument)` on a stream (NULL: the default stream of the thread's context). Takes
// ownership of the argument in every case: `release` is called exactly once, also when this call fails.
// `name` must live as long as the process.
aclError cann_simulator_launch(aclrtStream stream, const char* name, cann_simulator_kernel kernel,
                               void* argument, void (*release)(void* argument));

// Device memory that a kernel reads or writes.
typedef struct {
  const void* pointer;
  size_t size;
  bool written;
} cann_simulator_range;

// The same for a kernel that says what it touches, so that --check can tell whether another stream touches it
// at the same time, and a graph whether it is still there. Without cann_simulator_checking() the ranges are
// not read.
aclError cann_simulator_launch_touching(aclrtStream stream, const char* name,
                                        const cann_simulator_range* ranges, size_t count,
                                        cann_simulator_kernel kernel, void* argument,
                                        void (*release)(void* argument));
bool cann_simulator_checking(void);

// The same for an operation of several processes, whose arguments serve one run. `renew` makes those of a run
// out of the ones given here, when the run is queued: at once, or once for each replay of a captured graph,
// in the order in which the program asks for them. NULL stands for no memory.
aclError cann_simulator_launch_joint(aclrtStream stream, const char* name, const cann_simulator_range* ranges,
                                     size_t count, cann_simulator_kernel kernel,
                                     void* (*renew)(const void* argument), void* argument,
                                     void (*release)(void* argument));

// How a tensor described for an operator by name is stored: what aclSetTensorFormat and aclSetTensorShape
// said, else what it was created with. Undefined and NULL without a description.
aclFormat cann_simulator_stored_format(const aclTensorDesc* desc);
const int64_t* cann_simulator_stored_sizes(const aclTensorDesc* desc, size_t* count);

// A text, or an integer or float, among the attributes of an operator by name; NULL when it has none of that
// name.
const char* cann_simulator_attribute(const aclopAttr* attr, const char* name);
const double* cann_simulator_number(const aclopAttr* attr, const char* name);

// Sets what aclGetRecentErrMsg returns on this thread and returns `code`: the failure of an operator, which
// an adapter's queue does not survive, or, without a launch, that of a handle or a setting, which it does.
aclError cann_simulator_fail(aclError code, const char* message);
aclError cann_simulator_fail_no_launch(aclError code, const char* message);

// The same for what the simulator lacks, such as "operator Sqrt"; ACL_ERROR_API_NOT_SUPPORT.
aclError cann_simulator_lack(const char* what, const char* message);

// For test frames, which change in one process what CANN_SIMULATOR_FAULT and CANN_SIMULATOR_CHECK set for
// a whole one. "" is nothing, and off. ACL_ERROR_INVALID_PARAM for a value that is none; nothing changes
// then.
//
// Faults: counts begin at 1 with this call; failed devices and streams work again, kernels that hang go on.
aclError cann_simulator_set_faults(const char* faults);
// Races: only accesses from this call on count. What was found is taken by cann_simulator_take_races.
aclError cann_simulator_set_check(const char* mode);

// Calls `each` for every race (one of each pair of names), or for every refusal (what was lacking, the first
// message about it, how often), and forgets them: the process no longer ends with an exit code for them.
void cann_simulator_take_races(void (*each)(const char* race, void* argument), void* argument);
void cann_simulator_take_refusals(void (*each)(const char* what, const char* message, uint64_t count,
                                               void* argument),
                                  void* argument);

// The program ends: from now on its streams have the time of CANN_SIMULATOR_DRAIN for what nobody will see.
void cann_simulator_begin_ending(void);
// The same, and ends all streams; the device cannot be used after it.
void cann_simulator_stop(void);

#ifdef __cplusplus
}
#endif
#endif  // CANN_SIMULATOR_RUNTIME_H_
