// mma and mma.sp of integers and f64, and movmatrix, against sums over elements
// whose places are those that the PTX ISA gives for each shape.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WarpKernel.h"

#include <bit>
#include <cmath>

namespace qopt::emulator {
namespace {

/// The element of `bits` bits at a place, extended.
int64_t elementOf(const std::vector<uint32_t> &words, unsigned number,
                  unsigned lane, unsigned element, unsigned bits,
                  bool isSigned) {
  const uint32_t code = words[number * 32 + lane]
                        << (32 - bits * (element + 1));
  return isSigned ? int64_t(int32_t(code) >> (32 - bits))
                  : int64_t(code >> (32 - bits));
}

/// A dense product of integers.
struct Integers {
  unsigned m, k, bits;
  bool signedA, signedB;
  std::vector<uint32_t> words = {}; ///< of a, b and c

  unsigned each() const { return 32 / bits; }
  unsigned ofA() const { return m * k / (32 * each()); }
  unsigned ofB() const { return 8 * k / (32 * each()); }
  unsigned sums() const { return m / 4; }

  int64_t a(unsigned row, unsigned column) const {
    const unsigned group = column / (4 * each());
    const unsigned number = m == 8 ? group : 2 * group + row / 8;
    return elementOf(words, number,
                     row % 8 * 4 + column % (4 * each()) / each(),
                     column % each(), bits, signedA);
  }
  int64_t b(unsigned row, unsigned column) const {
    return elementOf(words, ofA() + row / (4 * each()),
                     column * 4 + row % (4 * each()) / each(), row % each(),
                     bits, signedB);
  }
  uint32_t c(unsigned row, unsigned column) const {
    return words[(ofA() + ofB() + row / 8 * 2 + column % 2) * 32 + row % 8 * 4 +
                 column / 2];
  }
  std::string typeA() const {
    return (signedA ? "s" : "u") + std::to_string(bits);
  }
  std::string typeB() const {
    return (signedB ? "s" : "u") + std::to_string(bits);
  }
};

TEST(Mma, Integers) {
  Numbers numbers(1);
  for (bool saturates : {false, true})
    for (bool signedA : {false, true})
      for (bool signedB : {false, true})
        for (auto [m, k, bits] :
             {std::array{8u, 16u, 8u}, std::array{16u, 16u, 8u},
              std::array{16u, 32u, 8u}, std::array{8u, 32u, 4u},
              std::array{16u, 32u, 4u}, std::array{16u, 64u, 4u}}) {
          Integers product = {m, k, bits, signedA, signedB};
          const unsigned operands = product.ofA() + product.ofB();
          product.words = numbers.words((operands + product.sums()) * 32);
          for (unsigned i = 0; i < 32; ++i) // near the ends of the range
            product.words[operands * 32 + i] = i % 2 ? 0x7ffffff0 : 0x80000010;
          const std::string text =
              "mma.sync.aligned.m" + std::to_string(m) + "n8k" +
              std::to_string(k) + ".row.col" + (saturates ? ".satfinite" : "") +
              ".s32." + product.typeA() + "." + product.typeB() + ".s32 " +
              registers(64, product.sums()) + ", " +
              registers(0, product.ofA()) + ", " +
              registers(product.ofA(), product.ofB()) + ", " +
              registers(operands, product.sums()) + ";";
          const std::vector<uint32_t> got =
              runWarp(text, product.words, product.sums());
          for (unsigned row = 0; row < m; ++row)
            for (unsigned column = 0; column < 8; ++column) {
              int64_t sum = int32_t(product.c(row, column));
              for (unsigned i = 0; i < k; ++i)
                sum += product.a(row, i) * product.b(i, column);
              if (saturates)
                sum = std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX);
              ASSERT_EQ(got[(row / 8 * 2 + column % 2) * 32 + row % 8 * 4 +
                            column / 2],
                        uint32_t(sum))
                  << text << " row " << row << " column " << column;
            }
        }
}

TEST(Mma, Bits) {
  Numbers numbers(6);
  for (bool common : {false, true})
    for (auto [m, k] :
         {std::pair{8u, 128u}, std::pair{16u, 128u}, std::pair{16u, 256u}}) {
      Integers product = {m, k, 1, false, false};
      const unsigned operands = product.ofA() + product.ofB();
      product.words = numbers.words((operands + product.sums()) * 32);
      const std::string text =
          "mma.sync.aligned.m" + std::to_string(m) + "n8k" + std::to_string(k) +
          ".row.col.s32.b1.b1.s32." + (common ? "and" : "xor") + ".popc " +
          registers(64, product.sums()) + ", " + registers(0, product.ofA()) +
          ", " + registers(product.ofA(), product.ofB()) + ", " +
          registers(operands, product.sums()) + ";";
      const std::vector<uint32_t> got =
          runWarp(text, product.words, product.sums());
      for (unsigned row = 0; row < m; ++row)
        for (unsigned column = 0; column < 8; ++column) {
          uint32_t sum = product.c(row, column);
          for (unsigned i = 0; i < k; ++i) {
            const bool a = product.a(row, i), b = product.b(i, column);
            sum += common ? a && b : a != b;
          }
          ASSERT_EQ(
              got[(row / 8 * 2 + column % 2) * 32 + row % 8 * 4 + column / 2],
              sum)
              << text << " row " << row << " column " << column;
        }
    }
}

TEST(Mma, Doubles) {
  Numbers numbers(2);
  struct Rounded {
    const char *modifier;
    double low, high; ///< bounds of the error, in units of the last place
  };
  for (auto [m, k] : {std::pair{8u, 4u}, std::pair{16u, 4u}, std::pair{16u, 8u},
                      std::pair{16u, 16u}})
    for (Rounded rounded :
         {Rounded{"", -1, 1}, Rounded{".rn", -1, 1}, Rounded{".rz", -2, 2},
          Rounded{".rm", -2, 0}, Rounded{".rp", 0, 2}}) {
      const unsigned ofA = m * k / 32, ofB = k / 4, sums = m / 4;
      std::vector<double> values((ofA + ofB + sums) * 32);
      for (double &value : values) // positive, so that sums do not cancel
        value = 1 + double(numbers.next()) / (1u << 31) +
                double(numbers.next()) * 0x1p-60;
      std::vector<uint64_t> words(values.size());
      std::memcpy(words.data(), values.data(), words.size() * 8);
      const std::string text =
          "mma.sync.aligned.m" + std::to_string(m) + "n8k" + std::to_string(k) +
          ".row.col" + rounded.modifier + ".f64.f64.f64.f64 " +
          registers(64, sums, "%d") + ", " + registers(0, ofA, "%d") + ", " +
          registers(ofA, ofB, "%d") + ", " + registers(ofA + ofB, sums, "%d") +
          ";";
      const std::vector<uint64_t> got = runWarp(text, words, sums);
      for (unsigned row = 0; row < m; ++row)
        for (unsigned column = 0; column < 8; ++column) {
          const unsigned lane = row % 8 * 4 + column / 2;
          const unsigned number = row / 8 * 2 + column % 2;
          long double sum = values[(ofA + ofB + number) * 32 + lane];
          for (unsigned i = 0; i < k; ++i)
            sum += (long double)
                       values[(m == 8 ? i / 4 : i / 4 * 2 + row / 8) * 32 +
                              row % 8 * 4 + i % 4] *
                   values[(ofA + i / 4) * 32 + column * 4 + i % 4];
          double result;
          std::memcpy(&result, &got[number * 32 + lane], 8);
          const double unit = std::ldexp(1.0, std::ilogb(result) - 52);
          const double error = double((result - sum) / unit) / k;
          EXPECT_LE(error, rounded.high + 0.01) << text;
          EXPECT_GE(error, rounded.low - 0.01) << text;
        }
    }
}

/// mma.sp of integers: what A keeps, spread out by the metadata.
void checkSparse(unsigned k, unsigned bits, unsigned selector, bool ordered,
                 Numbers &numbers) {
  const unsigned each = 32 / bits, chunk = bits == 4 ? 8 : 4, unit = chunk / 4;
  const unsigned ofA = k / 2 * 16 / (32 * each), ofB = k * 8 / (32 * each);
  const unsigned inE = ofA + ofB + 4, providers = k / chunk / 4;
  std::vector<uint32_t> words = numbers.words((inE + 1) * 32);
  constexpr unsigned codes[] = {4, 8, 12, 9, 13, 14}; // the lower index first
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 8; ++i) {
      uint32_t code = codes[numbers.next() % 6];
      if (!ordered && numbers.next() % 2)
        code = (code & 3) << 2 | code >> 2;
      uint32_t &word = words[inE * 32 + lane];
      word = (word & ~(15u << 4 * i)) | code << 4 * i;
    }
  const std::string type = ".s" + std::to_string(bits);
  const std::string text =
      std::string("mma.sp") + (ordered ? "::ordered_metadata" : "") +
      ".sync.aligned.m16n8k" + std::to_string(k) + ".row.col.s32" + type +
      type + ".s32 " + registers(64, 4) + ", " + registers(0, ofA) + ", " +
      registers(ofA, ofB) + ", " + registers(ofA + ofB, 4) + ", %r" +
      std::to_string(inE) + ", " + std::to_string(selector) + ";";
  const std::vector<uint32_t> got = runWarp(text, words, 4);
  std::vector<uint32_t> b(words.begin() + ofA * 32, words.end());
  for (unsigned row = 0; row < 16; ++row) {
    int64_t full[128] = {}; // the row of A as a dense one
    for (unsigned i = 0; i < k / 2; ++i) {
      const unsigned number = i / (chunk / 2), at = i % (chunk / 2);
      const unsigned lane =
          row % 8 * 4 + selector * providers + row / 8 + (number >= 8 ? 2 : 0);
      const unsigned index =
          words[inE * 32 + lane] >> (number % 8 * 4 + at / unit * 2) & 3;
      full[number * chunk + index * unit + at % unit] =
          elementOf(words, i / (4 * each) * 2 + row / 8,
                    row % 8 * 4 + i % (4 * each) / each, i % each, bits, true);
    }
    for (unsigned column = 0; column < 8; ++column) {
      const unsigned place =
          (row / 8 * 2 + column % 2) * 32 + row % 8 * 4 + column / 2;
      int64_t sum = int32_t(words[(ofA + ofB) * 32 + place]);
      for (unsigned i = 0; i < k; ++i)
        sum += full[i] * elementOf(b, i / (4 * each),
                                   column * 4 + i % (4 * each) / each, i % each,
                                   bits, true);
      ASSERT_EQ(got[place], uint32_t(sum))
          << text << " row " << row << " column " << column;
    }
  }
}

TEST(SparseMma, Integers) {
  Numbers numbers(3);
  for (bool ordered : {false, true}) {
    for (unsigned selector : {0u, 1u}) {
      checkSparse(32, 8, selector, ordered, numbers);
      checkSparse(64, 4, selector, ordered, numbers);
    }
    checkSparse(64, 8, 0, ordered, numbers);
    checkSparse(128, 4, 0, ordered, numbers);
  }
}

/// f16 with k = 16: one lane of four has the metadata of rows g and g + 8.
TEST(SparseMma, Halves) {
  for (unsigned selector = 0; selector < 4; ++selector) {
    std::vector<uint32_t> words(9 * 32);
    for (unsigned lane = 0; lane < 32; ++lane) {
      words[lane] = words[32 + lane] = 0x40003c00; // 1 and 2
      for (unsigned n : {0u, 1u})                  // b[k][column] = k
        for (unsigned half : {0u, 1u}) {
          constexpr uint16_t codes[] = {
              0x0000, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700,
              0x4800, 0x4880, 0x4900, 0x4980, 0x4a00, 0x4a80, 0x4b00, 0x4b80};
          words[(2 + n) * 32 + lane] |=
              uint32_t(codes[8 * n + lane % 4 * 2 + half]) << 16 * half;
        }
      // Rows g keep the places 0 and 2, rows g + 8 the places 1 and 3.
      words[8 * 32 + lane] = lane % 4 == selector ? 0xdddd8888 : 0x44444444;
    }
    const std::vector<uint32_t> got = runWarp(
        "mma.sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 " +
            registers(64, 4) + ", {%r0,%r1}, {%r2,%r3}, " + registers(4, 4) +
            ", %r8, " + std::to_string(selector) + ";",
        words, 4);
    for (unsigned number = 0; number < 4; ++number)
      for (unsigned lane = 0; lane < 32; ++lane) {
        float sum = 0;
        for (unsigned chunk = 0; chunk < 4; ++chunk)
          sum += number < 2 ? 1.0f * (4 * chunk) + 2 * (4 * chunk + 2)
                            : 1.0f * (4 * chunk + 1) + 2 * (4 * chunk + 3);
        float result;
        std::memcpy(&result, &got[number * 32 + lane], 4);
        EXPECT_EQ(result, sum);
      }
  }
}

/// f16 with k = 32: two lanes of four have it, each that of a half of k for
/// rows g and g + 8, as an H200 takes it.
TEST(SparseMma, TwoHalvesOfK) {
  auto half = [](unsigned whole) {
    unsigned exponent = whole ? unsigned(std::bit_width(whole)) - 1 : 0;
    return whole ? (15 + exponent) << 10 | (whole << (10 - exponent) & 0x3ff)
                 : 0;
  };
  // Kept places of each chunk: [half of k][row g, g + 8].
  constexpr unsigned places[2][2][2] = {{{0, 2}, {1, 3}}, {{0, 1}, {2, 3}}};
  for (unsigned selector = 0; selector < 2; ++selector) {
    std::vector<uint32_t> words(13 * 32);
    for (unsigned lane = 0; lane < 32; ++lane) {
      for (unsigned n = 0; n < 4; ++n) {
        words[n * 32 + lane] = 0x40003c00; // 1 and 2
        unsigned k = 8 * n + lane % 4 * 2; // b[k][column] = k
        words[(4 + n) * 32 + lane] = half(k) | half(k + 1) << 16;
      }
      uint32_t &metadata = words[12 * 32 + lane];
      if (lane % 4 / 2 != selector)
        metadata = 0x44444444;
      else
        for (unsigned i = 0; i < 8; ++i) {
          const unsigned *kept = places[lane % 2][i / 4];
          metadata |= (kept[0] | kept[1] << 2) << 4 * i;
        }
    }
    const std::vector<uint32_t> got = runWarp(
        "mma.sp.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 " +
            registers(64, 4) + ", {%r0,%r1,%r2,%r3}, {%r4,%r5,%r6,%r7}, " +
            registers(8, 4) + ", %r12, " + std::to_string(selector) + ";",
        words, 4);
    for (unsigned number = 0; number < 4; ++number) {
      float sum = 0;
      for (unsigned chunk = 0; chunk < 8; ++chunk) {
        const unsigned *kept = places[chunk / 4][number / 2];
        sum += float(4 * chunk + kept[0]) + 2 * float(4 * chunk + kept[1]);
      }
      for (unsigned lane = 0; lane < 32; ++lane)
        EXPECT_EQ(std::bit_cast<float>(got[number * 32 + lane]), sum);
    }
  }
}

TEST(SparseMma, MetadataThatIsNotInOrder) {
  KernelRun run(".reg .b32 %r<20>; .reg .f32 %f<4>; mov.u32 %r1, 0; mov.u32 "
                "%r2, 0x44444441; mov.f32 %f1, 0f00000000;\n"
                "mma.sp::ordered_metadata.sync.aligned.m16n8k16.row.col.f32."
                "f16.f16.f32 {%f0,%f0,%f0,%f0}, {%r1,%r1}, {%r1,%r1}, "
                "{%f1,%f1,%f1,%f1}, %r2, 0;",
                0);
  run.expectFinding(FindingKind::InvalidUse, 2, {1}, {32});
  EXPECT_EQ(run.findings[0].detail, "the metadata of row 0, chunk 0 is 1; "
                                    "expected two indices, the lower one "
                                    "first");
}

TEST(Mma, UndefinedElementsOfEveryShape) {
  // Lane 5 is row 1 of A and column 1 of B.
  const std::string head = ".reg .b32 %r<20>; .reg .b64 %d<20>; .reg .b64 "
                           "%rd<3>; .reg .pred %p; mov.u32 %r1, %laneid; "
                           "setp.ne.u32 %p, %r1, 5; ld.param.u64 %rd1, [p0];\n";
  struct Case {
    const char *set, *multiply, *result;
  };
  for (Case c :
       {Case{"mov.u32 %r3, 1;\n@%p mov.u32 %r2, 1;",
             "mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%r4,%r5}, {%r2}, "
             "{%r3}, {%r3,%r3};",
             "st.global.u32 [%rd1], %r4;"},
        Case{"mov.b64 %d3, 1;\n@%p mov.b64 %d2, 1;",
             "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%d4,%d5}, "
             "{%d2}, {%d3}, {%d3,%d3};",
             "st.global.b64 [%rd1], %d4;"}})
    for (bool used : {true, false}) {
      // Row 1 is in lanes 4 to 7, row 0 in lanes 0 to 3.
      KernelRun run(head + c.set + "\n" + c.multiply +
                    "\nsetp.eq.u32 %p, %r1, " + (used ? "6" : "2") + ";\n@%p " +
                    c.result);
      run.allocate(8);
      if (used)
        run.expectFinding(FindingKind::Uninitialised, 6, {1}, {32});
      else
        EXPECT_TRUE(run.launch({1}, {32}).ok()) << run.findings[0].report();
    }
}

TEST(MoveMatrix, Transposes) {
  const std::vector<uint32_t> words = Numbers(4).words(32);
  const std::vector<uint32_t> got =
      runWarp("movmatrix.sync.aligned.m8n8.trans.b16 %r64, %r0;", words, 1);
  // Lane 4 · row + column / 2 has two elements of a row.
  auto element = [](const std::vector<uint32_t> &from, unsigned row,
                    unsigned column) {
    return from[4 * row + column / 2] >> 16 * (column % 2) & 0xffff;
  };
  for (unsigned row = 0; row < 8; ++row)
    for (unsigned column = 0; column < 8; ++column)
      EXPECT_EQ(element(got, row, column), element(words, column, row));
}

TEST(MoveMatrix, UndefinedElementsMove) {
  const std::string body =
      ".reg .b32 %r<4>; .reg .b64 %rd; .reg .pred %p; mov.u32 %r1, %laneid;\n"
      "setp.ne.u32 %p, %r1, 4; ld.param.u64 %rd, [p0];\n"
      "@%p mov.u32 %r2, 1;\n" // row 1, columns 0 and 1, are undefined
      "movmatrix.sync.aligned.m8n8.trans.b16 %r3, %r2;\n"
      "setp.eq.u32 %p, %r1, @@;\n"
      "@%p st.global.u32 [%rd], %r3;";
  // They become column 1 of rows 0 and 1: lanes 0 and 4.
  for (const char *lane : {"0", "4", "8"}) {
    std::string text = body;
    text.replace(text.find("@@"), 2, lane);
    KernelRun run(text);
    run.allocate(4);
    if (*lane == '8')
      EXPECT_TRUE(run.launch({1}, {32}).ok());
    else
      run.expectFinding(FindingKind::Uninitialised, 6, {1}, {32});
  }
}

} // namespace
} // namespace qopt::emulator
