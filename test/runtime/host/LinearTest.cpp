// The linear kernel equals an f64 sum over the dequantized weight, for every
// format, for shapes that fill no block or tile, and in every epilogue.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Linear.h"
#include "runtime/host/Embedding.h"
#include "runtime/host/QuantizedActivations.h"
#include "test/runtime/host/EveryTarget.h"
#include "test/runtime/host/StoredWeight.h"

#include <limits>

namespace qopt::host {

static std::vector<uint8_t> quantized(const std::vector<float> &x, int64_t rows,
                                      int64_t columns, ActivationCodes codes) {
  ThreadPool pool(1);
  std::vector<uint8_t> records(
      static_cast<size_t>(rows * QuantizedLayout{columns, codes}.rowBytes()));
  quantizeActivations(x.data(), columns, rows, columns, {codes}, records.data(),
                      pool);
  return records;
}

static std::vector<float> dequantized(const std::vector<uint8_t> &records,
                                      int64_t rows, int64_t columns,
                                      ActivationCodes codes) {
  ThreadPool pool(1);
  std::vector<float> x(static_cast<size_t>(rows * columns));
  dequantizeActivations(records.data(), rows, columns, codes, x.data(), pool);
  return x;
}

/// y = x · Wᵀ + bias + residual in f64.
static std::vector<double> reference(const std::vector<float> &x,
                                     const std::vector<float> &w, int64_t m,
                                     int64_t n, int64_t k,
                                     const std::vector<float> &bias,
                                     const std::vector<float> &residual) {
  std::vector<double> y;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = bias.empty() ? 0 : bias[size_t(j)];
      sum += residual.empty() ? 0 : residual[size_t(i * n + j)];
      for (int64_t l = 0; l < k; ++l)
        sum += double(x[size_t(i * k + l)]) * w[size_t(j * k + l)];
      y.push_back(sum);
    }
  return y;
}

/// The codes of what a linear reads; blocks of int8 where a case says `true`.
struct Reads {
  Reads(bool blocks) : hasCodes(blocks) {}
  Reads(ActivationCodes codes) : hasCodes(true), codes(codes) {}
  const char *suffix() const {
    static const char *const ofCodes[] = {"_a8", "_a8rows", "_f8rows",
                                          "_a8centred"};
    return hasCodes ? ofCodes[size_t(codes)] : "_a32";
  }
  bool hasCodes;
  ActivationCodes codes = ActivationCodes::Int8Blocks;
};

struct LinearCase {
  std::string format;
  Reads reads;
};

static void checkLinear(const LinearCase &c, int64_t m, int64_t n, int64_t k,
                        bool epilogue) {
  SCOPED_TRACE(testing::Message() << m << "x" << n << "x" << k);
  StoredWeight weight(c.format, n, k);
  PackedWeight packed(weight);
  std::vector<float> x = randomValues(m * k, 3), bias, residual;
  std::vector<uint8_t> records;
  if (epilogue) {
    bias = randomValues(n, 4);
    residual = randomValues(m * n, 5);
  }
  if (c.reads.hasCodes) {
    records = quantized(x, m, k, c.reads.codes);
    x = dequantized(records, m, k, c.reads.codes);
  }
  std::vector<double> expected =
      reference(x, weight.values, m, n, k, bias, residual);
  std::vector<float> y = withThreads([&](ThreadPool &pool) {
    std::vector<float> out(static_cast<size_t>(m * n));
    LinearArguments a;
    a.layout = packed.layout;
    a.weight = packed.data();
    a.rows = m;
    a.input = records.empty() ? x.data() : nullptr;
    a.inputStride = k;
    a.quantized = records.empty() ? nullptr : records.data();
    a.codes = c.reads.codes;
    a.bias = epilogue ? bias.data() : nullptr;
    if (epilogue) {
      out = residual; // in place
      a.residual = out.data();
      a.residualStride = n;
    }
    a.output = out.data();
    a.outputStride = n;
    linear(a, pool);
    return out;
  });
  expectClose(y, expected, 3e-6 * std::sqrt(double(k)));
}

class LinearTest : public testing::TestWithParam<LinearCase> {
protected:
  void check(int64_t m, int64_t n, int64_t k, bool epilogue) {
    checkLinear(GetParam(), m, n, k, epilogue);
  }
};

TEST_P(LinearTest, equalsReference) {
  forEveryTarget([&] {
    for (int64_t m : {1, 3, 17, 64})
      check(m, 40, 172, false);
    check(2, 64, 256, true);
    check(1, 1, 1, true);
    check(5, 130, 96, true);
    check(33, 16, 512, false);
  });
}

TEST_P(LinearTest, threadsShareLargeWork) {
  forEveryTarget([&] { check(1, 600, 320, true); });
  forEveryTarget([&] { check(70, 600, 320, true); });
}

/// More rows, columns and tiles than one pass of any kernel takes.
TEST(Linear, severalPasses) {
  for (const LinearCase &c :
       {LinearCase{"int4_g32", true}, LinearCase{"int8", true},
        LinearCase{"int3_g32", true}, LinearCase{"int2_g32", true},
        LinearCase{"int4_asym_g32_s6", true}, LinearCase{"int3_g32_s6", false},
        LinearCase{"lut4_g32", true}, LinearCase{"lut3_g32", false},
        LinearCase{"f32", false}, LinearCase{"bf16", false}}) {
    SCOPED_TRACE(c.format);
    checkLinear(c, 530, 290, 1100, true);
  }
  checkLinear({"int4_asym_g64", true}, 420, 16, 2080, false);
}

/// A row has the same bits alone and among others; with f32 activations among
/// less than 32 or among more.
TEST_P(LinearTest, rowsAreIndependent) {
  const int64_t m = 37, n = 100, k = 172;
  StoredWeight weight(GetParam().format, n, k);
  PackedWeight packed(weight);
  std::vector<float> x = randomValues(m * k, 6);
  const Reads reads = GetParam().reads;
  std::vector<uint8_t> records = quantized(x, m, k, reads.codes);
  ThreadPool pool(1);
  auto run = [&](int64_t first, int64_t count) {
    std::vector<float> out(static_cast<size_t>(count * n));
    LinearArguments a;
    a.layout = packed.layout;
    a.weight = packed.data();
    a.rows = count;
    a.codes = reads.codes;
    if (reads.hasCodes)
      a.quantized =
          records.data() + first * QuantizedLayout{k, reads.codes}.rowBytes();
    else
      a.input = x.data() + first * k;
    a.inputStride = k;
    a.output = out.data();
    a.outputStride = n;
    linear(a, pool);
    return out;
  };
  forEveryTarget([&] {
    std::vector<float> all = run(0, m);
    std::vector<float> most = run(2, m - 2);
    EXPECT_TRUE(std::equal(most.begin(), most.end(), all.begin() + 2 * n));
    std::vector<float> few = run(3, 5);
    for (int64_t row : {3, 5, 7}) {
      std::vector<float> alone = run(row, 1);
      EXPECT_TRUE(
          std::equal(alone.begin(), alone.end(), few.begin() + (row - 3) * n));
      if (reads.hasCodes)
        EXPECT_TRUE(
            std::equal(alone.begin(), alone.end(), all.begin() + row * n));
      for (int64_t i = 0; i < n; ++i)
        EXPECT_NEAR(alone[size_t(i)], all[size_t(row * n + i)], 2e-5);
    }
  });
}

/// One value of a row that is not finite makes no result of the row finite,
/// whatever the weights are, and leaves the other rows as they were.
TEST_P(LinearTest, whatIsNotFiniteSpreads) {
  const int64_t n = 40, k = 172;
  StoredWeight weight(GetParam().format, n, k);
  PackedWeight packed(weight);
  ThreadPool pool(1);
  auto run = [&](const std::vector<float> &x) {
    const auto m = int64_t(x.size()) / k;
    const Reads reads = GetParam().reads;
    std::vector<uint8_t> records = quantized(x, m, k, reads.codes);
    std::vector<float> out(static_cast<size_t>(m * n));
    LinearArguments a;
    a.layout = packed.layout;
    a.weight = packed.data();
    a.rows = m;
    a.codes = reads.codes;
    a.quantized = reads.hasCodes ? records.data() : nullptr;
    a.input = reads.hasCodes ? nullptr : x.data();
    a.inputStride = k;
    a.output = out.data();
    a.outputStride = n;
    linear(a, pool);
    return out;
  };
  for (int64_t m : {1, 3, 37}) // one row, a few, and enough for tiles
    forEveryTarget([&] {
      std::vector<float> x = randomValues(m * k, 7), finite = run(x);
      for (float odd : {std::numeric_limits<float>::quiet_NaN(),
                        std::numeric_limits<float>::infinity()}) {
        std::vector<float> changed = x;
        changed[size_t(m / 2 * k + 170)] = odd;
        std::vector<float> y = run(changed);
        for (int64_t i = 0; i < m * n; ++i)
          ASSERT_TRUE(i / n == m / 2 ? !std::isfinite(y[size_t(i)])
                                     : y[size_t(i)] == finite[size_t(i)])
              << m << " rows, " << odd << " gives " << y[size_t(i)];
      }
    });
}

INSTANTIATE_TEST_SUITE_P(
    Formats, LinearTest,
    testing::Values(
        LinearCase{"f32", false}, LinearCase{"f16", false},
        LinearCase{"bf16", false}, LinearCase{"int8", false},
        LinearCase{"int8", true}, LinearCase{"int8_g128", true},
        LinearCase{"int8_asym_g64", true}, LinearCase{"int8_asym_g64", false},
        LinearCase{"int4_g32", true}, LinearCase{"int4_g32", false},
        LinearCase{"int4_g64_sf32", true}, LinearCase{"int4_g128", true},
        LinearCase{"int4_asym_g32", true}, LinearCase{"int4_asym_g32_zf", true},
        LinearCase{"int4_asym_g32_zf", false},
        LinearCase{"int8_asym_g32_zf", true},
        LinearCase{"int4_asym_g128", false}, LinearCase{"int8_tensor", true},
        LinearCase{"fp8_e4m3", false}, LinearCase{"fp8_e4m3_g64", false},
        LinearCase{"int3_g128", true}, LinearCase{"int3_g32", false},
        LinearCase{"int3_asym_g64", true}, LinearCase{"int3_asym_g32", false},
        LinearCase{"int3_asym_g64_zf", true}, LinearCase{"int3", false},
        LinearCase{"int6_g32_s6", true}, LinearCase{"int6_g32", false},
        LinearCase{"int6_asym_g64", true}, LinearCase{"int6_asym_g32_zf", true},
        LinearCase{"int6", false}, LinearCase{"int5_g32_s6", true},
        LinearCase{"int5_g128", false}, LinearCase{"int5_asym_g32_s8", true},
        LinearCase{"int5_asym_g32_zf", false}, LinearCase{"int5", true},
        LinearCase{"int2_g64", true}, LinearCase{"int2_g32", false},
        LinearCase{"int2_asym_g32", true}, LinearCase{"int2_asym_g128", false},
        LinearCase{"int2_asym_g32_zf", true},
        LinearCase{"int2_asym_g32_zf", false}, LinearCase{"int2_tensor", true},
        LinearCase{"int4_g32_s6", true}, LinearCase{"int4_g32_s6", false},
        LinearCase{"int4_asym_g32_s6", true},
        LinearCase{"int4_asym_g64_s8", false}, LinearCase{"int3_g64_s6", true},
        LinearCase{"int3_asym_g32_s6", true},
        LinearCase{"int3_asym_g32_s8", false},
        LinearCase{"int2_asym_g32_s6", true}, LinearCase{"int2_g128_s8", false},
        LinearCase{"int8_g32_s8", true}, LinearCase{"int8_asym_g32_s6", true},
        LinearCase{"fp8_e4m3_g32_s6", false}, LinearCase{"lut4_g128", true},
        LinearCase{"lut4_g32_s6", true}, LinearCase{"lut4_g32_s6", false},
        LinearCase{"lut3_g64", true}, LinearCase{"lut3_g32_s6", true},
        LinearCase{"lut3_g128", false}, LinearCase{"lut4", false},
        LinearCase{"int4_g16", false}, LinearCase{"int4_asym_g16", false},
        LinearCase{"int4_asym_g16_zf_sf32", false},
        LinearCase{"int8_g16_sf32", false}, LinearCase{"int6_g16", false},
        LinearCase{"int5_asym_g16_s6", false}, LinearCase{"int3_g16", false},
        LinearCase{"int3_asym_g16_s6", false}, LinearCase{"int2_g16_s8", false},
        LinearCase{"lut4_g16", false}, LinearCase{"lut3_g16_s6", false},
        LinearCase{"fp8_e4m3_g16", false}, LinearCase{"fp8_e5m2", false},
        LinearCase{"fp8_e5m2_g64_sf32", false}, LinearCase{"mxfp4", true},
        LinearCase{"mxfp4", false}, LinearCase{"fp4_e2m1_g16", false},
        LinearCase{"fp4_e2m1_g32_s6", true}, LinearCase{"fp4_e2m1_g64", true},
        LinearCase{"nvfp4", false}, LinearCase{"fp4_e2m1_g32_se4m3", true},
        LinearCase{"nf4_g64", false}, LinearCase{"nf4", false},
        LinearCase{"nf4_g16_sbf16", false}, LinearCase{"nf4_g32_s8", false},
        LinearCase{"fp8_e4m3_b128", false}, LinearCase{"nf4_b32", false},
        LinearCase{"fp8_e4m3_g32_se8m0", false},
        LinearCase{"int4_asym_g32_zf_sbf16", true},
        LinearCase{"int4_restricted_g32_se8m0", true},
        LinearCase{"int3_restricted_g64_s6", true},
        LinearCase{"int8_full", true}, LinearCase{"int8_full_g64_s8", true},
        LinearCase{"int8", ActivationCodes::Int8Rows},
        LinearCase{"int8_tensor", ActivationCodes::Int8Rows},
        LinearCase{"fp8_e4m3", ActivationCodes::Fp8Rows},
        LinearCase{"fp8_e4m3_tensor", ActivationCodes::Fp8Rows}),
    [](const auto &info) {
      return info.param.format + info.param.reads.suffix();
    });

/// With one scale a row the sum is exact in int32, then come the scale of x and
/// that of the weight: every bit is known, also where a sum of the codes as
/// they are stored would not fit 32 bits.
TEST(Linear, rowsOfInt8HaveTheBitsOfTheFormula) {
  for (auto [n, k] : {std::pair<int64_t, int64_t>{37, 172},
                      {20, 96},
                      {16, quant::longestInt8Sum}}) {
    const int64_t m = k > 1000 ? 5 : 19;
    StoredWeight weight("int8", n, k);
    if (k > 1000)
      std::fill(weight.codes.begin(), weight.codes.end(), uint8_t(0x80));
    PackedWeight packed(weight);
    std::vector<float> x = randomValues(m * k, 9);
    if (k > 1000)
      std::fill(x.begin(), x.end(), -1.0f);
    std::vector<uint8_t> records =
        quantized(x, m, k, ActivationCodes::Int8Rows);
    const QuantizedLayout layout{k, ActivationCodes::Int8Rows};
    const auto *scales = reinterpret_cast<const float *>(weight.scales.data());
    for (int64_t rows : {int64_t{1}, int64_t{3}, int64_t{5}, m})
      forEveryTarget([&] {
        ThreadPool pool(2);
        std::vector<float> out(size_t(rows * n));
        LinearArguments a;
        a.layout = packed.layout;
        a.weight = packed.data();
        a.rows = rows;
        a.quantized = records.data();
        a.codes = ActivationCodes::Int8Rows;
        a.output = out.data();
        a.outputStride = n;
        linear(a, pool);
        for (int64_t i = 0; i < rows; ++i) {
          const uint8_t *record = records.data() + i * layout.rowBytes();
          float scale;
          std::memcpy(&scale, record + layout.scaleOffset(), 4);
          for (int64_t j = 0; j < n; ++j) {
            int64_t sum = 0;
            for (int64_t l = 0; l < k; ++l)
              sum += int64_t(int8_t(record[l])) *
                     int8_t(weight.codes[size_t(j * k + l)]);
            ASSERT_EQ(float(sum) * scale * scales[j], out[size_t(i * n + j)])
                << i << ", " << j;
          }
        }
      });
  }
}

/// What a sum of 16 or fewer bits of fraction would lose: one large product and
/// many that are below its last places.
TEST(Linear, fp8SumsKeepSmallProductsBesideLargeOnes) {
  const int64_t n = 16, k = 4096;
  StoredWeight weight("fp8_e4m3", n, k);
  std::fill(weight.codes.begin(), weight.codes.end(), uint8_t(0x38)); // 1
  for (int64_t j = 0; j < n; ++j)
    weight.codes[size_t(j * k)] = 0x7e; // 448
  PackedWeight packed(weight);
  const auto *scales = reinterpret_cast<const float *>(weight.scales.data());
  for (int64_t m : {1, 5}) {
    std::vector<float> x(size_t(m * k), 1.0f / 64);
    for (int64_t i = 0; i < m; ++i)
      x[size_t(i * k)] = 448; // the scale is 1
    std::vector<uint8_t> records = quantized(x, m, k, ActivationCodes::Fp8Rows);
    forEveryTarget([&] {
      ThreadPool pool(1);
      std::vector<float> out(size_t(m * n));
      LinearArguments a;
      a.layout = packed.layout;
      a.weight = packed.data();
      a.rows = m;
      a.quantized = records.data();
      a.codes = ActivationCodes::Fp8Rows;
      a.output = out.data();
      a.outputStride = n;
      linear(a, pool);
      for (int64_t i = 0; i < m * n; ++i)
        ASSERT_EQ((448.0f * 448 + 4095.0f / 64) * scales[i % n],
                  out[size_t(i)]);
    });
  }
}

/// The drawing in LinearLayout.h: columns 4q … 4q + 3 of a row are four bytes
/// of line q mod b, from bit b · (q div b) on, where b is 2 for int2 and int3,
/// 4 for int5 and int6; the other bits are in the lines behind.
TEST(LinearLayout, placesOfShortCodes) {
  for (const char *format :
       {"int2_asym_g32", "int3_asym_g32", "int5_asym_g32", "int6_asym_g32"}) {
    SCOPED_TRACE(format);
    StoredWeight weight(format, 16, 64);
    const quant::Element &element = quant::elementOf(weight.format.element);
    const int low = element.bits > 4 ? 4 : 2;
    PackedWeight packed(weight);
    const uint8_t *tile = static_cast<const uint8_t *>(packed.data());
    ASSERT_EQ(packed.layout.codeBytes(), 2 * 64 * element.bits);
    std::vector<int16_t> codes(64);
    for (int64_t row = 0; row < 16; ++row) {
      element.unpackUnsigned(weight.codes.data() + row * 8 * element.bits, 64,
                             codes.data());
      for (int64_t k = 0; k < 64; ++k) {
        const uint8_t *block = tile + k / 32 * 64 * element.bits;
        const int64_t quad = k % 32 / 4, byte = row * 4 + k % 4;
        const uint8_t *rest = block + low * 64 + byte;
        int code = block[quad % low * 64 + byte] >> quad / low * low &
                   ((1 << low) - 1);
        if (element.bits - low == 1)
          code |= (rest[0] >> quad & 1) << low;
        if (element.bits - low == 2)
          code |= (rest[quad % 2 * 64] >> quad / 2 * 2 & 3) << low;
        ASSERT_EQ(codes[size_t(k)], code) << row << ", " << k;
      }
    }
  }
}

/// The drawing in LinearLayout.h: lines of 16 fields, and the units behind.
TEST(LinearLayout, placesOfTwoLevels) {
  StoredWeight weight("int3_asym_g32_s6", 16, 320);
  PackedWeight packed(weight);
  const LinearLayout &layout = packed.layout;
  // 10 lines of 12 bytes, 10 of 6, 2 of 32, each padded to 64.
  ASSERT_EQ(layout.zeroOffset() - layout.scaleOffset(), 128);
  ASSERT_EQ(layout.unitOffset() - layout.zeroOffset(), 64);
  ASSERT_EQ(layout.tileBytes() - layout.unitOffset(), 64);
  const uint8_t *tile = static_cast<const uint8_t *>(packed.data());
  auto bitsAt = [](const uint8_t *bytes, int64_t bit, int count) {
    int value = 0;
    for (int i = 0; i < count; ++i)
      value |= (bytes[(bit + i) / 8] >> (bit + i) % 8 & 1) << i;
    return value;
  };
  for (int64_t row = 0; row < 16; ++row) {
    const uint8_t *scales = weight.scales.data() + row * 12;
    ASSERT_EQ(0, std::memcmp(scales, tile + layout.unitOffset() + 2 * row, 2));
    ASSERT_EQ(0, std::memcmp(scales + 2,
                             tile + layout.unitOffset() + 32 + 2 * row, 2));
    for (int64_t g = 0; g < 10; ++g) {
      ASSERT_EQ(bitsAt(scales + 4, 6 * g, 6),
                bitsAt(tile + layout.scaleOffset() + 12 * g, 6 * row, 6));
      ASSERT_EQ(bitsAt(weight.zeros.data() + row * 4, 3 * g, 3),
                bitsAt(tile + layout.zeroOffset() + 6 * g, 3 * row, 3));
    }
  }
}

TEST(LinearLayout, saysWhyNot) {
  auto layout = linearLayout(*quant::parseFormat("int4_g24"), 16, 48);
  ASSERT_FALSE(layout.ok());
  EXPECT_EQ(StatusCode::Unsupported, layout.status().code());
  EXPECT_NE(std::string::npos, layout.status().message().find("\"int4_g24\""));
  EXPECT_FALSE(linearLayout(*quant::parseFormat("f32"), 0, 4).ok());
}

/// Embedding rows from canonical and from packed storage are the dequantized
/// rows.
TEST(Embedding, readsRowsOfEveryFormat) {
  for (const char *format : {"f32",
                             "f16",
                             "bf16",
                             "int8",
                             "int8_asym_g32",
                             "int4_g32",
                             "int4_asym_g64",
                             "int4_asym_g32_zf",
                             "fp8_e4m3",
                             "fp8_e4m3_g32",
                             "int3",
                             "int3_asym_g32",
                             "int2_g64",
                             "int2_asym_g32_zf",
                             "int4_g32_s6",
                             "int3_asym_g64_s6",
                             "int2_asym_g32_s8",
                             "lut4_g32_s6",
                             "lut3",
                             "int6_g32_s6",
                             "int5_asym_g64",
                             "mxfp4",
                             "nvfp4",
                             "fp4_e2m1",
                             "nf4_g64",
                             "fp8_e5m2",
                             "fp8_e4m3_b32",
                             "int4_restricted_g32_sbf16"}) {
    SCOPED_TRACE(format);
    const int64_t rows = 37, columns = 172;
    StoredWeight weight(format, rows, columns);
    PackedWeight packed(weight);
    std::vector<int32_t> ids = {0, 36, 5, 5};
    for (bool usePacked : {false, true}) {
      EmbeddingArguments a;
      a.format = weight.format;
      a.rows = rows;
      a.columns = columns;
      a.stored = weight.stored();
      a.packed = usePacked ? packed.data() : nullptr;
      a.count = 4;
      a.ids = ids.data();
      std::vector<float> out(4 * columns);
      a.output = out.data();
      ThreadPool pool(2);
      EXPECT_EQ(-1, embedding(a, pool));
      for (size_t i = 0; i < ids.size(); ++i)
        for (int64_t k = 0; k < columns; ++k)
          ASSERT_EQ(weight.values[size_t(ids[i] * columns + k)],
                    out[i * columns + size_t(k)]);
    }
  }
}

TEST(Embedding, namesTheBadId) {
  StoredWeight weight("f32", 4, 8);
  std::vector<int64_t> ids = {3, 0, 4, -1};
  std::vector<float> out(4 * 8);
  EmbeddingArguments a;
  a.format = weight.format;
  a.rows = 4;
  a.columns = 8;
  a.stored = weight.stored();
  a.count = 4;
  a.wideIds = ids.data();
  a.output = out.data();
  ThreadPool pool(1);
  EXPECT_EQ(2, embedding(a, pool));
}

} // namespace qopt::host
