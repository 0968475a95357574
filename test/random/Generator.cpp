// Random recipes: graphs of any operations, and decoders of one or two blocks.
// What a target does not read is not drawn; everything that is drawn must
// compile.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Numbers.h"
#include "Recipe.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "runtime/host/LinearLayout.h"

namespace qopt::programs {

namespace {

class Generator {
public:
  Generator(uint64_t seed, Target target) : random(seed), target(target) {
    recipe.seed = seed;
    recipe.settings.target = target;
  }

  Recipe run() {
    recipe.decoder = random.chance(0.4);
    generic = random.chance(0.3);
    chooseActivations();
    if (recipe.decoder)
      decoder();
    else
      graph();
    removeUnused(recipe);
    return std::move(recipe);
  }

private:
  bool gpu() const { return target == Target::Cuda; }
  /// Whether the values of activations have 16 bits.
  bool narrow() const { return type != "f32"; }

  void chooseActivations();
  void chooseCache(int64_t size);
  std::string cacheFormat(int64_t size, bool keys);
  std::string weightFormat(int64_t columns);
  bool reads(const quant::Format &format, int64_t columns) const;
  int64_t width();

  int add(Node node) {
    recipe.nodes.push_back(std::move(node));
    return int(recipe.nodes.size()) - 1;
  }
  int64_t widthOf(int node) const { return recipe.nodes[size_t(node)].width; }
  int linear(int x, int64_t width, int residual = -1);
  int norm(int x, int64_t heads = 0);
  int unary(Kind kind, int x);
  int sum(int a, int b) {
    return add({.kind = Kind::Sum, .inputs = {a, b}, .width = widthOf(a)});
  }
  int projectionSlice(int x, int64_t offset, int64_t width) {
    return add(
        {.kind = Kind::Slice, .inputs = {x}, .width = width, .offset = offset});
  }
  int mlp(int x, int64_t width, int residual);

  struct Heads {
    int64_t heads, keyHeads, size;
  };
  Heads chooseHeads();
  int attention(int x, Heads heads);
  int extra(int x);

  void decoder();
  void decoderRuns();
  void graph();
  int graphNode();
  /// A node, more often a late one.
  int some();
  int someOf(int64_t width);
  int source();

  Numbers random;
  Target target;
  Recipe recipe;
  std::string type; ///< of activations
  /// Whether there may be operations that no kernel is written for: code is
  /// generated for them, which takes longer than all the rest.
  bool generic = false;
};

} // namespace

void Generator::chooseActivations() {
  using Words = std::vector<std::string>;
  std::string &activations = recipe.settings.activations;
  if (gpu()) {
    activations = random.of(Words{"f16", "f16", "bf16", "int8", "bf16,int8"});
    type = activations.starts_with("bf16") ? "bf16" : "f16";
    return;
  }
  activations = random.of(Words{"f32", "f32", "int8_g32_sf32", "int8_g32_sf32",
                                "int8", "fp8_e4m3", "f16", "bf16", "f16,int8"});
  type = activations.starts_with("f16")    ? "f16"
         : activations.starts_with("bf16") ? "bf16"
                                           : "f32";
  if (narrow() && random.chance(0.4))
    recipe.settings.sumOrder = random.chance(0.5) ? "sm_90a" : "sm_80";
}

/// Whether the target has kernels for such a weight.
bool Generator::reads(const quant::Format &format, int64_t columns) const {
  if (!quant::formatFault(format).empty() ||
      !quant::groupFault(format, columns).empty())
    return false;
  // Numbers up to 57344 leave no scale in f16 for weights as small as these.
  if (format.element == quant::ElementType::Fp8E5m2 &&
      (format.scale == quant::ScaleType::F16 || format.hasScaleFields()))
    return false;
  bool asGpu = gpu() || !recipe.settings.sumOrder.empty();
  if (asGpu && format.isFloat())
    return quant::elementOf(format.element).name == type;
  if (asGpu && !kernels::skinny_linear::isValidWeight(format).ok())
    return false;
  return gpu() || host::linearLayout(format, 16, columns).ok();
}

std::string Generator::weightFormat(int64_t columns) {
  using quant::ElementType;
  using quant::Granularity;
  using quant::ScaleType;
  if (random.chance(0.1))
    return ""; // as the program has it
  for (int attempt = 0; attempt < 50; ++attempt) {
    quant::Format format;
    format.element = ElementType(random.below(int64_t(ElementType::Nf4) + 1));
    if (!quant::elementOf(format.element).isFloat) {
      format.granularity = Granularity(1 + random.below(4));
      if (format.isGrouped())
        format.groupSize =
            random.of(std::vector<int64_t>{16, 32, 32, 64, 128, 256});
      if (random.chance(0.4))
        format.zero = quant::ZeroType(random.below(3));
      format.scale = ScaleType(
          random.chance(0.5)
              ? int64_t(format.isGrouped() ? ScaleType::F16 : ScaleType::F32)
              : random.below(int64_t(ScaleType::E4m3) + 1));
      if (random.chance(0.1))
        format.range = quant::CodeRange(random.below(3));
    }
    // Of several ways to say the same one is a spelling.
    auto spelt = quant::parseFormat(quant::spell(format));
    if (spelt.ok() && *spelt == format && reads(format, columns))
      return quant::spell(format);
  }
  return "int8";
}

std::string Generator::cacheFormat(int64_t size, bool keys) {
  std::vector<std::string> formats = {"int8", "int4", "fp8_e4m3", "int8",
                                      narrow() ? type : "f16"};
  if (keys)
    for (const char *group :
         {"int8_g32", "int4_g32", "int4_asym_g32_zf", "int8_asym_g64_zf",
          "int3_g32", "int2_asym_g32_zf", "int3_asym_g64_zf"})
      formats.emplace_back(group);
  for (int64_t group : {16, 32})
    if (!keys && size % group == 0)
      for (const char *element : {"int8", "int4_asym", "int3", "int2_asym"}) {
        std::string text = element;
        formats.push_back(text + "_g" + std::to_string(group) +
                          (text.ends_with("asym") ? "_zf" : ""));
      }
  if (!gpu() && recipe.settings.sumOrder.empty())
    formats.insert(formats.end(), {"f32", "f16", "bf16"});
  return random.of(formats);
}

void Generator::chooseCache(int64_t size) {
  if (random.chance(0.2))
    return;
  std::string &cache = recipe.settings.cache;
  cache = cacheFormat(size, true) + "," + cacheFormat(size, false);
  if (recipe.settings.sumOrder.empty() && random.chance(0.3)) {
    bool isLong = cache.find("_g64_zf,") != std::string::npos;
    cache += isLong || random.chance(0.2) ? ",recent=64" : ",recent=32";
    if (random.chance(0.5))
      cache += ",first=16";
  }
}

int64_t Generator::width() {
  std::vector<int64_t> widths = {16, 32, 32, 48, 64, 64, 96, 128, 128, 160};
  if (random.chance(0.1))
    widths = {8, 17, 24, 33, 40, 80, 192, 256, 384};
  return random.of(widths);
}

int Generator::linear(int x, int64_t width, int residual) {
  Node node{.kind = Kind::Linear, .inputs = {x}, .width = width};
  if (residual >= 0)
    node.inputs.push_back(residual);
  node.format = weightFormat(widthOf(x));
  node.bias = random.chance(0.3);
  return add(node);
}

int Generator::norm(int x, int64_t heads) {
  Node node{.kind = random.chance(0.6) ? Kind::RmsNorm : Kind::LayerNorm,
            .inputs = {x},
            .width = widthOf(x)};
  node.heads = heads;
  node.bias = random.chance(0.5);
  return add(node);
}

int Generator::unary(Kind kind, int x) {
  Node node{.kind = kind, .inputs = {x}, .width = widthOf(x)};
  node.function = int(random.below(std::size(functions)));
  if (kind == Kind::Codes)
    node.format = widthOf(x) % 32 == 0 && random.chance(0.5) ? "int8_g32_sf32"
                  : random.chance(0.5)                       ? "int8"
                                                             : "fp8_e4m3";
  return add(node);
}

/// Something between the parts of a block.
int Generator::extra(int x) {
  if (random.chance(0.7))
    return x;
  std::vector<Kind> kinds = {Kind::Activation};
  if (generic)
    kinds.push_back(Kind::Scale);
  if (!gpu() && !narrow())
    kinds.push_back(Kind::Codes);
  return unary(random.of(kinds), x);
}

int Generator::mlp(int x, int64_t width, int residual) {
  int64_t inner = this->width();
  int up = linear(x, inner), hidden;
  if (random.chance(0.3)) {
    hidden = unary(Kind::Activation, up);
  } else {
    Node node{.kind = Kind::Gated, .inputs = {up}, .width = inner};
    node.function = int(random.below(std::size(functions)));
    if (random.chance(0.2) && inner % 2 == 0)
      node.width = inner / 2;
    else
      node.inputs.push_back(linear(x, inner));
    hidden = add(node);
  }
  if (residual >= 0 && random.chance(0.5))
    return linear(hidden, width, residual);
  int down = linear(hidden, width);
  return residual >= 0 ? sum(residual, down) : down;
}

Generator::Heads Generator::chooseHeads() {
  std::vector<int64_t> sizes = {16, 16, 32, 32, 64};
  if (random.chance(0.2))
    sizes = {8, 24, 40, 48, 80, 128};
  int64_t keyHeads = 1 + random.below(2);
  return {keyHeads * (1 + random.below(3)), keyHeads, random.of(sizes)};
}

/// Projections of x, perhaps norms of heads and rotations, attention.
int Generator::attention(int x, Heads heads) {
  int64_t wide = heads.heads * heads.size, slim = heads.keyHeads * heads.size;
  int parts[3];
  if (random.chance(0.3)) {
    int all = linear(x, wide + 2 * slim);
    parts[0] = projectionSlice(all, 0, wide);
    parts[1] = projectionSlice(all, wide, slim);
    parts[2] = projectionSlice(all, wide + slim, slim);
  } else {
    parts[0] = linear(x, wide);
    parts[1] = linear(x, slim);
    parts[2] = linear(x, slim);
  }
  bool norms = random.chance(0.3), rotates = random.chance(0.6);
  Node turn{.kind = Kind::Rotary};
  turn.interleaved = random.chance(0.3);
  turn.rotated =
      random.chance(0.7) ? heads.size : 2 * (1 + random.below(heads.size / 2));
  for (int i : {0, 1}) {
    int64_t count = i ? heads.keyHeads : heads.heads;
    if (norms)
      parts[i] = norm(parts[i], count);
    turn.inputs = {parts[i]};
    turn.heads = count;
    turn.width = count * heads.size;
    if (rotates)
      parts[i] = add(turn);
  }
  Node node{.kind = Kind::Attention,
            .inputs = {parts[0], parts[1], parts[2]},
            .width = wide};
  node.heads = heads.heads;
  node.keyHeads = heads.keyHeads;
  node.causal = recipe.decoder || random.chance(0.7);
  if (node.causal && random.chance(0.3))
    node.window = 1 + random.below(40);
  if (random.chance(0.2))
    node.softcap = float(2 + random.below(30));
  node.slopes = recipe.decoder && random.chance(0.2);
  return add(node);
}

void Generator::decoder() {
  int64_t hidden = width();
  Node table{.kind = Kind::Embedding, .width = hidden};
  table.rows = 20 + random.below(80);
  table.format = random.chance(0.5) ? weightFormat(hidden) : "";
  int x = add(table);
  recipe.vocabulary = table.rows;
  if (random.chance(0.2)) {
    table.ofPositions = true;
    table.rows = 512;
    table.format.clear();
    x = sum(x, add(table));
  }
  Heads heads = chooseHeads();
  chooseCache(heads.size);
  for (int64_t blocks = 1 + random.below(2); blocks > 0; --blocks) {
    int read = random.chance(0.8) ? norm(x) : x;
    int mixed = extra(attention(read, heads));
    x = random.chance(0.5) ? linear(mixed, hidden, x)
                           : sum(x, linear(mixed, hidden));
    if (random.chance(0.6))
      x = mlp(extra(random.chance(0.8) ? norm(x) : x), hidden, x);
    // What grows from block to block would fill f16.
    if (random.chance(0.2))
      x = norm(x);
  }
  if (random.chance(0.7))
    x = norm(x);
  extra(x);
  recipe.headFormat = weightFormat(widthOf(int(recipe.nodes.size()) - 1));
  decoderRuns();
}

void Generator::decoderRuns() {
  int64_t sequences = 1 + random.below(3),
          steps = 2 + random.below(gpu() ? 8 : 5), longest = 34;
  // Past groups of keys and past the positions that are kept in f16.
  if (random.chance(0.3))
    longest = 100;
  for (int64_t step = 0; step < steps; ++step) {
    std::vector<int64_t> counts;
    int64_t total = 0;
    for (int64_t i = 0; i < sequences; ++i) {
      bool prompt = step == 0 || random.chance(0.25);
      counts.push_back(prompt ? random.below(longest) : random.below(2));
      total += counts.back();
    }
    if (total == 0)
      counts[0] = 1;
    recipe.settings.runs.push_back(counts);
  }
}

int Generator::some() {
  int64_t count = int64_t(recipe.nodes.size());
  int64_t last = count - 1 - random.below(count);
  return int(random.chance(0.6) ? count - 1 : last);
}

/// A node of this width, made where there is none.
int Generator::someOf(int64_t width) {
  for (int attempt = 0; attempt < 8; ++attempt)
    if (int node = some(); widthOf(node) == width)
      return node;
  return linear(some(), width);
}

int Generator::source() {
  if (random.chance(0.75))
    return add({.kind = Kind::Input, .width = width()});
  Node node{.kind = Kind::Embedding, .width = width()};
  node.rows = 10 + random.below(60);
  node.format = random.chance(0.7) ? weightFormat(node.width) : "";
  return add(node);
}

int Generator::graphNode() {
  int x = some();
  int64_t width = widthOf(x);
  switch (random.below(generic ? 12 : 7)) {
  case 0:
  case 1:
    return linear(x, this->width());
  case 2: {
    int residual = someOf(width);
    return linear(x, width, residual);
  }
  case 3:
    return gpu() || narrow() || random.chance(0.5) ? norm(x)
                                                   : unary(Kind::Codes, x);
  case 4:
    return unary(Kind::Activation, x);
  case 5:
    return mlp(x, width, random.chance(0.5) ? x : -1);
  case 6:
    return gpu() && !generic ? norm(x) : attention(norm(x), chooseHeads());
  case 7:
    return sum(x, someOf(width));
  case 8: {
    int factor = norm(x), other = someOf(width);
    return add({.kind = random.chance(0.5) ? Kind::Product : Kind::Difference,
                .inputs = {factor, other},
                .width = width});
  }
  case 9:
    return unary(Kind::Scale, x);
  case 10:
    return unary(Kind::Softmax, norm(x));
  default:
    return width > 16 ? projectionSlice(x, random.below(width / 2),
                                        1 + random.below(width / 2))
                      : norm(x);
  }
}

void Generator::graph() {
  source();
  if (random.chance(0.3))
    source();
  for (int64_t count = 1 + random.below(7); count > 0; --count)
    graphNode();
  if (random.chance(0.7))
    linear(int(recipe.nodes.size()) - 1, width());
  // Most of a GPU's time goes into the kernels, which serve any number.
  std::vector<int64_t> sizes = {1, 1, 2, 3, 5, 7, 8, 9, 13, 16, 17, 31, 33};
  for (int run = 0; run < (gpu() ? 8 : 4); ++run) {
    if (random.chance(0.08))
      sizes = {64, 65, 70};
    recipe.settings.runs.push_back({random.of(sizes)});
  }
}

Recipe generate(uint64_t seed, Target target) {
  return Generator(seed, target).run();
}

} // namespace qopt::programs
