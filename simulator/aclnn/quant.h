// Numbers of few bits: how they are packed, quantized and multiplied. All arithmetic is float32 or exact.
#ifndef CANN_SIMULATOR_QUANT_H_
#define CANN_SIMULATOR_QUANT_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "compat.h"

namespace cann_simulator {

// As float32: what is stored as int8, float8, 4-bit numbers (two in a byte, eight in an int32 when `packed`)
// or as an exponent. Packed numbers lie along the dense dimension, which so becomes 2 or 8 times as long.
at::Tensor widened(const at::Tensor& x, bool packed = false);
// The scales that aclnnTransQuantParamV2 packs into 64 bits, or those that are plain numbers, as float32.
at::Tensor scales_of(const at::Tensor& scale);
// What those 64 bits say of an offset: nine bits with a sign, from bit 37 on.
at::Tensor offsets_of(const at::Tensor& scale);
void trans_quant_param(at::Tensor& out, const at::Tensor& scale, const c10::optional<at::Tensor>& offset);

// Scales of blocks, one for each element: repeated along dim until it has `size`.
at::Tensor spread_over(const at::Tensor& scale, int64_t dim, int64_t block, int64_t size);

// The largest number of a quantized type; int32 and 4-bit integers have 7.
double largest_of(at::ScalarType dtype);
// Rounded as `mode` says (rint, round, floor, ceil, trunc), saturated, and stored in out's type; an int32
// holds eight 4-bit integers. "round" of integers is that to the nearest even, as CANN's kernels do it.
void store_quantized(at::Tensor& out, const at::Tensor& value, const std::string& mode = "rint");

// x * scale + offset, or x / scale + offset: scale is one number, or one for each element of axis.
struct Scaling {
  const at::Tensor& scale;
  const c10::optional<at::Tensor>& offset;
  bool divide;
  bool squared;  // the scale counts twice
  int64_t axis;
  std::string mode;
};
void quantize(at::Tensor& y, const at::Tensor& x, const Scaling& scaling);
void dequantize(at::Tensor& y, const at::Tensor& x, const at::Tensor& scale,
                const c10::optional<at::Tensor>& offset, bool squared);

struct DynamicQuant {
  const c10::optional<at::Tensor>& smooth;  // [width], or [experts, width] with group
  const c10::optional<at::Tensor>& group;   // where the rows of each expert end
  bool symmetric;
  std::string mode;  // pertoken, pertensor or perchannel
};
void dynamic_quant(at::Tensor& y, at::Tensor& scale, at::Tensor& offset, const at::Tensor& x,
                   const DynamicQuant& how);
// A scale for each block of rows x columns.
void dynamic_block_quant(at::Tensor& y, at::Tensor& scale, const at::Tensor& x, double min_scale,
                         int64_t rows, int64_t columns, const std::string& mode);
// A power of two for each `block` numbers along axis, as an exponent; pairs of them are the last dimension.
struct MxQuant {
  int64_t axis, block;
  int64_t scale_alg;  // 0: from the exponent of the largest number, 1: so that it cannot overflow
  std::string mode;
  double dst_max = 0;    // instead of the type's largest number; 0: that
  double low_bound = 0;  // what the largest number of a block is at least
};
void dynamic_mx_quant(at::Tensor& y, at::Tensor& scale, const at::Tensor& x, const MxQuant& how);
// The same for groups of rows, along the rows: group_index says where each ends. The scales of a group begin
// at a pair of their own.
void grouped_dynamic_mx_quant(at::Tensor& y, at::Tensor& scale, const at::Tensor& x,
                              const at::Tensor& group_index, const MxQuant& how);

struct QuantMatmul {
  const at::Tensor &x1, &x2;
  const c10::optional<at::Tensor>&x1_scale, &x2_scale, &y_scale, &x1_offset, &x2_offset, &y_offset, &bias;
  bool transpose_x1, transpose_x2;
  int64_t group_size;  // three numbers of 16 bits: of m, n and k
};
void quant_matmul(at::Tensor& out, const QuantMatmul& given);

struct WeightQuant {
  const at::Tensor &x, &weight, &scale;
  const c10::optional<at::Tensor>&offset, &quant_scale, &quant_offset, &bias;
  int64_t group_size;
};
void weight_quant_matmul(at::Tensor& out, const WeightQuant& given);
// Signed 4-bit numbers of int32 into eight of an int32.
void pack_int4(at::Tensor& out, const at::Tensor& weight);

struct Grouped {
  const std::vector<at::Tensor>&x, &weight, &bias, &scale, &offset, &antiquant_scale, &antiquant_offset,
      &per_token_scale;
  const c10::optional<at::Tensor>& group_list;
  int64_t split_item;
  int64_t group_type;       // -1: no groups, 0: of rows, 2: of the dimension that is summed over
  int64_t group_list_type;  // 0: where each group ends, 1: its size, 2: [group, size]
  int64_t act_type;
};
void grouped_matmul(std::vector<at::Tensor>& out, const Grouped& given);
// The groups of a list, by number: where each begins and how long it is.
struct Group {
  int64_t number, begin, size;
};
std::vector<Group> groups_of(const at::Tensor& list, int64_t type);

// The sum, its norm, and that quantized once or twice.
struct RmsQuant {
  const at::Tensor &x1, &x2, &gamma;
  const c10::optional<at::Tensor>& beta;
  double epsilon;
};
void add_rms_norm_quant(at::Tensor& y1, at::Tensor& y2, at::Tensor& x, at::Tensor& norm,
                        const RmsQuant& given, const Scaling& first,
                        const c10::optional<at::Tensor>& second_scale,
                        const c10::optional<at::Tensor>& second_offset);
void add_rms_norm_dynamic_quant(at::Tensor& y1, at::Tensor& y2, at::Tensor& x, at::Tensor& scale1,
                                at::Tensor& scale2, const RmsQuant& given,
                                const c10::optional<at::Tensor>& smooth1,
                                const c10::optional<at::Tensor>& smooth2);

}  // namespace cann_simulator
#endif  // CANN_SIMULATOR_QUANT_H_
