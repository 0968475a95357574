// Defects in the use of clusters are found, where they are.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../ClusterKernel.h"

namespace qopt::emulator {
namespace {

/// A race, or memory that nobody has written yet, at the remote read or at the
/// write that it meets, under every schedule.
void expectUnordered(const ClusterSum &kernel) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    ClusterRun run(kernel, seed);
    ASSERT_FALSE(run.launch().ok()) << seed;
    const std::string &text = run.findings[0].text;
    EXPECT_TRUE(text == kernel.load ||
                text == kernel.guard + "st.shared.u32 [%r4], %r6;")
        << run.findings[0].report();
    EXPECT_TRUE(run.findings[0].kind == FindingKind::Race ||
                run.findings[0].kind == FindingKind::Uninitialised)
        << run.findings[0].report();
  }
}

TEST(Clusters, BarrierRemoved) {
  ClusterSum kernel;
  kernel.arrive = kernel.wait = "";
  expectUnordered(kernel);
  kernel.arrive = "bar.sync 0;"; // is only of the block
  expectUnordered(kernel);
}

TEST(Clusters, WaitRemoved) {
  ClusterSum kernel;
  kernel.wait = "";
  ClusterRun run(kernel);
  run.options.checks = Checks::none();
  run.expectFinding(FindingKind::InvalidUse, 12);
  EXPECT_NE(run.findings[0].detail.find("twice"), std::string::npos);
}

TEST(Clusters, ArriveRemoved) {
  ClusterSum kernel;
  kernel.arrive = "";
  ClusterRun run(kernel);
  run.expectFinding(FindingKind::InvalidUse, 5);
  EXPECT_NE(run.findings[0].detail.find("without having arrived"),
            std::string::npos);
}

TEST(Clusters, RelaxedArrivalOrdersNothing) {
  ClusterSum kernel;
  kernel.arrive = "barrier.cluster.arrive.relaxed.aligned;";
  for (uint64_t seed = 0; seed < 4; ++seed)
    ClusterRun(kernel, seed).expectFinding(FindingKind::Race, 9);
  kernel.arrive = "fence.acq_rel.cta; " + kernel.arrive;
  ClusterRun(kernel).expectFinding(FindingKind::Race, 9);
  kernel.arrive = "fence.acq_rel.cluster; barrier.cluster.arrive.relaxed;";
  EXPECT_TRUE(ClusterRun(kernel).launch().ok());
}

TEST(Clusters, BlockEndsEarly) {
  ClusterSum kernel;
  kernel.lastArrive = kernel.lastWait = "";
  for (uint64_t seed = 0; seed < 6; ++seed) {
    ClusterRun run(kernel, seed);
    ASSERT_FALSE(run.launch().ok()) << seed;
    EXPECT_EQ(run.findings[0].text, kernel.load);
    EXPECT_TRUE(run.findings[0].kind == FindingKind::Race ||
                run.findings[0].kind == FindingKind::InvalidUse);
  }
  // Rank 0 ends; the others count to a thousand before they read.
  kernel.wait += " mov.u32 %r11, 0; @%p2 exit; slow: add.u32 %r11, %r11, 1; "
                 "setp.lt.u32 %p3, %r11, 1000; @%p3 bra slow;";
  ClusterRun run(kernel);
  run.expectFinding(FindingKind::InvalidUse, 9);
  EXPECT_NE(run.findings[0].detail.find("is in block 0, which has ended"),
            std::string::npos)
      << run.findings[0].detail;
}

TEST(Clusters, WrongRankAndAddress) {
  ClusterSum rank;
  rank.ranks = "5";
  ClusterRun(rank).expectFinding(FindingKind::OutOfBounds, 8);
  ClusterSum address; // a rank that no mapa gave
  address.address = "add.u32 %r9, %r4, 0x5000000;";
  ClusterRun run(address);
  run.expectFinding(FindingKind::OutOfBounds, 9);
  EXPECT_NE(run.findings[0].detail.find("rank 4, but the cluster has 4 blocks"),
            std::string::npos);
  ClusterSum beyond;
  beyond.load = "ld.shared::cluster.u32 %r10, [%r9+256];";
  ClusterRun(beyond).expectFinding(FindingKind::OutOfBounds, 9);
  ClusterSum space; // not of the own block
  space.load = "ld.shared.u32 %r10, [%r9];";
  ClusterRun(space).expectFinding(FindingKind::OutOfBounds, 9);
  ClusterSum odd;
  odd.load = "ld.shared::cluster.u32 %r10, [%r9+2];";
  ClusterRun(odd).expectFinding(FindingKind::Misaligned, 9);
}

TEST(Clusters, RemoteMemoryNobodyWrote) {
  ClusterSum kernel;
  kernel.guard = "@%p2 "; // block 0 only
  ClusterRun run(kernel);
  run.expectUse(14, 9, {4}, {64});
  EXPECT_NE(run.findings[0].detail.find("4 bytes at shared offset 0 of block"),
            std::string::npos);
}

TEST(Clusters, BlocksThatWriteTheSameWord) {
  ClusterSum kernel; // all write to rank 0
  kernel.load = "st.shared::cluster.u32 [%r9], %r6; mov.u32 %r10, 0;";
  kernel.address = "mapa.shared::cluster.u32 %r9, %r4, 0;";
  ClusterRun(kernel).expectFinding(FindingKind::Race, 9);
  kernel.load = "atom.relaxed.cluster.shared::cluster.add.u32 %r10, [%r9], 1;";
  EXPECT_TRUE(ClusterRun(kernel).launch().ok());
  kernel.load = "atom.relaxed.cta.shared::cluster.add.u32 %r10, [%r9], 1;";
  ClusterRun(kernel).expectFinding(FindingKind::Race, 9);
}

TEST(Clusters, ClusterScopeEndsAtTheCluster) {
  ClusterSum kernel;
  kernel.load = "atom.relaxed.cluster.global.add.u32 %r10, [%rd1+2048], 1;";
  EXPECT_TRUE(ClusterRun(kernel).launch(1).ok());
  ClusterRun(kernel).expectFinding(FindingKind::Race, 9, 2);
  kernel.load = "atom.relaxed.gpu.global.add.u32 %r10, [%rd1+2048], 1;";
  EXPECT_TRUE(ClusterRun(kernel).launch().ok());
}

TEST(Clusters, DivergedArrivals) {
  ClusterSum kernel;
  kernel.arrive = "setp.lt.u32 %p3, %r1, 16; @%p3 bra low;\n"
                  "barrier.cluster.arrive.aligned; bra high;\nlow: "
                  "barrier.cluster.arrive.aligned;\nhigh:";
  ClusterRun run(kernel);
  ASSERT_FALSE(run.launch().ok());
  EXPECT_EQ(run.findings[0].kind, FindingKind::BarrierDivergence);
  // Without .aligned that is what it is for.
  for (size_t at; (at = kernel.arrive.find(".aligned")) != std::string::npos;)
    kernel.arrive.erase(at, 8);
  Status status = ClusterRun(kernel).launch();
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(Clusters, ThreadsThatHaveEndedAreNotWaitedFor) {
  ClusterSum kernel;
  kernel.arrive = "@%p2 exit;\nbarrier.cluster.arrive.aligned;";
  kernel.address = "mov.u32 %r11, %cluster_ctarank; mapa.shared::cluster.u32 "
                   "%r9, %r4, %r11;";
  Status status = ClusterRun(kernel).launch();
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(Clusters, Deadlock) {
  ClusterSum kernel; // block 1 waits for more threads than it has
  kernel.arrive = "setp.eq.u32 %p3, %r5, 1;\n@%p3 bar.sync 1, 96;\n"
                  "barrier.cluster.arrive.aligned;";
  ClusterRun run(kernel);
  run.expectFinding(FindingKind::Deadlock, 7);
  const std::string &detail = run.findings[0].detail;
  EXPECT_NE(detail.find("no thread of the cluster can go on"),
            std::string::npos);
  EXPECT_NE(detail.find("block 1 warp 0 lanes ffffffff at line"),
            std::string::npos)
      << detail;
}

} // namespace
} // namespace qopt::emulator
