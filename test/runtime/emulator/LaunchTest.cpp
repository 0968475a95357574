// Kernels compute what they say; what cannot be launched is an error that says
// why, and leaves everything usable.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"

namespace qopt::emulator {
namespace {

const char *const addIndex = R"(
.reg .b64 %rd<4>;
.reg .b32 %r<6>;
ld.param.u64 %rd1, [p0];
mov.u32 %r1, %ctaid.x;
mov.u32 %r2, %ntid.x;
mov.u32 %r3, %tid.x;
mad.lo.s32 %r4, %r1, %r2, %r3;
mul.wide.u32 %rd2, %r4, 4;
add.s64 %rd3, %rd1, %rd2;
ld.global.u32 %r5, [%rd3];
add.s32 %r5, %r5, %r4;
st.global.u32 [%rd3], %r5;
ret;
)";

TEST(Launch, EveryThreadRunsOnce) {
  KernelRun run(addIndex);
  std::vector<uint32_t> values(5 * 40, 7);
  uint64_t address = run.array(values);
  Status status = run.launch({5}, {40});
  ASSERT_TRUE(status.ok()) << status.message();
  std::vector<uint32_t> got = run.fetch<uint32_t>(address, values.size());
  for (uint32_t i = 0; i < got.size(); ++i)
    EXPECT_EQ(got[i], 7 + i);
  EXPECT_EQ(run.statistics.opcodes["st.global.u32"].lanes, 200u);
  EXPECT_EQ(run.statistics.opcodes["st.global.u32"].warps, 10u);
  EXPECT_EQ(run.statistics.bytes["global"].read, 800u);
}

TEST(Launch, ConversionsTakeTheLowBitsOfWiderRegisters) {
  KernelRun run(R"(
.reg .b64 %rd<5>;
ld.param.u64 %rd1, [p0];
mov.u64 %rd2, 0x1fffffffe;
cvt.s64.s32 %rd3, %rd2;
cvt.u64.u8 %rd4, %rd2;
st.global.u64 [%rd1], %rd3;
st.global.u64 [%rd1+8], %rd4;
ret;
)");
  uint64_t address = run.array(std::vector<int64_t>(2));
  Status status = run.launch({1}, {1});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<int64_t>(address, 2), (std::vector<int64_t>{-2, 0xfe}));
}

TEST(Launch, FailedLaunchLeavesAllUsable) {
  KernelRun run(addIndex);
  uint64_t address = run.array(std::vector<uint32_t>(64));
  EXPECT_EQ(run.launch({3}, {32}).code(), StatusCode::GateFailed);
  EXPECT_TRUE(run.launch({2}, {32}).ok());
  // The first two blocks of the first launch may have run or not.
  EXPECT_GE(run.fetch<uint32_t>(address, 64)[63], 63u);
}

TEST(Launch, LimitsAreNamed) {
  KernelRun run(addIndex);
  run.array(std::vector<uint32_t>(64));
  EXPECT_EQ(
      run.launch({1}, {1025}).message(),
      "kernel 'k': block 1025,1,1 is more than 1024 threads or 1024,1024,64");
  EXPECT_EQ(run.launch({0}, {32}).message(),
            "kernel 'k': grid 0,1,1 of blocks 32,1,1 is empty");
  EXPECT_EQ(run.launch({1}, {32}, 300000).message(),
            "kernel 'k' needs 300000 bytes of shared memory, a block has at "
            "most 232448");
  KernelRun lacking(addIndex);
  EXPECT_EQ(lacking.launch({1}, {32}).message(),
            "kernel 'k' takes 8 bytes of arguments, got 0");
}

TEST(Launch, MemoryOfDeclarationsIsBounded) {
  KernelRun frame(".local .align 4 .b8 s[4294967295];\n"
                  "st.local.u32 [s], 7;\nret;",
                  0);
  EXPECT_EQ(frame.launch({1}, {1}).message(),
            "kernel 'k': its functions have 4294967295 bytes of local memory "
            "or more; a thread has at most 524288");
  KernelRun block(".shared .b8 s[3000000000];\n"
                  "st.shared.u8 [s], 7;\nret;",
                  0);
  EXPECT_EQ(block.launch({1}, {1}).message(),
            "kernel 'k': its variables have 3000000000 bytes of shared memory; "
            "a block has at most 232448");
}

// ptxas -v says what a kernel uses: 60000 bytes, 300000 refused, none.
TEST(Launch, SharedMemoryThatAKernelDeclaresIsTaken) {
  KernelRun some(".shared .b8 s[60000];\nret;", 0);
  ASSERT_TRUE(some.launch({1}, {1}).ok());
  EXPECT_EQ(some.module->kernel("k")->staticSharedBytes(), 60000u);
  EXPECT_EQ(some.launch({1}, {1}, 172449).message(),
            "kernel 'k' needs 232449 bytes of shared memory, a block has at "
            "most 232448");
  KernelRun most(".shared .b8 s[300000];\nret;", 0);
  EXPECT_EQ(most.launch({1}, {1}).message(),
            "kernel 'k': its variables have 300000 bytes of shared memory; a "
            "block has at most 232448");
  KernelRun others("ret;", 0, ".shared .b8 s[300000];");
  ASSERT_TRUE(others.launch({1}, {1}).ok());
  EXPECT_EQ(others.module->kernel("k")->staticSharedBytes(), 0u);
}

TEST(Launch, EndlessRecursionOverflowsTheStack) {
  KernelRun run("call f;\nret;", 0, ".func f()\n{\ncall f;\nret;\n}");
  std::string message = run.launch({1}, {1}).message();
  EXPECT_NE(message.find("the call stack overflows"), std::string::npos)
      << message;
}

TEST(Launch, MissingInstructionIsNamed) {
  KernelRun run("ret;\nfrobnicate.u32;", 0);
  Status status = run.launch({1}, {1});
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
  EXPECT_EQ(status.message(),
            "kernel 'k', ptx line 8 (frobnicate.u32;): the emulator has no "
            "instruction 'frobnicate.u32'");
}

TEST(Launch, CallsAndRecursion) {
  // factorial(n) by recursion, one lane after the other deep.
  KernelRun run(R"(
.reg .b64 %rd<3>; .reg .b32 %r<3>;
ld.param.u64 %rd1, [p0];
mov.u32 %r1, %tid.x;
{ .param .b32 in; .param .b32 out;
st.param.b32 [in], %r1;
call.uni (out), factorial, (in);
ld.param.b32 %r2, [out]; }
mul.wide.u32 %rd2, %r1, 4;
add.s64 %rd2, %rd1, %rd2;
st.global.u32 [%rd2], %r2;)",
                1, R"(
.func (.param .b32 result) factorial(.param .b32 n)
{
.reg .b32 %r<5>; .reg .pred %p;
ld.param.b32 %r1, [n];
mov.u32 %r2, 1;
setp.lt.u32 %p, %r1, 2;
@%p bra done;
sub.u32 %r3, %r1, 1;
{ .param .b32 in; .param .b32 out;
st.param.b32 [in], %r3;
call.uni (out), factorial, (in);
ld.param.b32 %r4, [out]; }
mul.lo.u32 %r2, %r1, %r4;
done:
st.param.b32 [result], %r2;
ret;
})");
  uint64_t address = run.allocate(12 * 4);
  Status status = run.launch({1}, {12});
  ASSERT_TRUE(status.ok()) << status.message();
  uint32_t expected = 1;
  std::vector<uint32_t> got = run.fetch<uint32_t>(address, 12);
  for (uint32_t n = 0; n < 12; ++n) {
    expected *= n ? n : 1;
    EXPECT_EQ(got[n], expected) << n;
  }
}

TEST(Launch, VariablesHaveTheirValues) {
  KernelRun run(R"(
.reg .b64 %rd<3>; .reg .b32 %r<3>;
ld.param.u64 %rd1, [p0];
ld.const.u32 %r1, [constant+4];
ld.global.u64 %rd2, [pointer];
ld.u32 %r2, [%rd2];
st.global.v2.u32 [%rd1], {%r1, %r2};)",
                1, R"(
.const .align 4 .u32 constant[2] = {11, 22};
.global .align 4 .u32 value = 33;
.global .align 8 .u64 pointer = generic(value);)");
  uint64_t address = run.allocate(8);
  Status status = run.launch({1}, {1});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<uint32_t>(address, 2), (std::vector<uint32_t>{22, 33}));
}

} // namespace
} // namespace qopt::emulator
