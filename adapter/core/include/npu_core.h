// The adapter's torch-free core: one C API over CANN's C ABI.
//
// May know: CANN (looked up with dlopen, never linked), POSIX. May not know: torch, Python.
// Every function is thread-safe. A function returning npu_status leaves a message for
// npu_last_error() on the calling thread when the status is not NPU_OK. No function aborts or throws.
#ifndef NPU_CORE_H_
#define NPU_CORE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NPU_API __attribute__((visibility("default")))

typedef int32_t npu_status;
enum {
  NPU_OK = 0,
  NPU_ERR_NO_CANN = 1,         // no CANN found; the message says what to source or install
  NPU_ERR_NO_DEVICE = 2,       // CANN is there, no device is
  NPU_ERR_BAD_DEVICE = 3,      // device index out of range
  NPU_ERR_OUT_OF_MEMORY = 4,   // after the cache was emptied and the allocation tried again
  NPU_ERR_FORKED = 5,          // the device was used before fork(); this process cannot use it
  NPU_ERR_MISSING_SYMBOL = 6,  // this CANN lacks a function; the message names it and CANN's version
  NPU_ERR_ACL = 7,             // CANN returned an error; the message has call, code and CANN's text
  NPU_ERR_BAD_ARGUMENT = 8,
  NPU_ERR_SHUT_DOWN = 9,    // after npu_shutdown()
  NPU_ERR_COLLECTIVE = 10,  // a check of npu_set_wait_check() refused
};

// The calling thread's last message, never NULL; valid until the thread's next failing call.
NPU_API const char* npu_last_error(void);

// ---- CANN ------------------------------------------------------------------------------------
typedef struct {
  int32_t loaded;       // 1 when libascendcl could be opened and has what the core needs
  int32_t simulated;    // 1 when it is cann-simulator (it exports cann_simulator_version)
  const char* home;     // ASCEND_HOME_PATH or ASCEND_TOOLKIT_HOME, "" when unset
  const char* version;  // CANN's version, e.g. "7.0.RC1", "" when it cannot be told
  const char* library;  // the path libascendcl was loaded from, "" when not loaded
} npu_cann_info;

// Opens CANN on first call; never initializes a device. Returns NPU_OK or NPU_ERR_NO_CANN; fills *info either
// way.
NPU_API npu_status npu_cann(npu_cann_info* info);

// A symbol of the operator libraries (libcust_opapi, libopapi, libnnopbase) or of libascendcl; NULL when
// absent. Callers cache the answer.
NPU_API void* npu_find_symbol(const char* name);

// The same for CANN's collective library, libhccl.
NPU_API void* npu_find_collective_symbol(const char* name);

// Sets the thread's last error from a CANN return code: "<call> failed with <code>: <aclGetRecentErrMsg>".
// Returns NPU_ERR_ACL (NPU_OK for code 0).
NPU_API npu_status npu_check_acl(int32_t code, const char* call);

// Sets the thread's last error for a missing function and returns NPU_ERR_MISSING_SYMBOL.
NPU_API npu_status npu_missing_symbol(const char* name);

// ---- devices ---------------------------------------------------------------------------------
// 0 devices (and NPU_OK) when CANN is missing, no device answers, or this process was forked after use.
NPU_API npu_status npu_device_count(int32_t* count);
// The calling thread's current device: 0 until set. Needs no CANN.
NPU_API int32_t npu_current_device(void);
// Makes `device` current for the calling thread, initializing CANN and the device on first use.
NPU_API npu_status npu_set_device(int32_t device);
// Initializes CANN and binds the calling thread to its current device; NPU_OK at once when that is so.
// The "first use" of every path, to be called in the thread that is about to call CANN itself.
NPU_API npu_status npu_init(void);
NPU_API int32_t npu_is_initialized(void);
NPU_API int32_t npu_in_bad_fork(void);
// Waits for all streams of a device.
NPU_API npu_status npu_synchronize_device(int32_t device);
// SoC name, e.g. "Ascend910B1"; "(simulated)" is appended on the simulator. Copies at most size bytes.
NPU_API npu_status npu_device_name(int32_t device, char* name, size_t size);
NPU_API npu_status npu_memory_info(int32_t device, size_t* free_bytes, size_t* total_bytes);
// Synchronizes every used device, frees the cache and finalizes CANN; called once, at interpreter exit.
// After it every call that needs CANN fails; npu_free and npu_event_destroy become no-ops.
NPU_API void npu_shutdown(void);

// Asked after each wait for a device and each query that finds work done, before the host believes the
// results: NULL lets it pass, a message becomes NPU_ERR_COLLECTIVE. An operation between processes that
// failed on one stream ends no wait on another. The message must stay valid until the thread's next call. One
// check per process; NULL removes it.
typedef const char* (*npu_wait_check)(void);
NPU_API void npu_set_wait_check(npu_wait_check check);

// ---- streams ---------------------------------------------------------------------------------
// A stream is named by (device, id). Id 0 is the device's default stream; 1..32 are normal, 33..64 high
// priority pool streams, created on first use and handed out round-robin.
NPU_API npu_status npu_stream_from_pool(int32_t device, int32_t high_priority, int64_t* id);
NPU_API int64_t npu_current_stream(int32_t device);  // the calling thread's, 0 until set
NPU_API void npu_set_current_stream(int32_t device, int64_t id);
// The aclrtStream behind a name, created if need be.
NPU_API npu_status npu_stream_handle(int32_t device, int64_t id, void** handle);
NPU_API npu_status npu_stream_synchronize(int32_t device, int64_t id);
NPU_API npu_status npu_stream_query(int32_t device, int64_t id, int32_t* done);
// What the stream is given from now on runs after what the device's other streams were given so far; and
// what they are given, after what it was given. Streams that are captured take no part.
NPU_API npu_status npu_stream_wait_for_all(int32_t device, int64_t stream_id);
NPU_API npu_status npu_all_streams_wait(int32_t device, int64_t stream_id);

// ---- events ----------------------------------------------------------------------------------
typedef struct npu_event npu_event;
NPU_API npu_status npu_event_create(int32_t device, int32_t timing, npu_event** event);
NPU_API void npu_event_destroy(npu_event* event);
NPU_API npu_status npu_event_record(npu_event* event, int64_t stream_id);  // a stream of the event's device
NPU_API npu_status npu_event_block(npu_event* event, int32_t device, int64_t stream_id);  // the stream waits
NPU_API npu_status npu_event_synchronize(npu_event* event);
NPU_API npu_status npu_event_query(npu_event* event, int32_t* done);  // never recorded counts as done
NPU_API npu_status npu_event_elapsed_ms(npu_event* start, npu_event* end, double* milliseconds);
NPU_API int32_t npu_event_device(const npu_event* event);
NPU_API void* npu_event_handle(const npu_event* event);  // CANN's aclrtEvent, the same for the event's life

// ---- memory ----------------------------------------------------------------------------------
// Caching allocator, one pool per (device, stream). A block is ready for the stream it was asked for and
// returns to that stream's pool on free; npu_record_stream makes its reuse wait for another stream.
// size 0 gives NULL. Blocks are size + 32 rounded up to 512 bytes (CANN's operators may touch 32 bytes
// behind a tensor); requests up to 1 MiB share 2 MiB segments.
NPU_API npu_status npu_malloc(int32_t device, int64_t stream_id, size_t size, void** pointer);
NPU_API void npu_free(void* pointer);
NPU_API npu_status npu_record_stream(void* pointer, int64_t stream_id);
NPU_API npu_status npu_empty_cache(int32_t device);                           // -1: all devices
NPU_API npu_status npu_set_memory_fraction(int32_t device, double fraction);  // (0, 1]
// 1 and the device when the pointer lies in a device allocation of this core.
NPU_API int32_t npu_pointer_device(const void* pointer, int32_t* device);

typedef struct {
  int64_t current, peak, allocated, freed;  // bytes or counts; allocated/freed accumulate
} npu_stat;
typedef struct {
  npu_stat allocated_bytes;  // in blocks handed out
  npu_stat reserved_bytes;   // in segments got from CANN
  npu_stat allocations;      // blocks handed out
  npu_stat segments;
  int64_t num_alloc_retries;  // times the cache was emptied to serve a request
  int64_t num_ooms;
} npu_memory_stats;
// Of a device that was not used yet: zeros, without CANN.
NPU_API npu_status npu_get_memory_stats(int32_t device, npu_memory_stats* stats);
NPU_API npu_status npu_reset_peak_stats(int32_t device);
NPU_API npu_status npu_reset_accumulated_stats(int32_t device);

// Device memory of another process. What is exported is the whole allocation of CANN that the pointer lies
// in; *offset says where. The memory must stay allocated until npu_ipc_withdraw(), once for each export. A
// key is text that ends with 0. Importing one twice gives the same address, to be closed twice.
enum { NPU_IPC_KEY_BYTES = 65 };
NPU_API npu_status npu_ipc_export(const void* pointer, char key[NPU_IPC_KEY_BYTES], size_t* offset);
NPU_API npu_status npu_ipc_withdraw(const char* key);
NPU_API npu_status npu_ipc_import(int32_t device, const char* key, void** start);
// Waits for the device first: what was queued may still use the memory.
NPU_API npu_status npu_ipc_close(int32_t device, const char* key);

// Pinned host memory, cached by size. Free waits for nothing: call npu_host_record when a stream uses
// it (npu_memcpy_async does). The pointer given to it and to npu_host_is_pinned may lie inside a block.
NPU_API npu_status npu_host_malloc(size_t size, void** pointer);
NPU_API void npu_host_free(void* pointer);
NPU_API npu_status npu_host_record(void* pointer, int32_t device, int64_t stream_id);
NPU_API int32_t npu_host_is_pinned(const void* pointer);
// Gives idle pinned memory back to CANN; memory that a stream still uses stays.
NPU_API npu_status npu_host_empty_cache(void);
// Sizes are those of blocks, rounded up; segments counts the blocks got from CANN. Zeros before first use.
NPU_API npu_status npu_get_host_stats(npu_memory_stats* stats);
NPU_API npu_status npu_reset_host_stats(int32_t peaks);  // 1: peaks; 0: what accumulates

// kind: 1 host to device, 2 device to host, 3 device to device (of one device or of two; device and
// stream are those that run the copy). Asynchronous with pinned host memory, whose use by the stream is
// recorded. With any other host memory the stream is drained and the copy is done when the call returns.
NPU_API npu_status npu_memcpy_async(void* dst, const void* src, size_t size, int32_t kind, int32_t device,
                                    int64_t stream_id);
NPU_API npu_status npu_memset_async(void* dst, int32_t value, size_t size, int32_t device, int64_t stream_id);

#ifdef __cplusplus
}
#endif
#endif  // NPU_CORE_H_
