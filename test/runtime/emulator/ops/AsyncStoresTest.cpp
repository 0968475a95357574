// Asynchronous stores and reductions, and bulk copies and reductions from
// shared memory: they arrive, an mbarrier or a group counts them, and who does
// not wait is found.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../ClusterKernel.h"

namespace qopt::emulator {
namespace {

const std::string sharedArrays =
    ".shared .align 128 .b8 s[1024]; .shared .align 128 .b8 t[1024]; .shared "
    ".align 8 .b64 bar;";

/// Blocks of 32 threads in clusters of two. Each block's mbarrier expects
/// `bytes`; `send` sends to the other block, whose words are at %r4 (its own at
/// %r3) and whose mbarrier is at %r8. Then each reads %r10 from its own s.
/// Line 9: `send`, 10: the wait, 12: the read.
std::string
sendAcross(const std::string &send, const std::string &bytes,
           const std::string &wait =
               "mbarrier.try_wait.parity.acquire.cluster.shared::cta."
               "b64 %p2, [%r7], 0;") {
  return R"(.reg .b64 %rd<9>; .reg .b32 %r<20>; .reg .pred %p<4>;
ld.param.u64 %rd1, [p0]; mov.u32 %r1, %tid.x; mov.u32 %r2, %cluster_ctarank; xor.b32 %r5, %r2, 1; shl.b32 %r6, %r1, 2; mov.u32 %r3, s; add.u32 %r3, %r3, %r6; mov.u32 %r7, bar; setp.eq.u32 %p1, %r1, 0; mov.u32 %r11, t; add.u32 %r11, %r11, %r6; mapa.shared::cluster.u32 %r4, %r3, %r5; mapa.shared::cluster.u32 %r8, %r7, %r5; mov.u32 %r12, %ctaid.x; mad.lo.u32 %r13, %r12, 32, %r1; st.shared.u32 [%r3], %r1; add.u32 %r14, %r13, 100; st.shared.u32 [%r11], %r14;
@%p1 mbarrier.init.shared.b64 [%r7], 1;
@%p1 mbarrier.arrive.expect_tx.shared.b64 _, [%r7], )" +
         bytes + R"(;
fence.mbarrier_init.release.cluster; fence.proxy.async;
barrier.cluster.arrive; barrier.cluster.wait;
mov.u32 %r15, s; mov.u32 %r16, t; mapa.shared::cluster.u32 %r17, %r15, %r5; setp.ne.u32 %p3, %r1, 0;
again:
)" + send +
         "\nwait: " + wait + "\n@!%p2 bra wait;\n" +
         R"(ld.shared.u32 %r10, [%r3];
barrier.cluster.arrive; barrier.cluster.wait;
mul.wide.u32 %rd2, %r13, 4; add.s64 %rd1, %rd1, %rd2; st.global.u32 [%rd1], %r10;)";
}

struct Exchange : KernelRun {
  explicit Exchange(const std::string &body, uint64_t seed = 0)
      : KernelRun(body, 1, sharedArrays, clusterOf("2, 1, 1")) {
    options.seed = seed;
    out = array(std::vector<uint32_t>(64));
  }
  uint64_t out;
};

/// What thread t of block b has read.
void expectRead(const std::string &send, const std::string &bytes,
                uint32_t (*expected)(uint32_t block, uint32_t thread)) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    Exchange run(sendAcross(send, bytes), seed);
    Status status = run.launch({2}, {32});
    ASSERT_TRUE(status.ok()) << status.message();
    const std::vector<uint32_t> got = run.fetch<uint32_t>(run.out, 64);
    for (uint32_t i = 0; i < 64; ++i)
      EXPECT_EQ(got[i], expected(i / 32, i % 32)) << send << " thread " << i;
  }
}

const std::string store = "st.async.weak.shared::cluster.mbarrier::complete_"
                          "tx::bytes.b32 [%r4], %r14, [%r8];";
const std::string reduction =
    "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes."
    "add.u32 [%r4], %r14, [%r8];";
const std::string copy =
    "@!%p3 cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::"
    "bytes [%r17], [%r16], 128, [%r8];";
const std::string bulkReduction =
    "@!%p3 cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::"
    "complete_tx::bytes.max.u32 [%r17], [%r16], 128, [%r8];";

TEST(AsyncStores, ArriveInTheOtherBlock) {
  auto sent = [](uint32_t block, uint32_t thread) {
    return (1 - block) * 32 + thread + 100;
  };
  expectRead(store, "128", sent);
  expectRead(copy, "128", sent);
  expectRead(bulkReduction, "128", sent); // the larger ones
  expectRead(reduction, "128", [](uint32_t block, uint32_t thread) {
    return (1 - block) * 32 + thread + 100 + thread;
  });
}

TEST(AsyncStores, Vectors) {
  expectRead("shl.b32 %r18, %r6, 1; add.u32 %r18, %r17, %r18; setp.lt.u32 %p3, "
             "%r1, 16; @%p3 st.async.weak.shared::cluster.mbarrier::complete_"
             "tx::bytes.v2.u32 [%r18], {%r1, %r14}, [%r8];",
             "128", [](uint32_t block, uint32_t thread) {
               return thread % 2 ? (1 - block) * 32 + thread / 2 + 100
                                 : thread / 2;
             });
}

TEST(AsyncStores, ManyReduceOnePlace) {
  expectRead("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::"
             "bytes.inc.u32 [%r17], 1000, [%r8];",
             "128",
             [](uint32_t, uint32_t thread) { return thread ? thread : 32u; });
}

TEST(AsyncStores, MissingWait) {
  for (const std::string &send : {store, copy, reduction, bulkReduction})
    for (uint64_t seed = 0; seed < 4; ++seed) {
      Exchange run(sendAcross(send, "128", "setp.eq.u32 %p2, 0, 0;"), seed);
      ASSERT_FALSE(run.launch({2}, {32}).ok()) << send;
      EXPECT_TRUE(run.findings[0].kind == FindingKind::AsyncCopy ||
                  run.findings[0].kind == FindingKind::Race)
          << run.findings[0].report();
    }
}

TEST(AsyncStores, WrongCountOfBytesIsADeadlock) {
  for (const std::string &send : {store, copy, reduction, bulkReduction}) {
    Exchange run(sendAcross(send, "132"));
    run.expectFinding(FindingKind::Deadlock, 10, {2}, {32});
  }
}

TEST(AsyncStores, Defects) {
  struct Case {
    std::string send;
    FindingKind kind;
  };
  auto changed = [](std::string text, const std::string &from,
                    const std::string &to) {
    return text.replace(text.find(from), from.size(), to);
  };
  for (const Case &c :
       {Case{changed(store, "[%r4]", "[%r4+4000]"), FindingKind::OutOfBounds},
        Case{changed(store, "[%r4]", "[%r4+2]"), FindingKind::Misaligned},
        Case{changed(store, "%r14", "%r19"), FindingKind::Uninitialised},
        Case{changed(store, "[%r8]", "[%r7]"), FindingKind::InvalidUse},
        Case{changed(store, "[%r8]", "[%r8+8]"), FindingKind::InvalidUse},
        Case{changed(reduction, "[%r4]", "[%r4+512]"),
             FindingKind::Uninitialised},
        Case{changed(copy, "128", "2048"), FindingKind::OutOfBounds},
        Case{"mov.u32 %r18, 120; " + changed(copy, "128", "%r18"),
             FindingKind::Misaligned},
        Case{changed(copy, "[%r16]", "[%r16+8]"), FindingKind::Misaligned},
        Case{changed(copy, "128", "256"), FindingKind::Uninitialised},
        Case{changed(bulkReduction, "[%r17]", "[%r17+128]"),
             FindingKind::Uninitialised}}) {
    Exchange run(sendAcross(c.send, "128"));
    run.expectFinding(c.kind, 9, {2}, {32});
  }
}

TEST(AsyncStores, TwoStoresToOnePlaceRace) {
  Exchange run(sendAcross(store + " " + store, "256"));
  ASSERT_FALSE(run.launch({2}, {32}).ok());
  EXPECT_TRUE(run.findings[0].kind == FindingKind::AsyncCopy ||
              run.findings[0].kind == FindingKind::Race);
}

/// Blocks of 32 threads add their words to the same 32 in global memory.
std::string
reduceToGlobal(const std::string &reduce,
               const std::string &end = "cp.async.bulk.commit_group; "
                                        "cp.async.bulk.wait_group 0;") {
  return R"(.reg .b64 %rd<4>; .reg .b32 %r<9>; .reg .pred %p1;
ld.param.u64 %rd1, [p0]; mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2; mov.u32 %r3, s; add.u32 %r4, %r3, %r2;
mov.u32 %r5, %ctaid.x; add.u32 %r5, %r5, %r1; st.shared.u32 [%r4], %r5;
fence.proxy.async; bar.sync 0; setp.ne.u32 %p1, %r1, 0;
@%p1 bra done;
)" + reduce +
         "\n" + end + "\ndone: ret;";
}
const std::string addToGlobal = "cp.reduce.async.bulk.global.shared::cta.bulk_"
                                "group.add.u32 [%rd1], [%r3], 128;";

TEST(BulkReductions, SumOfBlocks) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    KernelRun run(reduceToGlobal(addToGlobal), 1, sharedArrays);
    run.options.seed = seed;
    const uint64_t out = run.array(std::vector<uint32_t>(32, 1000));
    Status status = run.launch({5}, {32});
    ASSERT_TRUE(status.ok()) << status.message();
    for (uint32_t i = 0; i < 32; ++i)
      EXPECT_EQ(run.fetch<uint32_t>(out + 4 * i, 1)[0], 1000 + 10 + 5 * i);
    EXPECT_EQ(run.statistics.bulkWritten, 5u * 128);
  }
}

TEST(BulkReductions, Defects) {
  struct Case {
    std::string reduce, end;
    size_t bytes;
    bool written;
    FindingKind kind;
  };
  const std::string end =
      "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;";
  std::string beyond = addToGlobal;
  beyond.replace(beyond.find("128"), 3, "256");
  for (const Case &c :
       {Case{addToGlobal, end, 112, true, FindingKind::OutOfBounds},
        Case{addToGlobal, end, 128, false, FindingKind::Uninitialised},
        Case{beyond, end, 256, true, FindingKind::Uninitialised},
        Case{addToGlobal, "", 128, true, FindingKind::AsyncCopy}}) {
    KernelRun run(reduceToGlobal(c.reduce, c.end), 1, sharedArrays);
    if (c.written)
      run.array(std::vector<uint8_t>(c.bytes));
    else
      run.allocate(c.bytes);
    run.expectFinding(c.kind, 6, {1}, {32});
  }
}

TEST(BulkReductions, RaceWithAPlainStore) {
  KernelRun run(reduceToGlobal("st.global.u32 [%rd1+4], %r1;\n" + addToGlobal),
                1, sharedArrays);
  run.array(std::vector<uint32_t>(32));
  Status status = run.launch({2}, {32});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(run.findings[0].kind, FindingKind::Race);
}

} // namespace
} // namespace qopt::emulator
