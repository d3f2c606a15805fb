// Which keys are worth attending to (aclnnLightningIndexer).
#ifndef CANN_SIMULATOR_INDEXER_H_
#define CANN_SIMULATOR_INDEXER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "compat.h"

namespace cann_simulator {

struct Indexer {
  const at::Tensor &query, &key, &weights;
  const c10::optional<at::Tensor>&query_lengths, &key_lengths, &block_table;
  std::string query_layout, key_layout;
  int64_t count;        // of keys for each query
  int64_t sparse_mode;  // 0: all keys, 3: those up to the query, counted from the end
  int64_t before, after;
  bool values;
};
// The best keys of each query, the best first, and -1 where there are no more.
void lightning_indexer(at::Tensor& indices, at::Tensor& values, const Indexer& given);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_INDEXER_H_
