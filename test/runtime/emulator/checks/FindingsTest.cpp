// Each check finds what it is for, at the right line, and lets correct kernels
// pass.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelRun.h"

namespace qopt::emulator {
namespace {

/// Line 1 declares, line 2 and following load the parameter and %r1 = tid.
const std::string head =
    ".reg .b64 %rd<9>; .reg .b32 %r<9>; .reg .pred %p<4>; .reg .b16 %h<3>;\n"
    "ld.param.u64 %rd1, [p0];\n"
    "mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4;"
    " add.s64 %rd2, %rd1, %rd2; shl.b32 %r2, %r1, 2;\n";
const std::string sharedArray = ".shared .align 16 .b8 s[1024];";

TEST(Findings, OutOfBoundsByOneElement) {
  KernelRun run(head + "ld.global.u32 %r3, [%rd2+4];");
  run.array(std::vector<uint32_t>(32));
  run.expectFinding(FindingKind::OutOfBounds, 4, {1}, {32});
  EXPECT_EQ(run.findings[0].thread[0], 31u);
  EXPECT_NE(run.findings[0].detail.find(
                ": 0 bytes behind the end of the allocation of 128 bytes at "),
            std::string::npos)
      << run.findings[0].detail;
}

/// Of two, one with a name: the nearer one is told, and on which side.
TEST(Findings, TheNearestAllocation) {
  struct Case {
    const char *address, *expected;
  };
  for (const Case &it :
       {Case{"[%rd2+-8]", ": 8 bytes before the allocation of 128 bytes at "},
        Case{"[c+12]", ": 8 bytes behind the end of 'c', 4 bytes at "},
        Case{"[c+-4]", ": 4 bytes before 'c', 4 bytes at "},
        Case{"[c+2]", ": it begins 2 bytes before the end of 'c', 4 bytes"}}) {
    KernelRun run(head + "ld.global.b32 %r3, " + it.address + ";", 1,
                  ".global .align 4 .u32 c = 1;");
    run.array(std::vector<uint32_t>(32));
    run.options.checks.alignment = false;
    run.expectFinding(FindingKind::OutOfBounds, 4, {1}, {1});
    ASSERT_FALSE(run.findings.empty()) << it.address;
    EXPECT_NE(run.findings[0].detail.find(it.expected), std::string::npos)
        << run.findings[0].detail;
  }
}

TEST(Findings, OutOfBoundsOfShared) {
  KernelRun run(head + "mov.u32 %r3, s;\nst.shared.u32 [%r3+1024], %r1;", 1,
                sharedArray);
  run.array(std::vector<uint32_t>(32));
  run.expectFinding(FindingKind::OutOfBounds, 5, {1}, {1});
}

TEST(Findings, LanesThatStoreDifferentValuesToOnePlace) {
  KernelRun global(head + "st.global.u32 [%rd1], %r1;");
  global.array(std::vector<uint32_t>(32));
  global.expectFinding(FindingKind::Race, 4, {1}, {32});
  ASSERT_FALSE(global.findings.empty());
  EXPECT_NE(global.findings[0].detail.find("another lane"), std::string::npos);
  KernelRun shared(head + "mov.u32 %r3, s; and.b32 %r4, %r2, 63;\n"
                          "add.u32 %r3, %r3, %r4; st.shared.u32 [%r3], %r1;",
                   1, sharedArray);
  shared.array(std::vector<uint32_t>(32));
  shared.expectFinding(FindingKind::Race, 5, {1}, {32});
}

TEST(Findings, LanesThatStoreOneValueToOnePlace) {
  KernelRun run(head + "shr.u32 %r3, %r1, 5;\nst.global.u32 [%rd1], %r3;");
  uint64_t out = run.array(std::vector<uint32_t>(32, 9));
  Status status = run.launch({1}, {32});
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<uint32_t>(out, 1).front(), 0u);
}

TEST(Findings, WriteToConstantMemory) {
  KernelRun run(head + "mov.u64 %rd3, c;\nst.global.u32 [%rd3], %r1;", 1,
                ".const .align 4 .u32 c = 1;");
  run.array(std::vector<uint32_t>(32));
  run.expectFinding(FindingKind::OutOfBounds, 5, {1}, {1});
}

TEST(Findings, Misaligned) {
  KernelRun run(head + "ld.global.v2.u32 {%r3, %r4}, [%rd2];");
  run.array(std::vector<uint32_t>(34));
  run.expectFinding(FindingKind::Misaligned, 4, {1}, {32});
  EXPECT_EQ(run.findings[0].thread[0], 1u);
}

TEST(Findings, BarrierWithEndedThreads) {
  KernelRun run(head + "setp.ge.u32 %p1, %r1, 40;\n@%p1 ret;\nbar.sync 0;");
  run.allocate(128);
  run.expectFinding(FindingKind::BarrierDivergence, 6, {1}, {64});
}

TEST(Findings, BarrierInBothArms) {
  KernelRun run(head + "setp.ge.u32 %p1, %r1, 16;\n@%p1 bra other;\n"
                       "bar.sync 0;\nbra done;\nother:\nbar.sync 0;\ndone:");
  run.allocate(128);
  // The other arm ran first.
  run.expectFinding(FindingKind::BarrierDivergence, 6, {1}, {32});
}

TEST(Findings, BarrierCountsDiffer) {
  KernelRun run(head + "setp.ge.u32 %p1, %r1, 32;\n@%p1 bar.sync 1, 64;\n"
                       "@!%p1 bar.sync 1, 96;");
  run.allocate(128);
  ASSERT_FALSE(run.launch({1}, {64}).ok());
  EXPECT_EQ(run.findings[0].kind, FindingKind::BarrierDivergence);
}

TEST(Findings, DeadlockListsWhereWarpsStand) {
  KernelRun run(head + "setp.ge.u32 %p1, %r1, 32;\n@%p1 bra done;\n"
                       "bar.sync 1, 64;\ndone:\nret;");
  run.allocate(128);
  run.expectFinding(FindingKind::Deadlock, 6, {1}, {64});
  EXPECT_NE(run.findings[0].detail.find("warp 0 lanes ffffffff at line"),
            std::string::npos);
}

TEST(Findings, Watchdog) {
  KernelRun run(head + "again:\nbra again;");
  run.allocate(128);
  run.options.maximumInstructions = 10000;
  run.expectFinding(FindingKind::Watchdog, 5, {1}, {32});
}

TEST(Findings, Trap) {
  KernelRun run(head + "trap;");
  run.allocate(128);
  run.expectFinding(FindingKind::Trap, 4, {1}, {32});
}

TEST(Findings, LaneOutsideItsMask) {
  KernelRun run(head + "shfl.sync.idx.b32 %r3, %r1, 0, 31, 0xfffffffe;");
  run.allocate(128);
  run.expectFinding(FindingKind::InvalidUse, 4, {1}, {32});
  KernelRun last(head + "shfl.sync.idx.b32 %r3, %r1, 0, 31, 0x7fffffff;");
  last.allocate(128);
  last.expectFinding(FindingKind::InvalidUse, 4, {1}, {32});
  EXPECT_EQ(last.findings[0].thread[0], 31u);
}

TEST(Findings, QuoteIsOnALineOfItsOwn) {
  KernelRun run(head + "\tld.global.u32 \t%r3, [%rd2+4096]; \t");
  run.allocate(128);
  run.expectFinding(FindingKind::OutOfBounds, 4, {1}, {32});
  EXPECT_EQ(run.findings[0].text, "ld.global.u32 %r3, [%rd2+4096];");
}

TEST(Findings, SeveralWhenAsked) {
  KernelRun run(head + "ld.global.u32 %r3, [%rd2+4];\n"
                       "ld.global.u32 %r3, [%rd2+8];");
  run.array(std::vector<uint32_t>(32));
  run.options.maximumFindings = 8;
  EXPECT_FALSE(run.launch({1}, {32}).ok());
  EXPECT_EQ(run.findings.size(), 2u); // a line each
}

TEST(Findings, ChecksCanBeTurnedOff) {
  KernelRun run(head +
                "ld.global.u32 %r3, [%rd2];\nst.global.u32 [%rd1], %r3;");
  run.allocate(128);
  run.options.checks = Checks::none();
  EXPECT_TRUE(run.launch({4}, {32}).ok());
}

} // namespace
} // namespace qopt::emulator
