// Asynchronous copies arrive, and what does not wait for them is found.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"

namespace qopt::emulator {
namespace {

/// 32 threads copy 16 bytes each with cp.async and read what another thread
/// has copied; lines 7 and 8 can be replaced.
std::string copyGroups(const std::string &wait, const std::string &barrier) {
  return R"(.reg .b64 %rd<5>; .reg .b32 %r<9>;
ld.param.u64 %rd1, [p0]; ld.param.u64 %rd2, [p1];
mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 4; cvt.u64.u32 %rd3, %r2;
add.s64 %rd1, %rd1, %rd3; mov.u32 %r3, s; add.u32 %r3, %r3, %r2;
cp.async.cg.shared.global [%r3], [%rd1], 16;
cp.async.commit_group;
)" + wait +
         "\n" + barrier + R"(
xor.b32 %r4, %r3, 16;
ld.shared.u32 %r5, [%r4];
shl.b32 %r6, %r1, 2; cvt.u64.u32 %rd4, %r6; add.s64 %rd2, %rd2, %rd4;
st.global.u32 [%rd2], %r5;)";
}

std::vector<uint32_t> counting(size_t count) {
  std::vector<uint32_t> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = uint32_t(i);
  return values;
}

const std::string sharedArray = ".shared .align 128 .b8 s[4096];";

TEST(Async, CopyArrivesAtTheWait) {
  KernelRun run(copyGroups("cp.async.wait_group 0;", "bar.warp.sync -1;"), 2,
                sharedArray);
  run.array(counting(128));
  uint64_t out = run.allocate(128);
  Status status = run.launch({1}, {32});
  ASSERT_TRUE(status.ok()) << status.message();
  std::vector<uint32_t> got = run.fetch<uint32_t>(out, 32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], 4 * (i ^ 1));
  EXPECT_EQ(run.statistics.asyncRead, 32u * 16);
  EXPECT_EQ(run.statistics.bytes["global"].read, 32u * 16);
}

TEST(Async, MissingWaitAndMissingBarrier) {
  KernelRun noWait(copyGroups("", "bar.warp.sync -1;"), 2, sharedArray);
  noWait.array(counting(128));
  noWait.allocate(128);
  noWait.expectFinding(FindingKind::AsyncCopy, 10, {1}, {32});

  KernelRun tooFew(copyGroups("cp.async.wait_group 1;", "bar.warp.sync -1;"), 2,
                   sharedArray);
  tooFew.array(counting(128));
  tooFew.allocate(128);
  tooFew.expectFinding(FindingKind::AsyncCopy, 10, {1}, {32});

  KernelRun noBarrier(copyGroups("cp.async.wait_all;", ""), 2, sharedArray);
  noBarrier.array(counting(128));
  noBarrier.allocate(128);
  noBarrier.expectFinding(FindingKind::Race, 10, {1}, {32});
}

TEST(Async, CopyThatNobodyWaitsFor) {
  KernelRun run(R"(.reg .b64 %rd<2>; .reg .b32 %r<2>;
ld.param.u64 %rd1, [p0]; mov.u32 %r1, s;
cp.async.ca.shared.global [%r1], [%rd1], 4;)",
                1, sharedArray);
  run.array(counting(4));
  run.expectFinding(FindingKind::AsyncCopy, 3, {1}, {1});
}

TEST(Async, ZeroFill) {
  KernelRun run(R"(.reg .b64 %rd<3>; .reg .b32 %r<5>;
ld.param.u64 %rd1, [p0]; ld.param.u64 %rd2, [p1]; mov.u32 %r1, s;
cp.async.ca.shared.global [%r1], [%rd1], 8, 4;
cp.async.wait_all;
ld.shared.v2.u32 {%r2, %r3}, [%r1];
st.global.v2.u32 [%rd2], {%r2, %r3};)",
                2, sharedArray);
  run.array(std::vector<uint32_t>{77}); // four bytes are all there is
  uint64_t out = run.allocate(8);
  Status status = run.launch({1}, {1});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<uint32_t>(out, 2), (std::vector<uint32_t>{77, 0}));
}

/// One thread copies 512 bytes with the bulk engine; all wait and read.
std::string bulk(const std::string &wait, const std::string &count = "512") {
  return R"(.reg .b64 %rd<5>; .reg .b32 %r<9>; .reg .pred %p<3>;
ld.param.u64 %rd1, [p0]; ld.param.u64 %rd2, [p1];
mov.u32 %r1, %tid.x; mov.u32 %r3, s; mov.u32 %r7, bar; setp.ne.u32 %p1, %r1, 0;
@%p1 bra ready;
mbarrier.init.shared.b64 [%r7], 1;
ready:
bar.sync 0;
@%p1 bra issued;
mbarrier.arrive.expect_tx.shared.b64 _, [%r7], )" +
         count + R"(;
cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%rd1], 512, [%r7];
issued:
)" + wait +
         R"(
shl.b32 %r6, %r1, 2; add.u32 %r4, %r3, %r6;
ld.shared.u32 %r5, [%r4];
cvt.u64.u32 %rd4, %r6; add.s64 %rd2, %rd2, %rd4;
st.global.u32 [%rd2], %r5;)";
}
const std::string wait = "mbarrier.try_wait.parity.shared.b64 %p2, [%r7], 0;\n"
                         "@!%p2 bra issued;";
const std::string withBarrier = sharedArray + " .shared .align 8 .b64 bar;";

TEST(Async, BulkCopyCompletesThePhase) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    KernelRun run(bulk(wait), 2, withBarrier);
    run.options.seed = seed;
    run.array(counting(128));
    uint64_t out = run.allocate(512);
    Status status = run.launch({2}, {128});
    // Both blocks write the same values to the same place: a race, and the
    // only one.
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(run.findings[0].text, "st.global.u32 [%rd2], %r5;");
    status = run.launch({1}, {128});
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(run.fetch<uint32_t>(out, 128), counting(128));
    EXPECT_EQ(run.statistics.bulkRead, 512u);
  }
}

TEST(Async, BulkCopyWithoutWait) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    // A barrier is no wait: the copy may be under way, or just have landed.
    KernelRun run(bulk("bar.sync 0;"), 2, withBarrier);
    run.options.seed = seed;
    run.array(counting(128));
    run.allocate(512);
    ASSERT_FALSE(run.launch({1}, {128}).ok());
    EXPECT_EQ(run.findings[0].text, "ld.shared.u32 %r5, [%r4];");
    EXPECT_TRUE(run.findings[0].kind == FindingKind::AsyncCopy ||
                run.findings[0].kind == FindingKind::Race);
  }
}

TEST(Async, TooManyBytesExpectedIsADeadlock) {
  KernelRun run(bulk(wait, "528"), 2, withBarrier);
  run.array(counting(128));
  run.allocate(512);
  run.expectFinding(FindingKind::Deadlock, 12, {1}, {128});
}

TEST(Async, BulkCopyOutOfBounds) {
  KernelRun run(bulk(wait), 2, withBarrier);
  run.array(counting(127));
  run.allocate(512);
  run.expectFinding(FindingKind::OutOfBounds, 10, {1}, {128});
}

TEST(Async, MbarrierWithoutInit) {
  KernelRun run(R"(.reg .b32 %r<2>; .reg .b64 %rd<2>; mov.u32 %r1, bar;
mbarrier.arrive.shared.b64 %rd1, [%r1];)",
                0, withBarrier);
  run.options.checks.initialised = false;
  run.expectFinding(FindingKind::InvalidUse, 2, {1}, {1});
}

} // namespace
} // namespace qopt::emulator
