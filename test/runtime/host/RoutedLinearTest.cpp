// Rows that take an expert are those of a linear of these rows alone, all
// others are 0, and of a weight that nobody takes nothing is read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/RoutedLinear.h"
#include "runtime/host/QuantizedActivations.h"
#include "test/runtime/host/EveryTarget.h"
#include "test/runtime/host/StoredWeight.h"

#include <cmath>
#include <limits>

namespace qopt::host {

namespace {
constexpr int64_t rows = 40, columns = 96, gap = 7;

/// A linear of x, whose rows lie apart, or of its codes.
struct Product {
  Product(const std::string &format, int64_t tokens, bool hasCodes)
      : weight(format, rows, columns),
        layout(*linearLayout(weight.format, rows, columns)),
        packed(size_t(layout.packedBytes()) + 64), tokens(tokens),
        x(randomValues(tokens * (columns + gap), 5)),
        bias(randomValues(rows, 6)) {
    start = packed.data() + 64 - uintptr_t(packed.data()) % 64;
    packWeight(layout, weight.stored(), start);
    if (!hasCodes)
      return;
    records.resize(size_t(tokens * QuantizedLayout{columns}.rowBytes()));
    ThreadPool one(1);
    quantizeActivations(x.data(), columns + gap, tokens, columns, {},
                        records.data(), one);
  }

  /// Of `count` rows from `first` on, into `output`.
  LinearArguments arguments(int64_t first, int64_t count, float *output) {
    LinearArguments a;
    a.layout = layout;
    a.weight = start;
    a.rows = count;
    a.inputStride = columns + gap;
    if (records.empty())
      a.input = x.data() + first * a.inputStride;
    else
      a.quantized =
          records.data() + first * QuantizedLayout{columns}.rowBytes();
    a.bias = bias.data();
    a.output = output;
    a.outputStride = rows + gap;
    return a;
  }

  StoredWeight weight;
  LinearLayout layout;
  std::vector<uint8_t> packed, records;
  uint8_t *start;
  int64_t tokens;
  std::vector<float> x, bias;
};

/// The output of all tokens, gaps included, which stay as they were.
std::vector<float> routed(Product &product, const std::vector<float> &share,
                          bool hasWeight = true) {
  ThreadPool pool(2);
  std::vector<float> out(size_t(product.tokens * (rows + gap)), 99.0f),
      gathered(size_t(product.tokens * (columns + 64)));
  RoutedLinearArguments a;
  a.linear = product.arguments(0, product.tokens, out.data());
  if (!hasWeight)
    a.linear.weight = nullptr;
  a.share = share.data();
  a.shareStride = 2;
  a.gathered = gathered.data();
  routedLinear(a, pool);
  return out;
}
} // namespace

TEST(RoutedLinear, takesTheRowsThatHaveAShare) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // Every second number is another expert's.
  const std::vector<std::vector<float>> shares = {
      {0, 1, .5f, 0, 0, 1, 0, 1, 1e-30f, 0, -1, 0, 0, 1},
      {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0},
      {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, nan, 1},
      {1, 0, -0.0f, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}};
  for (const char *format : {"f32", "int8", "int4_g32", "lut4_g96"})
    for (bool hasCodes : {false, true}) {
      if (hasCodes && std::string(format) == "f32")
        continue;
      Product product(format, 7, hasCodes);
      for (const std::vector<float> &share : shares)
        forEveryTarget([&] {
          std::vector<float> out = routed(product, share);
          for (int64_t token = 0; token < 7; ++token) {
            std::vector<float> expected(size_t(rows + gap), 0.0f);
            ThreadPool one(1);
            if (share[size_t(2 * token)] != 0)
              linear(product.arguments(token, 1, expected.data()), one);
            std::fill(expected.begin() + rows, expected.end(), 99.0f);
            for (int64_t j = 0; j < rows + gap; ++j)
              ASSERT_NEAR(out[size_t(token * (rows + gap) + j)],
                          expected[size_t(j)], 1e-4f)
                  << format << hasCodes << " " << token << " " << j;
          }
        });
    }
}

TEST(RoutedLinear, readsNothingOfAWeightThatNobodyTakes) {
  Product product("int8", 3, false);
  std::vector<float> out = routed(product, {0, 1, 0, 1, 0, 1}, false);
  for (int64_t token = 0; token < 3; ++token)
    for (int64_t j = 0; j < rows; ++j)
      EXPECT_EQ(out[size_t(token * (rows + gap) + j)], 0);
  Product none("int8", 0, false);
  EXPECT_TRUE(routed(none, {}).empty());
}

} // namespace qopt::host
