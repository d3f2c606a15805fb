#include "reduction.h"

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "cann_simulator/float16.h"

namespace cann_simulator::hccl {
namespace {

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
      return choose<Float16>(reduction);
    case HCCL_DATA_TYPE_BFP16:
      return choose<BFloat16>(reduction);
    case HCCL_DATA_TYPE_FP32:
      return choose<float>(reduction);
    default:
      return nullptr;
  }
}

}  // namespace cann_simulator::hccl
