// The order of basic blocks that diverged lanes follow: loops before what comes
// behind them, however the text is laid out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"

#include "runtime/emulator/Program.h"

namespace qopt::emulator {
namespace {

/// The rank of the instruction with this literal as its last operand.
uint32_t rankOf(const Program &program, uint64_t literal) {
  for (size_t i = 0; i < program.code.size(); ++i)
    if (program.sources[i] && program.sources[i]->opcode == "mov" &&
        program.sources[i]->operands[1].bits == literal)
      return program.code[i].rank;
  ADD_FAILURE() << "no mov of " << literal;
  return 0;
}

TEST(Ranks, LoopBeforeItsExit) {
  // The text has the exit before the body.
  KernelRun run(R"(.reg .b32 %r<3>; .reg .pred %p;
setp.eq.u32 %p, %r1, 0;
loop:
@%p bra body;
mov.u32 %r1, 2;
ret;
body:
mov.u32 %r1, 1;
bra loop;)",
                0);
  StatusOr<Kernel> kernel = run.module->kernel("k");
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  EXPECT_LT(rankOf(kernel->code(), 1), rankOf(kernel->code(), 2));
}

TEST(Ranks, BothArmsBeforeTheJoin) {
  KernelRun run(R"(.reg .b32 %r<3>; .reg .pred %p;
setp.eq.u32 %p, %r1, 0;
@%p bra right;
mov.u32 %r1, 1;
bra join;
join:
mov.u32 %r1, 3;
ret;
right:
mov.u32 %r1, 2;
bra join;)",
                0);
  StatusOr<Kernel> kernel = run.module->kernel("k");
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  EXPECT_LT(rankOf(kernel->code(), 1), rankOf(kernel->code(), 3));
  EXPECT_LT(rankOf(kernel->code(), 2), rankOf(kernel->code(), 3));
}

} // namespace
} // namespace qopt::emulator
