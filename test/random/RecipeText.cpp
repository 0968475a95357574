// Recipes as MLIR. Values keep the form in which they were computed, rows or
// heads, as raising leaves them: fusions look for neighbours.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Numbers.h"
#include "Recipe.h"

#include <cmath>
#include <cstring>
#include <map>

namespace qopt::programs {

namespace {

std::string number(int64_t value) { return std::to_string(value); }

std::string real(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9e", value);
  return text;
}

std::string hexOf(const std::vector<float> &values) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string text = "\"0x";
  const auto *bytes = reinterpret_cast<const uint8_t *>(values.data());
  for (size_t i = 0; i < values.size() * sizeof(float); ++i)
    text += {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
  return text + "\"";
}

class Writer {
public:
  explicit Writer(const Recipe &recipe) : recipe(recipe) {}
  std::string write();

private:
  // Types.
  std::string rows(int64_t width) const {
    return "tensor<?x" + number(width) + "xf32>";
  }
  std::string heads(int64_t count, int64_t size) const {
    return "tensor<?x" + number(count) + "x" + number(size) + "xf32>";
  }

  // Values.
  std::string name(int node) const { return "%n" + number(node); }
  /// The rows of a node, collapsed where it has heads.
  std::string rowsOf(int node);
  /// The node's rows as `count` heads.
  std::string headsOf(int node, int64_t count);
  std::string expanded(const std::string &value, int64_t count, int64_t size);
  int64_t widthOf(int node) const { return recipe.nodes[size_t(node)].width; }

  // Constants.
  std::string vector(const std::string &shape, int64_t count, double centre,
                     double spread);
  std::string weight(int64_t n, int64_t k, const std::string &format);
  std::string weightType(int64_t n, int64_t k) const {
    return "!qopt.weight<" + number(n) + "x" + number(k) + ", f32>";
  }
  Numbers numbers() { return {recipe.seed * 1000 + ++constants}; }

  // Lines of a node.
  void add(const std::string &line) { body += "    " + line + "\n"; }
  void node(int index);
  void input(int index, const Node &node);
  void embedding(int index, const Node &node);
  void linear(int index, const Node &node);
  void norm(int index, const Node &node);
  void gated(int index, const Node &node);
  void arithmetic(int index, const Node &node);
  void scale(int index, const Node &node);
  void codes(int index, const Node &node);
  void rotary(int index, const Node &node);
  void cachedAttention(int index, const Node &node);
  void denseAttention(int index, const Node &node);
  std::string options(const Node &node) const;
  std::string positions();
  std::string signature(std::string &results);
  std::string tail(std::string &results);

  const Recipe &recipe;
  std::string arguments, body, cache = "%cache";
  std::map<int, int64_t> inHeads; ///< nodes whose value is heads, and how many
  std::map<int64_t, std::string> tables; ///< of angles, by channels rotated
  std::vector<std::string> formats;
  std::string positionsValue;
  int weights = 0, layers = 0, values = 0;
  uint64_t constants = 0;
};

} // namespace

std::string Writer::expanded(const std::string &value, int64_t count,
                             int64_t size) {
  std::string result = "%v" + number(values++);
  add(result + " = tensor.expand_shape " + value +
      " [[0], [1, 2]] output_shape [%t, " + number(count) + ", " +
      number(size) + "] : " + rows(count * size) + " into " +
      heads(count, size));
  return result;
}

std::string Writer::rowsOf(int node) {
  auto found = inHeads.find(node);
  if (found == inHeads.end())
    return name(node);
  int64_t width = widthOf(node), count = found->second;
  std::string result = "%v" + number(values++);
  add(result + " = tensor.collapse_shape " + name(node) + " [[0], [1, 2]] : " +
      heads(count, width / count) + " into " + rows(width));
  return result;
}

std::string Writer::headsOf(int node, int64_t count) {
  auto found = inHeads.find(node);
  if (found != inHeads.end() && found->second == count)
    return name(node);
  return expanded(rowsOf(node), count, widthOf(node) / count);
}

std::string Writer::vector(const std::string &shape, int64_t count,
                           double centre, double spread) {
  Numbers random = numbers();
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(float(centre + spread * random.normal()));
  std::string result = "%v" + number(this->values++);
  add(result + " = arith.constant dense<" + hexOf(values) + "> : tensor<" +
      shape + "xf32>");
  return result;
}

/// Rows of unequal size, a few numbers far from the others: what formats with
/// one scale for many do worst.
std::string Writer::weight(int64_t n, int64_t k, const std::string &format) {
  Numbers random = numbers();
  std::vector<float> values;
  for (int64_t row = 0; row < n; ++row) {
    double size = std::exp2(2 * random.uniform() - 1) / std::sqrt(double(k));
    for (int64_t column = 0; column < k; ++column)
      values.push_back(
          float(size * random.normal() * (random.uniform() < 0.01 ? 4 : 1)));
  }
  std::string symbol = "w" + number(weights++), result = "%" + symbol;
  add(result + " = qopt.weight \"" + symbol + "\" codes(dense<" +
      hexOf(values) + "> : tensor<" + number(n) + "x" + number(k) +
      "xf32>) : " + weightType(n, k));
  if (!format.empty())
    formats.push_back(symbol + "=" + format);
  return result;
}

void Writer::input(int index, const Node &node) {
  arguments += (arguments.empty() ? "" : ", ") + name(index) + ": " +
               rows(node.width) + " {onnx.dims = [\"n\", " +
               number(node.width) + "], qopt.name = \"x" + number(index) +
               "\"}";
}

std::string Writer::positions() {
  if (!positionsValue.empty())
    return positionsValue;
  positionsValue = "%positions";
  if (recipe.decoder)
    add("%positions = qopt.positions %batch : tensor<?xi32>");
  else
    arguments += std::string(arguments.empty() ? "" : ", ") +
                 "%positions: tensor<?xi32> {onnx.dims = [\"n\"], qopt.name = "
                 "\"positions\"}";
  return positionsValue;
}

void Writer::embedding(int index, const Node &node) {
  std::string ids = "%ids";
  if (node.ofPositions)
    ids = positions();
  else if (!recipe.decoder)
    ids += number(index);
  if (!recipe.decoder && !node.ofPositions)
    arguments += (arguments.empty() ? "" : ", ") + ids +
                 ": tensor<?xi32> {onnx.dims = [\"n\"], qopt.name = \"ids" +
                 number(index) + "_below_" + number(node.rows) + "\"}";
  std::string table = weight(node.rows, node.width, node.format);
  add(name(index) + " = qopt.embedding " + ids + ", " + table +
      " : tensor<?xi32>, " + weightType(node.rows, node.width) + " -> " +
      rows(node.width));
}

void Writer::linear(int index, const Node &node) {
  int64_t k = widthOf(node.inputs[0]);
  std::string x = rowsOf(node.inputs[0]),
              w = weight(node.width, k, node.format), line;
  if (node.bias)
    line += " bias(" + vector(number(node.width), node.width, 0, 0.2) +
            " : tensor<" + number(node.width) + "xf32>)";
  if (node.inputs.size() > 1)
    line +=
        " residual(" + rowsOf(node.inputs[1]) + " : " + rows(node.width) + ")";
  add(name(index) + " = qopt.linear " + x + ", " + w + line + " : " + rows(k) +
      ", " + weightType(node.width, k) + " -> " + rows(node.width));
}

void Writer::norm(int index, const Node &node) {
  bool layer = node.kind == Kind::LayerNorm;
  int64_t size = node.heads ? node.headSize() : node.width;
  // A scale for each head, or one for all.
  bool ofEach = node.heads && node.bias;
  std::string shape = (ofEach ? number(node.heads) + "x" : "") + number(size);
  int64_t count = ofEach ? node.width : size;
  std::string x = node.heads ? headsOf(node.inputs[0], node.heads)
                             : rowsOf(node.inputs[0]),
              type = node.heads ? heads(node.heads, size) : rows(node.width),
              scale = vector(shape, count, 1, 0.2), shift;
  if (layer && node.bias)
    shift = " bias(" + vector(shape, count, 0, 0.2) + " : tensor<" + shape +
            "xf32>)";
  add(name(index) + " = qopt." + (layer ? "layer_norm " : "rms_norm ") + x +
      ", " + scale + shift + " epsilon 1.0e-05 : " + type + ", tensor<" +
      shape + "xf32> -> " + type);
  if (node.heads)
    inHeads[index] = node.heads;
}

void Writer::gated(int index, const Node &node) {
  std::string gate = rowsOf(node.inputs[0]);
  bool both = node.inputs.size() > 1;
  std::string from = rows(widthOf(node.inputs[0]));
  add(name(index) + " = qopt.gated_activation " + functions[node.function] +
      " " + gate + (both ? ", " + rowsOf(node.inputs[1]) : "") + " : " + from +
      " -> " + rows(node.width));
}

void Writer::arithmetic(int index, const Node &node) {
  std::string a = rowsOf(node.inputs[0]), b = rowsOf(node.inputs[1]);
  const char *names[][2] = {{"onnx.Add", "arith.addf"},
                            {"onnx.Sub", "arith.subf"},
                            {"onnx.Mul", "arith.mulf"}};
  auto kind = size_t(node.kind) - size_t(Kind::Sum);
  std::string type = rows(node.width);
  // Raising leaves a graph its operators, a decoder has no form for them.
  if (recipe.decoder)
    add(name(index) + " = " + names[kind][1] + " " + a + ", " + b + " : " +
        type);
  else
    add(name(index) + " = \"" + names[kind][0] + "\"(" + a + ", " + b +
        ") : (" + type + ", " + type + ") -> " + type);
}

void Writer::scale(int index, const Node &node) {
  std::string x = rowsOf(node.inputs[0]), type = rows(node.width),
              factors = vector(number(node.width), node.width, 1, 0.3),
              vectorType = "tensor<" + number(node.width) + "xf32>";
  if (!recipe.decoder)
    return add(name(index) + " = \"onnx.Mul\"(" + x + ", " + factors + ") : (" +
               type + ", " + vectorType + ") -> " + type);
  std::string empty = "%v" + number(values++);
  add(empty + " = tensor.empty(%t) : " + type);
  add(name(index) +
      " = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, "
      "affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], "
      "iterator_types = [\"parallel\", \"parallel\"]} ins(" +
      x + ", " + factors + " : " + type + ", " + vectorType + ") outs(" +
      empty + " : " + type +
      ") { ^bb0(%a: f32, %b: f32, %o: f32): %m = arith.mulf %a, %b : f32 "
      "linalg.yield %m : f32 } -> " +
      type);
}

void Writer::codes(int index, const Node &node) {
  std::string x = rowsOf(node.inputs[0]), codes = "%v" + number(values++),
              type = "!qopt.quantized<?x" + number(node.width) + ", " +
                     node.format + ">";
  add(codes + " = qopt.quantize " + x + " : " + rows(node.width) + " -> " +
      type);
  add(name(index) + " = qopt.dequantize " + codes + " : " + type + " -> " +
      rows(node.width));
}

void Writer::rotary(int index, const Node &node) {
  std::string &table = tables[node.rotated];
  int64_t half = node.rotated / 2;
  std::string tableType = "tensor<?x" + number(half) + "xf32>";
  if (table.empty()) {
    std::vector<float> frequencies;
    for (int64_t i = 0; i < half; ++i)
      frequencies.push_back(float(std::pow(100.0, -double(i) / double(half))));
    std::string at = positions(), constant = "%v" + number(values++);
    table = number(values++);
    add(constant + " = arith.constant dense<" + hexOf(frequencies) +
        "> : tensor<" + number(half) + "xf32>");
    add("%cos" + table + ", %sin" + table + " = qopt.rotary_table " + at +
        ", " + constant + " scale 1.0 : tensor<?xi32>, tensor<" + number(half) +
        "xf32> -> " + tableType);
  }
  std::string x = headsOf(node.inputs[0], node.heads);
  add(name(index) + " = qopt.rotary " + x + ", %cos" + table + ", %sin" +
      table + (node.interleaved ? " interleaved" : "") + " : " +
      heads(node.heads, node.headSize()) + ", " + tableType);
  inHeads[index] = node.heads;
}

std::string Writer::options(const Node &node) const {
  std::string text = " scale " + real(1 / std::sqrt(double(node.headSize())));
  if (node.causal && !recipe.decoder)
    text += " causal";
  if (node.window)
    text += " window " + number(node.window);
  if (node.softcap > 0)
    text += " softcap " + real(node.softcap);
  return text;
}

void Writer::cachedAttention(int index, const Node &node) {
  int64_t size = node.headSize();
  std::string q = headsOf(node.inputs[0], node.heads),
              k = headsOf(node.inputs[1], node.keyHeads),
              v = headsOf(node.inputs[2], node.keyHeads),
              next = "%cache" + number(layers),
              layer = " layer " + number(layers++), slopes;
  add(next + " = qopt.kv_append " + cache + ", " + k + ", " + v + ", %batch" +
      layer + " : !cache, " + heads(node.keyHeads, size));
  if (node.slopes) {
    for (int64_t head = 0; head < node.heads; ++head)
      slopes += (head ? ", " : "") + real(std::exp2(-double(head + 1)));
    slopes = " alibi [" + slopes + "]";
  }
  add(name(index) + " = qopt.cached_attention " + q + ", " + next + ", %batch" +
      layer + options(node) + slopes + " : " + heads(node.heads, size) +
      ", !cache");
  cache = next;
  inHeads[index] = node.heads;
}

void Writer::denseAttention(int index, const Node &node) {
  int64_t size = node.headSize();
  std::string q = headsOf(node.inputs[0], node.heads), dense[3], types[3];
  dense[0] = "%v" + number(values++);
  types[0] = "tensor<1x?x" + number(node.heads) + "x" + number(size) + "xf32>";
  add(dense[0] + " = tensor.expand_shape " + q +
      " [[0, 1], [2], [3]] output_shape [1, %t, " + number(node.heads) + ", " +
      number(size) + "] : " + heads(node.heads, size) + " into " + types[0]);
  for (int i : {1, 2}) {
    std::string from = headsOf(node.inputs[size_t(i)], node.keyHeads),
                moved = "%v" + number(values++),
                tail = number(node.keyHeads) + "x?x" + number(size) + "xf32>";
    add(moved + " = \"onnx.Transpose\"(" + from +
        ") {perm = array<i64: 1, 0, 2>} : (" + heads(node.keyHeads, size) +
        ") -> tensor<" + tail);
    dense[i] = "%v" + number(values++);
    types[i] = "tensor<1x" + tail;
    add(dense[i] + " = tensor.expand_shape " + moved +
        " [[0, 1], [2], [3]] output_shape [1, " + number(node.keyHeads) +
        ", %t, " + number(size) + "] : tensor<" + tail + " into " + types[i]);
  }
  std::string result = "%v" + number(values++);
  add(result + " = qopt.attention " + dense[0] + ", " + dense[1] + ", " +
      dense[2] + options(node) + " : " + types[0] + ", " + types[1] + ", " +
      types[2] + " -> " + types[0]);
  add(name(index) + " = tensor.collapse_shape " + result +
      " [[0, 1], [2], [3]] : " + types[0] + " into " + heads(node.heads, size));
  inHeads[index] = node.heads;
}

void Writer::node(int index) {
  const Node &node = recipe.nodes[size_t(index)];
  std::string type = rows(node.width);
  switch (node.kind) {
  case Kind::Input:
    return input(index, node);
  case Kind::Embedding:
    return embedding(index, node);
  case Kind::Linear:
    return linear(index, node);
  case Kind::RmsNorm:
  case Kind::LayerNorm:
    return norm(index, node);
  case Kind::Activation:
    return add(name(index) + " = qopt.activation " + functions[node.function] +
               " " + rowsOf(node.inputs[0]) + " : " + type + " -> " + type);
  case Kind::Gated:
    return gated(index, node);
  case Kind::Sum:
  case Kind::Difference:
  case Kind::Product:
    return arithmetic(index, node);
  case Kind::Scale:
    return scale(index, node);
  case Kind::Softmax:
    return add(name(index) + " = \"onnx.Softmax\"(" + rowsOf(node.inputs[0]) +
               ") : (" + type + ") -> " + type);
  case Kind::Slice:
    return add(name(index) + " = tensor.extract_slice " +
               rowsOf(node.inputs[0]) + "[0, " + number(node.offset) +
               "] [%t, " + number(node.width) +
               "] [1, 1] : " + rows(widthOf(node.inputs[0])) + " to " + type);
  case Kind::Codes:
    return codes(index, node);
  case Kind::Rotary:
    return rotary(index, node);
  case Kind::Attention:
    return recipe.decoder ? cachedAttention(index, node)
                          : denseAttention(index, node);
  }
}

/// What follows the nodes, and the types of the results.
std::string Writer::tail(std::string &results) {
  int last = int(recipe.nodes.size()) - 1;
  int64_t width = widthOf(last);
  std::string value = rowsOf(last);
  if (!recipe.decoder) {
    results = rows(width) + " {qopt.name = \"y\"}";
    return "    return " + value + " : " + rows(width) + "\n";
  }
  std::string head = weight(recipe.vocabulary, width, recipe.headFormat);
  results = rows(recipe.vocabulary) + ", !cache";
  add("%rows = qopt.select_rows " + value + ", %batch : " + rows(width) +
      " -> " + rows(width));
  add("%logits = qopt.linear %rows, " + head + " : " + rows(width) + ", " +
      weightType(recipe.vocabulary, width) + " -> " + rows(recipe.vocabulary));
  return "    return %logits, " + cache + " : " + results + "\n";
}

static std::string attributesOf(const Recipe &recipe,
                                const std::vector<std::string> &formats) {
  Settings settings = recipe.settings;
  settings.formats = formats;
  std::string words, runs;
  for (const std::string &word : settings.words())
    words += (words.empty() ? "\"" : ", \"") + word + "\"";
  for (const std::vector<int64_t> &run : settings.runs) {
    runs += runs.empty() ? "[" : ", [";
    for (size_t i = 0; i < run.size(); ++i)
      runs += (i ? ", " : "") + number(run[i]);
    runs += "]";
  }
  return "random.options = [" + words + "], random.runs = [" + runs +
         "], random.seed = " + number(int64_t(recipe.seed)) + " : i64";
}

/// The arguments of the function and where the number of tokens comes from.
std::string Writer::signature(std::string &results) {
  if (!recipe.decoder)
    return "  func.func @graph(" + arguments + ") -> (" + results +
           ") {\n    %zero = arith.constant 0 : index\n    %t = tensor.dim " +
           arguments.substr(0, arguments.find(':')) + ", %zero : " +
           arguments.substr(arguments.find(':') + 2,
                            arguments.find(" {") - arguments.find(':') - 2) +
           "\n";
  return "  func.func @step(%ids: tensor<?xi32>, %batch: !qopt.batch, "
         "%cache: !cache) -> (" +
         results +
         ") attributes {qopt.decoder, qopt.context = 512 : i64} {\n"
         "    %t = qopt.batch_dim %batch tokens\n";
}

std::string Writer::write() {
  int64_t keyHeads = 1, size = 16;
  for (size_t i = 0; i < recipe.nodes.size(); ++i) {
    node(int(i));
    if (recipe.nodes[i].kind == Kind::Attention) {
      keyHeads = recipe.nodes[i].keyHeads;
      size = recipe.nodes[i].headSize();
    }
  }
  std::string results, end = tail(results), text;
  if (recipe.decoder)
    text = "!cache = !qopt.kv_cache<layers = " + number(std::max(layers, 1)) +
           ", kv_heads = " + number(keyHeads) +
           ", head_size = " + number(size) +
           ", key = f16, value = f16, page = 16>\n";
  return text + "module attributes {" + attributesOf(recipe, formats) +
         "} {\n" + signature(results) + body + end + "  }\n}\n";
}

std::string write(const Recipe &recipe) { return Writer(recipe).write(); }

} // namespace qopt::programs
