// File descriptors that end with their owner, and with a fork.
#ifndef CANN_SIMULATOR_HCCL_DESCRIPTOR_H_
#define CANN_SIMULATOR_HCCL_DESCRIPTOR_H_

#include <utility>

namespace cann_simulator::hccl {

// A child of fork() loses the descriptor at once: as long as a child (a data loader's worker) held a copy of
// a socket, nobody would see that the rank itself has died.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number);
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }

  int get() const { return number_; }
  bool valid() const { return number_ >= 0; }
  void reset();

 private:
  int number_ = -1;
};

}  // namespace cann_simulator::hccl
#endif  // CANN_SIMULATOR_HCCL_DESCRIPTOR_H_
