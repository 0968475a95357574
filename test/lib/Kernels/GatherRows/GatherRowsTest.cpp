// Gathered rows are the rows of the table as the host's embedding reads them,
// bit by bit: copied, or dequantized, and rounded once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelTest.h"
#include "lib/Kernels/GatherRows/GatherRowsGenerator.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "runtime/host/Embedding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gather_rows;
using namespace qopt::kernels::test;
using quant::ElementType;

namespace {
/// Canonical storage of a whole table.
struct Stored {
  std::vector<uint8_t> codes, scales, zeros;
};
} // namespace

static Stored randomTable(const quant::Format &format, int64_t rows,
                          int64_t columns) {
  Stored stored;
  std::mt19937 random(7);
  stored.codes.resize(size_t(quant::codeBytes(format, rows, columns)));
  if (format.isFloat()) {
    std::vector<float> values = normals(size_t(rows * columns), 5);
    quant::elementOf(format.element)
        .encode(values.data(), rows * columns, stored.codes.data());
    return stored;
  }
  for (uint8_t &byte : stored.codes)
    byte = uint8_t(random());
  if (format.element == ElementType::Fp8E4m3)
    for (uint8_t &byte : stored.codes) // a weight has no NaN
      byte = (byte & 127) == 127 ? 0 : byte;
  if (format.element == ElementType::Fp8E5m2)
    for (uint8_t &byte : stored.codes) // nor an infinity
      byte = (byte & 0x7c) == 0x7c ? 0 : byte;
  stored.scales.resize(size_t(quant::scaleBytes(format, rows, columns)));
  stored.zeros.resize(size_t(quant::zeroBytes(format, rows, columns)));
  auto count = size_t(quant::groupsPerRow(format, columns));
  std::vector<float> units(size_t(quant::unitsPerRow(format, columns)),
                           0x1p-7f),
      scales(count), zeros(count);
  bool tensor = format.granularity == quant::Granularity::Tensor;
  for (int64_t row = 0; row < (tensor ? 1 : rows); ++row) {
    for (size_t i = 0; i < count; ++i) {
      int level = int(random() % 32) - 16 * quant::hasSignedScales(format);
      float value = 0.001f + 0.01f * float(random() % 1000);
      scales[i] = format.hasScaleFields() ? 0x1p-7f * float(level) : value;
      zeros[i] =
          format.zero == quant::ZeroType::Float
              ? 7.25f + value
              : float(random() % (1u << quant::elementOf(format.element).bits));
    }
    quant::storeScales(format, units.data(), scales.data(), columns,
                       stored.scales.data() +
                           row * quant::scaleBytesPerRow(format, columns));
    if (!format.isSymmetric())
      quant::storeZeros(format, zeros.data(), columns,
                        stored.zeros.data() +
                            row * quant::zeroBytesPerRow(format, columns));
  }
  for (int i = 0; i < quant::elementOf(format.element).bookSize; ++i)
    stored.zeros[size_t(i)] = uint8_t(random());
  return stored;
}

static void runCase(const std::string &spelling, int64_t rows, int64_t columns,
                    ElementType output, Table table = Table::Weight,
                    const target::Target &target = target::sm90a()) {
  SCOPED_TRACE(spelling + " " + std::to_string(columns));
  Problem problem{table, *quant::parseFormat(spelling), rows, columns, output};
  auto schedule = chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();

  Stored stored = randomTable(problem.format, rows, columns);
  std::vector<int32_t> ids = {int32_t(rows) - 1, 0, int32_t(rows / 2), 0,
                              int32_t(rows),     -1};
  int64_t width = output == ElementType::F32 ? 2 : 1; // halves of an element
  std::vector<uint16_t> result(ids.size() * size_t(columns * width));
  Launch launch;
  launch.in(ids).in(stored.codes);
  if (!stored.scales.empty())
    launch.in(stored.scales);
  if (!stored.zeros.empty())
    launch.in(stored.zeros);
  launch.out(result);
  if (table == Table::Tensor)
    launch.integer(int32_t(rows));
  Status ran =
      launch.run(*kernel, launchOf(problem, *schedule), int64_t(ids.size()));
  ASSERT_TRUE(ran.ok()) << ran.message();

  std::vector<float> values(size_t(rows * columns));
  std::vector<int32_t> all(size_t(rows), 0);
  std::iota(all.begin(), all.end(), 0);
  host::ThreadPool alone(1);
  host::EmbeddingArguments host{.format = problem.format,
                                .rows = rows,
                                .columns = columns,
                                .stored = {stored.codes.data(),
                                           stored.scales.data(),
                                           stored.zeros.data()},
                                .count = rows,
                                .ids = all.data(),
                                .output = values.data()};
  ASSERT_EQ(host::embedding(host, alone), -1);
  std::vector<float> expected = rounded(output, values), got;
  if (output == ElementType::F32) {
    got.resize(result.size() / 2);
    std::memcpy(got.data(), result.data(), result.size() * 2);
  } else {
    got = decode(output, result);
  }
  for (size_t i = 0; i < got.size(); ++i) {
    int64_t id = ids[i / size_t(columns)];
    if (id < 0 || id >= rows)
      ASSERT_TRUE(std::isnan(got[i])) << "element " << i;
    else
      ASSERT_EQ(got[i], expected[size_t(id * columns) + i % size_t(columns)])
          << "element " << i;
  }
}

using GatherRows = test::KernelTest;

TEST_F(GatherRows, CopiesHalves) {
  runCase("f16", 7, 64, ElementType::F16);
  runCase("bf16", 3, 2056, ElementType::BF16);
}

TEST_F(GatherRows, Converts) {
  runCase("f32", 5, 36, ElementType::F16);
  runCase("f16", 5, 36, ElementType::BF16);
  runCase("bf16", 5, 31, ElementType::F32);
}

TEST_F(GatherRows, DequantizesInt8) {
  for (int64_t columns : {1, 31, 64, 130, 4096})
    runCase("int8", 5, columns, ElementType::F16);
  runCase("int8_tensor", 4, 64, ElementType::BF16);
  runCase("int8_g32", 4, 80, ElementType::F32);
  runCase("int8_asym_g64", 4, 130, ElementType::F16);
  runCase("int8_asym", 4, 130, ElementType::F16);
  runCase("int6_asym_tensor", 4, 101, ElementType::F16);
  runCase("int4_asym_zf", 4, 96, ElementType::BF16);
}

TEST_F(GatherRows, DequantizesCodesThatCrossBytes) {
  for (const char *format :
       {"int6_g32", "int5_asym_g64", "int3_g32", "int3_asym_g32_zf", "int2",
        "int2_asym_g128", "lut4_g128", "lut3"})
    for (int64_t columns : {1, 2, 33, 64, 132, 1024})
      runCase(format, 5, columns, ElementType::F16);
}

TEST_F(GatherRows, DequantizesScalesOfTwoLevels) {
  for (const char *format : {"int4_g32_s6", "int4_asym_g32_s6", "int2_g64_s8",
                             "int3_asym_g32_s6", "lut4_g32_s6", "lut3_g64_s6"})
    for (int64_t columns : {31, 64, 257, 520})
      runCase(format, 4, columns, ElementType::BF16);
}

TEST_F(GatherRows, DequantizesInt4) {
  for (int64_t columns : {1, 2, 33, 64, 132, 1024})
    runCase("int4_g32", 5, columns, ElementType::F16);
  runCase("int4_asym_g128", 4, 300, ElementType::BF16);
  runCase("int4_asym_g32_zf", 4, 96, ElementType::F16);
}

TEST_F(GatherRows, DequantizesByF32ScalesOfGroups) {
  for (const char *format :
       {"int4_g32_sf32", "int4_asym_g32_sf32", "int8_asym_g64_zf_sf32",
        "int3_asym_g32_sf32", "fp8_e4m3_g32_sf32", "lut4_g64_sf32"})
    for (int64_t columns : {31, 64, 260})
      runCase(format, 4, columns, ElementType::F32);
}

TEST_F(GatherRows, DequantizesFp8) {
  for (int64_t columns : {1, 31, 64, 130, 1024})
    runCase("fp8_e4m3", 5, columns, ElementType::F16);
  runCase("fp8_e4m3_tensor", 4, 64, ElementType::BF16);
  runCase("fp8_e4m3_g32", 4, 80, ElementType::F32, Table::Weight,
          target::sm80());
}

TEST_F(GatherRows, DequantizesFloatsOfFourBits) {
  for (const char *format : {"mxfp4", "nvfp4", "fp4_e2m1", "nf4_g64", "nf4",
                             "nf4_g32_sbf16", "fp4_e2m1_g32_s6"})
    for (int64_t columns : {1, 31, 64, 260})
      runCase(format, 4, columns, ElementType::F32);
}

TEST_F(GatherRows, DequantizesE5m2AndBlocks) {
  for (const char *format :
       {"fp8_e5m2", "fp8_e5m2_g32_sbf16", "fp8_e4m3_b32", "fp8_e4m3_g32_se8m0"})
    for (int64_t columns : {31, 64, 260})
      runCase(format, 4, columns, ElementType::F32);
}

TEST_F(GatherRows, SelectsRowsOfATensor) {
  runCase("f16", 9, 320, ElementType::F16, Table::Tensor);
  runCase("bf16", 1, 4097, ElementType::BF16, Table::Tensor, target::sm80());
}

TEST_F(GatherRows, SaysWhatItCannotDo) {
  Problem problem{Table::Tensor, *quant::parseFormat("int8"), 0, 8,
                  ElementType::F16};
  EXPECT_EQ(chooseSchedule(problem, target::sm90a()).status().message(),
            "a tensor has no scales; got the format \"int8\"");
}
