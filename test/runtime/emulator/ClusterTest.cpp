// Blocks of a cluster run together, know their places, and reach each other's
// shared memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ClusterKernel.h"

namespace qopt::emulator {
namespace {

TEST(Cluster, SumOverDistributedSharedMemory) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    ClusterRun run(ClusterSum{}, seed);
    Status status = run.launch();
    ASSERT_TRUE(status.ok()) << status.message();
    std::vector<uint32_t> got = run.fetch<uint32_t>(run.out, 512);
    for (uint32_t i = 0; i < 512; ++i) {
      uint32_t first = i / 256 * 256 + i % 64; // in rank 0
      EXPECT_EQ(got[i], 4 * first + (1 + 2 + 3) * 64) << i;
    }
  }
}

TEST(Cluster, BytesCountAsShared) {
  ClusterRun run(ClusterSum{});
  ASSERT_TRUE(run.launch().ok());
  EXPECT_EQ(run.statistics.bytes["shared"].written, 8u * 64 * 4);
  EXPECT_EQ(run.statistics.bytes["shared"].read, 8u * 64 * 4 * 4);
}

TEST(Cluster, SpecialRegisters) {
  const char *const names[] = {
      "clusterid.x",      "clusterid.y",      "clusterid.z",
      "nclusterid.x",     "nclusterid.y",     "nclusterid.z",
      "cluster_ctaid.x",  "cluster_ctaid.y",  "cluster_ctaid.z",
      "cluster_nctaid.x", "cluster_nctaid.y", "cluster_nctaid.z",
      "cluster_ctarank",  "cluster_nctarank"};
  std::string body = R"(.reg .b64 %rd<3>; .reg .b32 %r<9>; .reg .pred %p1;
ld.param.u64 %rd1, [p0]; mov.u32 %r1, %ctaid.z; mov.u32 %r2, %nctaid.y;
mov.u32 %r3, %ctaid.y; mad.lo.u32 %r1, %r1, %r2, %r3; mov.u32 %r2, %nctaid.x;
mov.u32 %r3, %ctaid.x; mad.lo.u32 %r1, %r1, %r2, %r3;
mul.wide.u32 %rd2, %r1, 64; add.s64 %rd1, %rd1, %rd2;
)";
  for (size_t i = 0; i < std::size(names); ++i)
    body += "mov.u32 %r4, %" + std::string(names[i]) +
            "; st.global.u32 [%rd1+" + std::to_string(4 * i) + "], %r4;\n";
  body += "mov.pred %p1, %is_explicit_cluster; selp.u32 %r4, 1, 0, %p1;"
          " st.global.u32 [%rd1+56], %r4;";
  KernelRun run(body, 1, "", " .explicitcluster" + clusterOf("2, 1, 2"));
  uint64_t out = run.allocate(24 * 64);
  Status status = run.launch({4, 3, 2}, {1});
  ASSERT_TRUE(status.ok()) << status.message();
  std::vector<uint32_t> got = run.fetch<uint32_t>(out, 24 * 16);
  for (uint32_t i = 0; i < 24; ++i) {
    uint32_t x = i % 4, y = i / 4 % 3, z = i / 12;
    std::vector<uint32_t> expected = {
        x / 2, y, 0, 2, 3, 1, x % 2, 0, z, 2, 1, 2, x % 2 + 2 * z, 4, 1};
    std::vector<uint32_t> block(got.begin() + i * 16,
                                got.begin() + i * 16 + 15);
    EXPECT_EQ(block, expected) << i;
  }
}

TEST(Cluster, WithoutDirectiveItIsOneBlock) {
  KernelRun run(R"(.reg .b64 %rd<3>; .reg .b32 %r<9>; .reg .pred %p1;
ld.param.u64 %rd1, [p0]; mov.u32 %r1, %ctaid.x; mul.wide.u32 %rd2, %r1, 16; add.s64 %rd1, %rd1, %rd2;
mov.u32 %r2, %clusterid.x; mov.u32 %r3, %cluster_nctarank; mov.pred %p1, %is_explicit_cluster; selp.u32 %r4, 1, 0, %p1;
mov.u32 %r5, s; st.shared.u32 [%r5], 7;
barrier.cluster.arrive; barrier.cluster.wait;
mapa.shared::cluster.u32 %r5, %r5, 0; ld.shared::cluster.u32 %r6, [%r5];
st.global.v4.u32 [%rd1], {%r2, %r3, %r4, %r6};)",
                1, clusterArray);
  uint64_t out = run.allocate(48);
  Status status = run.launch({3}, {1});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<uint32_t>(out, 12),
            (std::vector<uint32_t>{0, 1, 0, 7, 1, 1, 0, 7, 2, 1, 0, 7}));
}

Status launchWith(const std::string &directives, Extent grid) {
  KernelRun run("ret;", 0, "", directives);
  return run.launch(grid, {32});
}

TEST(Cluster, GridsThatDoNotFit) {
  EXPECT_TRUE(launchWith(clusterOf("2, 2"), {4, 2}).ok());
  EXPECT_TRUE(launchWith(clusterOf("8"), {8}).ok());
  EXPECT_EQ(launchWith(clusterOf("2, 2"), {4, 3}).message(),
            "kernel 'k': grid 4,3,1 is no multiple of its clusters of 2,2,1 "
            "blocks");
  EXPECT_EQ(launchWith(clusterOf("3, 3, 1"), {3, 3}).message(),
            "kernel 'k': clusters of 3,3,1 blocks; expected 1 to 8 blocks");
  EXPECT_TRUE(launchWith(" .maxclusterrank 2", {3}).ok());
  EXPECT_EQ(launchWith(" .maxclusterrank 2" + clusterOf("2"), {4}).message(),
            "kernel 'k' has '.reqnctapercluster' and '.maxclusterrank'; "
            "expected one of them");
  EXPECT_EQ(launchWith(" .explicitcluster", {4}).message(),
            "kernel 'k' is launched with clusters, but has no "
            "'.reqnctapercluster' that gives their extents");
  Status grids = launchWith(clusterOf("2") + " .blocksareclusters", {4});
  EXPECT_EQ(grids.code(), StatusCode::Unsupported);
}

/// Two blocks of one thread; `body` finds the address of the array in %r1, of
/// that of the other block in %r2 and, generic, in %rd3, its own rank in %r3,
/// and p0 with 32 bytes for each rank in %rd1. Lines count from 5.
struct Pair : KernelRun {
  explicit Pair(const std::string &body, const std::string &before = "")
      : KernelRun(
            R"(.reg .b64 %rd<9>; .reg .b32 %r<16>; .reg .f32 %f<3>; .reg .pred %p<4>;
mov.u32 %r3, %cluster_ctarank; xor.b32 %r4, %r3, 1; ld.param.u64 %rd1, [p0]; mul.wide.u32 %rd2, %r3, 32; add.s64 %rd1, %rd1, %rd2;
mov.u32 %r1, s; mapa.shared::cluster.u32 %r2, %r1, %r4; cvt.u64.u32 %rd2, %r1; cvta.shared.u64 %rd2, %rd2;
mapa.u64 %rd3, %rd2, %r4; setp.eq.u32 %p1, %r3, 0;
)" + body,
            1, clusterArray + before, clusterOf("2")) {
    out = array(std::vector<uint32_t>(16));
  }
  Status launch(uint64_t seed = 0) {
    options.seed = seed;
    return KernelRun::launch({2}, {1});
  }
  std::vector<uint32_t> words(uint32_t rank) {
    std::vector<uint32_t> all = fetch<uint32_t>(out, 16);
    return {all.begin() + 8 * rank, all.begin() + 8 * rank + 8};
  }
  uint64_t out;
};

const std::string sync =
    "barrier.cluster.arrive.release; barrier.cluster.wait.acquire;\n";

void expectWords(Pair &run, std::vector<uint32_t> first,
                 std::vector<uint32_t> second) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    Status status = run.launch(seed);
    ASSERT_TRUE(status.ok()) << status.message();
    first.resize(8);
    second.resize(8);
    EXPECT_EQ(run.words(0), first);
    EXPECT_EQ(run.words(1), second);
  }
}

TEST(Cluster, GenericAddresses) {
  Pair run(R"(add.u32 %r5, %r3, 50; st.u32 [%rd3+4], %r5;
)" + sync + R"(ld.u32 %r5, [%rd2+4]; ld.u32 %r6, [%rd3+4];
getctarank.u64 %r7, %rd3; getctarank.shared::cluster.u32 %r8, %r1;
isspacep.shared::cluster %p2, %rd3; selp.u32 %r9, 1, 0, %p2; isspacep.shared %p2, %rd3; selp.u32 %r10, 1, 0, %p2;
mapa.shared::cluster.u64 %rd4, s, %r3; getctarank.shared::cluster.u64 %r11, %rd4; cvta.shared::cluster.u64 %rd5, %rd4; ld.u32 %r12, [%rd5+4];
st.global.v4.u32 [%rd1], {%r5, %r6, %r7, %r8}; st.global.v4.u32 [%rd1+16], {%r9, %r10, %r11, %r12};
)" + sync);
  expectWords(run, {51, 50, 1, 0, 1, 0, 0, 51}, {50, 51, 0, 1, 1, 0, 1, 50});
}

TEST(Cluster, EveryWidth) {
  Pair run(
      R"(add.u32 %r5, %r3, 1; mov.b64 %rd4, {%r5, %r5};
st.shared::cluster.v4.b32 [%r2], {%r5, 2, 3, 4}; st.shared::cluster.v2.b64 [%r2+16], {%rd4, %rd4};
st.shared::cluster.u8 [%r2+32], 255; st.shared::cluster.u16 [%r2+34], 254;
)" + sync +
      R"(ld.shared.v4.b32 {%r5, %r6, %r7, %r8}, [%r1]; ld.shared::cluster.v2.b64 {%rd4, %rd5}, [%r2+16];
ld.shared::cluster.s8 %r9, [%r2+32]; ld.shared.u16 %r10, [%r1+34]; cvt.u32.u64 %r11, %rd5;
st.global.v4.b32 [%rd1], {%r5, %r6, %r7, %r8}; st.global.v4.b32 [%rd1+16], {%r9, %r10, %r11, 0};
)" + sync);
  expectWords(run, {2, 2, 3, 4, ~0u, 254, 1}, {1, 2, 3, 4, ~0u, 254, 2});
}

TEST(Cluster, Atomics) {
  Pair run(
      R"(st.shared.v4.u32 [%r1], {100, 0, 0, 0};
)" + sync +
      R"(mapa.shared::cluster.u32 %r5, %r1, 0; mapa.u64 %rd4, %rd2, 0; add.u32 %r6, %r3, 1;
red.relaxed.cluster.shared::cluster.add.u32 [%r5], %r6; atom.add.u32 %r7, [%rd4+4], %r6;
atom.relaxed.cluster.shared::cluster.or.b32 %r7, [%r5+8], %r6; mov.f32 %f1, 0f3F800000; red.shared::cluster.add.f32 [%r5+12], %f1;
)" + sync +
      R"(ld.shared.v4.u32 {%r5, %r6, %r7, %r8}, [%r1]; st.global.v4.u32 [%rd1], {%r5, %r6, %r7, %r8};)");
  expectWords(run, {103, 3, 3, 0x40000000}, {100, 0, 0, 0});
}

/// Rank 1 writes to rank 0, and arrives there; rank 0 waits and reads.
std::string remoteArrival(const std::string &scope) {
  return R"(mov.u32 %r5, bar; mapa.shared::cluster.u32 %r6, %r5, 0;
@%p1 mbarrier.init.shared.b64 [%r5], 1;
@%p1 fence.mbarrier_init.release.cluster;
barrier.cluster.arrive.relaxed; barrier.cluster.wait;
@%p1 bra again;
st.shared::cluster.u32 [%r2], 77;
mbarrier.arrive.release)" +
         scope + R"(.shared::cluster.b64 _, [%r6];
bra done;
again:
mbarrier.try_wait.parity.acquire)" +
         scope + R"(.shared::cta.b64 %p2, [%r5], 0;
@!%p2 bra again;
ld.shared.u32 %r7, [%r1]; st.global.u32 [%rd1], %r7;
done:
)" + sync;
}

TEST(Cluster, RemoteArrival) {
  const std::string bar = " .shared .align 8 .b64 bar;";
  Pair good(remoteArrival(".cluster"), bar);
  expectWords(good, {77}, {});
  Pair narrow(remoteArrival(".cta"), bar);
  ASSERT_FALSE(narrow.launch().ok());
  EXPECT_EQ(narrow.findings[0].kind, FindingKind::Race);
}

TEST(Cluster, OnlyTheOwnerWaits) {
  Pair run("mov.u32 %r5, bar; cvt.u64.u32 %rd4, %r5; cvta.shared.u64 %rd4, "
           "%rd4; mapa.u64 %rd5, %rd4, %r4;\n"
           "mbarrier.init.shared.b64 [%r5], 1;\n" +
               sync + "mbarrier.test_wait.parity.b64 %p2, [%rd5], 0;\n" + sync,
           " .shared .align 8 .b64 bar;");
  run.expectFinding(FindingKind::InvalidUse, 8, {2}, {1});
}

TEST(Cluster, RelaxedArrivalInOneBlock) {
  auto run = [](const std::string &fence) {
    KernelRun kernel(R"(.reg .b32 %r<4>;
mov.u32 %r1, %tid.x; shl.b32 %r1, %r1, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2;
st.shared.u32 [%r1], 1;
)" + fence + R"(
barrier.cluster.arrive.relaxed; barrier.cluster.wait;
ld.shared.u32 %r3, [%r2];)",
                     0, clusterArray);
    return kernel.launch({1}, {64});
  };
  EXPECT_TRUE(run("fence.acq_rel.cluster;").ok());
  EXPECT_TRUE(run("fence.acq_rel.cta;").ok());
  EXPECT_FALSE(run("").ok());
}

/// Rank 0 waits for a bulk copy, then raises a flag that rank 1 spins on.
std::string flag(const std::string &release, const std::string &acquire) {
  return R"(mov.u32 %r5, bar; st.shared.u32 [%r1+32], 0; setp.ne.u32 %p1, %r3, 0;
)" + sync +
         R"(@%p1 bra spin;
mbarrier.init.shared.b64 [%r5], 1; mbarrier.arrive.expect_tx.shared.b64 _, [%r5], 16;
cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd1], 16, [%r5];
again:
mbarrier.try_wait.parity.shared.b64 %p2, [%r5], 0;
@!%p2 bra again;
st.shared::cluster.u32 [%r2], 5;
)" + release +
         R"(
bra done;
spin:
)" + acquire +
         R"(
setp.eq.u32 %p2, %r6, 0;
@%p2 bra spin;
ld.shared.u32 %r7, [%r1]; st.global.u32 [%rd1], %r7;
done:
)" + sync;
}

TEST(Cluster, FlagInTheOtherBlock) {
  const std::string bar = " .shared .align 8 .b64 bar;";
  const std::string release =
      "st.release.cluster.shared::cluster.u32 [%r2+32], 1;";
  const std::string acquire =
      "ld.acquire.cluster.shared::cta.u32 %r6, [%r1+32];";
  Pair good(flag(release, acquire), bar);
  expectWords(good, {}, {5});
  Pair fenced(flag("fence.acq_rel.cluster; "
                   "st.relaxed.cluster.shared::cluster.u32 [%r2+32], 1;",
                   "ld.relaxed.cluster.shared.u32 %r6, [%r1+32]; "
                   "fence.acq_rel.cluster;"),
              bar);
  expectWords(fenced, {}, {5});
  for (const std::string &narrow :
       {flag("st.release.cta.shared::cluster.u32 [%r2+32], 1;", acquire),
        flag("st.relaxed.cluster.shared::cluster.u32 [%r2+32], 1;", acquire),
        flag(release, "ld.relaxed.cluster.shared.u32 %r6, [%r1+32];")}) {
    Pair run(narrow, bar);
    ASSERT_FALSE(run.launch().ok());
    EXPECT_EQ(run.findings[0].kind, FindingKind::Race);
  }
}

/// Rank 0 copies what its p0 holds, with the destination and the mbarrier in
/// %r6 and %r7, to blocks that wait for the bytes.
std::string bulkFromRank0(const std::string &copy,
                          const std::string &waits = "") {
  return R"(.reg .b16 %h1; mov.u16 %h1, 3; mov.u32 %r5, bar; setp.ne.u32 %p1, %r3, 0; mapa.shared::cluster.u32 %r6, %r1, 1; mapa.shared::cluster.u32 %r7, %r5, 1;
mbarrier.init.shared.b64 [%r5], 1; mbarrier.arrive.expect_tx.shared.b64 _, [%r5], 16;
)" + sync +
         "@%p1 bra again;\ncp.async.bulk.shared::cluster.global.mbarrier::"
         "complete_tx::bytes" +
         copy + "\n" + waits + R"(again:
mbarrier.try_wait.parity.shared.b64 %p2, [%r5], 0;
@!%p2 bra again;
ld.shared.v4.u32 {%r8, %r9, %r10, %r11}, [%r1];
add.u32 %r8, %r8, 1; st.global.v4.u32 [%rd1+16], {%r8, %r9, %r10, %r11};
done:
)" + sync;
}

const std::string toOther = " [%r6], [%rd1], 16, [%r7];";
const std::string toBoth = ".multicast::cluster [%r1], [%rd1], 16, [%r5], %h1;";
const std::string barWord = " .shared .align 8 .b64 bar;";

TEST(Cluster, BulkCopyToTheOtherBlock) {
  Pair run(bulkFromRank0(toOther, "bra done;\n"), barWord);
  const std::vector<uint32_t> values = {4, 5, 6, 7};
  ASSERT_TRUE(run.memory.write(run.out, values.data(), 16).ok());
  expectWords(run, values, {0, 0, 0, 0, 5, 5, 6, 7});
  EXPECT_EQ(run.statistics.bulkRead, 16u);
}

TEST(Cluster, Multicast) {
  Pair run(bulkFromRank0(toBoth), barWord);
  const std::vector<uint32_t> values = {4, 5, 6, 7};
  ASSERT_TRUE(run.memory.write(run.out, values.data(), 16).ok());
  expectWords(run, {4, 5, 6, 7, 5, 5, 6, 7}, {0, 0, 0, 0, 5, 5, 6, 7});
  EXPECT_EQ(run.statistics.bulkRead, 16u); // once for both
}

TEST(Cluster, BulkCopyDefects) {
  Pair barrier(bulkFromRank0(" [%r6], [%rd1], 16, [%r5];"), barWord);
  ASSERT_FALSE(barrier.launch().ok());
  EXPECT_EQ(barrier.findings[0].detail,
            "the mbarrier must be in the shared memory of block 1, where the "
            "copy goes");
  std::string mask = bulkFromRank0(toBoth);
  mask.replace(mask.find("%h1, 3"), 6, "%h1, 5");
  Pair ranks(mask, barWord);
  ASSERT_FALSE(ranks.launch().ok());
  EXPECT_EQ(ranks.findings[0].kind, FindingKind::OutOfBounds);
  // The other block does not wait for what comes.
  std::string eager = bulkFromRank0(toOther, "bra done;\n");
  size_t wait = eager.find("mbarrier.try_wait");
  eager.erase(wait, eager.find("ld.shared.v4") - wait);
  for (uint64_t seed = 0; seed < 4; ++seed) {
    Pair run(eager, barWord);
    ASSERT_FALSE(run.launch(seed).ok());
    EXPECT_NE(run.findings[0].report().find("ld.shared.v4"), std::string::npos)
        << run.findings[0].report();
  }
}

TEST(Cluster, WhatIsMissingIsNamed) {
  for (const char *missing :
       {"cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_"
        "tx::bytes [%r2], [%rd1, {%r1}], [%r2];",
        "multimem.ld_reduce.global.add.u32 %r1, [%rd1];"}) {
    Pair run(".reg .b16 %rs1;\n" + std::string(missing));
    Status status = run.launch();
    std::string name(missing, std::string_view(missing).find(' '));
    EXPECT_NE(status.message().find("no instruction '" + name + "'"),
              std::string::npos)
        << status.message();
  }
}

} // namespace
} // namespace qopt::emulator
