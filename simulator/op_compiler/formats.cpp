#include "formats.h"

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../nnopbase/handles.h"
#include "descriptions.h"
#include "layout.h"

namespace cann_simulator {
namespace {

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
