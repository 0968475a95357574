// Lanes that part meet again, wait for each other where they must, and all make
// progress, under every schedule.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"

namespace qopt::emulator {
namespace {

/// One address per lane: %rd2 = p0 + 4 · tid.
const std::string head = R"(.reg .b64 %rd<5>; .reg .b32 %r<9>; .reg .pred %p<4>;
ld.param.u64 %rd1, [p0];
mov.u32 %r1, %tid.x;
mul.wide.u32 %rd2, %r1, 4;
add.s64 %rd2, %rd1, %rd2;
)";

TEST(Divergence, LanesMeetBehindALoop) {
  // Lane i turns i times; behind the loop all 32 must be there at once.
  KernelRun run(head + R"(
mov.u32 %r2, 0;
loop:
setp.ge.u32 %p1, %r2, %r1;
@%p1 bra done;
add.u32 %r2, %r2, 1;
bra loop;
done:
activemask.b32 %r3;
st.global.u32 [%rd2], %r3;)");
  uint64_t address = run.allocate(128);
  Status status = run.launch({1}, {32});
  ASSERT_TRUE(status.ok()) << status.message();
  for (uint32_t mask : run.fetch<uint32_t>(address, 32))
    EXPECT_EQ(mask, 0xffffffffu);
}

TEST(Divergence, SpinLockWithinAWarp) {
  // The winner waits behind the loop while 31 lanes spin: without independent
  // scheduling this never ends.
  const std::string lock = head + R"(
spin:
atom.global.cas.b32 %r2, [%rd1], 0, 1;
setp.ne.u32 %p1, %r2, 0;
@%p1 bra spin;
fence.acq_rel.gpu;
ld.global.u32 %r3, [%rd1+4];
add.u32 %r3, %r3, 1;
st.global.u32 [%rd1+4], %r3;
fence.acq_rel.gpu;
atom.global.exch.b32 %r2, [%rd1], 0;)";
  for (uint64_t seed = 0; seed < 4; ++seed) {
    KernelRun run(lock);
    run.options.seed = seed;
    uint64_t address = run.array(std::vector<uint32_t>(2));
    Status status = run.launch({3}, {64});
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(run.fetch<uint32_t>(address, 2)[1], 192u);
  }
}

TEST(Divergence, BlocksWaitForEachOther) {
  // A barrier of all 40 blocks, through global memory.
  KernelRun run(head + R"(
setp.ne.u32 %p1, %r1, 0;
@%p1 bra done;
atom.acq_rel.gpu.global.add.u32 %r2, [%rd1], 1;
mov.u32 %r4, %nctaid.x;
wait:
ld.acquire.gpu.global.u32 %r3, [%rd1];
setp.lt.u32 %p2, %r3, %r4;
@%p2 bra wait;
done:)");
  run.array(std::vector<uint32_t>(32));
  run.options.threads = 2;
  Status status = run.launch({40}, {32});
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(Divergence, ExitedLanesAreNotWaitedFor) {
  KernelRun run(head + R"(
setp.ge.u32 %p1, %r1, 50;
@%p1 bra done;
atom.shared.add.u32 %r2, [sum], %r1;
bar.sync 0;
ld.shared.u32 %r3, [sum];
st.global.u32 [%rd2], %r3;
done:
ret;)",
                1, ".shared .align 4 .u32 sum;");
  run.options.checks.barriers = false;
  run.options.checks.initialised = false;
  uint64_t address = run.allocate(200);
  for (uint64_t seed = 0; seed < 8; ++seed) {
    run.options.seed = seed;
    Status status = run.launch({1}, {128});
    ASSERT_TRUE(status.ok()) << status.message();
    std::vector<uint32_t> got = run.fetch<uint32_t>(address, 50);
    for (uint32_t value : got)
      EXPECT_EQ(value, got[0]);
  }
}

TEST(Divergence, IndexedBranch) {
  KernelRun run(head + R"(
rem.u32 %r2, %r1, 3;
table: .branchtargets zero, one, two;
brx.idx %r2, table;
zero:
mov.u32 %r3, 100;
bra done;
one:
mov.u32 %r3, 101;
bra done;
two:
mov.u32 %r3, 102;
done:
st.global.u32 [%rd2], %r3;)");
  uint64_t address = run.allocate(128);
  Status status = run.launch({1}, {32});
  ASSERT_TRUE(status.ok()) << status.message();
  std::vector<uint32_t> got = run.fetch<uint32_t>(address, 32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], 100 + i % 3);
}

TEST(Divergence, ShuffleWaitsForTheOthers) {
  // The lanes come to the shuffle one half after the other.
  KernelRun run(head + R"(
and.b32 %r2, %r1, 1;
setp.eq.u32 %p1, %r2, 0;
mov.u32 %r3, %r1;
@%p1 bra even;
add.u32 %r3, %r3, 1000;
even:
shfl.sync.bfly.b32 %r4, %r3, 1, 31, -1;
st.global.u32 [%rd2], %r4;)");
  uint64_t address = run.allocate(128);
  Status status = run.launch({1}, {32});
  ASSERT_TRUE(status.ok()) << status.message();
  std::vector<uint32_t> got = run.fetch<uint32_t>(address, 32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], (i ^ 1) + (i % 2 ? 0 : 1000));
}

} // namespace
} // namespace qopt::emulator
