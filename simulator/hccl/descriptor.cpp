#include "descriptor.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

namespace cann_simulator::hccl {
namespace {

// One flag per descriptor number, without locks: a fork may come at any moment, and its child reads them.
// Numbers above are not watched; processes with that many open files are rare, and lose only the promptness.
constexpr std::size_t kWatched = 16384;
std::atomic<bool> ours[kWatched];

void mark(int number, bool value) {
  if (static_cast<std::size_t>(number) < kWatched) ours[number].store(value, std::memory_order_relaxed);
}

void close_in_child() {
  for (std::size_t number = 0; number < kWatched; ++number) {
    if (ours[number].exchange(false, std::memory_order_relaxed)) close(static_cast<int>(number));
  }
}

}  // namespace

Descriptor::Descriptor(int number) : number_(number) {
  static const int registered = pthread_atfork(nullptr, nullptr, close_in_child);
  (void)registered;  // without it only the promptness is lost
  if (number_ >= 0) mark(number_, true);
}

void Descriptor::reset() {
  if (number_ < 0) return;
  mark(number_, false);
  close(number_);
  number_ = -1;
}

}  // namespace cann_simulator::hccl
