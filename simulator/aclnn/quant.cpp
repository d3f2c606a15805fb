#include "quant.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/frexp.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ldexp.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "narrow.h"
#include "rules.h"

namespace cann_simulator {
namespace {

std::string quoted(const char* name) { return std::string("'") + name + "'"; }

constexpr int64_t kInInt32 = 8;  // 4-bit numbers in an int32

// Each byte of the dense last dimension as two numbers of 4 bits, the low one first.
at::Tensor nibbles(const at::Tensor& bytes) {
  const at::Tensor wide = bytes.contiguous().to(at::kInt);
  at::Tensor pairs = at::stack({wide.bitwise_and(15), wide.bitwise_right_shift(4)}, -1);
  std::vector<int64_t> shape = bytes.sizes().vec();
  shape.back() *= 2;
  return pairs.reshape(shape);
}

at::Tensor bytes_of(const at::Tensor& x) {
  const at::Tensor dense = x.contiguous();
  return at::from_blob(dense.data_ptr(), dense.sizes(), at::TensorOptions().dtype(at::kByte)).clone();
}

at::Tensor signed4(const at::Tensor& numbers) { return (numbers + 8).bitwise_and(15) - 8; }

const float kFloat4[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};

at::Tensor float4(const at::Tensor& codes) {
  const at::Tensor table = at::tensor(at::ArrayRef<float>(kFloat4, 8));
  const at::Tensor size = table.index_select(0, codes.bitwise_and(7).reshape({-1})).reshape(codes.sizes());
  return at::where(codes.ge(8), -size, size);
}

at::Tensor unpacked_last(const at::Tensor& x) {
  if (x.scalar_type() == at::kInt) {
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() *= 4;
    const at::Tensor dense = x.contiguous();
    const at::Tensor bytes =
        at::from_blob(dense.data_ptr(), shape, at::TensorOptions().dtype(at::kByte)).clone();
    return signed4(nibbles(bytes)).to(at::kFloat);
  }
  const at::Tensor codes = nibbles(bytes_of(x));
  return is_float4(x.scalar_type()) ? float4(codes) : signed4(codes).to(at::kFloat);
}

// Which number of kFloat4 is meant; `mode` says which way what lies between them goes.
at::Tensor float4_codes(const at::Tensor& value, const std::string& mode) {
  const at::Tensor size = value.abs();
  const at::Tensor negative = value.lt(0);
  at::Tensor index = at::zeros(value.sizes(), at::TensorOptions().dtype(at::kInt));
  for (int i = 1; i < 8; ++i) {
    const double between = (kFloat4[i - 1] + kFloat4[i]) / 2.0;
    const bool down_at_tie = mode == "rint" && i % 2 == 1;
    at::Tensor above = down_at_tie ? size.gt(between) : size.ge(between);
    if (mode == "floor") above = at::where(negative, size.gt(kFloat4[i - 1]), size.ge(kFloat4[i]));
    index = index + above.to(at::kInt);
  }
  return index + negative.to(at::kInt) * 8;
}

at::Tensor pairs_in_bytes(const at::Tensor& codes) {
  std::vector<int64_t> shape = codes.sizes().vec();
  shape.back() /= 2;
  shape.push_back(2);
  const at::Tensor pairs = codes.reshape(shape);
  return (pairs.select(-1, 0) + pairs.select(-1, 1) * 16).to(at::kByte);
}

void store_bytes(at::Tensor& out, const at::Tensor& bytes) {
  expect_shape("y", out, bytes.sizes());
  at::from_blob(out.data_ptr(), out.sizes(), out.strides(), at::TensorOptions().dtype(at::kByte))
      .copy_(bytes);
}

at::Tensor whole(const at::Tensor& value, const std::string& mode) {
  if (mode == "floor") return value.floor();
  if (mode == "ceil") return value.ceil();
  if (mode == "trunc") return value.trunc();
  EXPECT_PARAMETER(mode == "rint" || mode == "round" || mode.empty(), "the rounding mode is '", mode,
                   "'; it must be rint, round, floor, ceil or trunc");
  return value.round();
}

// Shaped so that it goes along `axis` of x.
at::Tensor along(const char* name, const at::Tensor& scale, const at::Tensor& x, int64_t axis) {
  const at::Tensor wide = scale.to(at::kFloat);
  if (scale.numel() == 1) return wide.reshape({});
  if (scale.dim() == x.dim() && scale.dim() > 1) return wide;
  const int64_t dim = axis < 0 ? axis + x.dim() : axis;
  EXPECT_PARAMETER(dim >= 0 && dim < x.dim(), "'axis' is ", axis, " for an 'x' of ", x.dim(), " dimensions");
  EXPECT_PARAMETER(scale.dim() == 1 && scale.size(0) == x.size(dim), quoted(name), " has shape ",
                   scale.sizes(), " for dimension ", axis, " of an 'x' of ", x.sizes());
  std::vector<int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[static_cast<std::size_t>(dim)] = -1;
  return wide.reshape(shape);
}

at::Tensor smoothed(const at::Tensor& x, const DynamicQuant& how) {
  const at::Tensor wide = x.to(at::kFloat);
  EXPECT_PARAMETER(!how.group || how.smooth, "'groupIndex' is given without 'smoothScales'");
  if (!given(how.smooth)) return wide;
  const at::Tensor smooth = how.smooth->to(at::kFloat);
  if (!how.group) {
    if (how.mode == "perchannel") {
      EXPECT_PARAMETER(smooth.dim() == 1 && smooth.size(0) == x.size(-2), "'smoothScales' has shape ",
                       smooth.sizes(), "; with quantMode perchannel it must have ", x.size(-2), " elements");
      return wide * smooth.unsqueeze(-1);
    }
    EXPECT_PARAMETER(smooth.dim() == 1 && smooth.size(0) == x.size(-1), "'smoothScales' has shape ",
                     smooth.sizes(), " for an 'x' of ", x.sizes());
    return wide * smooth;
  }
  EXPECT_PARAMETER(how.mode == "pertoken", "'groupIndex' is given; quantMode must be pertoken, it is ",
                   how.mode);
  EXPECT_PARAMETER(smooth.dim() == 2 && smooth.size(1) == x.size(-1) && smooth.size(0) <= 1024,
                   "'smoothScales' has shape ", smooth.sizes(), "; with 'groupIndex' it must be [experts, ",
                   x.size(-1), "], of at most 1024 experts");
  EXPECT_PARAMETER(how.group->dim() == 1 && how.group->size(0) == smooth.size(0), "'groupIndex' has shape ",
                   how.group->sizes(), " for ", smooth.size(0), " experts");
  const at::Tensor rows = wide.reshape({-1, x.size(-1)});
  const at::Tensor number = at::arange(rows.size(0), how.group->options());
  const at::Tensor expert = at::searchsorted(how.group->contiguous(), number, false, true);
  return (rows * smooth.index_select(0, expert.clamp(0, smooth.size(0) - 1))).reshape(x.sizes());
}

// The largest or smallest element of what has one scale, with that dimension kept.
at::Tensor extreme(const at::Tensor& x, const std::string& mode, bool largest) {
  if (mode == "pertensor") return largest ? x.max() : x.min();
  const int64_t dim = mode == "perchannel" ? -2 : -1;
  return largest ? x.amax(dim, true) : x.amin(dim, true);
}

// [..., n, ...] as [..., blocks, size] with the axis last; what is missing of the last block is zeros.
at::Tensor blocks_of(const at::Tensor& x, int64_t axis, int64_t size) {
  const at::Tensor last = x.movedim(axis, -1);
  const int64_t blocks = (last.size(-1) + size - 1) / size;
  const at::Tensor filled = at::constant_pad_nd(last, {0, blocks * size - last.size(-1)}, 0);
  std::vector<int64_t> shape = last.sizes().vec();
  shape.back() = blocks;
  shape.push_back(size);
  return filled.reshape(shape);
}

at::Tensor unblocked(const at::Tensor& blocks, int64_t axis, int64_t elements) {
  return blocks.flatten(-2).narrow(-1, 0, elements).movedim(-1, axis);
}

}  // namespace

at::Tensor spread_over(const at::Tensor& scale, int64_t dim, int64_t block, int64_t size) {
  if (scale.size(dim) == size) return scale;
  return scale.repeat_interleave(block, dim).narrow(dim, 0, size);
}

at::Tensor widened(const at::Tensor& x, bool packed) {
  if (is_exponent(x.scalar_type())) {
    const at::Tensor exponent = bytes_of(x).to(at::kInt) - 127;
    return at::ldexp(at::ones_like(exponent).to(at::kFloat), exponent);
  }
  const bool narrow = is_int4(x.scalar_type()) || is_float4(x.scalar_type());
  if (!narrow && !(packed && x.scalar_type() == at::kInt)) return x.to(at::kFloat);
  const bool transposed = x.dim() >= 2 && x.stride(-2) == 1 && x.stride(-1) != 1;
  if (transposed) return unpacked_last(x.transpose(-1, -2)).transpose(-1, -2);
  return unpacked_last(x);
}

at::Tensor scales_of(const at::Tensor& scale) {
  const bool packed = c10::elementSize(scale.scalar_type()) == 8 && scale.scalar_type() != at::kDouble;
  if (!packed) return widened(scale);
  const at::Tensor dense = scale.contiguous();
  const at::Tensor halves =
      at::from_blob(dense.data_ptr(), {dense.numel(), 2}, at::TensorOptions().dtype(at::kInt)).clone();
  const at::Tensor low = halves.select(1, 0).bitwise_and(static_cast<int64_t>(0xFFFFE000)).contiguous();
  return low.view(at::kFloat).reshape(scale.sizes()).clone();
}

at::Tensor offsets_of(const at::Tensor& scale) {
  const at::Tensor dense = scale.contiguous();
  const at::Tensor bits =
      at::from_blob(dense.data_ptr(), scale.sizes(), at::TensorOptions().dtype(at::kLong)).clone();
  return ((bits.bitwise_right_shift(37) + 256).bitwise_and(511) - 256).to(at::kFloat);
}

void trans_quant_param(at::Tensor& out, const at::Tensor& scale, const c10::optional<at::Tensor>& offset) {
  EXPECT_PARAMETER(scale.dim() == 1 || scale.dim() == 2, "'scale' has shape ", scale.sizes(),
                   "; it must have 1 or 2 dimensions");
  EXPECT_PARAMETER(scale.scalar_type() == at::kFloat, "'scale' has data type ", scale.scalar_type(),
                   "; it must be float32");
  EXPECT_PARAMETER(at::isIntegralType(out.scalar_type(), false) && out.element_size() == 8,
                   "'out' has data type ", out.scalar_type(), "; it must be uint64 or int64");
  constexpr int64_t kLow = 0xFFFFE000;
  at::Tensor bits = scale.contiguous().view(at::kInt).to(at::kLong).bitwise_and(kLow).bitwise_or(
      static_cast<int64_t>(1) << 46);
  if (given(offset)) {
    const at::Tensor whole_offset =
        offset->to(at::kFloat).round().clamp(-256, 255).to(at::kLong).bitwise_and(0x1FF);
    bits = bits.bitwise_or(whole_offset.bitwise_left_shift(37));
  }
  expect_shape("out", out, bits.sizes());
  at::from_blob(out.data_ptr(), out.sizes(), out.strides(), at::TensorOptions().dtype(at::kLong)).copy_(bits);
}

double largest_of(at::ScalarType dtype) {
  if (dtype == at::kChar) return 127;
  if (dtype == at::kInt || is_int4(dtype)) return 7;
  if (is_float4(dtype)) return 6;
#if SIMULATOR_HAS_FLOAT8
  if (dtype == at::kFloat8_e4m3fn) return 448;
  if (dtype == at::kFloat8_e5m2) return 57344;
#endif
  EXPECT_PARAMETER(false, "data type ", dtype, " is none that is quantized to");
  return 0;
}

void store_quantized(at::Tensor& out, const at::Tensor& value, const std::string& mode) {
  const at::ScalarType dtype = out.scalar_type();
  if (is_float4(dtype)) return store_bytes(out, pairs_in_bytes(float4_codes(value, mode)));
  const double most = largest_of(dtype);
  if (is_float8(dtype)) return write(out, value.clamp(-most, most).to(dtype));
  const at::Tensor numbers = whole(value, mode).nan_to_num(0).clamp(-most - 1, most).to(at::kInt);
  if (dtype == at::kChar) return write(out, numbers.to(at::kChar));
  if (dtype == at::kInt) return pack_int4(out, numbers);
  store_bytes(out, pairs_in_bytes(numbers.bitwise_and(15)));
}

void pack_int4(at::Tensor& out, const at::Tensor& weight) {
  EXPECT_PARAMETER(weight.dim() > 0 && weight.size(-1) % kInInt32 == 0, "'weight' has shape ", weight.sizes(),
                   "; its last dimension must be a multiple of ", kInInt32);
  std::vector<int64_t> shape = weight.sizes().vec();
  shape.back() /= kInInt32;
  expect_shape("out", out, shape);
  shape.push_back(kInInt32);
  const at::Tensor shifts = at::arange(kInInt32, at::TensorOptions().dtype(at::kLong)) * 4;
  const at::Tensor bits =
      weight.to(at::kLong).bitwise_and(15).reshape(shape).bitwise_left_shift(shifts).sum(-1);
  write(out, bits.to(at::kInt));
}

void quantize(at::Tensor& y, const at::Tensor& x, const Scaling& scaling) {
  at::Tensor factor = along("scale", scaling.scale, x, scaling.axis);
  if (scaling.squared) factor = factor * factor;
  at::Tensor value = x.to(at::kFloat);
  value = scaling.divide ? value / factor : value * factor;
  if (given(scaling.offset)) value = value + along("offset", *scaling.offset, x, scaling.axis);
  store_quantized(y, value, scaling.mode);
}

void dequantize(at::Tensor& y, const at::Tensor& x, const at::Tensor& scale,
                const c10::optional<at::Tensor>& offset, bool squared) {
  at::Tensor value = widened(x, true);
  at::Tensor factor = along("scale", scale, value, -1);
  if (squared) factor = factor * factor;
  if (given(offset)) value = value + along("offset", *offset, value, -1);
  write(y, value * factor);
}

void dynamic_quant(at::Tensor& y, at::Tensor& scale, at::Tensor& offset, const at::Tensor& x,
                   const DynamicQuant& how) {
  EXPECT_PARAMETER(x.dim() >= 2, "'x' has shape ", x.sizes(), "; it must have 2 dimensions or more");
  EXPECT_PARAMETER(how.mode == "pertoken" || how.mode == "pertensor" || how.mode == "perchannel",
                   "'quantMode' is '", how.mode, "'; it must be pertoken, pertensor or perchannel");
  EXPECT_PARAMETER(how.symmetric || offset.defined(),
                   "'offsetOut' is NULL; quantization that is not symmetric writes it");
  const at::Tensor value = smoothed(x, how);
  const double most = largest_of(y.scalar_type());
  if (how.symmetric) {
    const at::Tensor step = extreme(value.abs(), how.mode, true) / most;
    store_quantized(y, (value / step).nan_to_num(0));
    return write(scale, step.reshape(scale.sizes()));
  }
  const double span = is_float8(y.scalar_type()) ? 2 * most : 2 * most + 1;
  const at::Tensor high = extreme(value, how.mode, true);
  const at::Tensor step = (high - extreme(value, how.mode, false)) / span;
  const at::Tensor shift = (most - high / step).nan_to_num(0);
  store_quantized(y, (value / step).nan_to_num(0) + shift);
  write(scale, step.reshape(scale.sizes()));
  write(offset, shift.reshape(offset.sizes()));
}

void dynamic_block_quant(at::Tensor& y, at::Tensor& scale, const at::Tensor& x, double min_scale,
                         int64_t rows, int64_t columns, const std::string& mode) {
  EXPECT_PARAMETER(x.dim() == 2 || x.dim() == 3, "'x' has shape ", x.sizes(),
                   "; it must have 2 or 3 dimensions");
  EXPECT_PARAMETER(min_scale >= 0, "'minScale' is ", min_scale, "; it may not be negative");
  EXPECT_PARAMETER(rows == 1 || rows == 128 || rows == 256 || rows == 512, "'rowBlockSize' is ", rows,
                   "; it must be 1, 128, 256 or 512");
  EXPECT_PARAMETER(columns == 64 || columns == 128 || columns == 192 || columns == 256, "'colBlockSize' is ",
                   columns, "; it must be 64, 128, 192 or 256");
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor by_columns = blocks_of(wide.abs(), -1, columns).amax(-1);
  at::Tensor step = blocks_of(by_columns, -2, rows).amax(-1).movedim(-1, -2) / largest_of(y.scalar_type());
  if (min_scale > 0) step = step.clamp_max(1 / min_scale);
  write(scale, step);
  const at::Tensor each = spread_over(spread_over(step, -2, rows, x.size(-2)), -1, columns, x.size(-1));
  store_quantized(y, (wide / each).nan_to_num(0), mode);
}

namespace {

// What the pages say of MX, whatever is quantized.
void expect_mx(const at::Tensor& y, const MxQuant& how) {
  EXPECT_PARAMETER(how.block > 0 && how.block % 32 == 0 && how.block <= 1024, "'blocksize' is ", how.block,
                   "; it must be a multiple of 32, up to 1024");
  const bool four_bits = is_float4(y.scalar_type());
  EXPECT_PARAMETER(four_bits || is_float8(y.scalar_type()), "'yOut' has data type ", y.scalar_type(),
                   "; it must be FLOAT8_E4M3FN, FLOAT8_E5M2 or FLOAT4_E2M1");
  EXPECT_PARAMETER(
      how.scale_alg == 0 || (how.scale_alg == 1 && !four_bits) ||
          (how.scale_alg == 2 && four_bits && how.dst_max > 7 && how.dst_max <= 12),
      "'scaleAlg' is ", how.scale_alg, " with a 'dstTypeMax' of ", how.dst_max,
      "; the simulator has 0, 1 for float8, and for FLOAT4_E2M1 2 with a dstTypeMax of more than "
      "7, up to 12");
  EXPECT_PARAMETER(
      four_bits ? how.mode == "rint" || how.mode == "floor" || how.mode == "round" : how.mode == "rint",
      "'roundMode' is '", how.mode, "'; it must be rint, or for FLOAT4_E2M1 floor or round");
  EXPECT_PARAMETER(how.low_bound == 0 || (how.low_bound > 0 && how.scale_alg == 1), "'maxLowBound' is ",
                   how.low_bound, "; it must be 0, or with a scaleAlg of 1 greater");
}

}  // namespace

void dynamic_mx_quant(at::Tensor& y, at::Tensor& scale, const at::Tensor& x, const MxQuant& how) {
  const int64_t axis = how.axis < 0 ? how.axis + x.dim() : how.axis;
  EXPECT_PARAMETER(axis >= 0 && axis < x.dim(), "'axis' is ", how.axis, " for an 'x' of ", x.dim(),
                   " dimensions");
  expect_mx(y, how);
  const double most = how.dst_max > 0 ? how.dst_max : largest_of(y.scalar_type());
  const at::Tensor blocks = blocks_of(x.to(at::kFloat), axis, how.block);
  at::Tensor largest = blocks.abs().amax(-1);
  if (how.low_bound > 0) largest = largest.clamp_min(how.low_bound);
  at::Tensor exponent;
  if (how.scale_alg == 0) {
    const int64_t of_type = std::ilogb(largest_of(y.scalar_type()));
    exponent = std::get<1>(at::frexp(largest)) - 1 - of_type;
  } else {  // the least power of two that is not less
    const auto parts = at::frexp(largest / most);
    exponent = std::get<1>(parts) - std::get<0>(parts).eq(0.5).to(at::kInt);
  }
  exponent = exponent.masked_fill(largest.eq(0), -127).clamp(-127, 127);
  const at::Tensor factor = at::ldexp(at::ones_like(largest), -exponent).unsqueeze(-1);
  store_quantized(y, unblocked((blocks * factor).nan_to_num(0), axis, x.size(axis)), how.mode);

  at::Tensor codes = (exponent + 127).to(at::kByte);
  codes = at::constant_pad_nd(codes, {0, codes.size(-1) % 2}, 0);
  std::vector<int64_t> shape = codes.sizes().vec();
  shape.back() /= 2;
  shape.push_back(2);
  store_bytes(scale, codes.reshape(shape).movedim(-2, axis));
}

void grouped_dynamic_mx_quant(at::Tensor& y, at::Tensor& scale, const at::Tensor& x,
                              const at::Tensor& group_index, const MxQuant& how) {
  EXPECT_PARAMETER(x.dim() == 2, "'x' has shape ", x.sizes(), "; it must have 2 dimensions");
  EXPECT_PARAMETER(x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16, "'x' has data type ",
                   x.scalar_type(), "; it must be float16 or bfloat16");
  EXPECT_PARAMETER(group_index.dim() == 1 && group_index.numel() > 0 && group_index.scalar_type() == at::kInt,
                   "'groupIndex' has shape ", group_index.sizes(), " and data type ",
                   group_index.scalar_type(), "; it must have 1 dimension and int32");
  expect_mx(y, how);
  EXPECT_PARAMETER(how.block == 32, "'blocksize' is ", how.block, "; it must be 32");
  EXPECT_PARAMETER(
      y.dim() == 2 && y.size(0) == x.size(0) && y.size(1) * (is_float4(y.scalar_type()) ? 2 : 1) == x.size(1),
      "'y' has shape ", y.sizes(), "; it must have that of 'x', ", x.sizes());
  const std::vector<int64_t> sizes{x.size(0) / 64 + group_index.size(0), x.size(1), 2};
  EXPECT_PARAMETER(scale.sizes() == sizes, "'mxscale' has shape ", scale.sizes(), "; it must have ",
                   at::IntArrayRef(sizes));
  const at::Tensor ends = group_index.to(at::kLong).contiguous();
  const auto* const end = static_cast<const int64_t*>(ends.data_ptr());
  store_bytes(scale, at::full(sizes, 127, x.options().dtype(at::kByte)));  // between groups: 1
  int64_t start = 0;
  for (int64_t group = 0; group < ends.size(0); ++group) {
    const int64_t size = end[group] - start;
    TORCH_CHECK(size >= 0 && end[group] <= x.size(0), "'groupIndex': group ", group, " ends at ", end[group],
                "; ends may not fall, and 'x' has ", x.size(0), " rows");
    if (size > 0) {
      at::Tensor part = y.narrow(0, start, size);
      at::Tensor scales = scale.narrow(0, start / 64 + group, (size + 63) / 64);
      dynamic_mx_quant(part, scales, x.narrow(0, start, size), how);
    }
    start = end[group];
  }
}

namespace {

struct Normed {
  at::Tensor sum, norm, shifted;
};

Normed normed(const RmsQuant& given) {
  const at::Tensor sum = given.x1.to(at::kFloat) + given.x2.to(at::kFloat);
  std::vector<int64_t> dims;
  for (int64_t dim = 1; dim <= given.gamma.dim(); ++dim) dims.push_back(-dim);
  const at::Tensor rms = (sum.square().mean(dims, true) + given.epsilon).rsqrt();
  const at::Tensor norm = sum * rms * given.gamma.to(at::kFloat);
  return {sum, norm, given.beta ? norm + given.beta->to(at::kFloat) : norm};
}

}  // namespace

void add_rms_norm_quant(at::Tensor& y1, at::Tensor& y2, at::Tensor& x, at::Tensor& norm,
                        const RmsQuant& given, const Scaling& first,
                        const c10::optional<at::Tensor>& second_scale,
                        const c10::optional<at::Tensor>& second_offset) {
  const Normed all = normed(given);
  write(x, all.sum);
  if (norm.defined() && norm.numel() > 0) write(norm, all.norm);
  quantize(y1, all.shifted, first);
  if (!second_scale || !y2.defined() || y2.numel() == 0) return;
  quantize(y2, all.shifted, {*second_scale, second_offset, first.divide, false, first.axis, first.mode});
}

void add_rms_norm_dynamic_quant(at::Tensor& y1, at::Tensor& y2, at::Tensor& x, at::Tensor& scale1,
                                at::Tensor& scale2, const RmsQuant& given,
                                const c10::optional<at::Tensor>& smooth1,
                                const c10::optional<at::Tensor>& smooth2) {
  EXPECT_PARAMETER(smooth1 || !smooth2, "'smoothScale2' is given without 'smoothScale1'");
  const Normed all = normed(given);
  write(x, all.sum);
  at::Tensor unused;
  const c10::optional<at::Tensor> none;
  const auto store = [&](at::Tensor& y, at::Tensor& scale, const c10::optional<at::Tensor>& smooth) {
    if (!y.defined() || y.numel() <= 1) return;
    dynamic_quant(y, scale, unused, all.shifted, {smooth, none, true, "pertoken"});
  };
  store(y1, scale1, smooth1);
  if (smooth2) store(y2, scale2, smooth2);
}

}  // namespace cann_simulator
