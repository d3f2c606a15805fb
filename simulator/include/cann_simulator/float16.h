// Numbers of 16 bits as the device keeps them: arithmetic is float32's, and a result is rounded once, to the
// nearest, ties to even. For the libraries that know no torch.
#ifndef CANN_SIMULATOR_FLOAT16_H_
#define CANN_SIMULATOR_FLOAT16_H_

#include <cstdint>
#include <cstring>

namespace cann_simulator {

inline float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

struct Float16 {
  std::uint16_t bits;

  // The magnitude, placed in float32's fields, is right but for the bias of the exponent; a multiplication
  // mends that, and makes subnormal numbers normal on the way.
  float widen() const {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
    std::uint32_t magnitude = bits_of(float_of(static_cast<std::uint32_t>(bits & 0x7fff) << 13) * 0x1p112f);
    if ((bits & 0x7c00) == 0x7c00) magnitude |= 0x7f800000;  // infinity, NaN
    return float_of(magnitude | sign);
  }
  static Float16 narrow(float value) {
    const std::uint32_t sign = bits_of(value) >> 16 & 0x8000;
    const std::uint32_t magnitude = bits_of(value) & 0x7fffffff;
    std::uint32_t rounded;
    if (magnitude > 0x7f800000) {
      rounded = 0x7e00;
    } else if (magnitude >= 0x477ff000) {  // 65520 and more round to infinity
      rounded = 0x7c00;
    } else if (magnitude < 0x38800000) {  // subnormal: adding 0.5 shifts and rounds to even
      rounded = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
    } else {
      rounded = (magnitude + 0xfff + (magnitude >> 13 & 1) - (112u << 23)) >> 13;
    }
    return {static_cast<std::uint16_t>(rounded | sign)};
  }
};

struct BFloat16 {
  std::uint16_t bits;

  float widen() const { return float_of(static_cast<std::uint32_t>(bits) << 16); }
  static BFloat16 narrow(float value) {
    const std::uint32_t wide = bits_of(value);
    if ((wide & 0x7fffffff) > 0x7f800000) return {static_cast<std::uint16_t>(wide >> 16 | 0x40)};
    return {static_cast<std::uint16_t>((wide + 0x7fff + (wide >> 16 & 1)) >> 16)};
  }
};

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_FLOAT16_H_
