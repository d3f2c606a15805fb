#include <algorithm>
#include <utility>

#include "process.h"

namespace cann_simulator {

Status Context::create_stream(std::shared_ptr<Stream>* stream) {
  static std::atomic<int> next_id{0};
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!alive()) return failure(ACL_ERROR_RT_CONTEXT_NULL, "the context was destroyed");
  auto created = std::make_shared<Stream>(this, device_, next_id++);
  if (Status status = created->start(); !status.ok()) return status;
  *stream = std::move(created);
  streams_.push_back(*stream);
  return {};
}

Status Context::default_stream(std::shared_ptr<Stream>* stream) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    *stream = default_stream_;
  }
  if (*stream != nullptr) return {};
  std::shared_ptr<Stream> created;
  if (Status status = create_stream(&created); !status.ok()) return status;
  std::unique_lock<std::mutex> lock(mutex_);
  if (default_stream_ == nullptr) {
    default_stream_ = std::move(created);
  }
  *stream = default_stream_;
  lock.unlock();
  if (created != nullptr) close_stream(created);  // another thread was first
  return {};
}

std::vector<std::shared_ptr<Stream>> Context::streams() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return streams_;
}

void Context::close_stream(const std::shared_ptr<Stream>& stream, bool abandon) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    streams_.erase(std::remove(streams_.begin(), streams_.end(), stream), streams_.end());
  }
  abandon ? stream->abandon() : stream->close();
}

void Context::close() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    alive_.store(false, std::memory_order_release);
    streams = streams_;
    default_stream_.reset();
  }
  // Not forgotten before: the end of the program still asks what they hold.
  for (const auto& stream : streams) stream->close();
  const std::lock_guard<std::mutex> lock(mutex_);
  streams_.clear();
}

}  // namespace cann_simulator
