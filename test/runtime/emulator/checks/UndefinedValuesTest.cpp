// A value that nobody has written may go through registers as far as it makes
// no difference; where it does, its use is a finding that names where it came
// from.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelRun.h"

namespace qopt::emulator {
namespace {

/// Line 3 has %r1 = tid, %r2 = 4 tid, %rd2 the thread's word of the array; the
/// first byte of s is written. Line 4 loads: %r4 is never written, of %r5 the
/// first byte is 0x15, %r6 and %rd6 are undefined in lanes 16 to 31.
const std::string head =
    ".reg .b64 %rd<12>; .reg .b32 %r<40>; .reg .pred %p<9>; .reg .b16 %h<9>;\n"
    "ld.param.u64 %rd1, [p0]; \n"
    "mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd1, "
    "%rd2; shl.b32 %r2, %r1, 2; mov.u32 %r3, 0x15; st.shared.u8 [s], %r3; "
    "setp.lt.u32 %p1, %r1, 16; mov.u32 %r7, s; add.u32 %r7, %r7, %r2; @%p1 "
    "st.shared.u32 [%r7+512], %r1; setp.lt.u32 %p2, %r1, 0; setp.ge.u32 %p3, "
    "%r1, 0;\n"
    "bar.warp.sync -1; ld.shared.u32 %r4, [s+256]; ld.shared.u32 %r5, [s]; "
    "ld.shared.u32 %r6, [%r7+512]; cvt.u64.u32 %rd6, %r6;\n";
const std::string shared = ".shared .align 16 .b8 s[2048];";
const std::string store = "\nst.global.u32 [%rd2], %r9;";

/// What line 5 computes of undefined values is defined, and is right.
struct Defined {
  const char *body;
  uint32_t expected; ///< in all lanes
};

class StaysDefined : public testing::TestWithParam<Defined> {};

TEST_P(StaysDefined, Value) {
  KernelRun run(head + GetParam().body + store, 1, shared);
  uint64_t out = run.allocate(128);
  Status status = run.launch({1}, {32});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<uint32_t>(out, 32),
            std::vector<uint32_t>(32, GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    UndefinedValues, StaysDefined,
    testing::Values(
        // Chosen away.
        Defined{"selp.u32 %r9, %r4, %r3, %p2;", 0x15},
        Defined{"mov.u32 %r9, 7; @%p2 mov.u32 %r9, %r4;", 7},
        Defined{"mov.u32 %r9, %r4; mov.u32 %r9, 3;", 3},
        // Bits that the other operand decides, or that are not taken.
        Defined{"and.b32 %r9, %r4, 0;", 0},
        Defined{"or.b32 %r9, %r4, 0xffffffff;", 0xffffffff},
        Defined{"and.b32 %r9, %r5, 0xff;", 0x15},
        Defined{"xor.b32 %r8, %r5, %r4; and.b32 %r9, %r8, 0;", 0},
        Defined{"not.b32 %r8, %r5; and.b32 %r9, %r8, 0xff;", 0xea},
        Defined{"lop3.b32 %r9, %r4, %r3, %r4, 0xcc;", 0x15},
        Defined{"shl.b32 %r9, %r5, 24;", 0x15000000},
        Defined{"shl.b32 %r8, %r5, 24; shr.u32 %r9, %r8, 24;", 0x15},
        Defined{"shr.u32 %r9, %r4, 32;", 0},
        Defined{"shf.l.wrap.b32 %r9, %r5, %r3, 0;", 0x15},
        Defined{"bfe.u32 %r9, %r5, 2, 4;", 5},
        Defined{"bfe.s32 %r9, %r5, 0, 5;", 0xfffffff5},
        Defined{"bfi.b32 %r8, %r3, %r4, 8, 24; bfe.u32 %r9, %r8, 8, 24;", 0x15},
        Defined{"prmt.b32 %r9, %r4, %r5, 0x4444;", 0x15151515},
        Defined{"cvt.u32.u8 %r9, %r5;", 0x15},
        Defined{"cvt.u16.u8 %h1, %r5; mov.b32 %r9, {%h1, %h1};", 0x150015},
        Defined{"mov.b64 %rd4, {%r3, %r4}; mov.b64 {%r9, _}, %rd4;", 0x15},
        Defined{"mov.b64 %rd4, {%r4, %r3}; shr.u64 %rd4, %rd4, 32; cvt.u32.u64 "
                "%r9, %rd4;",
                0x15},
        Defined{"brev.b32 %r8, %r5; shr.u32 %r9, %r8, 24;", 0xa8},
        // Lower bits of sums and products.
        Defined{"add.u32 %r8, %r5, %r5; and.b32 %r9, %r8, 0xff;", 0x2a},
        Defined{"mad.lo.u32 %r8, %r5, 3, %r5; and.b32 %r9, %r8, 0xff;", 0x54},
        Defined{"sub.u32 %r8, 0, %r5; and.b32 %r9, %r8, 0xff;", 0xeb},
        // Halves of packed numbers.
        Defined{"mov.b32 {%h1, _}, %r3; mov.b32 {%h2, _}, %r4; mov.b32 %r8, "
                "{%h1, %h2}; add.f16x2 %r8, %r8, %r8; and.b32 %r9, %r8, "
                "0xffff;",
                0x2a},
        Defined{"cvt.rn.f16x2.f32 %r8, 0f3f800000, %r4; shr.u32 %r9, %r8, 16;",
                0x3c00},
        // Comparisons.
        Defined{"setp.lt.u32 %p4, %r4, 9; and.pred %p4, %p4, %p2; selp.u32 "
                "%r9, 1, 2, %p4;",
                2},
        Defined{"setp.lt.u32 %p4, %r4, 9; or.pred %p4, %p4, %p3; selp.u32 "
                "%r9, 1, 2, %p4;",
                1},
        Defined{"setp.lt.and.u32 %p4, %r4, 9, %p2; selp.u32 %r9, 1, 2, %p4;",
                2},
        Defined{"setp.lt.or.u32 %p4, %r4, 9, !%p2; selp.u32 %r9, 1, 2, %p4;",
                1},
        Defined{"setp.lt.u32 %p4, %r4, 9; setp.gt.and.u32 %p5, %r3, 99, %p4; "
                "selp.u32 %r9, 1, 2, %p5;",
                2},
        Defined{"setp.eq.u32 %p4, %r5, 0; selp.u32 %r9, 1, 2, %p4;", 2},
        // Lanes of the warp.
        Defined{"shfl.sync.idx.b32 %r9, %r6, 5, 31, -1;", 5},
        Defined{"setp.gt.u32 %p4, %r6, 9; vote.sync.ballot.b32 %r8, %p4, -1; "
                "and.b32 %r9, %r8, 0xffff;",
                0xfc00},
        Defined{"setp.gt.u32 %p4, %r6, 9; vote.sync.any.pred %p5, %p4, -1; "
                "selp.u32 %r9, 1, 2, %p5;",
                1},
        Defined{"shfl.sync.up.b32 %r8|%p4, %r4, 0, 0, -1; selp.u32 %r9, 1, 2, "
                "%p4;",
                1}));

/// Line 5 uses what line 4 loads, or computes what line 6 stores.
struct Used {
  const char *body;
  uint32_t line = 6;
  uint32_t lane = 0; ///< the first that does
};

class IsReported : public testing::TestWithParam<Used> {};

TEST_P(IsReported, WhereItIsUsed) {
  KernelRun run(head + GetParam().body + store, 1, shared);
  run.array(std::vector<uint32_t>(32));
  run.expectUse(GetParam().line, 4, {1}, {32});
  ASSERT_FALSE(run.findings.empty());
  EXPECT_EQ(run.findings[0].thread[0], GetParam().lane);
}

INSTANTIATE_TEST_SUITE_P(
    UndefinedValues, IsReported,
    testing::Values(
        // What makes a difference.
        Used{"mov.u32 %r9, %r4;"}, Used{"ld.shared.u32 %r9, [%r4];", 5},
        Used{"mov.u32 %r9, 0; setp.eq.u32 %p4, %r4, 0; @%p4 mov.u32 %r9, 1;",
             5},
        Used{"mov.u32 %r9, 0; setp.eq.u32 %p4, %r4, 0; @%p4 bra here; here:",
             5},
        Used{"atom.global.add.u32 %r9, [%rd2], %r4;", 5},
        Used{"mov.u32 %r9, 0; red.shared.add.u32 [s], %r4;", 5},
        Used{"mov.u32 %r9, 0; st.global.u8 [%rd2], %r4;", 5},
        Used{"mov.u32 %r9, 0; st.u32 [%rd2], %r4;", 5},
        Used{"mov.u32 %r9, 0; bar.sync %r4;", 5},
        Used{"setp.eq.u32 %p4, %r4, 0; bar.red.popc.u32 %r9, 0, %p4;", 5},
        // Carried on, whole and in part.
        Used{"selp.u32 %r9, %r3, %r4, %p2;"},
        Used{"setp.eq.u32 %p4, %r4, 0; selp.u32 %r9, 1, 2, %p4;"},
        Used{"mov.u32 %r9, %r5;"}, Used{"and.b32 %r9, %r5, 0x1ff;"},
        Used{"or.b32 %r9, %r4, 0xfffffffe;"},
        Used{"lop3.b32 %r9, %r4, %r3, %r4, 0xca;"},
        Used{"lop3.b32 %r9, %r4, %r3, %r4, 0x96;"},
        Used{"shr.u32 %r9, %r5, 1;"}, Used{"shl.b32 %r9, %r3, %r4;"},
        Used{"bfe.u32 %r9, %r5, 2, 7;"}, Used{"bfi.b32 %r9, %r3, %r4, 8, 8;"},
        Used{"prmt.b32 %r9, %r3, %r5, 0x0005;"},
        Used{"prmt.b32 %r9, %r3, %r3, %r4;"}, Used{"cvt.u32.u16 %r9, %r5;"},
        Used{"add.u32 %r8, %r5, %r5; and.b32 %r9, %r8, 0x100;"},
        Used{"add.f32 %r9, %r5, %r5;"}, Used{"min.u32 %r9, %r5, 1;"},
        Used{"mov.b64 %rd4, {%r3, %r4}; mov.b64 {_, %r9}, %rd4;"},
        Used{"add.cc.u32 %r8, %r4, %r3; addc.u32 %r9, 0, 0;"},
        Used{"mov.u32 %r9, %r6;", 6, 16}, Used{"cvt.u32.u64 %r9, %rd6;", 6, 16},
        Used{"shfl.sync.idx.b32 %r9, %r6, 20, 31, -1;"},
        Used{"shfl.sync.bfly.b32 %r9, %r6, 16, 31, -1;"},
        Used{"shfl.sync.idx.b32 %r9, %r3, %r4, 31, -1;"},
        Used{"setp.gt.u32 %p4, %r6, 9; vote.sync.ballot.b32 %r9, %p4, -1;"},
        Used{"setp.gt.u32 %p4, %r6, 19; vote.sync.any.pred %p5, %p4, -1; "
             "selp.u32 %r9, 1, 2, %p5;"},
        Used{"redux.sync.add.u32 %r9, %r6, -1;"},
        Used{"match.any.sync.b32 %r9, %r6, -1;"},
        Used{"setp.gt.xor.u32 %p4, %r4, 9, %p2; selp.u32 %r9, 1, 2, %p4;"},
        Used{"setp.eq.u32 %p4, %r5, 0x15; selp.u32 %r9, 1, 2, %p4;"}));

TEST(UndefinedValues, RegisterNobodyWrote) {
  // The origin is where it is read first.
  KernelRun run(head + "add.u32 %r9, %r30, 1;" + store, 1, shared);
  run.allocate(128);
  run.expectUse(6, 5, {1}, {32});
  KernelRun guard(head + "mov.u32 %r9, 1; @%p8 mov.u32 %r9, 2;" + store, 1,
                  shared);
  guard.allocate(128);
  guard.expectFinding(FindingKind::Uninitialised, 5, {1}, {32});
  EXPECT_NE(guard.findings[0].detail.find(
                "the guard is a register that was never written"),
            std::string::npos);
}

TEST(UndefinedValues, RegisterWrittenInOneArmOnly) {
  KernelRun run(head + "@%p1 mov.u32 %r9, 1;" + store, 1, shared);
  run.allocate(128);
  run.expectFinding(FindingKind::Uninitialised, 6, {1}, {32});
  EXPECT_EQ(run.findings[0].thread[0], 16u);
}

/// A lane may take what another has that does not execute the shfl: behind its
/// guard, outside the member mask or gone. It may not use it.
TEST(UndefinedValues, LaneThatDoesNotExecuteTheShfl) {
  for (const char *body :
       {"mov.u32 %r9, 1; @%p1 shfl.sync.bfly.b32 %r9, %r1, 16, 31, 0xffff;",
        "mov.u32 %r9, 1; @%p1 shfl.sync.idx.b32 %r9, %r6, 16, 31, 0xffff;",
        "@!%p1 exit; shfl.sync.down.b32 %r9, %r1, 16, 31, -1;"}) {
    SCOPED_TRACE(body);
    KernelRun run(head + body + store, 1, shared);
    run.allocate(128);
    run.expectUse(6, 5, {1}, {32});
    ASSERT_FALSE(run.findings.empty());
    EXPECT_NE(run.findings[0].detail.find(
                  "the stored value depends on the register of a lane that "
                  "does not execute the shfl, read at ptx line"),
              std::string::npos)
        << run.findings[0].detail;
    EXPECT_NE(run.findings[0].detail.find("first lane 0 of 16"),
              std::string::npos)
        << run.findings[0].detail;
  }
  for (const char *body :
       {"mov.u32 %r9, 1; @%p1 shfl.sync.bfly.b32 %r9, %r1, 8, 31, 0xffff;",
        "@%p1 shfl.sync.bfly.b32 %r9, %r1, 16, 31, 0xffff; mov.u32 %r9, 1;"}) {
    KernelRun run(head + body + store, 1, shared);
    run.allocate(128);
    Status status = run.launch({1}, {32});
    EXPECT_TRUE(status.ok()) << body << status.message();
  }
}

/// What a bulk copy takes out of shared memory reaches global memory.
TEST(UndefinedValues, BulkCopyOutOfSharedMemory) {
  KernelRun run(head +
                    "setp.eq.u32 %p4, %r1, 0; @%p4 st.shared.v4.u32 [s+1024], "
                    "{%r3, %r3, %r4, %r3}; fence.proxy.async; @%p4 "
                    "cp.async.bulk.global.shared::cta.bulk_group [%rd1], "
                    "[%r7+1024], 16; @%p4 cp.async.bulk.commit_group; @%p4 "
                    "cp.async.bulk.wait_group 0;",
                1, shared);
  run.allocate(128);
  run.expectUse(5, 4, {1}, {32});
  ASSERT_FALSE(run.findings.empty());
  EXPECT_NE(run.findings[0].detail.find(
                "shared offset 1032 depends on bytes that were never written, "
                "loaded at ptx line"),
            std::string::npos)
      << run.findings[0].detail;
}

/// An mma of ones whose a, b or c is undefined in lanes 4 to 7: of a those are
/// row 1, of b column 1. Each lane stores element n of the result.
std::string productBody(const char *undefined, unsigned n) {
  std::string body =
      "mov.u32 %r10, 0x3c003c00; mov.u32 %r11, %r10; mov.u32 %r12, 0; "
      "mov.u32 %r14, 0; shr.u32 %r13, %r1, 2; setp.eq.u32 %p4, "
      "%r13, 1; @%p4 mov.u32 " +
      std::string(undefined) +
      ", %r4; mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r20, %r21, "
      "%r22, %r23}, {%r10, %r3, %r3, %r3}, {%r11, %r3}, {%r12, %r14, %r14, "
      "%r14}; mov.u32 %r9, %r2" +
      std::to_string(n) + ";";
  return body;
}

TEST(UndefinedValues, RowsAndColumnsOfAProduct) {
  struct {
    const char *undefined;
    unsigned element;
    int lane; ///< the first with an undefined result; -1: none
  } const cases[] = {{"%r10", 0, 4},  {"%r10", 1, 4}, {"%r10", 2, -1},
                     {"%r11", 0, -1}, {"%r11", 1, 0}, {"%r11", 3, 0},
                     {"%r12", 0, 4},  {"%r12", 1, -1}};
  for (auto [undefined, element, lane] : cases) {
    SCOPED_TRACE(std::string(undefined) + std::to_string(element));
    KernelRun run(head + productBody(undefined, element) + store, 1, shared);
    run.allocate(128);
    if (lane < 0) {
      Status status = run.launch({1}, {32});
      EXPECT_TRUE(status.ok()) << status.message();
      continue;
    }
    run.expectUse(6, 4, {1}, {32});
    if (!run.findings.empty())
      EXPECT_EQ(run.findings[0].thread[0], unsigned(lane));
  }
}

} // namespace
} // namespace qopt::emulator
