// Copies and fills of CANN's C ABI.
#include <time.h>

#include "graph.h"
#include "pinned.h"
#include "process.h"
#include "races.h"
#include "refusals.h"
#include "transfer.h"

using namespace cann_simulator;

namespace {

template <class Action>
class TransferTask : public Task {
 public:
  explicit TransferTask(Action action) : action_(std::move(action)) {}
  const char* name() const override { return Action::kName; }
  const std::vector<cann_simulator_range>& touched() const override { return action_.touched; }
  const void* host_memory() const override { return action_.host; }
  bool seen_outside() const override { return action_.to_host; }
  Status run(Stream& stream) override {
    const std::int32_t milliseconds = action_.milliseconds();
    if (milliseconds == 0 || stream.pause(milliseconds)) action_.run();
    return {};
  }

 private:
  const Action action_;
};

template <class Action>
Status submit(Action action, aclrtStream handle) {
  std::shared_ptr<Stream> stream;
  if (Status status = Process::instance().stream(handle, &stream); !status.ok()) return status;
  return stream->submit(std::make_unique<TransferTask<Action>>(std::move(action)));
}

// At once and on the calling thread: as in CANN, a synchronous copy is not ordered after the tasks of any
// stream.
template <class Action>
Status run_now(const Action& action) {
  if (Status status = Graph::refuse_unsafe(Action::kNow); !status.ok()) return status;
  if (Races::instance().on()) {
    if (Status status = Races::instance().access(Races::kHost, Action::kName, action.touched); !status.ok())
      return status;
  }
  const std::int32_t milliseconds = action.milliseconds();
  const timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  if (milliseconds > 0) nanosleep(&pause, nullptr);
  action.run();
  return {};
}

// What leaves the devices is a result.
Status refuse_results(const void* dst) {
  int device = 0;
  Status status = Refusals::instance().stopped();
  if (status.ok()) status = Process::instance().refuse_results_of_dropped();
  return status.ok() || Process::instance().is_device_memory(dst, &device) ? Status{} : status;
}

Status copy_now(void* dst, std::size_t room, const void* src, std::size_t count, aclrtMemcpyKind kind) {
  if (count == 0) return Process::instance().require_devices();
  if (Status status = refuse_results(dst); !status.ok()) return status;
  Copy copy;
  if (Status status = prepare_copy(dst, room, src, count, kind, &copy); !status.ok()) return status;
  return run_now(copy);
}

Status queue_copy(void* dst, std::size_t room, const void* src, std::size_t count, aclrtMemcpyKind kind,
                  aclrtStream stream) {
  if (count == 0) return Process::instance().require_devices();
  if (Status status = refuse_results(dst); !status.ok()) return status;
  Copy copy;
  if (Status status = prepare_copy(dst, room, src, count, kind, &copy); !status.ok()) return status;
  // Of memory that is not pinned CANN makes a synchronous copy, which no graph can hold.
  if (copy.host != nullptr && Graph::any_capturing() && !is_pinned(copy.host)) {
    std::shared_ptr<Stream> captured;
    if (Status status = Process::instance().stream(stream, &captured); !status.ok()) return status;
    if (captured->capture() != nullptr) return run_now(copy);
  }
  return submit(std::move(copy), stream);
}

// Runs `one` for every copy of a batch; *failed is the first that cannot be, else SIZE_MAX.
template <class One>
Status each(void** dsts, std::size_t* rooms, void** srcs, std::size_t* sizes, std::size_t count,
            std::size_t* failed, One one) {
  if (dsts == nullptr || rooms == nullptr || srcs == nullptr || sizes == nullptr || failed == nullptr)
    return null_argument("an array of the batch, or failIndex,");
  *failed = SIZE_MAX;
  for (std::size_t index = 0; index < count; ++index) {
    Status status = one(dsts[index], rooms[index], srcs[index], sizes[index]);
    if (status.ok()) continue;
    *failed = index;
    return status;
  }
  return {};
}

}  // namespace

extern "C" {

aclError aclrtMemcpy(void* dst, size_t dest_max, const void* src, size_t count, aclrtMemcpyKind kind) {
  return entry(__func__, [=] { return copy_now(dst, dest_max, src, count, kind); });
}

aclError aclrtMemcpyAsync(void* dst, size_t dest_max, const void* src, size_t count, aclrtMemcpyKind kind,
                          aclrtStream stream) {
  return launching(__func__, [=] { return queue_copy(dst, dest_max, src, count, kind, stream); });
}

// In CANN the copy waits until pageable memory was staged; here all host memory is as good as pinned.
aclError aclrtMemcpyAsyncWithCondition(void* dst, size_t dest_max, const void* src, size_t count,
                                       aclrtMemcpyKind kind, aclrtStream stream) {
  return launching(__func__, [=] { return queue_copy(dst, dest_max, src, count, kind, stream); });
}

// Attributes say where the pointers lie, which the simulator knows.
aclError aclrtMemcpyBatch(void** dsts, size_t* dest_maxs, void** srcs, size_t* sizes, size_t num_batches,
                          aclrtMemcpyBatchAttr*, size_t*, size_t, size_t* fail_index) {
  return entry(__func__, [=] {
    return each(dsts, dest_maxs, srcs, sizes, num_batches, fail_index,
                [](void* dst, size_t room, void* src, size_t size) {
                  return copy_now(dst, room, src, size, ACL_MEMCPY_DEFAULT);
                });
  });
}

aclError aclrtMemcpyBatchAsync(void** dsts, size_t* dest_maxs, void** srcs, size_t* sizes, size_t num_batches,
                               aclrtMemcpyBatchAttr*, size_t*, size_t, size_t* fail_index,
                               aclrtStream stream) {
  return launching(__func__, [=] {
    return each(dsts, dest_maxs, srcs, sizes, num_batches, fail_index,
                [=](void* dst, size_t room, void* src, size_t size) {
                  return queue_copy(dst, room, src, size, ACL_MEMCPY_DEFAULT, stream);
                });
  });
}

aclError aclrtMemset(void* dev_ptr, size_t max_count, int32_t value, size_t count) {
  return entry(__func__, [=]() -> Status {
    if (count == 0) return Process::instance().require_devices();
    Fill fill;
    if (Status status = prepare_fill(dev_ptr, max_count, value, count, &fill); !status.ok()) return status;
    return run_now(fill);
  });
}

aclError aclrtMemsetAsync(void* dev_ptr, size_t max_count, int32_t value, size_t count, aclrtStream stream) {
  return launching(__func__, [=]() -> Status {
    if (count == 0) return Process::instance().require_devices();
    Fill fill;
    if (Status status = prepare_fill(dev_ptr, max_count, value, count, &fill); !status.ok()) return status;
    return submit(std::move(fill), stream);
  });
}

}  // extern "C"
