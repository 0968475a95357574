// Undefined values go through shared and local memory, byte by byte, and are
// found where they reach something that counts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelRun.h"

namespace qopt::emulator {
namespace {

/// Line 3 has %r1 = tid, %r7 the thread's word of s and %rd2 that of p0.
const std::string head =
    ".reg .b64 %rd<12>; .reg .b32 %r<40>; .reg .pred %p<9>; .reg .b16 %h<9>;\n"
    ".local .align 16 .b8 stack[64]; ld.param.u64 %rd1, [p0];\n"
    "mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd1, "
    "%rd2; shl.b32 %r2, %r1, 2; mov.u32 %r7, s; add.u32 %r7, %r7, %r2; mov.u32 "
    "%r3, 9;\n";
const std::string shared = ".shared .align 16 .b8 s[2048];";

/// Of a kernel whose line 6 stores %r9, or which uses in line `use`, what line
/// 4 has loaded; 0: nothing is undefined.
void expectOrigin(const std::string &body, uint32_t use, uint32_t origin = 4) {
  SCOPED_TRACE(body);
  KernelRun run(head + body + "\nst.global.u32 [%rd2], %r9;", 1, shared);
  run.allocate(4096);
  if (use) {
    run.expectUse(use, origin, {1}, {32});
    return;
  }
  Status status = run.launch({1}, {32});
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(UndefinedMemory, LoadedAndNotUsed) {
  expectOrigin("ld.shared.u32 %r4, [%r7];\nmov.u32 %r9, 1;", 0);
  expectOrigin("ld.global.u32 %r4, [%rd2];\nmov.u32 %r9, 1;", 0);
  expectOrigin("ld.local.u32 %r4, [stack];\nmov.u32 %r9, 1;", 0);
}

TEST(UndefinedMemory, LoadedAndUsed) {
  expectOrigin("ld.shared.u32 %r4, [%r7];\nmov.u32 %r9, %r4;", 6);
  expectOrigin("ld.global.u32 %r4, [%rd2+128];\nmov.u32 %r9, %r4;", 6);
  expectOrigin("ld.local.u32 %r4, [stack];\nmov.u32 %r9, %r4;", 6);
  expectOrigin("ld.shared.v2.u32 {%r4, %r5}, [s];\nmov.u32 %r9, %r5;", 6);
}

TEST(UndefinedMemory, BytesOfALoad) {
  // Two bytes of each word are written.
  const std::string half = "st.shared.u16 [%r7], %r3; ";
  expectOrigin(half + "ld.shared.u32 %r4, [%r7];\nand.b32 %r9, %r4, 0xffff;",
               0);
  expectOrigin(half + "ld.shared.u32 %r4, [%r7];\nshr.u32 %r9, %r4, 8;", 6);
  expectOrigin(half + "ld.shared.v2.b16 {%h1, %h2}, [%r7];\ncvt.u32.u16 %r9, "
                      "%h1;",
               0);
  expectOrigin(half + "ld.shared.s8 %r9, [%r7+2];\nshr.u32 %r9, %r9, 31;", 6);
  expectOrigin(half + "ld.shared.u8 %r9, [%r7+2];\nshr.u32 %r9, %r9, 31;", 0);
}

TEST(UndefinedMemory, ThroughSharedMemory) {
  // The origin is the first load, not the last.
  const std::string load = "ld.shared.u32 %r4, [%r7];\n";
  expectOrigin(load + "st.shared.u32 [%r7+1024], %r4; ld.shared.u32 %r9, "
                      "[%r7+1024];",
               6);
  expectOrigin(load + "st.shared.u32 [%r7+1024], %r4; st.shared.u32 "
                      "[%r7+1024], %r3; ld.shared.u32 %r9, [%r7+1024];",
               0);
  expectOrigin(load + "st.shared.u32 [%r7], %r3; st.shared.u32 [%r7], %r4; "
                      "ld.shared.u32 %r9, [%r7];",
               6);
  expectOrigin(load + "mov.u32 %r9, 0; st.shared.u32 [%r7+1024], %r4; "
                      "red.shared.add.u32 [%r7+1024], 1;",
               5);
  expectOrigin(load + "cvta.shared.u64 %rd4, 1024; cvt.u64.u32 %rd5, %r2; "
                      "add.u64 %rd4, %rd4, %rd5; st.u32 [%rd4], %r4; ld.u32 "
                      "%r9, [%rd4];",
               6);
}

TEST(UndefinedMemory, ThroughLocalMemory) {
  const std::string load = "ld.shared.u32 %r4, [%r7];\n";
  expectOrigin(load + "st.local.u32 [stack+8], %r4; ld.local.u32 %r9, "
                      "[stack+8];",
               6);
  expectOrigin(load + "st.local.u32 [stack+8], %r4; st.local.u32 [stack+8], "
                      "%r3; ld.local.u32 %r9, [stack+8];",
               0);
}

TEST(UndefinedMemory, ThroughACall) {
  const std::string callee =
      shared + ".func (.param .b32 r) pick(.param .b32 a, .param .b32 b)\n{ "
               ".reg .b32 %r<3>; ld.param.u32 %r1, [a]; ld.param.u32 %r2, [b]; "
               "st.param.b32 [r], %r1; ret; }\n";
  for (bool first : {false, true}) {
    KernelRun run(
        head +
            "ld.shared.u32 %r4, [%r7];\n.param .b32 x; .param .b32 y; "
            ".param .b32 z; st.param.b32 [x], %r4; st.param.b32 [y], %r3; "
            "call (z), pick, " +
            (first ? "(x, y)" : "(y, x)") +
            "; ld.param.b32 %r9, [z];\nst.global.u32 [%rd2], %r9;",
        1, callee);
    run.allocate(128);
    if (first)
      run.expectUse(6, 4, {1}, {32});
    else
      EXPECT_TRUE(run.launch({1}, {32}).ok());
  }
}

TEST(UndefinedMemory, RecursionKeepsWhatIsDefined) {
  // The callee, who is the caller, leaves an undefined value in %r3.
  const std::string callee =
      shared + ".func (.param .b32 r) down(.param .b32 n)\n{ .reg .b32 %r<6>; "
               ".reg .pred %p1; .param .b32 x; .param .b32 y; ld.param.u32 "
               "%r1, [n]; mov.u32 %r3, 1; setp.eq.u32 %p1, %r1, 0; @%p1 bra "
               "last; sub.u32 %r2, %r1, 1; st.param.b32 [x], %r2; call (y), "
               "down, (x); ld.param.b32 %r4, [y]; add.u32 %r4, %r4, %r3; "
               "st.param.b32 [r], %r4; ret; last: ld.shared.u32 %r3, [s]; "
               "st.param.b32 [r], 5; ret; }\n";
  KernelRun run(head + ".param .b32 x; .param .b32 z; st.param.b32 [x], %r3; "
                       "call (z), down, (x); ld.param.b32 %r9, [z];\n"
                       "st.global.u32 [%rd2], %r9;",
                1, callee);
  uint64_t out = run.allocate(128);
  Status status = run.launch({1}, {32});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(run.fetch<uint32_t>(out, 32), std::vector<uint32_t>(32, 14));
}

TEST(UndefinedMemory, RowsOfLdmatrix) {
  // Row 0 of an 8 × 8 matrix is not written.
  for (bool transposed : {false, true}) {
    SCOPED_TRACE(transposed);
    KernelRun run(
        head +
            "setp.ge.u32 %p1, %r1, 4; @%p1 st.shared.u32 [%r7], %r3; "
            "bar.warp.sync -1; mov.u32 %r5, s; and.b32 %r6, %r1, 7; "
            "mad.lo.u32 %r5, %r6, 16, %r5; "
            "ldmatrix.sync.aligned.m8n8.x1" +
            (transposed ? ".trans" : "") +
            ".shared.b16 {%r9}, [%r5];\nand.b32 %r9, %r9, 0xffff0000;\n" +
            "st.global.u32 [%rd2], %r9;",
        1, shared);
    run.allocate(128);
    if (transposed) { // the lower half of every fourth lane's register
      EXPECT_TRUE(run.launch({1}, {32}).ok());
      continue;
    }
    run.expectUse(6, 4, {1}, {32});
    ASSERT_FALSE(run.findings.empty());
    EXPECT_EQ(run.findings[0].thread[0], 0u);
  }
}

TEST(UndefinedMemory, RowsOfStmatrix) {
  // Lanes 0 to 3 have row 0, or column 0 and every other word's lower half.
  for (const char *form : {"", ".trans"})
    for (uint32_t row : {0u, 1u}) {
      SCOPED_TRACE(form + std::to_string(row));
      const std::string body =
          "ld.shared.u32 %r4, [%r7];\nsetp.ge.u32 %p1, %r1, 4; @%p1 mov.u32 "
          "%r4, 0; mov.u32 %r5, s; and.b32 %r6, %r1, 7; mad.lo.u32 %r5, %r6, "
          "16, %r5; stmatrix.sync.aligned.m8n8.x1" +
          std::string(form) +
          ".shared.b16 [%r5+256], {%r4}; bar.warp.sync -1; ld.shared.b32 " +
          "%r9, [s+" + std::to_string(256 + 16 * row) +
          "]; shr.u32 %r9, %r9, "
          "16;";
      expectOrigin(body, row || *form ? 0 : 6);
    }
}

/// D = A · B of 16 × 16 halves, of which row 0 of `undefined` is not written:
/// row and column of D's element that is stored in line 6.
std::string wmmaBody(char undefined, uint32_t row, uint32_t column) {
  const std::string zeros = ", {%r0, %r0, %r0, %r0}; ";
  const char defined = undefined == 'a' ? 'b' : 'a';
  auto load = [](char matrix, uint32_t first, uint32_t at) {
    std::string text = "wmma.load." + std::string(1, matrix) +
                       ".sync.aligned.row.m16n16k16.shared.f16 {";
    for (uint32_t i = 0; i < 8; ++i)
      text += (i ? ", %r" : "%r") + std::to_string(first + i);
    return text + "}, [s+" + std::to_string(at) + "], 16; ";
  };
  return "mov.u32 %r0, 0; mov.u32 %r5, s; mad.lo.u32 %r5, %r1, 16, %r5; "
         "setp.ge.u32 %p1, %r1, 2; st.shared.v4.b32 [%r5+512]" +
         zeros + "@%p1 st.shared.v4.b32 [%r5]" + zeros + "bar.warp.sync -1; " +
         load(defined, undefined == 'a' ? 18 : 10, 512) + "\n" +
         load(undefined, undefined == 'a' ? 10 : 18, 0) +
         "wmma.mma.sync.aligned.row.row.m16n16k16.f32.f32 {%r26, %r27, %r28, "
         "%r29, %r30, %r31, %r32, %r33}, {%r10, %r11, %r12, %r13, %r14, %r15, "
         "%r16, %r17}, {%r18, %r19, %r20, %r21, %r22, %r23, %r24, %r25}, {%r0, "
         "%r0, %r0, %r0, %r0, %r0, %r0, %r0}; "
         "wmma.store.d.sync.aligned.row.m16n16k16.shared.f32 [s+1024], {%r26, "
         "%r27, %r28, %r29, %r30, %r31, %r32, %r33}, 16; bar.warp.sync -1; "
         "ld.shared.u32 %r9, [s+" +
         std::to_string(1024 + 64 * row + 4 * column) + "];";
}

TEST(UndefinedMemory, FragmentsOfWmma) {
  // Row 0 of A makes row 0 of D undefined, row 0 of B every column.
  expectOrigin(wmmaBody('a', 0, 3), 6, 5);
  expectOrigin(wmmaBody('a', 1, 3), 0);
  expectOrigin(wmmaBody('a', 15, 15), 0);
  expectOrigin(wmmaBody('b', 1, 3), 6, 5);
}

TEST(UndefinedMemory, CopiedFromGlobalMemory) {
  const std::string copy =
      "cp.async.ca.shared.global [%r7], [%rd2+128], 4;\ncp.async.wait_all; ";
  expectOrigin(copy + "mov.u32 %r9, 0;", 0);
  expectOrigin(copy + "ld.shared.u32 %r9, [%r7];", 6);
}

TEST(UndefinedMemory, AtomicOnBytesNobodyWrote) {
  KernelRun run(head + "atom.global.add.u32 %r9, [%rd2], 1;", 1, shared);
  run.allocate(128);
  run.expectFinding(FindingKind::Uninitialised, 4, {1}, {32});
  EXPECT_NE(run.findings[0].detail.find("were never written"),
            std::string::npos);
}

} // namespace
} // namespace qopt::emulator
