#include "recurrent.h"

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../nnopbase/handles.h"
#include "cann_simulator/float16.h"
#include "descriptions.h"
#include "layout.h"

namespace cann_simulator {
namespace {

using Numbers = std::vector<float>;

// One operand: absent, or where its elements lie.
struct Operand {
  Sizes sizes;
  Layout layout;
  aclDataType type = ACL_DT_UNDEFINED;
  char* memory = nullptr;

  bool there() const { return memory != nullptr; }

  Numbers read() const {
    Numbers numbers;
    if (!there()) return numbers;
    each_place(layout, [&](int64_t place) { numbers.push_back(at(place)); });
    return numbers;
  }
  void write(const Numbers& numbers) const {
    if (!there()) return;
    std::memset(memory, 0, static_cast<std::size_t>(layout.elements) * dtype_size(type));
    std::size_t next = 0;
    each_place(layout, [&](int64_t place) { set(place, numbers[next++]); });
  }

 private:
  float at(int64_t place) const {
    if (type == ACL_FLOAT) return reinterpret_cast<const float*>(memory)[place];
    const std::uint16_t bits = reinterpret_cast<const std::uint16_t*>(memory)[place];
    return type == ACL_FLOAT16 ? Float16{bits}.widen() : BFloat16{bits}.widen();
  }
  void set(int64_t place, float value) const {
    if (type == ACL_FLOAT) {
      reinterpret_cast<float*>(memory)[place] = value;
    } else {
      reinterpret_cast<std::uint16_t*>(memory)[place] =
          type == ACL_FLOAT16 ? Float16::narrow(value).bits : BFloat16::narrow(value).bits;
    }
  }
};

struct Layer {
  std::vector<Operand> in, out;
  std::size_t steps = 0, batch = 0, inputs = 0, hidden = 0;
  bool backwards = false;  // in time
  void (*compute)(const Layer&) = nullptr;
  const char* name = nullptr;

  // The elements of one step in [steps, batch, hidden], and the step that comes before it in time.
  std::size_t step(std::size_t index) const { return backwards ? steps - 1 - index : index; }
  std::size_t plane() const { return batch * hidden; }
};

// product[rows, columns] += left[rows, inner] @ right[inner, columns]; transposed: right is [columns, inner].
void add_product(const float* left, const float* right, float* product, std::size_t rows, std::size_t inner,
                 std::size_t columns, bool transposed = false) {
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t k = 0; k < inner; ++k) {
      const float factor = left[row * inner + k];
      float* const to = product + row * columns;
      for (std::size_t column = 0; column < columns; ++column) {
        to[column] += factor * (transposed ? right[column * inner + k] : right[k * columns + column]);
      }
    }
  }
}

// product[inner, columns] += left[rows, inner]^T @ right[rows, columns]
void add_outer(const float* left, const float* right, float* product, std::size_t rows, std::size_t inner,
               std::size_t columns) {
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t k = 0; k < inner; ++k) {
      const float factor = left[row * inner + k];
      for (std::size_t column = 0; column < columns; ++column) {
        product[k * columns + column] += factor * right[row * columns + column];
      }
    }
  }
}

void add_rows(const float* rows, std::size_t count, std::size_t columns, float* sum) {
  for (std::size_t row = 0; row < count; ++row) {
    for (std::size_t column = 0; column < columns; ++column) sum[column] += rows[row * columns + column];
  }
}

// By tanh: exp would need the math library of a newer glibc.
float sigmoid(float value) { return 0.5F * (1.0F + std::tanh(0.5F * value)); }

// Rows of `bias`, or zeros.
Numbers biased(const Numbers& bias, std::size_t rows, std::size_t columns) {
  Numbers sums(rows * columns, 0.0F);
  for (std::size_t index = 0; !bias.empty() && index < sums.size(); ++index)
    sums[index] = bias[index % columns];
  return sums;
}

// Whether a step counts for an element: sequences of a batch may be shorter than the longest.
float counts(const Numbers& mask, std::size_t index) { return mask.empty() ? 1.0F : mask[index]; }

std::vector<Numbers> read_all(const Layer& layer) {
  std::vector<Numbers> in;
  for (const Operand& operand : layer.in) in.push_back(operand.read());
  return in;
}

// Of operators that have one weight for x and one for h: joined, one below the other, as those have it that
// have one for both.
void join(Numbers* w_of_x, const Numbers& w_of_h) {
  w_of_x->insert(w_of_x->end(), w_of_h.begin(), w_of_h.end());
}

// `in` is x, w, b, mask, h, c.
void lstm_of(const Layer& layer, const std::vector<Numbers>& in) {
  const Numbers &x = in[0], &w = in[1], &b = in[2], &mask = in[3];
  Numbers h = in[4], c = in[5];
  const std::size_t plane = layer.plane(), n = layer.hidden, columns = 4 * n;
  h.resize(plane, 0.0F);
  c.resize(plane, 0.0F);
  std::vector<Numbers> out(8, Numbers(layer.steps * plane));
  for (std::size_t index = 0; index < layer.steps; ++index) {
    const std::size_t t = layer.step(index);
    Numbers gates = biased(b, layer.batch, columns);
    add_product(&x[t * layer.batch * layer.inputs], w.data(), gates.data(), layer.batch, layer.inputs,
                columns);
    add_product(h.data(), &w[layer.inputs * columns], gates.data(), layer.batch, n, columns);
    for (std::size_t element = 0; element < plane; ++element) {
      const float* const gate = &gates[element / n * columns + element % n];
      const float i = sigmoid(gate[0]), f = sigmoid(gate[n]), j = std::tanh(gate[2 * n]),
                  o = sigmoid(gate[3 * n]);
      const std::size_t place = t * plane + element;
      const float m = counts(mask, place);
      const float cell = f * c[element] + i * j, tanh_cell = std::tanh(cell), hidden = o * tanh_cell;
      h[element] = m * hidden + (1 - m) * h[element];
      c[element] = m * cell + (1 - m) * c[element];
      const float values[] = {m * hidden, h[element], c[element], i, j, f, o, tanh_cell};
      for (std::size_t number = 0; number < 8; ++number) out[number][place] = values[number];
    }
  }
  for (std::size_t number = 0; number < layer.out.size() && number < 8; ++number)
    layer.out[number].write(out[number]);
}

// x, w, b, mask, h, c -> y, h, c, i, j, f, o, tanh(c); each of the outputs [steps, batch, hidden].
void lstm(const Layer& layer) { lstm_of(layer, read_all(layer)); }

// The same with a weight of x and a weight of h.
void lstm_of_two(const Layer& layer) {
  std::vector<Numbers> in = read_all(layer);
  join(&in[1], in[2]);
  in.erase(in.begin() + 2);
  lstm_of(layer, in);
}

// `in` is x, w, b, y, h0, c0, h, c, dy, dh, dc, i, j, f, o, tanh(c), mask; gives dw, db, dx, dh0, dc0.
std::vector<Numbers> lstm_gradient_of(const Layer& layer, const std::vector<Numbers>& in) {
  const std::size_t plane = layer.plane(), n = layer.hidden, columns = 4 * n, rows = layer.inputs + n;
  const Numbers& x = in[0];
  const Numbers& w = in[1];
  const Numbers mask = in[16].size() == layer.steps * plane ? in[16] : Numbers();
  Numbers dw(rows * columns, 0.0F), db(columns, 0.0F), dx(x.size(), 0.0F), dh = in[9], dc = in[10];
  dh.resize(plane, 0.0F);
  dc.resize(plane, 0.0F);
  for (std::size_t index = layer.steps; index-- > 0;) {
    const std::size_t t = layer.step(index);
    const float* const h_before = index == 0 ? in[4].data() : &in[6][layer.step(index - 1) * plane];
    const float* const c_before = index == 0 ? in[5].data() : &in[7][layer.step(index - 1) * plane];
    Numbers gates(layer.batch * columns), kept(plane);
    for (std::size_t element = 0; element < plane; ++element) {
      const std::size_t place = t * plane + element;
      const float m = counts(mask, place);
      const float i = in[11][place], j = in[12][place], f = in[13][place], o = in[14][place],
                  tanh_c = in[15][place];
      const float total = m * (in[8][place] + dh[element]);
      const float cell = total * o * (1 - tanh_c * tanh_c) + m * dc[element];
      float* const gate = &gates[element / n * columns + element % n];
      gate[0] = cell * j * i * (1 - i);
      gate[n] = cell * c_before[element] * f * (1 - f);
      gate[2 * n] = cell * i * (1 - j * j);
      gate[3 * n] = total * tanh_c * o * (1 - o);
      kept[element] = (1 - m) * dh[element];
      dc[element] = cell * f + (1 - m) * dc[element];
    }
    add_product(gates.data(), w.data(), &dx[t * layer.batch * layer.inputs], layer.batch, columns,
                layer.inputs, true);
    dh = std::move(kept);
    add_product(gates.data(), &w[layer.inputs * columns], dh.data(), layer.batch, columns, n, true);
    add_outer(&x[t * layer.batch * layer.inputs], gates.data(), dw.data(), layer.batch, layer.inputs,
              columns);
    add_outer(h_before, gates.data(), &dw[layer.inputs * columns], layer.batch, n, columns);
    add_rows(gates.data(), layer.batch, columns, db.data());
  }
  return {dw, db, dx, dh, dc};
}

// x, w, b, y, h0, c0, h, c, dy, dh, dc, i, j, f, o, tanh(c), mask -> dw, db, dx, dh0, dc0
void lstm_gradient(const Layer& layer) {
  const std::vector<Numbers> results = lstm_gradient_of(layer, read_all(layer));
  for (std::size_t number = 0; number < 5; ++number) layer.out[number].write(results[number]);
}

// x, w of x, w of h, y, h0, c0, h, c, dy, dh, dc, i, j, f, o, tanh(c) -> dw of x, dw of h, db, dx, dh0, dc0
void lstm_gradient_of_two(const Layer& layer) {
  std::vector<Numbers> in = read_all(layer);
  join(&in[1], in[2]);
  in.emplace_back();  // no mask
  std::vector<Numbers> results = lstm_gradient_of(layer, in);
  const auto behind_x = results[0].begin() + static_cast<std::ptrdiff_t>(layer.inputs * 4 * layer.hidden);
  const Numbers of_h(behind_x, results[0].end());
  results[0].erase(behind_x, results[0].end());
  results.insert(results.begin() + 1, of_h);
  for (std::size_t number = 0; number < 6; ++number) layer.out[number].write(results[number]);
}

// x, w of x, w of h, b of x, b of h, lengths, h -> y, h, update, reset, new, the product with h behind new
void gru(const Layer& layer) {
  std::vector<Numbers> in;
  for (const Operand& operand : layer.in) in.push_back(operand.read());
  const std::size_t plane = layer.plane(), n = layer.hidden, columns = 3 * n;
  Numbers h = in[6];
  h.resize(plane, 0.0F);
  std::vector<Numbers> out(6, Numbers(layer.steps * plane));
  for (std::size_t index = 0; index < layer.steps; ++index) {
    const std::size_t t = layer.step(index);
    Numbers of_x = biased(in[3], layer.batch, columns), of_h = biased(in[4], layer.batch, columns);
    add_product(&in[0][t * layer.batch * layer.inputs], in[1].data(), of_x.data(), layer.batch, layer.inputs,
                columns);
    add_product(h.data(), in[2].data(), of_h.data(), layer.batch, n, columns);
    for (std::size_t element = 0; element < plane; ++element) {
      const std::size_t gate = element / n * columns + element % n, place = t * plane + element;
      const float r = sigmoid(of_x[gate] + of_h[gate]), z = sigmoid(of_x[gate + n] + of_h[gate + n]);
      const float behind = of_h[gate + 2 * n], fresh = std::tanh(of_x[gate + 2 * n] + r * behind);
      h[element] = (1 - z) * fresh + z * h[element];
      const float values[] = {h[element], h[element], z, r, fresh, behind};
      for (std::size_t number = 0; number < 6; ++number) out[number][place] = values[number];
    }
  }
  for (std::size_t number = 0; number < layer.out.size() && number < 6; ++number)
    layer.out[number].write(out[number]);
}

// x, w of x, w of h, y, h0, h, dy, dh, update, reset, new, product -> dw of x, dw of h, db of x, db of h, dx,
// dh0
void gru_gradient(const Layer& layer) {
  std::vector<Numbers> in;
  for (const Operand& operand : layer.in) in.push_back(operand.read());
  const std::size_t plane = layer.plane(), n = layer.hidden, columns = 3 * n;
  Numbers dw_x(layer.inputs * columns, 0.0F), dw_h(n * columns, 0.0F), db_x(columns, 0.0F),
      db_h(columns, 0.0F);
  Numbers dx(in[0].size(), 0.0F), dh = in[7];
  dh.resize(plane, 0.0F);
  for (std::size_t index = layer.steps; index-- > 0;) {
    const std::size_t t = layer.step(index);
    const float* const before = index == 0 ? in[4].data() : &in[5][layer.step(index - 1) * plane];
    Numbers of_x(layer.batch * columns), of_h(layer.batch * columns), next(plane);
    for (std::size_t element = 0; element < plane; ++element) {
      const std::size_t gate = element / n * columns + element % n, place = t * plane + element;
      const float z = in[8][place], r = in[9][place], fresh = in[10][place], behind = in[11][place];
      const float total = in[6][place] + dh[element], inner = total * (1 - z) * (1 - fresh * fresh);
      of_x[gate] = of_h[gate] = inner * behind * r * (1 - r);
      of_x[gate + n] = of_h[gate + n] = total * (before[element] - fresh) * z * (1 - z);
      of_x[gate + 2 * n] = inner;
      of_h[gate + 2 * n] = inner * r;
      next[element] = total * z;
    }
    dh = std::move(next);
    const float* const x = &in[0][t * layer.batch * layer.inputs];
    add_product(of_x.data(), in[1].data(), &dx[t * layer.batch * layer.inputs], layer.batch, columns,
                layer.inputs, true);
    add_product(of_h.data(), in[2].data(), dh.data(), layer.batch, columns, n, true);
    add_outer(x, of_x.data(), dw_x.data(), layer.batch, layer.inputs, columns);
    add_outer(before, of_h.data(), dw_h.data(), layer.batch, n, columns);
    add_rows(of_x.data(), layer.batch, columns, db_x.data());
    add_rows(of_h.data(), layer.batch, columns, db_h.data());
  }
  const Numbers* const results[] = {&dw_x, &dw_h, &db_x, &db_h, &dx, &dh};
  for (std::size_t number = 0; number < 6; ++number) layer.out[number].write(*results[number]);
}

// What an operator takes: how many operands, its gates, and which are optional or of which shape.
struct Kind {
  const char* name;
  int inputs, outputs;  // the least number
  std::size_t gates;
  bool joined;  // one weight for x and h
  const char* gate_order;
  void (*compute)(const Layer&);
  std::vector<int> optional;
  std::vector<int> planes;  // inputs of [batch, hidden]
  std::vector<int> series;  // inputs of [steps, batch, hidden]
};

const Kind* find_kind(const std::string& name) {
  static const auto* const kinds = new std::vector<Kind>{
      {"DynamicRNN", 6, 8, 4, true, "ifjo", lstm, {2, 3, 4, 5}, {4, 5}, {3}},
      {"DynamicRNNGrad",
       17,
       5,
       4,
       true,
       "ifjo",
       lstm_gradient,
       {2, 16},
       {4, 5, 9, 10},
       {6, 7, 8, 11, 12, 13, 14, 15}},
      {"DynamicRNNV2", 7, 8, 4, false, "ifjo", lstm_of_two, {3, 4, 5, 6}, {5, 6}, {4}},
      {"DynamicRNNV2Grad",
       16,
       6,
       4,
       false,
       "ifjo",
       lstm_gradient_of_two,
       {},
       {4, 5, 9, 10},
       {6, 7, 8, 11, 12, 13, 14, 15}},
      {"DynamicGRUV2", 7, 6, 3, false, "rzh", gru, {3, 4, 5, 6}, {6}, {}},
      {"DynamicGRUV2Grad", 12, 6, 3, false, "rzh", gru_gradient, {}, {4, 7}, {5, 6, 8, 9, 10, 11}},
  };
  for (const Kind& kind : *kinds) {
    if (name == kind.name) return &kind;
  }
  return nullptr;
}

std::size_t count_of(const Sizes& sizes) {
  std::size_t count = 1;
  for (const int64_t size : sizes) count *= static_cast<std::size_t>(size);
  return count;
}

// Why an operand cannot be taken; empty when it can, or is absent.
std::string take(const aclTensorDesc* desc, const aclDataBuffer* buffer, Operand* operand,
                 std::vector<cann_simulator_range>* touched, bool written) {
  void* const pointer = buffer == nullptr ? nullptr : aclGetDataBufferAddr(buffer);
  if (desc == nullptr || pointer == nullptr || aclGetTensorDescType(desc) == ACL_DT_UNDEFINED) return "";
  operand->type = aclGetTensorDescType(desc);
  operand->sizes = sizes_of(desc);
  if (count_of(operand->sizes) == 0) return "";
  const bool known = operand->type == ACL_FLOAT || operand->type == ACL_FLOAT16 || operand->type == ACL_BF16;
  if (!known)
    return "has data type " + std::to_string(operand->type) +
           ", and only float32, float16 and bfloat16 are known";
  if (!lay_out(desc, &operand->layout)) {
    return "is stored in format " + std::to_string(cann_simulator_stored_format(desc)) +
           ", which is not known for its shape";
  }
  const std::size_t bytes = static_cast<std::size_t>(operand->layout.elements) * dtype_size(operand->type);
  operand->memory = static_cast<char*>(cann_simulator_alias(pointer, bytes, nullptr));
  if (operand->memory == nullptr) return "does not lie inside one allocation of the device";
  touched->push_back({pointer, bytes, written});
  return "";
}

bool contains(const std::vector<int>& numbers, int number) {
  for (const int each : numbers) {
    if (each == number) return true;
  }
  return false;
}

bool is_bias(const Kind& kind, int number) {
  if (kind.joined) return number == 2;
  return (kind.compute == gru && (number == 3 || number == 4)) ||
         (kind.compute == lstm_of_two && number == 3);
}

// Fills in the sizes and checks that every operand has its shape; what is wrong, or nothing.
std::string measure(const Kind& kind, Layer* layer) {
  const Sizes& x = layer->in[0].sizes;
  const Sizes& w = layer->in[1].sizes;
  // The gradient of one step is asked for without the dimension of steps.
  const bool one_step = x.size() == 2 && kind.compute == lstm_gradient_of_two;
  if ((x.size() != 3 && !one_step) || w.size() != 2) return "x must have 3 dimensions and the weight 2";
  layer->steps = one_step ? 1 : static_cast<std::size_t>(x[0]);
  layer->batch = static_cast<std::size_t>(x[x.size() - 2]);
  layer->inputs = static_cast<std::size_t>(x.back());
  layer->hidden = static_cast<std::size_t>(w[1]) / kind.gates;
  const std::size_t columns = layer->hidden * kind.gates;
  const std::size_t rows = layer->inputs + (kind.joined ? layer->hidden : 0);
  if (layer->steps == 0 || static_cast<std::size_t>(w[1]) != columns ||
      static_cast<std::size_t>(w[0]) != rows) {
    return "the weight is [" + std::to_string(w[0]) + ", " + std::to_string(w[1]) +
           "], which does not fit x of " + std::to_string(x.back()) + " features";
  }
  const auto wrong = [](int number, std::size_t found, std::size_t wanted) {
    return "input " + std::to_string(number) + " has " + std::to_string(found) + " elements, and must have " +
           std::to_string(wanted);
  };
  for (int number = 0; number < static_cast<int>(layer->in.size()); ++number) {
    const Operand& operand = layer->in[static_cast<std::size_t>(number)];
    if (!operand.there()) continue;
    const std::size_t found = count_of(operand.sizes);
    const std::size_t wanted = contains(kind.planes, number)   ? layer->plane()
                               : contains(kind.series, number) ? layer->steps * layer->plane()
                               : !kind.joined && number == 2   ? layer->hidden * columns
                               : is_bias(kind, number)         ? columns
                                                               : found;
    if (found != wanted) return wrong(number, found, wanted);
  }
  return "";
}

aclError refuse(const NamedCall& call, const std::string& text) {
  return cann_simulator_fail(ACL_ERROR_INVALID_PARAM, (std::string(call.name) + ": " + text).c_str());
}

std::string attribute(const NamedCall& call, const char* name) {
  const char* const text = cann_simulator_attribute(call.attributes, name);
  return text == nullptr ? "" : text;
}

aclError run(void* argument, char*, std::size_t) {
  const Layer& layer = *static_cast<const Layer*>(argument);
  layer.compute(layer);
  return ACL_SUCCESS;
}

aclError launch(const Kind& kind, const NamedCall& call) {
  if (call.inputs < kind.inputs || call.outputs < kind.outputs) {
    return refuse(call, "takes " + std::to_string(kind.inputs) + " inputs and " +
                            std::to_string(kind.outputs) + " outputs, and was given " +
                            std::to_string(call.inputs) + " and " + std::to_string(call.outputs));
  }
  const std::string direction = attribute(call, "direction"), order = attribute(call, "gate_order");
  if (direction != "UNIDIRECTIONAL" && direction != "REDIRECTIONAL" && !direction.empty())
    return refuse(call, "direction '" + direction + "' is not known");
  // torch_npu calls the candidate j in one operator and c in another.
  if (order != kind.gate_order && !order.empty() && !(order == "ifco" && kind.compute == lstm_of_two))
    return refuse(call, "gate_order '" + order + "' is not known");
  auto layer = std::make_unique<Layer>();
  layer->backwards = direction == "REDIRECTIONAL";
  layer->compute = kind.compute;
  std::vector<cann_simulator_range> touched;
  for (int number = 0; number < kind.inputs; ++number) {
    layer->in.emplace_back();
    const std::string problem =
        take(call.input_desc[number], call.input[number], &layer->in.back(), &touched, false);
    const bool missing = !layer->in.back().there() && !contains(kind.optional, number);
    if (!problem.empty() || missing)
      return refuse(call, "input " + std::to_string(number) + " " +
                              (missing && problem.empty() ? "is missing" : problem));
  }
  if (const std::string problem = measure(kind, layer.get()); !problem.empty()) return refuse(call, problem);
  for (int number = 0; number < kind.outputs; ++number) {
    layer->out.emplace_back();
    const std::string problem =
        take(call.output_desc[number], call.output[number], &layer->out.back(), &touched, true);
    if (!problem.empty()) return refuse(call, "output " + std::to_string(number) + " " + problem);
  }
  const auto release = [](void* argument) { delete static_cast<Layer*>(argument); };
  return cann_simulator_launch_touching(call.stream, kind.name, touched.data(), touched.size(), run,
                                        layer.release(), release);
}

}  // namespace

bool recurrent(const NamedCall& call, aclError* result) {
  const Kind* const kind = call.name == nullptr ? nullptr : find_kind(call.name);
  if (kind == nullptr) return false;
  *result = launch(*kind, call);
  return true;
}

}  // namespace cann_simulator
