// Calls through addresses, and of the system.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"

namespace qopt::emulator {
namespace {

const std::string functions =
    ".func (.param .b32 r) twice(.param .b32 a)\n{ .reg .b32 %r1; ld.param.u32 "
    "%r1, [a]; add.u32 %r1, %r1, %r1; st.param.b32 [r], %r1; ret; }\n"
    ".func (.param .b32 r) next(.param .b32 a)\n{ .reg .b32 %r1; ld.param.u32 "
    "%r1, [a]; add.u32 %r1, %r1, 1; st.param.b32 [r], %r1; ret; }\n"
    ".func other(.param .b64 a)\n{ ret; }\n"
    ".global .align 8 .u64 table[3] = {twice, next, other};\n";
const std::string head =
    ".reg .b64 %rd<9>; .reg .b32 %r<9>; .reg .pred %p<4>;\n"
    "ld.param.u64 %rd1, [p0]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; "
    "add.s64 %rd2, %rd1, %rd2;\n";
/// Line 4 calls what %rd4 is the address of, line 5 stores the result.
const std::string call =
    "{ .param .b32 x; .param .b32 y; st.param.b32 [x], %r1; shape: "
    ".callprototype (.param .b32 _) _ (.param .b32 _);\ncall (y), %rd4, (x), "
    "shape; ld.param.b32 %r3, [y]; }\nst.global.u32 [%rd2], %r3;";

TEST(Calls, EachLaneItsFunction) {
  KernelRun run(head +
                    "mov.u64 %rd4, twice; mov.u64 %rd5, next; setp.ge.u32 %p1, "
                    "%r1, 20; @%p1 mov.u64 %rd4, %rd5;" +
                    call,
                1, functions);
  uint64_t out = run.allocate(128);
  Status status = run.launch({1}, {32});
  ASSERT_TRUE(status.ok()) << status.message();
  std::vector<uint32_t> got = run.fetch<uint32_t>(out, 32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], i < 20 ? 2 * i : i + 1) << i;
}

TEST(Calls, LanesThatDoNotCall) {
  KernelRun run(head +
                    "ld.global.u64 %rd4, [table]; mov.u32 %r3, 9; setp.ge.u32 "
                    "%p1, %r1, 20; @%p1 bra done;" +
                    call + "\ndone:",
                1, functions);
  uint64_t out = run.array(std::vector<uint32_t>(32, 7));
  Status status = run.launch({1}, {32});
  ASSERT_TRUE(status.ok()) << status.message();
  std::vector<uint32_t> got = run.fetch<uint32_t>(out, 32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], i < 20 ? 2 * i : 7) << i;
}

TEST(Calls, AddressThatIsNoFunction) {
  KernelRun run(head + "mov.u64 %rd4, 4096;" + call, 1, functions);
  run.allocate(128);
  run.expectFinding(FindingKind::InvalidUse, 4, {1}, {32});
  EXPECT_EQ(run.findings[0].detail, "0x1000 is not the address of a function");
}

TEST(Calls, FunctionWithOtherParameters) {
  KernelRun run(head + "ld.global.u64 %rd4, [table+16];" + call, 1, functions);
  run.allocate(128);
  run.expectFinding(FindingKind::InvalidUse, 4, {1}, {32});
  EXPECT_EQ(run.findings[0].detail,
            "the parameters or results are not those of 'other'");
}

TEST(Calls, AddressThatIsUndefined) {
  KernelRun run(head + call, 1, functions);
  run.allocate(128);
  run.expectFinding(FindingKind::Uninitialised, 4, {1}, {32});
}

const std::string printing =
    ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n"
    ".global .align 1 .b8 text[7] = {37, 100, 32, 37, 115, 10};\n"; // "%d %s\n"
/// Line 5 prints what is in the local array `list`.
const std::string print =
    "\n{ .param .b64 f; .param .b64 a; .param .b32 y; mov.u64 %rd6, text; "
    "st.param.b64 [f], %rd6; cvta.local.u64 %rd7, %rd7; st.param.b64 [a], "
    "%rd7;\ncall (y), vprintf, (f, a); ld.param.b32 %r3, [y]; }\n"
    "st.global.u32 [%rd2], %r3;";

TEST(Calls, Printf) {
  KernelRun run(head +
                    ".local .align 8 .b8 list[16]; mov.u64 %rd7, list; "
                    "st.local.u32 [list], %r1; add.u64 %rd8, %rd7, 0; mov.u64 "
                    "%rd5, text; add.u64 %rd5, %rd5, 5; st.local.u64 [list+8], "
                    "%rd5;" +
                    print,
                1, printing);
  uint64_t out = run.allocate(128);
  std::string written;
  run.options.print = [&](std::string_view text) { written += text; };
  Status status = run.launch({1}, {3});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(written, "0 \n\n1 \n\n2 \n\n");
  EXPECT_EQ(run.fetch<uint32_t>(out, 3), std::vector<uint32_t>(3, 2));
}

TEST(Calls, PrintfOfWhatNobodyWrote) {
  KernelRun run(head + ".local .align 8 .b8 list[16]; mov.u64 %rd7, list;" +
                    print,
                1, printing);
  run.allocate(128);
  run.expectFinding(FindingKind::Uninitialised, 5, {1}, {32});
  EXPECT_NE(run.findings[0].detail.find("4 bytes at local offset"),
            std::string::npos);
}

} // namespace
} // namespace qopt::emulator
