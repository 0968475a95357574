// The race check follows the order that barriers, fences, atomics and mbarriers
// make, and finds each of them when it is missing.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelRun.h"

namespace qopt::emulator {
namespace {

const std::string head =
    ".reg .b64 %rd<9>; .reg .b32 %r<9>; .reg .pred %p<4>;\n"
    "ld.param.u64 %rd1, [p0];\n"
    "mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4;"
    " add.s64 %rd2, %rd1, %rd2; shl.b32 %r2, %r1, 2; mov.u32 %r3, s;"
    " add.u32 %r4, %r3, %r2;\n";
const std::string sharedArray = ".shared .align 16 .b8 s[1024];";

/// Each thread writes a word and reads that of another thread, with `between`
/// between the two; 4: the line of the write.
std::string exchange(const std::string &between, unsigned distance) {
  return head + "st.shared.u32 [%r4], %r1;\n" + between +
         "\nxor.b32 %r5, %r2, " + std::to_string(4 * distance) +
         "; add.u32 %r5, %r3, %r5;\nld.shared.u32 %r6, [%r5];\n"
         "st.global.u32 [%rd2], %r6;";
}

Status runExchange(const std::string &between, unsigned distance,
                   uint64_t seed) {
  KernelRun run(exchange(between, distance), 1, sharedArray);
  run.options.seed = seed;
  run.options.checks.initialised = false;
  run.allocate(512);
  return run.launch({1}, {128});
}

TEST(Races, BarrierOrdersWarps) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    EXPECT_TRUE(runExchange("bar.sync 0;", 64, seed).ok());
    EXPECT_FALSE(runExchange("bar.warp.sync -1;", 64, seed).ok());
    EXPECT_FALSE(runExchange("membar.cta;", 64, seed).ok());
  }
}

TEST(Races, WarpBarrierOrdersLanes) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    EXPECT_TRUE(runExchange("bar.warp.sync -1;", 1, seed).ok());
    EXPECT_FALSE(runExchange("", 1, seed).ok());
  }
}

TEST(Races, NamedBarrierOrdersItsWarpsOnly) {
  // Warps 0 and 1 meet at barrier 1, warps 2 and 3 at barrier 2.
  const std::string meet =
      "shr.u32 %r7, %r1, 6; add.u32 %r7, %r7, 1;\nbar.sync %r7, 64;";
  EXPECT_TRUE(runExchange(meet, 32, 0).ok());
  EXPECT_FALSE(runExchange(meet, 64, 0).ok());
}

TEST(Races, ReportNamesBothSides) {
  KernelRun run(exchange("", 64), 1, sharedArray);
  run.options.checks.initialised = false;
  run.allocate(512);
  Status status = run.launch({1}, {128});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(run.findings[0].kind, FindingKind::Race);
  EXPECT_NE(status.message().find("is not ordered with the"),
            std::string::npos);
}

TEST(Races, HalvesOfAWordAreRemembered) {
  // Two lanes of a block write the halves of a word at once, another block
  // writes the first half: that lane's, whose store was not the last.
  const std::string body = R"(.reg .b32 %t, %o; .reg .b64 %p, %q;
.reg .b16 %h; .reg .pred %b;
ld.param.u64 %p, [p0];
mov.u32 %t, %tid.x;
cvt.u16.u32 %h, %t;
mul.wide.u32 %q, %t, 2;
add.u64 %p, %p, %q;
mov.u32 %o, %ctaid.x;
and.b32 %o, %o, %t;
setp.eq.u32 %b, %o, 0;
@%b st.global.u16 [%p], %h;
ret;)";
  for (uint64_t seed = 0; seed < 8; ++seed) {
    KernelRun run(body);
    run.options.seed = seed;
    run.array(std::vector<uint32_t>(4));
    EXPECT_FALSE(run.launch({2}, {2}).ok());
  }
}

TEST(Races, ReadBeforeTheNextWrite) {
  // The second write must wait for the reads of the first round.
  const std::string body = head + R"(st.shared.u32 [%r4], %r1;
bar.sync 0;
ld.shared.u32 %r6, [%r3+124];
@@
st.shared.u32 [%r4], %r6;
)";
  for (bool ordered : {true, false}) {
    std::string text = body;
    text.replace(text.find("@@"), 2, ordered ? "bar.sync 0;" : "");
    KernelRun run(text, 1, sharedArray);
    run.allocate(512);
    EXPECT_EQ(run.launch({1}, {128}).ok(), ordered);
  }
}

/// Block 0 writes, then raises a flag; block 1 waits for the flag, then reads.
Status passMessage(const std::string &release, const std::string &acquire) {
  KernelRun run(R"(.reg .b64 %rd<4>; .reg .b32 %r<9>; .reg .pred %p<3>;
ld.param.u64 %rd1, [p0];
mov.u32 %r1, %ctaid.x;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra consumer;
st.global.u32 [%rd1+64], 42;
)" + release + R"(
ret;
consumer:
)" + acquire + R"(
setp.eq.u32 %p2, %r2, 0;
@%p2 bra consumer;
ld.global.u32 %r3, [%rd1+64];
st.global.u32 [%rd1+128], %r3;)");
  uint64_t address = run.array(std::vector<uint32_t>(64));
  Status status = run.launch({2}, {1});
  if (status.ok()) {
    EXPECT_EQ(run.fetch<uint32_t>(address, 64)[32], 42u);
  }
  return status;
}

TEST(Races, ReleaseAndAcquireOrderBlocks) {
  const std::string release = "st.release.gpu.global.u32 [%rd1], 1;";
  const std::string acquire = "ld.acquire.gpu.global.u32 %r2, [%rd1];";
  const std::string relaxedRead = "ld.relaxed.gpu.global.u32 %r2, [%rd1];";
  EXPECT_TRUE(passMessage(release, acquire).ok());
  EXPECT_FALSE(
      passMessage("st.relaxed.gpu.global.u32 [%rd1], 1;", acquire).ok());
  EXPECT_FALSE(passMessage(release, relaxedRead).ok());
  EXPECT_TRUE(passMessage(release, relaxedRead + " fence.acq_rel.gpu;").ok());
}

TEST(Races, FencesMakeRelaxedAccessesRelease) {
  const std::string acquire = "ld.acquire.gpu.global.u32 %r2, [%rd1];";
  EXPECT_TRUE(passMessage("fence.acq_rel.gpu;\n"
                          "red.relaxed.gpu.global.add.u32 [%rd1], 1;",
                          acquire)
                  .ok());
  // A fence of the block orders nothing between blocks.
  EXPECT_FALSE(passMessage("fence.acq_rel.cta;\n"
                           "red.relaxed.gpu.global.add.u32 [%rd1], 1;",
                           acquire)
                   .ok());
  EXPECT_FALSE(
      passMessage("red.relaxed.gpu.global.add.u32 [%rd1], 1;", acquire).ok());
}

TEST(Races, WeakFlagIsARace) {
  EXPECT_FALSE(passMessage("st.global.u32 [%rd1], 1;",
                           "ld.acquire.gpu.global.u32 %r2, [%rd1];")
                   .ok());
}

TEST(Races, AtomicsDoNotRaceWithEachOther) {
  KernelRun run(head + "red.global.add.u32 [%rd1], 1;", 1, sharedArray);
  uint64_t address = run.array(std::vector<uint32_t>(1));
  Status status = run.launch({8}, {64});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<uint32_t>(address, 1)[0], 512u);
  // Of block scope they do, between blocks.
  KernelRun narrow(head + "red.relaxed.cta.global.add.u32 [%rd1], 1;", 1,
                   sharedArray);
  narrow.array(std::vector<uint32_t>(1));
  EXPECT_FALSE(narrow.launch({8}, {64}).ok());
}

TEST(Races, BytesOfOneWordAreNoRace) {
  KernelRun run(head + "cvt.u64.u32 %rd3, %r1; add.s64 %rd3, %rd1, %rd3;\n"
                       "st.global.u8 [%rd3], %r1;",
                1, sharedArray);
  run.allocate(128);
  Status status = run.launch({1}, {128});
  EXPECT_TRUE(status.ok()) << status.message();
}

} // namespace
} // namespace qopt::emulator
