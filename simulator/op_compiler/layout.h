// Where the elements of a tensor that is described for an operator by name lie in its memory.
#ifndef CANN_SIMULATOR_LAYOUT_H_
#define CANN_SIMULATOR_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cann_simulator/abi.h"

namespace cann_simulator {

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

// The plain formats, NC1HWC0 and FRACTAL_NZ; false for others, and for shapes that do not fit.
bool lay_out(const aclTensorDesc* desc, Layout* layout);

// Calls `each(place)` for every element, in the order of the logical shape; places count elements.
template <class Each>
void each_place(const Layout& layout, Each each) {
  int64_t left = 1;
  for (const Axis& axis : layout.axes) left *= axis.size;
  Sizes at(layout.axes.size(), 0);
  for (; left > 0; --left) {
    int64_t place = 0;
    for (std::size_t index = 0; index < at.size(); ++index) place += layout.axes[index].position(at[index]);
    each(place);
    for (std::size_t index = at.size(); index-- > 0;) {
      if (++at[index] < layout.axes[index].size) break;
      at[index] = 0;
    }
  }
}

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_LAYOUT_H_
