#include "layout.h"

#include "descriptions.h"

namespace cann_simulator {
namespace {

// The strides of contiguous memory.
Sizes steps_of(const Sizes& sizes) {
  Sizes steps(sizes.size(), 1);
  for (std::size_t index = sizes.size(); index-- > 1;) steps[index - 1] = steps[index] * sizes[index];
  return steps;
}

int64_t count_of(const Sizes& sizes) {
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  return count;
}

bool holds(int64_t size, int64_t blocks, int64_t block) {
  return block > 0 && blocks == (size + block - 1) / block;
}

bool plain(const Sizes& logical, const Sizes& stored, Layout* layout) {
  if (count_of(logical) != count_of(stored)) return false;
  const Sizes steps = steps_of(logical);
  for (std::size_t index = 0; index < logical.size(); ++index) {
    layout->axes.push_back({logical[index], 1, steps[index], 0});
  }
  return true;
}

// [..., rows, columns] stored as [..., blocks of columns, blocks of rows, block of rows, block of columns].
bool fractal_nz(const Sizes& logical, const Sizes& stored, Layout* layout) {
  const std::size_t batch = logical.size() - 2;
  if (logical.size() < 2 || stored.size() != batch + 4) return false;
  const Sizes steps = steps_of(stored);
  for (std::size_t index = 0; index < batch; ++index) {
    if (logical[index] != stored[index]) return false;
    layout->axes.push_back({logical[index], 1, steps[index], 0});
  }
  const int64_t rows = stored[batch + 2], columns = stored[batch + 3];
  if (!holds(logical[batch], stored[batch + 1], rows)) return false;
  if (!holds(logical[batch + 1], stored[batch], columns)) return false;
  layout->axes.push_back({logical[batch], rows, steps[batch + 1], steps[batch + 2]});
  layout->axes.push_back({logical[batch + 1], columns, steps[batch], 1});
  return true;
}

// [N, C, H, W] stored as [N, blocks of C, H, W, block of C].
bool nc1hwc0(const Sizes& logical, const Sizes& stored, Layout* layout) {
  if (logical.size() != 4 || stored.size() != 5) return false;
  const bool fits = logical[0] == stored[0] && holds(logical[1], stored[1], stored[4]) &&
                    logical[2] == stored[2] && logical[3] == stored[3];
  if (!fits) return false;
  const Sizes steps = steps_of(stored);
  layout->axes = {{logical[0], 1, steps[0], 0},
                  {logical[1], stored[4], steps[1], 1},
                  {logical[2], 1, steps[2], 0},
                  {logical[3], 1, steps[3], 0}};
  return true;
}

}  // namespace

bool lay_out(const aclTensorDesc* desc, Layout* layout) {
  const Sizes logical = sizes_of(desc);
  const Sizes stored = stored_sizes_of(desc);
  layout->elements = count_of(stored);
  switch (cann_simulator_stored_format(desc)) {
    case ACL_FORMAT_NCHW:
    case ACL_FORMAT_ND:
    case ACL_FORMAT_NCDHW:
    case ACL_FORMAT_NCL:
      return plain(logical, stored, layout);
    case ACL_FORMAT_FRACTAL_NZ:
      return fractal_nz(logical, stored, layout);
    case ACL_FORMAT_NC1HWC0:
      return nc1hwc0(logical, stored, layout);
    default:
      return false;
  }
}

}  // namespace cann_simulator
