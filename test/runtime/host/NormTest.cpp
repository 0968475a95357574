// Norms and activation quantization against f64, f32 and int8 results, with and
// without a residual.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Norm.h"
#include "lib/Quant/FloatConversion.h"
#include "runtime/host/QuantizedActivations.h"
#include "test/runtime/host/EveryTarget.h"

#include <limits>

namespace qopt::host {

static std::vector<double> reference(const std::vector<float> &x, int64_t rows,
                                     int64_t columns, bool layer,
                                     const std::vector<float> &scale,
                                     const std::vector<float> &bias) {
  std::vector<double> y;
  for (int64_t r = 0; r < rows; ++r) {
    const float *row = x.data() + r * columns;
    double mean = 0, square = 0;
    for (int64_t c = 0; c < columns && layer; ++c)
      mean += row[c] / double(columns);
    for (int64_t c = 0; c < columns; ++c)
      square += (row[c] - mean) * (row[c] - mean) / double(columns);
    double factor = 1 / std::sqrt(square + 1e-5);
    for (int64_t c = 0; c < columns; ++c)
      y.push_back((row[c] - mean) * factor * scale[size_t(c)] +
                  (layer ? bias[size_t(c)] : 0));
  }
  return y;
}

class NormTest : public testing::TestWithParam<bool> {
protected:
  void quantizesAndAdds(const ActivationFormat &format);
};

TEST_P(NormTest, equalsReference) {
  forEveryTarget([&] {
    for (auto [rows, columns] :
         {std::pair<int64_t, int64_t>{1, 1}, {3, 172}, {17, 64}, {64, 2048}}) {
      SCOPED_TRACE(columns);
      std::vector<float> x = randomValues(rows * columns, 1, 3);
      for (float &value : x)
        value += 2;
      std::vector<float> scale = randomValues(columns, 2);
      std::vector<float> bias = randomValues(columns, 3);
      std::vector<float> y = withThreads([&](ThreadPool &pool) {
        std::vector<float> out(x.size());
        NormArguments a;
        a.rows = rows;
        a.columns = columns;
        a.epsilon = 1e-5f;
        a.input = x.data();
        a.scale = scale.data();
        a.bias = GetParam() ? bias.data() : nullptr;
        a.output = out.data();
        (GetParam() ? layerNorm : rmsNorm)(a, pool);
        return out;
      });
      expectClose(y, reference(x, rows, columns, GetParam(), scale, bias),
                  2e-6);
    }
  });
}

/// Rows of heads that have scales of their own are those of norms of one head
/// each.
TEST_P(NormTest, headsHaveScalesOfTheirOwn) {
  const int64_t tokens = 3, heads = 2, columns = 20;
  std::vector<float> x = randomValues(tokens * heads * columns, 1);
  std::vector<float> scale = randomValues(heads * columns, 2);
  std::vector<float> bias = randomValues(heads * columns, 3);
  forEveryTarget([&] {
    ThreadPool pool(2);
    std::vector<float> y(x.size());
    NormArguments a;
    a.rows = tokens * heads;
    a.columns = columns;
    a.epsilon = 1e-5f;
    a.input = x.data();
    a.heads = heads;
    a.scale = scale.data();
    a.bias = GetParam() ? bias.data() : nullptr;
    a.output = y.data();
    (GetParam() ? layerNorm : rmsNorm)(a, pool);
    for (int64_t row = 0; row < a.rows; ++row) {
      auto part = [&](const std::vector<float> &values, int64_t index) {
        return std::vector<float>(values.begin() + index * columns,
                                  values.begin() + (index + 1) * columns);
      };
      expectClose(part(y, row),
                  reference(part(x, row), 1, columns, GetParam(),
                            part(scale, row % heads), part(bias, row % heads)),
                  2e-6);
    }
  });
}

/// The formats of records, one with a scale that is given.
static const ActivationFormat allFormats[] = {
    {ActivationCodes::Int8Blocks},
    {ActivationCodes::Int8Rows},
    {ActivationCodes::Fp8Rows},
    {ActivationCodes::Int8Rows, 0.01f},
    {ActivationCodes::Fp8Rows, 0.003f}};

/// The quantized result is the f32 result, quantized, and the residual sum is
/// kept.
TEST_P(NormTest, quantizesAndAdds) {
  for (const ActivationFormat &format : allFormats)
    quantizesAndAdds(format);
}

void NormTest::quantizesAndAdds(const ActivationFormat &format) {
  const int64_t rows = 5, columns = 172;
  std::vector<float> x = randomValues(rows * columns, 1);
  std::vector<float> residual = randomValues(rows * columns, 2);
  const QuantizedLayout layout{columns, format.codes};
  forEveryTarget([&] {
    ThreadPool pool(2);
    std::vector<float> sum(x.size()), y(x.size());
    std::vector<uint8_t> records(size_t(rows * layout.rowBytes()));
    std::vector<uint8_t> expected(records);
    NormArguments a;
    a.rows = rows;
    a.columns = columns;
    a.epsilon = 1e-5f;
    a.input = x.data();
    a.residual = residual.data();
    a.sum = sum.data();
    a.output = y.data();
    a.quantized = records.data();
    a.format = format;
    (GetParam() ? layerNorm : rmsNorm)(a, pool);
    quantizeActivations(y.data(), columns, rows, columns, format,
                        expected.data(), pool);
    EXPECT_EQ(expected, records);
    std::fill(records.begin(), records.end(), uint8_t{0});
    a.output = nullptr;
    (GetParam() ? layerNorm : rmsNorm)(a, pool);
    EXPECT_EQ(expected, records);
    for (size_t i = 0; i < x.size(); ++i)
      EXPECT_EQ(x[i] + residual[i], sum[i]);
  });
}

INSTANTIATE_TEST_SUITE_P(Kinds, NormTest, testing::Values(false, true),
                         [](const auto &info) {
                           return info.param ? "layer_norm" : "rms_norm";
                         });

/// Codes, scales, sums and padding follow the formula exactly.
TEST(QuantizeActivations, followsTheFormula) {
  const int64_t rows = 3, columns = 172;
  const QuantizedLayout layout{columns};
  std::vector<float> x = randomValues(rows * columns, 1);
  std::fill_n(x.begin() + 32, 32, 0.0f); // a block of zeros
  x[2] = -50;
  forEveryTarget([&] {
    ThreadPool pool(2);
    std::vector<uint8_t> records(size_t(rows * layout.rowBytes()), 0x55);
    quantizeActivations(x.data(), columns, rows, columns, {}, records.data(),
                        pool);
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t *record = records.data() + r * layout.rowBytes();
      const auto *codes = reinterpret_cast<const int8_t *>(record);
      for (int64_t b = 0; b < layout.blocks(); ++b) {
        float scale, largest = 0;
        int32_t sum, total = 0;
        std::memcpy(&scale, record + layout.scaleOffset() + 4 * b, 4);
        std::memcpy(&sum, record + layout.sumOffset() + 4 * b, 4);
        for (int64_t k = 32 * b; k < std::min(32 * b + 32, columns); ++k)
          largest = std::max(largest, std::abs(x[size_t(r * columns + k)]));
        EXPECT_EQ(largest / 127.0f, scale);
        for (int64_t k = 32 * b; k < 32 * b + 32; ++k) {
          float value = k < columns ? x[size_t(r * columns + k)] : 0;
          float inverse = scale > 0 ? 1.0f / scale : 0;
          EXPECT_EQ(std::nearbyint(value * inverse), codes[k]);
          total += codes[k];
        }
        EXPECT_EQ(total, sum);
      }
    }
  });
}

/// The records of one row, and what they stand for.
static std::vector<float> throughInt8(const std::vector<float> &x) {
  ThreadPool pool(1);
  const auto columns = int64_t(x.size());
  std::vector<uint8_t> records(size_t(QuantizedLayout{columns}.rowBytes()));
  quantizeActivations(x.data(), columns, 1, columns, {}, records.data(), pool);
  std::vector<float> y(x.size());
  dequantizeActivations(records.data(), 1, columns, ActivationCodes::Int8Blocks,
                        y.data(), pool);
  return y;
}

/// No code stands for it, so the scale does: at any place of a block its 32
/// values are NaN and no others.
TEST(QuantizeActivations, whatIsNotFiniteMakesItsBlockNaN) {
  using Limits = std::numeric_limits<float>;
  const std::vector<float> x = randomValues(76, 2);
  forEveryTarget([&] {
    const std::vector<float> finite = throughInt8(x);
    for (float odd :
         {Limits::quiet_NaN(), -Limits::quiet_NaN(), Limits::signaling_NaN(),
          Limits::infinity(), -Limits::infinity()})
      for (size_t at = 32; at < x.size(); ++at) {
        std::vector<float> changed = x;
        changed[at] = odd;
        std::vector<float> y = throughInt8(changed);
        for (size_t i = 0; i < y.size(); ++i)
          ASSERT_TRUE(i / 32 == at / 32 ? std::isnan(y[i]) : y[i] == finite[i])
              << odd << " at " << at << " gives " << y[i] << " at " << i;
      }
  });
}

/// Codes, scale and sum of a row with one scale follow the formula exactly, and
/// codes of fp8 those of lib/Quant, whichever values they are of.
TEST(QuantizeActivations, rowsFollowTheFormula) {
  const int64_t rows = 4, columns = 172;
  std::vector<float> x = randomValues(rows * columns, 3);
  std::fill_n(x.begin() + columns, columns, 0.0f); // a row of zeros
  for (int64_t k = 0; k < columns; ++k) // all magnitudes of fp8, ties included
    x[size_t(2 * columns + k)] = std::ldexp(1 + float(k % 16) / 16, -k / 8);
  for (const ActivationFormat &format : allFormats) {
    if (!format.isRowWise())
      continue;
    const bool fp8 = format.codes == ActivationCodes::Fp8Rows;
    const QuantizedLayout layout{columns, format.codes};
    forEveryTarget([&] {
      ThreadPool pool(2);
      std::vector<uint8_t> records(size_t(rows * layout.rowBytes()), 0x55);
      quantizeActivations(x.data(), columns, rows, columns, format,
                          records.data(), pool);
      for (int64_t r = 0; r < rows; ++r) {
        const uint8_t *record = records.data() + r * layout.rowBytes();
        const float *row = x.data() + r * columns;
        float scale, largest = 0;
        int32_t sum, total = 0;
        std::memcpy(&scale, record + layout.scaleOffset(), 4);
        std::memcpy(&sum, record + layout.sumOffset(), 4);
        for (int64_t k = 0; k < columns; ++k)
          largest = std::max(largest, std::abs(row[k]));
        const float most = fp8 ? 448.0f : 127.0f;
        ASSERT_EQ(format.scale > 0 ? format.scale : largest / most, scale);
        const float inverse = scale > 0 ? 1.0f / scale : 0;
        for (int64_t k = 0; k < layout.scaleOffset(); ++k) {
          float value = k < columns ? row[k] * inverse : 0;
          value = std::clamp(value, -most, most);
          if (fp8) {
            ASSERT_EQ(quant::floatToE4m3(value), record[k]) << value;
          } else {
            ASSERT_EQ(std::nearbyint(value), int8_t(record[k])) << value;
            total += int8_t(record[k]);
          }
        }
        ASSERT_EQ(total, sum);
      }
    });
  }
}

/// A row with a value that is not finite is NaN, with a given scale too.
TEST(QuantizeActivations, whatIsNotFiniteMakesItsRowNaN) {
  const int64_t columns = 76;
  for (const ActivationFormat &format : allFormats)
    for (float odd : {std::numeric_limits<float>::quiet_NaN(),
                      -std::numeric_limits<float>::infinity()}) {
      if (!format.isRowWise())
        continue;
      std::vector<float> x = randomValues(2 * columns, 4);
      x[size_t(columns + 75)] = odd;
      const QuantizedLayout layout{columns, format.codes};
      forEveryTarget([&] {
        ThreadPool pool(1);
        std::vector<uint8_t> records(size_t(2 * layout.rowBytes()));
        std::vector<float> y(x.size());
        quantizeActivations(x.data(), columns, 2, columns, format,
                            records.data(), pool);
        dequantizeActivations(records.data(), 2, columns, format.codes,
                              y.data(), pool);
        for (size_t i = 0; i < y.size(); ++i)
          ASSERT_EQ(i >= size_t(columns), std::isnan(y[i])) << i;
      });
    }
}

/// The largest and the smallest values that there are.
TEST(QuantizeActivations, extremesStayInRange) {
  using Limits = std::numeric_limits<float>;
  for (float most :
       {3e38f, Limits::min(), 1e-38f, 3e-39f, 1e-42f, Limits::denorm_min()}) {
    std::vector<float> x(32, 0.0f);
    x[3] = most;
    x[7] = -most;
    x[9] = most / 2;
    forEveryTarget([&] {
      std::vector<float> y = throughInt8(x);
      for (size_t i = 0; i < x.size(); ++i)
        // Scales below 2^-128 have no inverse: their values may be lost.
        ASSERT_LE(std::abs(y[i] - x[i]), std::max(most / 127, 4e-37f))
            << most << " at " << i;
    });
  }
}

} // namespace qopt::host
