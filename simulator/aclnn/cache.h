// Keys and values in blocks of memory (paged attention), and the rotary embeddings that go with them.
#ifndef CANN_SIMULATOR_CACHE_H_
#define CANN_SIMULATOR_CACHE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "compat.h"

namespace cann_simulator {

// Row i of x goes to slot slots[i] of a cache: block slots[i] / block size, row slots[i] % block size. A
// negative slot is none. mode: Norm [blocks, block size, heads, width], NHSD [blocks, heads, block size,
// width], PA_NZ [blocks, heads * width / n, block size, n] or [blocks, heads, width / n, block size, n].
void scatter_to_cache(at::Tensor& cache, const at::Tensor& x, const at::Tensor& slots,
                      const std::string& mode);
struct ScatterModes {
  const std::string &cache, &scatter;
};
void scatter_pa_kv_cache(at::Tensor& key_cache, at::Tensor& value_cache, const at::Tensor& key,
                         const at::Tensor& value, const at::Tensor& slots, const ScatterModes& modes,
                         bool compressed);
// The rows of each sequence, one sequence after the other. offset: the first token of each sequence.
struct Gather {
  const at::Tensor &block_tables, &lengths;
  const c10::optional<at::Tensor>& offset;
  const std::string& mode;
  bool cumulated;
};
void gather_pa_kv_cache(at::Tensor& out, const at::Tensor& cache, const Gather& how);

// Pairs of elements become halves, then the halves are turned.
at::Tensor interleaved_rotary(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);
// mrope: how many columns of cos and sin come from each row of positions.
struct SinCosCache {
  const at::Tensor &positions, &table;
  OptionalInts sections;
  int64_t head_size;
  bool halves;       // else pairs
  int64_t mode = 0;  // 0: sections one after the other, 1: every third column
};
void rope_with_cache(at::Tensor& out, const at::Tensor& x, const SinCosCache& how);

struct KvNorm {
  const at::Tensor &kv, &gamma, &cos, &sin, &index;
  const c10::optional<at::Tensor>&key_scale, &value_scale, &key_offset, &value_offset, &value;
  double epsilon;
  const std::string& mode;
  bool output;
};
void kv_norm_rope_cache(at::Tensor& key_cache, at::Tensor& value_cache, at::Tensor& key, at::Tensor& value,
                        const KvNorm& given);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_CACHE_H_
