// wmma of four bits and of one, and mma.m8n8k4 of f16, against sums over
// elements whose places are those of the PTX ISA.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WarpKernel.h"

#include <bit>
#include <cmath>

namespace qopt::emulator {
namespace {

/// Rows of A and columns of B of 128 bits, with strides of `stride` words.
struct Packed {
  std::string shape, type, operation;
  unsigned bits, stride;
  int64_t product(uint32_t a, uint32_t b) const {
    if (bits == 1)
      return std::popcount(operation == ".and.popc" ? a & b : a ^ b);
    int64_t sum = 0;
    for (unsigned i = 0; i < 8; ++i) {
      const auto element = [&](uint32_t word) {
        const int64_t code = word >> 4 * i & 15;
        return type == "s4" && code > 7 ? code - 16 : code;
      };
      sum += element(a) * element(b);
    }
    return sum;
  }
  /// C by columns, D by rows with a stride of 12.
  std::string text(const std::string &b = "[p1]") const {
    const std::string step = std::to_string(stride * 32 / bits);
    return "wmma.load.a.sync.aligned.row." + shape + ".global." + type +
           " {%r0}, [%d0], " + step + ";\nwmma.load.b.sync.aligned.col." +
           shape + ".global." + type + " {%r1}, [%d1], " + step +
           ";\nwmma.load.c.sync.aligned.col." + shape +
           ".global.s32 {%r2,%r3}, [%d2], 8;\nwmma.mma" + operation +
           ".sync.aligned.row.col." + shape + ".s32." + type + "." + type +
           ".s32" + (bits == 4 ? ".satfinite" : "") +
           " {%r4,%r5}, {%r0}, {%r1}, {%r2,%r3};\n"
           "wmma.store.d.sync.aligned.row." +
           shape + ".global.s32 [%d3], {%r4,%r5}, 12;";
  }
};

constexpr char parameters[] =
    ".reg .b32 %r<8>; .reg .b64 %d<4>; ld.param.u64 %d0, [p0]; ld.param.u64 "
    "%d1, [p1]; ld.param.u64 %d2, [p2]; ld.param.u64 %d3, [p3];\n";

TEST(PackedWmma, Products) {
  Numbers numbers(11);
  for (const Packed &packed :
       {Packed{"m8n8k128", "b1", ".xor.popc", 1, 4},
        Packed{"m8n8k128", "b1", ".and.popc", 1, 8},
        Packed{"m8n8k32", "s4", "", 4, 4}, Packed{"m8n8k32", "u4", "", 4, 8}}) {
    const std::vector<uint32_t> a = numbers.words(8 * packed.stride),
                                b = numbers.words(8 * packed.stride);
    std::vector<int32_t> c(64);
    for (unsigned i = 0; i < 64; ++i)
      c[i] = packed.bits == 4 && i % 2 ? (i % 4 == 1 ? INT32_MAX : INT32_MIN)
                                       : int32_t(numbers.next() % 999);
    KernelRun run(parameters + packed.text(), 4);
    run.array(a), run.array(b), run.array(c);
    const uint64_t out = run.array(std::vector<int32_t>(8 * 12, -1));
    Status status = run.launch({1}, {32});
    ASSERT_TRUE(status.ok()) << status.message();
    const std::vector<int32_t> got = run.fetch<int32_t>(out, 8 * 12);
    for (unsigned row = 0; row < 8; ++row)
      for (unsigned column = 0; column < 12; ++column) {
        int64_t sum = column < 8 ? c[column * 8 + row] : -1;
        for (unsigned k = 0; k < 4 && column < 8; ++k)
          sum += packed.product(a[row * packed.stride + k],
                                b[column * packed.stride + k]);
        ASSERT_EQ(got[row * 12 + column],
                  std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX))
            << packed.text() << row << " " << column;
      }
  }
}

TEST(PackedWmma, BeyondTheEndAndUndefined) {
  const Packed bits = {"m8n8k128", "b1", ".xor.popc", 1, 4};
  for (bool isShort : {true, false}) {
    KernelRun run(parameters + bits.text(), 4);
    run.allocate(8 * 16);
    isShort ? run.allocate(8 * 16 - 4)
            : run.array(std::vector<uint32_t>(8 * 4));
    run.array(std::vector<int32_t>(64));
    run.allocate(8 * 12 * 4);
    if (isShort)
      run.expectFinding(FindingKind::OutOfBounds, 3, {1}, {32});
    else
      run.expectUse(6, 2, {1}, {32}); // a, whose rows are all of d
  }
}

/// Of zero and normal numbers.
float halfOf(uint32_t code) {
  if ((code & 0x7fff) == 0)
    return 0;
  return std::ldexp(float(code & 0x3ff) + 1024, int(code >> 10 & 31) - 25) *
         (code & 0x8000 ? -1.0f : 1.0f);
}

/// Small whole numbers as halves: products and sums are exact.
std::vector<uint32_t> wholeHalves(Numbers &numbers, size_t words) {
  constexpr uint16_t codes[] = {0x3c00, 0x4000, 0x4200, 0x4400,
                                0xbc00, 0xc000, 0xc200, 0xc400};
  std::vector<uint32_t> all(words);
  for (uint32_t &word : all)
    word = codes[numbers.next() % 8] | uint32_t(codes[numbers.next() % 8])
                                           << 16;
  return all;
}

/// The element i of a lane's halves in registers from `first` on.
float halfAt(const std::vector<uint32_t> &words, unsigned first, unsigned lane,
             unsigned i) {
  return halfOf(words[(first + i / 2) * 32 + lane] >> 16 * (i % 2) & 0xffff);
}

void checkQuadPairs(bool rowsA, bool rowsB, bool halfD, bool halfC,
                    Numbers &numbers) {
  const unsigned ofC = halfC ? 4 : 8, ofD = halfD ? 4 : 8;
  std::vector<uint32_t> words = wholeHalves(numbers, (4 + ofC) * 32);
  if (!halfC)
    for (unsigned i = 4 * 32; i < words.size(); ++i)
      words[i] = std::bit_cast<uint32_t>(float(words[i] % 64));
  auto name = [](bool half) { return half ? ".f16" : ".f32"; };
  const std::string text =
      "mma.sync.aligned.m8n8k4." + std::string(rowsA ? "row" : "col") +
      (rowsB ? ".row" : ".col") + name(halfD) + ".f16.f16" + name(halfC) + " " +
      registers(64, ofD) + ", {%r0,%r1}, {%r2,%r3}, " + registers(4, ofC) + ";";
  const std::vector<uint32_t> got = runWarp(text, words, ofD);
  float a[4][8][4], b[4][4][8];
  // As the PTX ISA counts: from a lane and its i-th element to row and column.
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned pair = lane % 16 / 4, own = lane % 4;
      const unsigned upper = lane < 16 ? 0 : 4;
      (rowsA ? a[pair][own + upper][i] : a[pair][i + upper][own]) =
          halfAt(words, 0, lane, i);
      (rowsB ? b[pair][own][i + upper] : b[pair][i][own + upper]) =
          halfAt(words, 2, lane, i);
    }
  auto place = [](bool half, unsigned lane, unsigned i) {
    const unsigned upper = lane < 16 ? 0 : 4;
    return half ? std::pair{lane % 4 + upper, i}
                : std::pair{(lane & 1) + (i & 2) + upper,
                            (i & 4) + (lane & 2) + (i & 1)};
  };
  float sums[4][8][8];
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 8; ++i) {
      const auto [row, column] = place(halfC, lane, i);
      sums[lane % 16 / 4][row][column] =
          halfC ? halfAt(words, 4, lane, i)
                : std::bit_cast<float>(words[(4 + i) * 32 + lane]);
    }
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 8; ++i) {
      const unsigned pair = lane % 16 / 4;
      const auto [row, column] = place(halfD, lane, i);
      float sum = sums[pair][row][column];
      for (unsigned k = 0; k < 4; ++k)
        sum += a[pair][row][k] * b[pair][k][column];
      ASSERT_EQ(halfD ? halfAt(got, 0, lane, i)
                      : std::bit_cast<float>(got[i * 32 + lane]),
                sum)
          << text << " lane " << lane << " element " << i;
    }
}

TEST(QuadPairMma, EveryLayoutAndType) {
  Numbers numbers(12);
  for (bool rowsA : {true, false})
    for (bool rowsB : {true, false}) {
      checkQuadPairs(rowsA, rowsB, false, false, numbers);
      checkQuadPairs(rowsA, rowsB, false, true, numbers);
      checkQuadPairs(rowsA, rowsB, true, true, numbers);
    }
}

/// Code for Hopper adds c to the sum of the products and rounds to nearest:
/// 1 + 1.5 · 2^-24 is 1 + 2^-23, and 1 + 2^-24 is 1.
TEST(QuadPairMma, SumsAreThoseOfHopper) {
  std::vector<uint32_t> words(12 * 32);
  for (unsigned lane = 0; lane < 32; ++lane) {
    words[lane] = 0x08000c00;                              // 2^-12, 2^-13
    words[64 + lane] = lane % 4 ? 0x00000c00 : 0x0c000c00; // 2^-12
    for (unsigned i = 4; i < 12; ++i)
      words[i * 32 + lane] = 0x3f800000;
  }
  const std::vector<uint32_t> got = runWarp(
      "mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 " + registers(64, 8) +
          ", {%r0,%r1}, {%r2,%r3}, " + registers(4, 8) + ";",
      words, 8);
  for (unsigned i = 0; i < 8; ++i) // lane 0 has columns 0, 1, 4 and 5
    EXPECT_EQ(got[i * 32], i % 2 ? 0x3f800000 : 0x3f800001) << i;
}

TEST(QuadPairMma, UndefinedElements) {
  // Lane 5 has row 1 of A in the second quad pair.
  for (auto [lane, used] : {std::pair{5, true}, std::pair{4, false},
                            std::pair{21, false}, std::pair{1, false}}) {
    KernelRun run(".reg .b32 %r<20>; .reg .b64 %rd; .reg .pred %p; mov.u32 "
                  "%r1, %laneid; ld.param.u64 %rd, [p0]; mov.u32 %r3, 1;\n"
                  "setp.ne.u32 %p, %r1, 5;\n@%p mov.u32 %r2, 1;\n"
                  "mma.sync.aligned.m8n8k4.row.col.f16.f16.f16.f16 "
                  "{%r4,%r5,%r6,%r7}, {%r2,%r2}, {%r3,%r3}, "
                  "{%r3,%r3,%r3,%r3};\nsetp.eq.u32 %p, %r1, " +
                  std::to_string(lane) + ";\n@%p st.global.u32 [%rd], %r6;");
    run.allocate(4);
    if (used)
      run.expectFinding(FindingKind::Uninitialised, 6, {1}, {32});
    else
      EXPECT_TRUE(run.launch({1}, {32}).ok()) << run.findings[0].report();
  }
}

} // namespace
} // namespace qopt::emulator
