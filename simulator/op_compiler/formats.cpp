#include "formats.h"

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../nnopbase/handles.h"
#include "descriptions.h"

namespace cann_simulator {
namespace {

using Sizes = std::vector<int64_t>;

// Where the elements along one logical dimension lie: coordinate c at c / block * outer + c % block * inner.
struct Axis {
  int64_t size, block, outer, inner;

  int64_t position(int64_t coordinate) const {
    return coordinate / block * outer + coordinate % block * inner;
  }
};

struct Layout {
  std::vector<Axis> axes;
  int64_t elements = 0;  // stored, what fills up blocks included
};

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

// Bytes of an element; 0 for a type that is not moved between formats.
std::size_t element_size(aclDataType type) {
  switch (type) {
    case ACL_UINT16:
    case ACL_UINT32:
    case ACL_UINT64:
    case ACL_COMPLEX32:
    case ACL_COMPLEX64:
    case ACL_COMPLEX128:
      return 0;
    default:
      return dtype_size(type);
  }
}

struct Move {
  Layout from, to;
  std::size_t element;
  const char* source;
  char* target;
};

aclError run(void* argument, char*, std::size_t) {
  const Move& move = *static_cast<const Move*>(argument);
  std::memset(move.target, 0, static_cast<std::size_t>(move.to.elements) * move.element);
  const std::size_t dims = move.from.axes.size();
  int64_t left = 1;
  for (const Axis& axis : move.from.axes) left *= axis.size;
  Sizes at(dims, 0);
  for (; left > 0; --left) {
    int64_t read = 0, written = 0;
    for (std::size_t index = 0; index < dims; ++index) {
      read += move.from.axes[index].position(at[index]);
      written += move.to.axes[index].position(at[index]);
    }
    std::memcpy(move.target + static_cast<std::size_t>(written) * move.element,
                move.source + static_cast<std::size_t>(read) * move.element, move.element);
    for (std::size_t index = dims; index-- > 0;) {
      if (++at[index] < move.from.axes[index].size) break;
      at[index] = 0;
    }
  }
  return ACL_SUCCESS;
}

void release(void* argument) { delete static_cast<Move*>(argument); }

aclError refuse(const std::string& text) {
  return cann_simulator_fail(ACL_ERROR_INVALID_PARAM, ("Identity: " + text).c_str());
}

}  // namespace

aclError identity(const aclTensorDesc* source, const aclDataBuffer* source_data, const aclTensorDesc* target,
                  const aclDataBuffer* target_data, aclrtStream stream) {
  if (source == nullptr || source_data == nullptr || target == nullptr || target_data == nullptr) {
    return refuse("an operand is NULL");
  }
  const aclDataType type = aclGetTensorDescType(source);
  if (type != aclGetTensorDescType(target)) return refuse("the operands' types differ");
  if (sizes_of(source) != sizes_of(target)) return refuse("the operands' shapes differ");
  std::unique_ptr<Move> move(new Move{{}, {}, element_size(type), nullptr, nullptr});
  if (move->element == 0) return refuse("type " + std::to_string(type) + " is not moved between formats");
  if (!lay_out(source, &move->from) || !lay_out(target, &move->to)) {
    return refuse(
        "from format " + std::to_string(cann_simulator_stored_format(source)) + " to " +
        std::to_string(cann_simulator_stored_format(target)) +
        " is not known for this shape; known are the plain formats, NC1HWC0 (3) and FRACTAL_NZ (29)");
  }
  const auto size = [&](const Layout& layout) {
    return static_cast<std::size_t>(layout.elements) * move->element;
  };
  const std::vector<cann_simulator_range> touched = {
      {aclGetDataBufferAddr(source_data), size(move->from), false},
      {aclGetDataBufferAddr(target_data), size(move->to), true}};
  if (touched[1].size == 0) return ACL_SUCCESS;
  const auto alias = [](const cann_simulator_range& range) {
    return static_cast<char*>(cann_simulator_alias(range.pointer, range.size, nullptr));
  };
  move->source = alias(touched[0]);
  move->target = alias(touched[1]);
  if (move->source == nullptr || move->target == nullptr) {
    return refuse("an operand does not lie inside one allocation of the device");
  }
  return cann_simulator_launch_touching(stream, "Identity", touched.data(), touched.size(), run,
                                        move.release(), release);
}

}  // namespace cann_simulator
