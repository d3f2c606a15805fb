#include "reduction.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace cann_simulator::hccl {
namespace {

float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

struct Half {
  std::uint16_t bits;

  // The magnitude, placed in float32's fields, is right but for the bias of the exponent; a multiplication
  // mends that, and makes subnormal numbers normal on the way.
  float widen() const {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
    std::uint32_t magnitude = bits_of(float_of(static_cast<std::uint32_t>(bits & 0x7fff) << 13) * 0x1p112f);
    if ((bits & 0x7c00) == 0x7c00) magnitude |= 0x7f800000;  // infinity, NaN
    return float_of(magnitude | sign);
  }
  static Half narrow(float value) {
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

struct BFloat {
  std::uint16_t bits;

  float widen() const { return float_of(static_cast<std::uint32_t>(bits) << 16); }
  static BFloat narrow(float value) {
    const std::uint32_t wide = bits_of(value);
    if ((wide & 0x7fffffff) > 0x7f800000) return {static_cast<std::uint16_t>(wide >> 16 | 0x40)};
    return {static_cast<std::uint16_t>((wide + 0x7fff + (wide >> 16 & 1)) >> 16)};
  }
};

// Integers wrap around, as the device's do; unsigned arithmetic says that without undefined behavior. 64
// bits are enough for the product of two small ones.
template <class T>
using Wrapping = std::conditional_t<sizeof(T) < 4, std::uint32_t, std::make_unsigned_t<T>>;

struct Sum {
  static float apply(float a, float b) { return a + b; }
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
  }
};

struct Product {
  static float apply(float a, float b) { return a * b; }
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
  }
};

// A NaN on either side stays one: a + b is NaN then.
struct Maximum {
  static float apply(float a, float b) { return std::isunordered(a, b) ? a + b : (a > b ? a : b); }
  template <class T>
  static T apply(T a, T b) {
    return a > b ? a : b;
  }
};

struct Minimum {
  static float apply(float a, float b) { return std::isunordered(a, b) ? a + b : (a < b ? a : b); }
  template <class T>
  static T apply(T a, T b) {
    return a < b ? a : b;
  }
};

template <class T, class Reduction>
void combine(void* accumulated, const void* values, std::size_t count) {
  T* to = static_cast<T*>(accumulated);
  const T* from = static_cast<const T*>(values);
  for (std::size_t index = 0; index < count; ++index) {
    if constexpr (std::is_arithmetic_v<T>) {
      to[index] = Reduction::apply(to[index], from[index]);
    } else {
      to[index] = T::narrow(Reduction::apply(to[index].widen(), from[index].widen()));
    }
  }
}

template <class T>
Combine choose(HcclReduceOp reduction) {
  switch (reduction) {
    case HCCL_REDUCE_SUM:
      return combine<T, Sum>;
    case HCCL_REDUCE_PROD:
      return combine<T, Product>;
    case HCCL_REDUCE_MAX:
      return combine<T, Maximum>;
    case HCCL_REDUCE_MIN:
      return combine<T, Minimum>;
  }
  return nullptr;
}

}  // namespace

Combine find_combine(HcclDataType dtype, HcclReduceOp reduction) {
  switch (dtype) {
    case HCCL_DATA_TYPE_INT8:
      return choose<std::int8_t>(reduction);
    case HCCL_DATA_TYPE_INT16:
      return choose<std::int16_t>(reduction);
    case HCCL_DATA_TYPE_INT32:
      return choose<std::int32_t>(reduction);
    case HCCL_DATA_TYPE_INT64:
      return choose<std::int64_t>(reduction);
    case HCCL_DATA_TYPE_FP16:
      return choose<Half>(reduction);
    case HCCL_DATA_TYPE_BFP16:
      return choose<BFloat>(reduction);
    case HCCL_DATA_TYPE_FP32:
      return choose<float>(reduction);
    default:
      return nullptr;
  }
}

}  // namespace cann_simulator::hccl
