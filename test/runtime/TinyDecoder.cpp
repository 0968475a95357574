// The tiny decoder twice: steps of a plan, and plain loops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "TinyDecoder.h"

#include "FunctionBuilder.h"
#include "runtime/host/LinearLayout.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace qopt::test {

static std::vector<float> randomValues(std::mt19937 &random, size_t count,
                                       float scale) {
  std::vector<float> values(count);
  for (float &value : values)
    value = (float(random() % 20001) / 10000.f - 1.f) * scale;
  return values;
}

TinyDecoder::TinyDecoder(unsigned seed) {
  std::mt19937 random(seed);
  embedding = randomValues(random, vocabulary * hidden, 1.f);
  normScale = randomValues(random, hidden, 1.f);
  qkv = randomValues(random, (hidden + 2 * headSize) * hidden, 0.4f);
  output = randomValues(random, hidden * hidden, 0.4f);
  head = randomValues(random, vocabulary * hidden, 0.5f);
  for (int64_t i = 0; i < headSize / 2; ++i)
    frequencies.push_back(std::pow(10000.f, -2.f * float(i) / float(headSize)));
}

static quant::Format f32() {
  return quant::floatFormat(quant::ElementType::F32);
}

/// A linear step on a packed f32 weight.
static plan::LinearT linear(FunctionBuilder &f, uint32_t x,
                            const std::vector<float> &weight, int64_t n,
                            int64_t k, uint32_t y) {
  host::LinearLayout layout = *host::linearLayout(f32(), n, k);
  std::vector<uint8_t> packed(size_t(layout.packedBytes()));
  host::packWeight(
      layout,
      {reinterpret_cast<const uint8_t *>(weight.data()), nullptr, nullptr},
      packed.data());
  plan::LinearT step;
  step.x = x, step.y = y;
  step.weight = f.weight(packed);
  step.n = uint32_t(n), step.k = uint32_t(k);
  step.format = runtime::fromFormat(f32());
  step.layout = plan::WeightLayout::HostTiled;
  return step;
}

namespace {

/// Writes the steps of the model one after the other.
class StepWriter {
public:
  explicit StepWriter(FunctionBuilder &builder) : f(builder) {}

  uint32_t embed(uint32_t ids, const std::vector<float> &embedding) {
    plan::EmbeddingT embed;
    std::vector<uint8_t> table(embedding.size() * 4);
    std::memcpy(table.data(), embedding.data(), table.size());
    embed.ids = ids, embed.weight = f.weight(table);
    embed.y = f.arena({tokens, width});
    embed.rows = TinyDecoder::vocabulary, embed.columns = TinyDecoder::hidden;
    embed.format = runtime::fromFormat(f32());
    uint32_t y = embed.y;
    f.step(std::move(embed), "embed");
    return y;
  }

  uint32_t norm(uint32_t x, uint32_t scale, uint32_t count,
                const char *origin = "") {
    plan::RmsNormT norm;
    norm.x = x, norm.scale = scale, norm.y = f.arena({count, width});
    norm.epsilon = TinyDecoder::epsilon;
    uint32_t y = norm.y;
    f.step(std::move(norm), origin);
    return y;
  }

  /// Makes the cosines and sines that `turn` reads.
  void makeAngles(const std::vector<float> &frequencies) {
    plan::PositionsT positions;
    positions.y = f.arena({tokens}, plan::DType::I32);
    plan::RotaryTableT angles;
    angles.positions = positions.y;
    angles.inverse_frequencies = f.floats(frequencies);
    uint32_t half = f.constant(TinyDecoder::headSize / 2);
    cos = angles.cos = f.arena({tokens, half});
    sin = angles.sin = f.arena({tokens, half});
    f.step(std::move(positions));
    f.step(std::move(angles));
  }

  uint32_t turn(uint32_t from, uint32_t count) {
    plan::RotaryT rotary;
    rotary.x = from, rotary.cos = cos, rotary.sin = sin;
    rotary.y = f.arena({tokens, f.constant(count), size});
    rotary.heads = count, rotary.head_size = TinyDecoder::headSize;
    rotary.rotated = TinyDecoder::headSize;
    uint32_t y = rotary.y;
    f.step(std::move(rotary));
    return y;
  }

  /// q, k and v are column ranges of the merged rows.
  uint32_t attend(uint32_t merged) {
    constexpr int64_t hidden = TinyDecoder::hidden;
    constexpr int64_t headSize = TinyDecoder::headSize;
    uint32_t stride = hidden + 2 * headSize, one = f.constant(1);
    uint32_t heads = f.constant(TinyDecoder::heads);
    uint32_t flat =
        f.view(merged, f.constant(0), {tokens, width}, hidden, stride);
    uint32_t q =
        f.view(flat, f.constant(0), {tokens, heads, size}, hidden, stride);
    uint32_t k = f.view(merged, f.constant(hidden * 4), {tokens, one, size},
                        headSize, stride);
    uint32_t v = f.view(merged, f.constant((hidden + headSize) * 4),
                        {tokens, one, size}, headSize, stride);
    uint32_t turnedQ = turn(q, TinyDecoder::heads);
    plan::KvAppendT append;
    append.k = turn(k, 1), append.v = v;
    f.step(std::move(append));
    plan::CachedAttentionT attention;
    attention.q = turnedQ, attention.y = f.arena({tokens, heads, size});
    attention.heads = TinyDecoder::heads;
    attention.scale = 1.f / std::sqrt(float(headSize));
    uint32_t y = attention.y;
    f.step(std::move(attention), "attention");
    return y;
  }

  uint32_t select(uint32_t x, uint32_t rows) {
    plan::SelectRowsT select;
    select.x = x, select.y = f.arena({rows, width});
    uint32_t y = select.y;
    f.step(std::move(select));
    return y;
  }

  FunctionBuilder &f;
  uint32_t tokens = f.symbol(plan::SymbolKind::Tokens);
  uint32_t width = f.constant(TinyDecoder::hidden);
  uint32_t size = f.constant(TinyDecoder::headSize);
  uint32_t cos = 0, sin = 0;
};

} // namespace

/// The cache of one layer, and what tokens are.
static std::unique_ptr<plan::DecoderT>
describeDecoder(int32_t endToken, const quant::Format &keyFormat) {
  auto decoder = std::make_unique<plan::DecoderT>();
  auto layer = std::make_unique<plan::CacheLayerT>();
  layer->kv_heads = 1;
  layer->key_size = layer->value_size = TinyDecoder::headSize;
  layer->key = runtime::fromFormat(keyFormat);
  layer->value = runtime::fromFormat(f32());
  decoder->layers.push_back(std::move(layer));
  decoder->page =
      uint32_t(std::max<int64_t>(TinyDecoder::page, keyFormat.groupSize));
  decoder->vocabulary = TinyDecoder::vocabulary;
  decoder->context = TinyDecoder::context;
  if (endToken >= 0)
    decoder->end_tokens.push_back(endToken);
  return decoder;
}

Status TinyDecoder::write(const std::string &path, int32_t endToken,
                          const std::string &tokenizer) const {
  FunctionBuilder f("step", plan::FunctionKind::Decoder);
  StepWriter steps(f);
  uint32_t tokens = steps.tokens;
  uint32_t rows = f.symbol(plan::SymbolKind::LogitRows);
  uint32_t ids =
      f.value(plan::DType::I32, {tokens}, plan::Storage::Input, "tokens");
  uint32_t logits = f.value(plan::DType::F32, {rows, f.constant(vocabulary)},
                            plan::Storage::Output, "logits");
  uint32_t scale = f.floats(normScale);
  uint32_t x = steps.embed(ids, embedding);
  uint32_t normed = steps.norm(x, scale, tokens, "norm");
  uint32_t merged = f.arena({tokens, f.constant(hidden + 2 * headSize)});
  f.step(linear(f, normed, qkv, hidden + 2 * headSize, hidden, merged), "qkv");
  steps.makeAngles(frequencies);
  uint32_t attended = steps.attend(merged);
  plan::LinearT project = linear(f, attended, output, hidden, hidden,
                                 f.arena({tokens, steps.width}));
  project.residual = int32_t(x);
  uint32_t last = project.y;
  f.step(std::move(project), "output");
  uint32_t final = steps.norm(steps.select(last, rows), scale, rows);
  f.step(linear(f, final, head, vocabulary, hidden, logits), "head");
  return f.write(path, describeDecoder(endToken, keyFormat), tokenizer);
}

static std::vector<double> rmsNorm(const std::vector<double> &x,
                                   const std::vector<float> &scale) {
  double sum = 0;
  for (double value : x)
    sum += value * value;
  double inverse =
      1 / std::sqrt(sum / double(x.size()) + double(TinyDecoder::epsilon));
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    y[i] = x[i] * inverse * double(scale[i]);
  return y;
}

static std::vector<double> multiply(const std::vector<float> &weight,
                                    const std::vector<double> &x) {
  std::vector<double> y(weight.size() / x.size());
  for (size_t n = 0; n < y.size(); ++n)
    for (size_t k = 0; k < x.size(); ++k)
      y[n] += double(weight[n * x.size() + k]) * x[k];
  return y;
}

static void turn(double *head, const std::vector<float> &frequencies,
                 size_t position) {
  size_t half = frequencies.size();
  for (size_t i = 0; i < half; ++i) {
    double angle = double(position) * double(frequencies[i]);
    double a = head[i], b = head[half + i];
    head[i] = a * std::cos(angle) - b * std::sin(angle);
    head[half + i] = a * std::sin(angle) + b * std::cos(angle);
  }
}

std::vector<double>
TinyDecoder::logits(const std::vector<int32_t> &tokens) const {
  std::vector<std::vector<double>> keys, values;
  std::vector<double> result;
  for (size_t t = 0; t < tokens.size(); ++t) {
    const float *row = embedding.data() + tokens[t] * hidden;
    std::vector<double> x(row, row + hidden);
    std::vector<double> merged = multiply(qkv, rmsNorm(x, normScale));
    for (int64_t h = 0; h <= heads; ++h) // the key head follows the queries
      turn(merged.data() + h * headSize, frequencies, t);
    keys.emplace_back(merged.begin() + hidden,
                      merged.begin() + hidden + headSize);
    values.emplace_back(merged.begin() + hidden + headSize, merged.end());
    std::vector<double> attended(hidden);
    for (int64_t h = 0; h < heads; ++h) {
      double total = 0;
      for (size_t j = 0; j <= t; ++j) {
        double score = 0;
        for (int64_t d = 0; d < headSize; ++d)
          score += merged[size_t(h * headSize + d)] * keys[j][size_t(d)];
        double weight = std::exp(score / std::sqrt(double(headSize)));
        total += weight;
        for (int64_t d = 0; d < headSize; ++d)
          attended[size_t(h * headSize + d)] += weight * values[j][size_t(d)];
      }
      for (int64_t d = 0; d < headSize; ++d)
        attended[size_t(h * headSize + d)] /= total;
    }
    std::vector<double> projected = multiply(output, attended);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] += projected[i];
    std::vector<double> rowLogits = multiply(head, rmsNorm(x, normScale));
    result.insert(result.end(), rowLogits.begin(), rowLogits.end());
  }
  return result;
}

std::vector<int32_t> TinyDecoder::greedy(std::vector<int32_t> prompt,
                                         int count) const {
  std::vector<int32_t> result;
  for (int i = 0; i < count; ++i) {
    std::vector<double> all = logits(prompt);
    auto last = all.end() - vocabulary;
    result.push_back(int32_t(std::max_element(last, all.end()) - last));
    prompt.push_back(result.back());
  }
  return result;
}

} // namespace qopt::test
