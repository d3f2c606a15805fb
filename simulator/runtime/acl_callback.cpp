// Callbacks of CANN's C ABI: a stream hands a function to a thread of the program, which runs it in
// aclrtProcessReport.
#include <pthread.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "cann_simulator/threads.h"
#include "process.h"
#include "refusals.h"

using namespace cann_simulator;

namespace {

struct Callback {
  aclrtCallback function;
  void* data;
  std::mutex mutex;
  Condition done;
  bool is_done = false;
};

// What waits for one thread.
struct Inbox {
  std::mutex mutex;
  Condition arrived;
  std::deque<std::shared_ptr<Callback>> callbacks;
};

class Subscriptions {
 public:
  static Subscriptions& instance() {
    static Subscriptions* const all = new Subscriptions;
    return *all;
  }

  Status subscribe(std::uint64_t thread, int stream) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (streams_.count(stream) > 0) {
      return failure(ACL_ERROR_RT_STREAM_SUBSCRIBE, "stream %d is subscribed already", stream);
    }
    std::shared_ptr<Inbox>& inbox = inboxes_[thread];
    if (inbox == nullptr) inbox = std::make_shared<Inbox>();
    streams_[stream] = {thread, inbox};
    return {};
  }

  Status unsubscribe(std::uint64_t thread, int stream) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = streams_.find(stream);
    if (found == streams_.end() || found->second.first != thread) {
      return failure(ACL_ERROR_RT_STREAM_SUBSCRIBE, "stream %d is not subscribed to that thread", stream);
    }
    streams_.erase(found);
    return {};
  }

  std::shared_ptr<Inbox> of_stream(int stream) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = streams_.find(stream);
    return found == streams_.end() ? nullptr : found->second.second;
  }

  std::shared_ptr<Inbox> of_thread(std::uint64_t thread) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = inboxes_.find(thread);
    return found == inboxes_.end() ? nullptr : found->second;
  }

 private:
  std::mutex mutex_;
  std::map<int, std::pair<std::uint64_t, std::shared_ptr<Inbox>>> streams_;  // by number
  std::map<std::uint64_t, std::shared_ptr<Inbox>> inboxes_;
};

class CallbackTask : public Task {
 public:
  CallbackTask(std::shared_ptr<Inbox> inbox, aclrtCallback function, void* data, bool blocks)
      : inbox_(std::move(inbox)), callback_(std::make_shared<Callback>()), blocks_(blocks) {
    callback_->function = function;
    callback_->data = data;
  }
  const char* name() const override { return "callback"; }
  bool seen_outside() const override { return true; }
  std::unique_ptr<Task> renewed() const override {
    return std::make_unique<CallbackTask>(inbox_, callback_->function, callback_->data, blocks_);
  }
  Status run(Stream& stream) override {
    {
      const std::lock_guard<std::mutex> lock(inbox_->mutex);
      inbox_->callbacks.push_back(callback_);
    }
    inbox_->arrived.notify_one();
    constexpr std::int32_t kLook = 20;  // ms until it is seen that the stream ends and nobody will come
    std::unique_lock<std::mutex> lock(callback_->mutex);
    const auto done = [this] { return callback_->is_done; };
    while (blocks_ && !callback_->done.wait_for(lock, kLook, done) && stream.pause(0)) {
    }
    return {};
  }

 private:
  const std::shared_ptr<Inbox> inbox_;
  const std::shared_ptr<Callback> callback_;
  const bool blocks_;
};

Status find_stream(aclrtStream handle, std::shared_ptr<Stream>* stream) {
  return Process::instance().stream(handle, stream);
}

Status process_one(std::int32_t timeout) {
  const auto inbox = Subscriptions::instance().of_thread(static_cast<std::uint64_t>(pthread_self()));
  if (inbox == nullptr) {
    return failure(ACL_ERROR_RT_THREAD_SUBSCRIBE, "no stream was subscribed to this thread");
  }
  std::shared_ptr<Callback> callback;
  {
    std::unique_lock<std::mutex> lock(inbox->mutex);
    if (!inbox->arrived.wait_for(lock, timeout, [&] { return !inbox->callbacks.empty(); })) {
      return failure(ACL_ERROR_RT_REPORT_TIMEOUT, "no callback came in %d ms", timeout);
    }
    callback = std::move(inbox->callbacks.front());
    inbox->callbacks.pop_front();
  }
  callback->function(callback->data);
  const std::lock_guard<std::mutex> lock(callback->mutex);
  callback->is_done = true;
  callback->done.notify_all();
  return {};
}

}  // namespace

extern "C" {

aclError aclrtSubscribeReport(uint64_t thread_id, aclrtStream handle) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    Status status = find_stream(handle, &stream);
    return status.ok() ? Subscriptions::instance().subscribe(thread_id, stream->id()) : status;
  });
}

aclError aclrtUnSubscribeReport(uint64_t thread_id, aclrtStream handle) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    Status status = find_stream(handle, &stream);
    return status.ok() ? Subscriptions::instance().unsubscribe(thread_id, stream->id()) : status;
  });
}

aclError aclrtProcessReport(int32_t timeout) {
  return entry(__func__, [=] { return process_one(timeout); });
}

aclError aclrtLaunchCallback(aclrtCallback fn, void* user_data, aclrtCallbackBlockType block_type,
                             aclrtStream handle) {
  return launching(__func__, [=]() -> Status {
    if (fn == nullptr) return null_argument("fn");
    std::shared_ptr<Stream> stream;
    if (Status status = find_stream(handle, &stream); !status.ok()) return status;
    auto inbox = Subscriptions::instance().of_stream(stream->id());
    if (inbox == nullptr) {
      return failure(ACL_ERROR_RT_STREAM_NO_CB_REG,
                     "no thread serves the callbacks of stream %d; call aclrtSubscribeReport first",
                     stream->id());
    }
    return stream->submit(
        std::make_unique<CallbackTask>(std::move(inbox), fn, user_data, block_type == ACL_CALLBACK_BLOCK));
  });
}

}  // extern "C"
