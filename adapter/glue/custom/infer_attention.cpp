// The sizes of what attention for inference returns.
#include <map>

#include "custom/custom.h"

namespace npu {
namespace custom {
namespace {

struct Layout {
  std::string query, out;
};

Layout layout_of(const char* op, const std::string& name, const at::Tensor& query) {
  check_choice(op, "input_layout", name,
               {"BSH", "BSND", "BNSD", "TND", "NTD", "NSD", "BNSD_BSND", "BSH_BNSD", "BSND_BNSD", "NTD_TND",
                "BSH_NBSD", "BSND_NBSD", "BNSD_NBSD", "TND_NTD"});
  const size_t end = name.find('_');
  const Layout layout{name.substr(0, end), end == std::string::npos ? name : name.substr(end + 1)};
  TORCH_CHECK(query.dim() == static_cast<int64_t>(layout.query.size()), op, ": Expected ",
              layout.query.size(), "-dimensional tensor for argument 'query' with the layout ", name,
              ", but got one of sizes ", query.sizes());
  return layout;
}

void check_heads(const char* op, int64_t heads, int64_t shared_heads) {
  TORCH_CHECK_VALUE(heads > 0 && shared_heads > 0, op, ": expected at least one head, but got ", heads,
                    " for query and ", shared_heads, " for key and value");
}

// Each dimension of `query` by its letter; H is N and D.
std::map<char, int64_t> parts_of(const at::Tensor& query, const std::string& layout, int64_t heads) {
  std::map<char, int64_t> parts;
  for (size_t i = 0; i < layout.size(); ++i) parts[layout[i]] = query.size(static_cast<int64_t>(i));
  if (parts.count('H') != 0) {
    parts['N'] = heads;
    parts['D'] = parts['H'] / heads;
  }
  return parts;
}

// How wide a head of `value` is; 4-bit numbers lie eight in an int32.
int64_t width_of(const at::Tensor& value, bool in_blocks, const std::string& layout, int64_t heads) {
  const int64_t packed = value.scalar_type() == at::kInt ? 8 : 1;
  if (in_blocks && value.dim() == 5) return value.size(2) * value.size(4) * packed;
  const bool flat = value.dim() == 3 && (in_blocks || layout.back() == 'H');
  return (flat ? value.size(2) / heads : value.size(-1)) * packed;
}

}  // namespace

Dims attention_sizes(const char* op, const at::Tensor& query, const at::Tensor& value,
                     const optional<at::Tensor>& block_table, const std::string& layout_name, int64_t heads,
                     int64_t shared_heads) {
  const int64_t shared = shared_heads == 0 ? heads : shared_heads;
  check_heads(op, heads, shared);
  const Layout layout = layout_of(op, layout_name, query);
  const bool in_blocks = given(block_table);
  TORCH_CHECK(in_blocks ? value.dim() >= 3 && value.dim() <= 5 : value.dim() == query.dim(), op,
              ": Expected ",
              in_blocks ? "3, 4 or 5-dimensional blocks" : "tensor of as many dimensions as 'query'",
              " for argument 'value', but got one of sizes ", value.sizes());
  std::map<char, int64_t> parts = parts_of(query, layout.query, heads);
  const int64_t width = width_of(value, in_blocks, layout.query, shared);
  if (width != 0 && parts['D'] != 0) parts['D'] = width;
  parts['H'] = heads * parts['D'];
  Dims sizes;
  for (const char letter : layout.out) sizes.push_back(parts[letter]);
  return sizes;
}

Dims lse_sizes(const char* op, const at::Tensor& query, const std::string& layout_name, int64_t heads,
               bool asked) {
  if (!asked) return {0};
  const Layout layout = layout_of(op, layout_name, query);
  std::map<char, int64_t> parts = parts_of(query, layout.query, heads);
  if (parts.count('T') != 0) return {parts['T'], parts['N'], 1};
  if (parts.count('B') == 0) parts['B'] = 1;
  return {parts['B'], parts['N'], parts['S'], 1};
}

at::ScalarType attention_dtype(const at::Tensor& query, const optional<at::Tensor>& quant_scale,
                               const optional<at::Tensor>& rope) {
  if (given(quant_scale)) return at::kChar;
  if (query.scalar_type() != at::kChar) return query.scalar_type();
  return given(rope) ? rope->scalar_type() : at::kHalf;
}

}  // namespace custom
}  // namespace npu
