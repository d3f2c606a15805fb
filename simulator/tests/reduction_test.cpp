// The arithmetic of reductions: 16-bit numbers against an independent rounding, integers that overflow.
#include "../hccl/reduction.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "check.h"

using cann_simulator::hccl::find_combine;

namespace {

// The value of a 16-bit float with `bits` of fraction and the exponent's `bias`.
double value_of(std::uint16_t number, int fraction, int bias) {
  const int exponent = (number & 0x7fff) >> fraction;
  const double sign = (number & 0x8000) != 0 ? -1 : 1;
  const double part = static_cast<double>(number & ((1 << fraction) - 1)) / (1 << fraction);
  if (exponent == 0x7fff >> fraction) return part == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? std::ldexp(part, 1 - bias) : std::ldexp(1 + part, exponent - bias));
}

// Whether `found` is the representable number nearest to `exact`, the even one of two.
bool is_nearest(std::uint16_t found, double exact, int fraction, int bias) {
  const double value = value_of(found, fraction, bias);
  if (std::isnan(exact)) return std::isnan(value);
  const double largest = std::ldexp(2 - std::ldexp(1, -fraction), bias);
  const double overflow = largest + std::ldexp(std::ldexp(1, -fraction), bias - 1);
  if (std::isinf(value)) return std::fabs(exact) >= overflow && std::signbit(exact) == std::signbit(value);
  if (std::fabs(exact) >= overflow) return false;
  for (const int step : {-1, 1}) {
    const auto other = static_cast<std::uint16_t>(found + step);
    if ((found & 0x7fff) == 0 && step < 0) continue;  // the neighbor of zero is counted from above
    const double neighbor = value_of(other, fraction, bias);
    if (std::isnan(neighbor) || std::isinf(neighbor)) continue;
    const double mine = std::fabs(exact - value);
    const double theirs = std::fabs(exact - neighbor);
    if (theirs < mine || (theirs == mine && (found & 1) != 0)) return false;
  }
  return true;
}

// Every number of the type, combined with a few others.
void check_floats(HcclDataType dtype, int fraction, int bias) {
  const std::uint16_t others[] = {0x0000, 0x0001, 0x3c01, 0x3f80, 0xbc00, 0x03ff, 0x7bff, 0x8001, 0x4248};
  const auto sum = find_combine(dtype, HCCL_REDUCE_SUM);
  const auto product = find_combine(dtype, HCCL_REDUCE_PROD);
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    for (const std::uint16_t other : others) {
      const auto number = static_cast<std::uint16_t>(bits);
      const double one = value_of(number, fraction, bias);
      const double two = value_of(other, fraction, bias);
      std::uint16_t result = number;
      sum(&result, &other, 1);
      // HCCL forms it in float32, so that is what is rounded.
      CHECK(is_nearest(result, static_cast<float>(one + two), fraction, bias));
      result = number;
      product(&result, &other, 1);
      CHECK(is_nearest(result, static_cast<float>(one * two), fraction, bias));
    }
  }
}

TEST_CASE(float16_rounds_to_nearest_even) { check_floats(HCCL_DATA_TYPE_FP16, 10, 15); }

TEST_CASE(bfloat16_rounds_to_nearest_even) { check_floats(HCCL_DATA_TYPE_BFP16, 7, 127); }

TEST_CASE(integers_wrap_around) {
  std::int8_t small[] = {127, -128, 100};
  const std::int8_t more[] = {1, -1, 3};
  find_combine(HCCL_DATA_TYPE_INT8, HCCL_REDUCE_SUM)(small, more, 3);
  CHECK(small[0] == -128 && small[1] == 127 && small[2] == 103);
  std::int64_t large[] = {std::numeric_limits<std::int64_t>::max()};
  const std::int64_t two[] = {2};
  find_combine(HCCL_DATA_TYPE_INT64, HCCL_REDUCE_PROD)(large, two, 1);
  CHECK(large[0] == -2);
}

TEST_CASE(a_nan_stays_in_maximum_and_minimum) {
  for (const auto reduction : {HCCL_REDUCE_MAX, HCCL_REDUCE_MIN}) {
    float numbers[] = {NAN, 1, 2};
    const float others[] = {1, NAN, 3};
    find_combine(HCCL_DATA_TYPE_FP32, reduction)(numbers, others, 3);
    CHECK(std::isnan(numbers[0]) && std::isnan(numbers[1]));
    CHECK(numbers[2] == (reduction == HCCL_REDUCE_MAX ? 3 : 2));
  }
}

TEST_CASE(what_hccl_does_not_reduce_has_no_arithmetic) {
  CHECK(find_combine(HCCL_DATA_TYPE_FP64, HCCL_REDUCE_SUM) == nullptr);
  CHECK(find_combine(HCCL_DATA_TYPE_UINT8, HCCL_REDUCE_MAX) == nullptr);
}

}  // namespace

int main(int argc, char** argv) { return test::run(argc, argv); }
