// Atomics of vectors and of 128 bits: what they leave and what they give back,
// and what is wrong with their addresses.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelRun.h"

namespace qopt::emulator {
namespace {

const std::string head =
    ".reg .b64 %rd<9>; .reg .b32 %r<20>; .reg .f32 %f<20>; .reg .b16 %h<20>; "
    ".reg .b128 %q<9>; ld.param.u64 %rd1, [p0]; ld.param.u64 %rd2, [p1]; "
    "mov.u32 %r1, %tid.x; cvt.rn.f32.u32 %f1, %r1;\n";

TEST(Atomics, VectorsOfSingles) {
  // 64 threads add (t, 1) to one place; each learns what was there.
  KernelRun run(head + "mov.f32 %f2, 0f3f800000;\n"
                       "atom.global.add.v2.f32 {%f3,%f4}, [%rd1], {%f1,%f2};\n"
                       "mul.wide.u32 %rd3, %r1, 4; add.s64 %rd2, %rd2, %rd3; "
                       "st.global.f32 [%rd2], %f4;",
                2);
  const uint64_t sums = run.array(std::vector<float>(2));
  const uint64_t out = run.allocate(64 * 4);
  Status status = run.launch({1}, {64});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<float>(sums, 2), (std::vector<float>{2016, 64}));
  std::vector<float> seen = run.fetch<float>(out, 64);
  std::sort(seen.begin(), seen.end());
  for (unsigned i = 0; i < 64; ++i)
    EXPECT_EQ(seen[i], float(i));
}

TEST(Atomics, VectorsOfHalves) {
  // Eight halves: maxima of 1 … 8 and 4.5 (0x4480).
  std::string values, operands;
  for (unsigned i = 0; i < 8; ++i) {
    operands += (i ? ",%h" : "%h") + std::to_string(8 + i);
    values += "mov.b16 %h" + std::to_string(8 + i) + ", 0x4480; ";
  }
  KernelRun run(head + values +
                    "\natom.global.max.noftz.v8.f16 "
                    "{%h0,%h1,%h2,%h3,%h4,%h5,%h6,%h7}, [%rd1], {" +
                    operands + "};\nst.global.b16 [%rd2], %h7;",
                2);
  const uint64_t place = run.array(std::vector<uint16_t>{
      0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700, 0x4800});
  const uint64_t out = run.allocate(2);
  Status status = run.launch({1}, {1});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<uint16_t>(place, 8),
            (std::vector<uint16_t>{0x4480, 0x4480, 0x4480, 0x4480, 0x4500,
                                   0x4600, 0x4700, 0x4800}));
  EXPECT_EQ(run.fetch<uint16_t>(out, 1)[0], 0x4800);
}

TEST(Atomics, ReductionOfPairs) {
  KernelRun run(head + "mov.b32 %r2, 0x3c004000; mov.b32 %r3, 0x40004200;\n"
                       "red.global.add.noftz.v2.f16x2 [%rd1], {%r2,%r3};",
                2);
  const uint64_t sums = run.array(std::vector<uint32_t>(2));
  run.allocate(4);
  ASSERT_TRUE(run.launch({1}, {2}).ok());
  EXPECT_EQ(run.fetch<uint32_t>(sums, 2), // 2 and 4, 4 and 6
            (std::vector<uint32_t>{0x40004400, 0x44004600}));
}

/// A list that threads push to: the head is a counter and the last thread.
const std::string push = R"(ld.global.b128 %q1, [%rd1];
again: mov.b128 {%rd3,%rd4}, %q1; add.u64 %rd5, %rd3, 1; cvt.u64.u32 %rd6, %r1; mov.b128 %q2, {%rd5,%rd6};
atom.global.cas.b128 %q3, [%rd1], %q1, %q2;
mov.b128 {%rd7,%rd8}, %q3; setp.ne.u64 %p1, %rd7, %rd3; setp.ne.or.u64 %p1, %rd8, %rd4, %p1; mov.b128 %q1, %q3;
@%p1 bra again;
mul.wide.u32 %rd5, %r1, 8; add.s64 %rd2, %rd2, %rd5; st.global.u64 [%rd2], %rd3;)";

TEST(Atomics, QuadCompareAndSwap) {
  KernelRun run(head + ".reg .pred %p<3>;\n" + push, 2);
  const uint64_t place = run.array(std::vector<uint64_t>(2));
  const uint64_t out = run.allocate(128 * 8);
  run.options.checks.races = false; // the first load is a plain one
  Status status = run.launch({4}, {32});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<uint64_t>(place, 1)[0], 128u);
  (void)out;
}

TEST(Atomics, QuadExchange) {
  KernelRun run(head + "mov.b64 %rd3, 7; mov.b64 %rd4, 9; mov.b128 %q1, "
                       "{%rd3,%rd4};\natom.global.exch.b128 %q2, [%rd1], "
                       "%q1;\nst.global.b128 [%rd2], %q2;",
                2);
  const uint64_t place = run.array(std::vector<uint64_t>{1, 2});
  const uint64_t out = run.allocate(16);
  Status status = run.launch({1}, {1});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<uint64_t>(place, 2), (std::vector<uint64_t>{7, 9}));
  EXPECT_EQ(run.fetch<uint64_t>(out, 2), (std::vector<uint64_t>{1, 2}));
}

TEST(Atomics, Defects) {
  const std::string set = head + "mov.f32 %f2, %f1; mov.b128 %q1, "
                                 "{%rd1,%rd1};\n";
  const std::string vector = "red.global.add.v4.f32 [%rd1+@@], "
                             "{%f1,%f1,%f2,%f2};";
  const std::string quad = "atom.global.exch.b128 %q2, [%rd1+@@], %q1;";
  for (const std::string &text : {vector, quad})
    for (auto [offset, kind] : {std::pair{"16", FindingKind::OutOfBounds},
                                std::pair{"8", FindingKind::Misaligned},
                                std::pair{"0", FindingKind::Uninitialised}}) {
      std::string body = set + text;
      body.replace(body.find("@@"), 2, offset);
      KernelRun run(body, 2);
      run.allocate(16);
      run.allocate(16);
      run.expectFinding(kind, 3, {1}, {1});
    }
}

TEST(Atomics, VectorRacesWithAPlainStore) {
  KernelRun run(head + ".reg .pred %p; setp.lt.u32 %p, %r1, 32;\n"
                       "@%p red.global.add.v2.f32 [%rd1], {%f1,%f1};\n"
                       "@!%p st.global.f32 [%rd1+4], %f1;",
                2);
  run.array(std::vector<float>(2));
  run.allocate(4);
  Status status = run.launch({1}, {33});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(run.findings[0].kind, FindingKind::Race);
}

} // namespace
} // namespace qopt::emulator
