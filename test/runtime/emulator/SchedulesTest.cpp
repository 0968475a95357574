// A launch under several schedules: the same memory before each, compared
// byte by byte behind them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Schedules.h"

#include "KernelRun.h"
#include "runtime/emulator/EmulatorDriver.h"

namespace qopt::emulator {
namespace {

const std::string head =
    ".reg .b64 %rd<9>; .reg .b32 %r<9>; .reg .pred %p<4>;\n"
    "ld.param.u64 %rd1, [p0]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; "
    "add.s64 %rd2, %rd1, %rd2;\n";
/// Each warp adds to a counter in word 0; each thread stores what was there.
const std::string ticket =
    head + "and.b32 %r2, %r1, 31; setp.ne.u32 %p1, %r2, 0; @%p1 bra done; "
           "atom.global.add.u32 %r3, [%rd1], 1; st.global.u32 [%rd2+4], %r3;\n"
           "done:";

StatusOr<Statistics> launchTimes(KernelRun &run, uint64_t address,
                                 unsigned schedules, uint32_t threads) {
  if (!run.status.ok())
    return run.status;
  return launchSchedules({*run.module->kernel("k"),
                          {1},
                          {threads},
                          0,
                          {reinterpret_cast<const uint8_t *>(&address), 8}},
                         run.memory, run.options, schedules);
}

TEST(Schedules, EachFindsTheMemoryAsItWas) {
  KernelRun run(head + "atom.global.add.u32 %r3, [%rd1], 1;");
  uint64_t out = run.array<uint32_t>({5});
  StatusOr<Statistics> done = launchTimes(run, out, 6, 64);
  ASSERT_TRUE(done.ok()) << done.status().message();
  EXPECT_EQ(run.fetch<uint32_t>(out, 1)[0], 69u);
  EXPECT_EQ(done->opcodes["atom.global.add.u32"].lanes, 64u);
}

TEST(Schedules, ResultThatDependsOnTheOrder) {
  KernelRun run(ticket);
  uint64_t out = run.array(std::vector<uint32_t>(129));
  EXPECT_TRUE(launchTimes(run, out, 1, 128).ok());
  run.memory.setName(out, "tickets");
  StatusOr<Statistics> done = launchTimes(run, out, 16, 128);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.status().code(), StatusCode::GateFailed);
  const std::string &message = done.status().message();
  EXPECT_NE(message.find(": kernel 'k' leaves 'tickets' with "),
            std::string::npos)
      << message;
  EXPECT_NE(message.find(" of 516 bytes other than schedule 0, the first of "
                         "them byte "),
            std::string::npos)
      << message;
}

TEST(Schedules, WhatOneHasWrittenTheNextHasNot) {
  // The second warp reads what the first writes, if that was before.
  const std::string body =
      head + "setp.gt.u32 %p1, %r1, 31; @%p1 bra other;\nst.global.u32 [%rd2], "
             "7; ret; other:\nld.global.u32 %r3, [%rd2+-128]; st.global.u32 "
             "[%rd2], %r3;";
  bool found = false;
  for (uint64_t seed = 0; seed < 8 && !found; ++seed) {
    KernelRun run(body);
    run.options.checks.races = false;
    run.options.seed = seed;
    StatusOr<Statistics> done = launchTimes(run, run.allocate(256), 8, 64);
    const std::string message = done.ok() ? "" : done.status().message();
    found = message.find("uninitialised") != std::string::npos &&
            message.rfind("schedule 0", 0) == std::string::npos;
  }
  EXPECT_TRUE(found);
}

TEST(Schedules, PrintedOnce) {
  KernelRun run(head + ".param .b64 f; .param .b64 a; .param .b32 y; mov.u64 "
                       "%rd6, text; st.param.b64 [f], %rd6; st.param.b64 [a], "
                       "0; call (y), vprintf, (f, a);",
                1,
                ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param "
                ".b64 a);\n.global .align 1 .b8 text[3] = {104, 105};");
  std::string written;
  run.options.print = [&](std::string_view text) { written += text; };
  ASSERT_TRUE(launchTimes(run, run.allocate(4), 3, 1).ok());
  EXPECT_EQ(written, "hi");
}

TEST(Schedules, OfTheDriver) {
  std::string text = ".version 8.3\n.target sm_90a\n.address_size 64\n"
                     ".visible .entry k(.param .u64 p0)\n{\n" +
                     ticket + "\n}\n";
  for (unsigned schedules : {1u, 16u}) {
    EmulatorOptions options;
    options.schedules = schedules;
    std::shared_ptr<cuda::Driver> driver = makeEmulatorDriver(options);
    auto module = driver->load(
        {reinterpret_cast<const uint8_t *>(text.data()), text.size()});
    ASSERT_TRUE(module.ok()) << module.status().message();
    auto stream = driver->createStream();
    cuda::Address out = *driver->allocate(129 * 4);
    ASSERT_TRUE((*stream)->clear(out, 129 * 4).ok());
    cuda::LaunchShape shape;
    shape.block = 128;
    void *arguments[] = {&out};
    Status status =
        (*stream)->launch(*(*module)->function("k"), shape, arguments);
    EXPECT_EQ(status.ok(), schedules == 1) << status.message();
    if (schedules > 1)
      EXPECT_NE(status.message().find("kernel 'k' leaves the buffer at 0x"),
                std::string::npos)
          << status.message();
  }
}

} // namespace
} // namespace qopt::emulator
