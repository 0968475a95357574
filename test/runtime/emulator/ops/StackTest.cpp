// Memory that a thread takes as it runs: malloc and free of device code, and
// alloca.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelRun.h"

namespace qopt::emulator {
namespace {

const std::string declared =
    ".extern .func (.param .b64 r) malloc(.param .b64 n);\n"
    ".extern .func free(.param .b64 p);\n";
const std::string head =
    ".reg .b64 %rd<9>; .reg .b32 %r<9>; .reg .pred %p<3>; ld.param.u64 %rd1, "
    "[p0]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 8; add.s64 %rd1, %rd1, "
    "%rd2;\n";
std::string take(const std::string &bytes, const std::string &to = "%rd3") {
  return "{ .param .b64 n; .param .b64 r; st.param.b64 [n], " + bytes +
         "; call.uni (r), malloc, (n); ld.param.b64 " + to + ", [r]; }\n";
}
std::string give(const std::string &from = "%rd3") {
  return "{ .param .b64 p; st.param.b64 [p], " + from +
         "; call.uni free, (p); }\n";
}

TEST(Heap, EachThreadHasItsOwn) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    KernelRun run(head + take("40") +
                      "st.u32 [%rd3+36], %r1; bar.sync 0; ld.u32 %r2, "
                      "[%rd3+36]; st.global.u32 [%rd1], %r2;\n" +
                      give() + give("0"),
                  1, declared);
    run.options.seed = seed;
    const uint64_t out = run.allocate(64 * 8);
    Status status = run.launch({1}, {64});
    ASSERT_TRUE(status.ok()) << status.message();
    for (unsigned i = 0; i < 64; ++i)
      EXPECT_EQ(run.fetch<uint32_t>(out + 8 * i, 1)[0], i);
  }
}

TEST(Heap, OutlivesTheLaunchAndIsBounded) {
  // Who frees nothing gets null in the end; the heap has 8 MiB.
  KernelRun run(head + take("1048576") + "st.global.u64 [%rd1], %rd3;", 1,
                declared);
  const uint64_t out = run.allocate(8);
  unsigned count = 0;
  uint64_t address = 1, last = 0;
  for (; address && count < 20; ++count) {
    last = address;
    Status status = run.launch({1}, {1});
    ASSERT_TRUE(status.ok()) << status.message();
    address = run.fetch<uint64_t>(out, 1)[0];
    EXPECT_EQ(address % 16, 0u);
    EXPECT_NE(address, last);
  }
  EXPECT_EQ(count, 8u); // seven, for gaps lie between them, and null
}

TEST(Heap, IsUsedAgain) {
  KernelRun run(
      head + "mov.u32 %r3, 0;\nnext:\n" + take("1048576") +
          "setp.eq.u64 %p1, %rd3, 0; @%p1 trap; st.u32 [%rd3], %r3;\n" +
          give() +
          "add.u32 %r3, %r3, 1; setp.lt.u32 %p1, %r3, 40; @%p1 bra "
          "next; st.global.u32 [%rd1], %r3;",
      1, declared);
  run.allocate(8);
  Status status = run.launch({1}, {1});
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(Heap, Defects) {
  struct Case {
    std::string text; ///< line 3 and on
    uint32_t line;
    FindingKind kind;
    std::string detail;
  };
  const std::string store = "st.u32 [%rd3+@@], %r1;\n";
  auto at = [&](const char *offset) {
    std::string text = store;
    return text.replace(text.find("@@"), 2, offset);
  };
  for (const Case &c :
       {Case{at("40"), 3, FindingKind::OutOfBounds,
             "0 bytes behind the end of the 40 bytes that malloc of line"},
        Case{at("38"), 3, FindingKind::Misaligned, ""},
        Case{at("48"), 3, FindingKind::OutOfBounds, "behind the end"},
        Case{"ld.u32 %r2, [%rd3+8];\nst.global.u32 [%rd1], %r2;", 4,
             FindingKind::Uninitialised, "never written"},
        Case{give() + at("0"), 4, FindingKind::OutOfBounds,
             "has taken back the 40 bytes"},
        Case{give() + give(), 4, FindingKind::InvalidUse,
             "has taken it back already"},
        Case{"add.u64 %rd3, %rd3, 8;\n" + give(), 4, FindingKind::InvalidUse,
             "no malloc gave this address"}}) {
    KernelRun run(head + take("40") + c.text, 1, declared);
    run.allocate(8);
    run.expectFinding(c.kind, c.line, {1}, {1});
    EXPECT_NE(run.findings[0].detail.find(c.detail), std::string::npos)
        << run.findings[0].detail;
  }
}

TEST(Heap, FreeRacesWithOthersUse) {
  // Thread 0 shares an address; thread 32 writes there.
  auto body = [](const std::string &between) {
    return head + "setp.ne.u32 %p1, %r1, 0; @%p1 bra shared;\n" + take("16") +
           "st.shared.u64 [s], %rd3;\nshared: bar.sync 0; ld.shared.u64 %rd4, "
           "[s]; setp.eq.u32 %p2, %r1, 32;\n@%p2 st.u32 [%rd4], %r1;\n" +
           between + "@%p1 bra done;\n" + give("%rd4") + "done: ret;";
  };
  KernelRun good(body("bar.sync 0;\n"), 1,
                 declared + ".shared .align 8 .b64 s;");
  good.allocate(64 * 8);
  Status status = good.launch({1}, {64});
  EXPECT_TRUE(status.ok()) << status.message();
  KernelRun bad(body(""), 1, declared + ".shared .align 8 .b64 s;");
  bad.allocate(64 * 8);
  ASSERT_FALSE(bad.launch({1}, {64}).ok());
  // A race, or the use after it, as the schedule has it.
  EXPECT_TRUE(bad.findings[0].kind == FindingKind::Race ||
              bad.findings[0].kind == FindingKind::OutOfBounds);
}

TEST(Alloca, EachLaneItsOwnSize) {
  // Lane t sums 1 … t + 1 in an array of t + 1 words.
  KernelRun run(head + R"(add.u32 %r2, %r1, 1; mul.wide.u32 %rd3, %r2, 4;
stacksave.u64 %rd6; alloca.u64 %rd4, %rd3, 16; mov.u32 %r3, 0; cvta.local.u64 %rd5, %rd4;
fill: add.u32 %r4, %r3, 1; mul.wide.u32 %rd7, %r3, 4; add.s64 %rd8, %rd4, %rd7; st.local.u32 [%rd8], %r4; mov.u32 %r3, %r4; setp.lt.u32 %p1, %r3, %r2;
@%p1 bra fill;
mov.u32 %r3, 0; mov.u32 %r5, 0;
sum: ld.u32 %r4, [%rd5]; add.u32 %r5, %r5, %r4; add.s64 %rd5, %rd5, 4; add.u32 %r3, %r3, 1; setp.lt.u32 %p1, %r3, %r2;
@%p1 bra sum;
stackrestore.u64 %rd6; st.global.u32 [%rd1], %r5;)");
  const uint64_t out = run.allocate(32 * 8);
  Status status = run.launch({1}, {32});
  ASSERT_TRUE(status.ok()) << status.message();
  for (unsigned i = 0; i < 32; ++i)
    EXPECT_EQ(run.fetch<uint32_t>(out + 8 * i, 1)[0], (i + 1) * (i + 2) / 2);
}

TEST(Alloca, EndsWithItsFunction) {
  // 64 calls of 1 KB each; the address that comes back is no memory then.
  const std::string function =
      ".func (.param .b64 r) f() {\n.reg .b64 %a<3>; mov.u64 %a1, 1024; "
      "alloca.u64 %a2, %a1; st.local.u64 [%a2], %a1; st.param.b64 [r], %a2; "
      "ret;\n}\n";
  const std::string call = "mov.u32 %r3, 0;\nnext: { .param .b64 r; call (r), "
                           "f, (); ld.param.b64 %rd3, [r]; }\nadd.u32 %r3, "
                           "%r3, 1; setp.lt.u32 %p1, %r3, 64; @%p1 bra next;\n";
  KernelRun good(head + call, 1, function);
  good.allocate(8);
  Status status = good.launch({1}, {1});
  EXPECT_TRUE(status.ok()) << status.message();
  KernelRun bad(head + call + "ld.local.u64 %rd4, [%rd3];", 1, function);
  bad.allocate(8);
  bad.expectFinding(FindingKind::OutOfBounds, 5, {1}, {1});
}

TEST(Alloca, Defects) {
  const std::string take = head + "mov.u64 %rd3, 16; alloca.u64 %rd4, %rd3;\n";
  struct Case {
    std::string text;
    FindingKind kind;
  };
  for (const Case &c :
       {Case{"st.local.u32 [%rd4+16], %r1;", FindingKind::OutOfBounds},
        Case{"ld.local.u32 %r2, [%rd4]; st.global.u32 [%rd1], %r2;",
             FindingKind::Uninitialised},
        Case{"alloca.u64 %rd5, %rd6;", FindingKind::Uninitialised},
        Case{"mov.u64 %rd3, 16384; alloca.u64 %rd5, %rd3;",
             FindingKind::OutOfBounds},
        Case{"mov.u64 %rd3, 100000; stackrestore.u64 %rd3;",
             FindingKind::InvalidUse}}) {
    KernelRun run(take + c.text);
    run.allocate(8);
    run.expectFinding(c.kind, 3, {1}, {1});
  }
}

} // namespace
} // namespace qopt::emulator
