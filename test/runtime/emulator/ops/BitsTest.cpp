// lop3 with a predicate and the SIMD video instructions against formulas.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WarpKernel.h"

#include <functional>

namespace qopt::emulator {
namespace {

TEST(Logic3, Predicates) {
  std::vector<uint32_t> words = Numbers(5).words(4 * 32);
  for (unsigned lane = 0; lane < 32; lane += 3) // some results are zero
    words[lane] = words[32 + lane] = words[64 + lane] = 0;
  for (unsigned table : {0x80u, 0xfeu, 0x96u})
    for (bool either : {true, false})
      for (bool negated : {true, false}) {
        const std::string text =
            "and.b32 %r10, %r3, 1; setp.ne.u32 %p1, %r10, 0;\nlop3." +
            std::string(either ? "or" : "and") +
            ".b32 %r64|%p2, %r0, %r1, %r2, " + std::to_string(table) + ", " +
            (negated ? "!" : "") + "%p1; selp.u32 %r65, 1, 0, %p2;";
        const std::vector<uint32_t> got = runWarp(text, words, 2);
        for (unsigned lane = 0; lane < 32; ++lane) {
          uint32_t result = 0;
          for (unsigned bit = 0; bit < 32; ++bit) {
            const unsigned row = (words[lane] >> bit & 1) << 2 |
                                 (words[32 + lane] >> bit & 1) << 1 |
                                 (words[64 + lane] >> bit & 1);
            result |= (table >> row & 1) << bit;
          }
          const bool other = (words[96 + lane] & 1) != negated;
          EXPECT_EQ(got[lane], result);
          EXPECT_EQ(got[32 + lane],
                    either ? (result != 0) || other : (result != 0) && other);
        }
      }
}

TEST(Logic3, UndefinedBitsAndPredicate) {
  // A bit of %r1 that is one decides, whatever the others are; %p2 is
  // undefined.
  const std::string head = ".reg .b32 %r<5>; .reg .pred %p<4>; .reg .b64 %rd; "
                           "ld.param.u64 %rd, [p0]; mov.u32 %r1, @@;\n";
  const std::string use = "\nselp.u32 %r4, 1, 0, %p1; st.global.u32 [%rd], "
                          "%r4;";
  auto run = [&](const char *value, const std::string &lop3, bool good) {
    std::string text = head + lop3 + use;
    text.replace(text.find("@@"), 2, value);
    KernelRun kernel(text);
    kernel.allocate(4);
    if (good)
      EXPECT_TRUE(kernel.launch({1}, {1}).ok()) << lop3;
    else
      kernel.expectFinding(FindingKind::Uninitialised, 3, {1}, {1});
  };
  const std::string known = "setp.ne.u32 %p2, %r1, %r1; ";
  const std::string either = "lop3.or.b32 %r3|%p1, %r1, %r2, 0, 0xfc, %p2;";
  run("1", either, true);
  run("0", known + either, false);
  const std::string both = "lop3.and.b32 %r3|%p1, %r1, %r2, 0, 0xfc, %p2;";
  run("1", both, false);
  run("0", known + both, true);
}

/// What an operation gives for two numbers.
using Scalar = std::function<int64_t(int64_t, int64_t)>;
struct Named {
  const char *name;
  Scalar of;
};

const Named operations[] = {
    {"vadd", [](auto a, auto b) { return a + b; }},
    {"vsub", [](auto a, auto b) { return a - b; }},
    {"vavrg",
     [](auto a, auto b) {
       return a + b >= 0 ? (a + b + 1) / 2 : -((-a - b + 1) / 2);
     }},
    {"vabsdiff", [](auto a, auto b) { return a < b ? b - a : a - b; }},
    {"vmin", [](auto a, auto b) { return a < b ? a : b; }},
    {"vmax", [](auto a, auto b) { return a < b ? b : a; }}};

int64_t partOf(uint64_t both, unsigned place, unsigned width, bool isSigned) {
  const int64_t ones = (int64_t(1) << width) - 1;
  const auto value = int64_t(both >> width * place) & ones;
  return isSigned && value > ones / 2 ? value - ones - 1 : value;
}

/// Parts of d from those of {b, a} that the digits name.
struct Places {
  std::string mask, a, b; ///< of the text; "" for none
  std::vector<unsigned> of[2];
  unsigned given;
};

void checkVideo(const Named &operation, unsigned parts, const Places &places,
                const char *suffix, bool signedD, bool signedA, bool signedB) {
  const unsigned width = 32 / parts;
  auto type = [](bool isSigned) { return isSigned ? ".s32" : ".u32"; };
  const std::string text = operation.name + std::to_string(parts) +
                           type(signedD) + type(signedA) + type(signedB) +
                           suffix + " %r64" + places.mask + ", %r0" + places.a +
                           ", %r1" + places.b + ", %r2;";
  const std::vector<uint32_t> words = Numbers(parts).words(3 * 32);
  const std::vector<uint32_t> got = runWarp(text, words, 1);
  const int64_t ones = (int64_t(1) << width) - 1;
  for (unsigned lane = 0; lane < 32; ++lane) {
    const uint64_t both = uint64_t(words[32 + lane]) << 32 | words[lane];
    const uint32_t c = words[64 + lane];
    const bool adds = std::string(suffix) == ".add";
    uint32_t expected = adds ? c : 0;
    for (unsigned i = 0; i < parts; ++i) {
      int64_t value =
          operation.of(partOf(both, places.of[0][i], width, signedA),
                       partOf(both, places.of[1][i], width, signedB));
      if (std::string(suffix) == ".sat")
        value = std::clamp<int64_t>(value, signedD ? -(ones / 2) - 1 : 0,
                                    signedD ? ones / 2 : ones);
      const bool given = places.given >> i & 1;
      if (adds)
        expected += given ? uint32_t(value) : 0;
      else
        expected |= uint32_t((given ? value : c >> width * i) & ones)
                    << width * i;
    }
    ASSERT_EQ(got[lane], expected) << text << " lane " << lane;
  }
}

TEST(Video, Parts) {
  const Places halves[] = {{"", "", "", {{0, 1}, {2, 3}}, 3},
                           {".h0", ".h32", ".h01", {{2, 3}, {1, 0}}, 1}};
  const Places bytes[] = {
      {"", "", "", {{0, 1, 2, 3}, {4, 5, 6, 7}}, 15},
      {".b20", ".b7650", ".b0123", {{0, 5, 6, 7}, {3, 2, 1, 0}}, 5}};
  for (const Named &operation : operations)
    for (const char *suffix : {"", ".sat", ".add"})
      for (bool signedD : {false, true})
        for (unsigned i = 0; i < 2; ++i) {
          checkVideo(operation, 2, halves[i], suffix, signedD, true, i);
          checkVideo(operation, 4, bytes[i], suffix, signedD, i, true);
        }
}

TEST(Video, Comparisons) {
  const std::vector<uint32_t> words = Numbers(9).words(3 * 32);
  const std::vector<uint32_t> set =
      runWarp("vset4.u32.s32.lt %r64, %r0, %r1, %r2;", words, 1);
  const std::vector<uint32_t> count =
      runWarp("vset4.u32.s32.lt.add %r64, %r0, %r1, %r2;", words, 1);
  for (unsigned lane = 0; lane < 32; ++lane) {
    uint32_t expected = 0, sum = words[64 + lane];
    for (unsigned i = 0; i < 4; ++i) {
      const bool less = partOf(words[lane], i, 8, false) <
                        partOf(words[32 + lane], i, 8, true);
      expected |= uint32_t(less) << 8 * i;
      sum += less;
    }
    EXPECT_EQ(set[lane], expected);
    EXPECT_EQ(count[lane], sum);
  }
}

TEST(Video, SelectorsBelongToVideo) {
  KernelRun run(".reg .b32 %r<3>; mov.u32 %r1, 0;\nadd.u32 %r2, %r1.h1, 1;", 0);
  EXPECT_NE(run.launch({1}, {1}).message().find(
                "the selector '.h1' does not fit here"),
            std::string::npos);
}

} // namespace
} // namespace qopt::emulator
