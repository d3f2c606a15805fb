// An event of several processes: two numbers in memory that they share, how often it was recorded, and which
// recording was passed last. Its memory has no name that could be left behind; with the processes it goes.
#ifndef CANN_SIMULATOR_SHARED_EVENT_H_
#define CANN_SIMULATOR_SHARED_EVENT_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "status.h"

namespace cann_simulator {

class Stream;

class SharedEvent {
 public:
  static Status create(std::shared_ptr<SharedEvent>* event);
  // That of another process, or of this one. ACL_ERROR_RT_INVALID_HANDLE when it is none, or its process
  // ended.
  static Status open(const aclrtIpcEventHandle& handle, std::shared_ptr<SharedEvent>* event);
  ~SharedEvent();
  SharedEvent(const SharedEvent&) = delete;
  SharedEvent& operator=(const SharedEvent&) = delete;

  void describe(aclrtIpcEventHandle* handle) const;

  // A new recording, which a stream reaches later; its number.
  std::uint64_t record();
  void reach(std::uint64_t recording);
  std::uint64_t latest() const;
  bool reached(std::uint64_t recording) const;
  // Waits for a recording, at most so many milliseconds (without end when negative). Fails when the process
  // that recorded last has ended before, so that nobody waits for ever.
  Status wait(std::uint64_t recording, std::int32_t timeout_ms, Stream* stream) const;

 private:
  struct Page {
    std::uint64_t key;
    std::atomic<std::uint64_t> recorded;
    std::atomic<std::uint64_t> passed;
    std::atomic<std::uint32_t> changes;  // what waiters sleep on
    std::atomic<std::int32_t> recorder;  // process of the newest recording
  };
  SharedEvent(int file, Page* page) : file_(file), page_(page) {}
  static Status map(int file, std::shared_ptr<SharedEvent>* event);

  const int file_;
  Page* const page_;
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_SHARED_EVENT_H_
