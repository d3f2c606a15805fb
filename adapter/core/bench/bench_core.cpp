// What a call of the core costs the host, in nanoseconds. Run it on the simulator:
//   ASCEND_HOME_PATH=... bench_core
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "npu_core.h"

namespace {

void require(npu_status status) {
  if (status == NPU_OK) return;
  std::fprintf(stderr, "%s\n", npu_last_error());
  std::exit(1);
}

template <typename Body>
void measure(const char* what, int rounds, int calls_per_round, Body body) {
  double best = 1e30;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i) body();
    const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
    const double each = elapsed.count() / rounds / calls_per_round;
    if (each < best) best = each;
  }
  std::printf("%-52s %8.1f ns\n", what, best);
}

void* device_malloc(size_t size) {
  void* pointer = nullptr;
  require(npu_malloc(0, 0, size, &pointer));
  return pointer;
}

}  // namespace

int main() {
  require(npu_init());
  for (const size_t size : {size_t{64}, size_t{1} << 16, size_t{4} << 20}) {
    char what[64];
    std::snprintf(what, sizeof(what), "npu_malloc + npu_free, %zu bytes, cached (each)", size);
    measure(what, 200000, 2, [size] { npu_free(device_malloc(size)); });
  }
  constexpr int kLive = 1000;
  std::vector<void*> live(kLive);
  measure("npu_malloc + npu_free, 1000 live blocks (each)", 200, 2 * kLive, [&live] {
    for (int i = 0; i < kLive; ++i)
      live[static_cast<size_t>(i)] = device_malloc(512 + 512 * (static_cast<size_t>(i) % 64));
    for (void* pointer : live) npu_free(pointer);
  });
  measure("npu_init", 1000000, 1, [] { require(npu_init()); });
  measure("npu_set_device", 1000000, 1, [] { require(npu_set_device(0)); });
  measure("npu_stream_handle", 1000000, 1, [] {
    void* handle = nullptr;
    require(npu_stream_handle(0, 0, &handle));
  });
  npu_shutdown();
  return 0;
}
