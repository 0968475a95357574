// Activations, gates, rotary embedding and its table against libm in f64.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Activation.h"
#include "runtime/host/QuantizedActivations.h"
#include "runtime/host/Rotary.h"
#include "test/runtime/host/EveryTarget.h"
#include <limits>

namespace qopt::host {

static double exact(ActivationKind kind, double x) {
  double cube = 0.044715 * x * x * x;
  switch (kind) {
  case ActivationKind::Silu:
    return x / (1 + std::exp(-x));
  case ActivationKind::GeluErf:
    return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  case ActivationKind::GeluTanh:
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + cube)));
  case ActivationKind::GeluQuick:
    return x / (1 + std::exp(-1.702 * x));
  case ActivationKind::Relu:
    return x > 0 ? x : 0;
  case ActivationKind::Tanh:
    return std::tanh(x);
  case ActivationKind::Sigmoid:
    return 1 / (1 + std::exp(-x));
  }
  return 0;
}

class ActivationTest : public testing::TestWithParam<ActivationKind> {};

TEST_P(ActivationTest, isAccurate) {
  std::vector<float> x;
  for (int i = -4100; i <= 4100; ++i)
    x.push_back(static_cast<float>(i) * 0.00731f);
  for (float value : {0.0f, -0.0f, 1e-30f, -1e-20f, 1e-5f, 90.0f, -90.0f,
                      1000.0f, -1000.0f, 3e38f, -3e38f})
    x.push_back(value);
  forEveryTarget([&] {
    std::vector<float> y = withThreads([&](ThreadPool &pool) {
      std::vector<float> out(x.size());
      activation(GetParam(), x.data(), out.data(), int64_t(x.size()), pool);
      return out;
    });
    for (size_t i = 0; i < x.size(); ++i) {
      double expected = exact(GetParam(), x[i]);
      double error = std::abs(y[i] - expected);
      ASSERT_LE(error, 5e-7 * std::max(1.0, std::abs(expected)))
          << x[i] << ": got " << y[i] << ", expected " << expected;
    }
  });
}

TEST_P(ActivationTest, keepsWhatIsNotANumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> x(37, 1.0f);
  for (size_t i : {size_t(0), size_t(5), size_t(31), size_t(36)})
    x[i] = nan;
  forEveryTarget([&] {
    std::vector<float> y = withThreads([&](ThreadPool &pool) {
      std::vector<float> out(x.size());
      activation(GetParam(), x.data(), out.data(), int64_t(x.size()), pool);
      for (float &value : out) // NaN equals nothing, not even itself
        value = std::isnan(value) ? -1.0f : 0.0f;
      return out;
    });
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(y[i] != 0, std::isnan(x[i])) << i;
  });
}

TEST_P(ActivationTest, gates) {
  const int64_t rows = 4, columns = 1100;
  std::vector<float> x = randomValues(rows * 2 * columns, 1);
  forEveryTarget([&] {
    std::vector<float> y = withThreads([&](ThreadPool &threads) {
      std::vector<float> out(size_t(rows * columns));
      GatedActivationArguments a;
      a.kind = GetParam();
      a.rows = rows;
      a.columns = columns;
      a.gate = x.data();
      a.up = x.data() + columns;
      a.gateStride = a.upStride = 2 * columns;
      a.output = out.data();
      gatedActivation(a, threads);
      for (ActivationCodes codes :
           {ActivationCodes::Int8Blocks, ActivationCodes::Int8Rows,
            ActivationCodes::Fp8Rows}) {
        const QuantizedLayout layout{columns, codes};
        std::vector<uint8_t> records(size_t(rows * layout.rowBytes()));
        std::vector<uint8_t> expectedRecords(records);
        a.output = nullptr;
        a.quantized = records.data();
        a.format = {codes};
        gatedActivation(a, threads);
        quantizeActivations(out.data(), columns, rows, columns, {codes},
                            expectedRecords.data(), threads);
        EXPECT_EQ(expectedRecords, records);
      }
      return out;
    });
    std::vector<double> expected;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        expected.push_back(exact(GetParam(), x[size_t(r * 2 * columns + c)]) *
                           x[size_t((r * 2 + 1) * columns + c)]);
    expectClose(y, expected, 1e-6);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, ActivationTest,
    testing::Values(ActivationKind::Silu, ActivationKind::GeluErf,
                    ActivationKind::GeluTanh, ActivationKind::GeluQuick,
                    ActivationKind::Relu, ActivationKind::Tanh,
                    ActivationKind::Sigmoid));

TEST(RotaryTable, isAccurateUpToAMillion) {
  std::vector<int32_t> positions = {0, 1, 2, 3, 511, 4096, 131071, 1000000};
  std::vector<float> frequencies;
  for (int i = 0; i < 21; ++i)
    frequencies.push_back(float(std::pow(10000.0, -i / 21.0)));
  forEveryTarget([&] {
    std::vector<float> table = withThreads([&](ThreadPool &pool) {
      std::vector<float> out(2 * positions.size() * frequencies.size());
      RotaryTableArguments a;
      a.tokens = int64_t(positions.size());
      a.count = int64_t(frequencies.size());
      a.positions = positions.data();
      a.inverseFrequencies = frequencies.data();
      a.scale = 1.5f;
      a.cos = out.data();
      a.sin = out.data() + out.size() / 2;
      rotaryTable(a, pool);
      return out;
    });
    size_t i = 0;
    for (int32_t position : positions)
      for (float frequency : frequencies) {
        double angle = double(position) * frequency;
        EXPECT_NEAR(1.5 * std::cos(angle), table[i], 3e-7);
        EXPECT_NEAR(1.5 * std::sin(angle), table[table.size() / 2 + i], 3e-7);
        ++i;
      }
  });
}

struct RotaryCase {
  int64_t headSize, rotated;
  bool interleaved;
};
class RotaryTest : public testing::TestWithParam<RotaryCase> {};

TEST_P(RotaryTest, equalsReference) {
  auto [size, rotated, interleaved] = GetParam();
  const int64_t tokens = 7, heads = 3, stride = (heads + 2) * size;
  const int64_t half = rotated / 2, tableRows = 5;
  std::vector<float> x = randomValues(tokens * stride, 1);
  std::vector<float> cos = randomValues(tableRows * half, 2);
  std::vector<float> sin = randomValues(tableRows * half, 3);
  std::vector<double> expected;
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t h = 0; h < heads; ++h) {
      const float *in = x.data() + t * stride + h * size;
      std::vector<double> out(in, in + size);
      for (int64_t i = 0; i < half; ++i) {
        int64_t a = interleaved ? 2 * i : i,
                b = interleaved ? 2 * i + 1 : half + i;
        double c = cos[size_t(t % tableRows * half + i)];
        double s = sin[size_t(t % tableRows * half + i)];
        out[size_t(a)] = in[a] * c - in[b] * s;
        out[size_t(b)] = in[a] * s + in[b] * c;
      }
      expected.insert(expected.end(), out.begin(), out.end());
    }
  forEveryTarget([&] {
    RotaryArguments a;
    a.tokens = tokens;
    a.heads = heads;
    a.headSize = size;
    a.rotated = rotated;
    a.interleaved = interleaved;
    a.cos = cos.data();
    a.sin = sin.data();
    a.tableRows = tableRows;
    a.inputStride = stride;
    std::vector<float> y = withThreads([&](ThreadPool &pool) {
      std::vector<float> out(size_t(tokens * heads * size));
      RotaryArguments b = a;
      b.input = x.data();
      b.output = out.data();
      b.outputStride = heads * size;
      rotary(b, pool);
      return out;
    });
    expectClose(y, expected, 1e-6);
    std::vector<float> inPlace = x;
    ThreadPool pool(2);
    a.input = a.output = inPlace.data();
    a.outputStride = stride;
    rotary(a, pool);
    for (int64_t i = 0; i < heads * size; ++i)
      EXPECT_EQ(y[size_t(i)], inPlace[size_t(i)]);
    EXPECT_EQ(x[size_t(heads * size)], inPlace[size_t(heads * size)]);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, RotaryTest,
    testing::Values(RotaryCase{64, 64, false}, RotaryCase{64, 64, true},
                    RotaryCase{80, 32, false}, RotaryCase{80, 32, true},
                    RotaryCase{10, 6, false}, RotaryCase{8, 8, true}));

} // namespace qopt::host
