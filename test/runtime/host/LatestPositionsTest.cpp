// The latest and the first positions in f16 beside codes of any format: every
// token's attention against a plain f64 softmax of what each position reads as
// for it; and that neither results nor cache depend on the steps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LatestPositions.h"
#include "lib/Quant/FloatConversion.h"
#include "lib/Quant/VectorCodes.h"
#include "test/runtime/host/TwoSequences.h"

#include <array>

namespace qopt::host {
namespace {

struct LatestCase {
  const char *key, *value; ///< formats
  int64_t recent, first;
  int64_t window = 0;
};

/// New tokens of the two sequences in each step.
using Steps = std::vector<std::vector<int32_t>>;

class LatestPositionsTest : public TwoSequences<LatestCase, 32> {
protected:
  static constexpr int64_t maxTokens = 400;

  void SetUp() override {
    layout.pageTokens = 64;
    layout.key = *quant::parseFormat(GetParam().key);
    layout.value = *quant::parseFormat(GetParam().value);
    layout.recent = GetParam().recent;
    layout.first = GetParam().first;
    fill(maxTokens);
  }

  static float asHalf(float x) {
    return quant::halfToFloat(quant::floatToHalf(x));
  }

  /// `count` values, `stride` elements apart, that share a scale.
  static void throughCodes(const quant::Format &format, float *values,
                           int64_t count, int64_t stride) {
    std::vector<float> x;
    for (int64_t i = 0; i < count; ++i)
      x.push_back(values[i * stride]);
    const quant::Element &element = quant::elementOf(format.element);
    std::vector<uint8_t> bytes(x.size() * 4);
    quant::VectorScale scale;
    std::vector<float> codes(x.size());
    std::vector<int16_t> integers(x.size());
    if (format.isFloat()) {
      element.encode(x.data(), count, bytes.data());
      element.decode(bytes.data(), count, codes.data());
      scale.scale = quant::floatToHalf(1);
    } else {
      scale = quant::encodeVector(format, x.data(), count, bytes.data());
      element.unpackSigned(bytes.data(), count, integers.data());
      codes.assign(integers.begin(), integers.end());
    }
    for (int64_t i = 0; i < count; ++i)
      values[i * stride] = quant::halfToFloat(scale.scale) * codes[size_t(i)] +
                           quant::halfToFloat(scale.offset);
  }

  /// Keys or values of a sequence as they read where they are codes.
  std::vector<float> coded(std::vector<float> x, const quant::Format &format,
                           bool keys) const {
    const int64_t row = keyHeads * size, group = format.groupSize;
    for (int64_t i = 0; keys && group && i < row; ++i)
      for (int64_t p = 0; p + group <= maxTokens; p += group) {
        float *column = x.data() + p * row + i;
        for (int64_t t = 0; t < group; ++t)
          column[t * row] = asHalf(column[t * row]);
        throughCodes(format, column, group, row);
      }
    const int64_t width = group ? group : size;
    for (int64_t i = 0; !(keys && group) && i < maxTokens * row; i += width)
      throughCodes(format, x.data() + i, width, 1);
    return x;
  }

  /// Runs the steps in a new cache; the results of all tokens, by sequence.
  std::array<std::vector<float>, 2> run(const Steps &steps) {
    clear();
    std::array<std::vector<float>, 2> results;
    std::vector<int32_t> contexts = {0, 0};
    for (const std::vector<int32_t> &count : steps) {
      Step step(*this, contexts, count);
      step.attention.options = {0.1f, true, GetParam().window, 0};
      ThreadPool pool(2);
      std::vector<float> y = step.run(pool);
      size_t first = size_t(count[0] * heads * size);
      results[0].insert(results[0].end(), y.begin(), y.begin() + long(first));
      results[1].insert(results[1].end(), y.begin() + long(first), y.end());
      for (size_t s = 0; s < 2; ++s)
        contexts[s] += count[s];
    }
    return results;
  }

  std::vector<double> expected(int s, int64_t tokens) const {
    std::vector<float> codedKeys = coded(key[s], layout.key, true),
                       codedValues = coded(value[s], layout.value, false);
    std::vector<double> result;
    for (int64_t p = 0; p < tokens; ++p)
      for (int64_t h = 0; h < heads; ++h)
        addRow(s, p, h, codedKeys, codedValues, result);
    return result;
  }

  void addRow(int s, int64_t p, int64_t h, const std::vector<float> &codedKeys,
              const std::vector<float> &codedValues,
              std::vector<double> &result) const {
    const float *q = query[s].data() + (p * heads + h) * size;
    const int64_t window = GetParam().window;
    std::vector<double> y(size, 0.0);
    double sum = 0;
    for (int64_t j = window ? std::max<int64_t>(p + 1 - window, 0) : 0; j <= p;
         ++j) {
      bool half = j < layout.first || j > p - layout.recent;
      size_t at = size_t((j * keyHeads + h / (heads / keyHeads)) * size);
      double score = 0;
      for (size_t i = 0; i < size; ++i)
        score +=
            double(q[i]) * (half ? asHalf(key[s][at + i]) : codedKeys[at + i]);
      double weight = std::exp(0.1 * score);
      sum += weight;
      for (size_t i = 0; i < size; ++i)
        y[i] +=
            weight * (half ? asHalf(value[s][at + i]) : codedValues[at + i]);
    }
    for (double v : y)
      result.push_back(v / sum);
  }
};

const Steps mixed = {{5, 64},  {58, 1}, {1, 31}, {0, 33}, {1, 140},
                     {130, 0}, {1, 1},  {1, 1},  {1, 1}};

TEST_P(LatestPositionsTest, promptsAndSingleTokens) {
  std::vector<double> wanted[2] = {expected(0, 198), expected(1, 272)};
  forEveryTarget([&] {
    std::array<std::vector<float>, 2> results = run(mixed);
    for (size_t s = 0; s < 2; ++s) {
      SCOPED_TRACE(s);
      expectClose(results[s], wanted[s], 3e-6);
    }
  });
}

/// Bit for bit: in one step, in a few, and token by token.
TEST_P(LatestPositionsTest, resultsDoNotDependOnTheSteps) {
  std::array<std::vector<float>, 2> few = run(mixed);
  EXPECT_EQ(run({{198, 272}}), few);
  Steps single(198, {1, 1});
  single.resize(272, {0, 1});
  EXPECT_EQ(run(single), few);
}

TEST_P(LatestPositionsTest, theCacheDoesNotDependOnTheSteps) {
  std::vector<uint8_t> after[2];
  for (int i = 0; i < 2; ++i) {
    run(i ? Steps{{198, 272}} : mixed);
    after[i].assign(pages - 3 * layout.slotBytes(),
                    pages + 2 * perSequence * layout.pageBytes());
  }
  EXPECT_EQ(after[0], after[1]);
}

INSTANTIATE_TEST_SUITE_P(
    Formats, LatestPositionsTest,
    testing::Values(LatestCase{"int4_asym_g32_zf", "int4_asym_g32_zf", 32, 0},
                    LatestCase{"int3_asym_g32_zf", "int3_asym_g16_zf", 32, 16},
                    LatestCase{"int2_g64", "int2_g32", 64, 32},
                    LatestCase{"int8", "int4", 32, 48},
                    LatestCase{"int8_asym_g32_zf", "f32", 96, 16, 120},
                    LatestCase{"int2_asym_g32_zf", "int8_g32", 64, 32, 40}));

} // namespace
} // namespace qopt::host
