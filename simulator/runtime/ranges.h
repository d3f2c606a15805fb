// Looking addresses up among pieces that a map has by their start.
#ifndef CANN_SIMULATOR_RANGES_H_
#define CANN_SIMULATOR_RANGES_H_

namespace cann_simulator {

// The last piece that starts at or before `key`; end() when none does. The caller compares with its end.
template <class Map, class Key>
auto last_from(Map& pieces, const Key& key) {
  auto piece = pieces.upper_bound(key);
  return piece == pieces.begin() ? pieces.end() : --piece;
}

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_RANGES_H_
