// The kernel of the cluster tests: every thread sums what the threads of its
// number have written, in all blocks of the cluster.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_EMULATOR_CLUSTERKERNEL_H
#define QOPT_TEST_RUNTIME_EMULATOR_CLUSTERKERNEL_H

#include "KernelRun.h"

namespace qopt::emulator {

const std::string clusterArray = ".shared .align 16 .b8 s[256];";

inline std::string clusterOf(const std::string &extents) {
  return " .reqnctapercluster " + extents;
}

/// Four blocks of 64 threads; each part is one line, or the part of one, that a
/// test changes.
struct ClusterSum {
  // Line 4, 5: all have written.
  std::string arrive = "barrier.cluster.arrive.aligned;";
  std::string wait = "barrier.cluster.wait.aligned;";
  std::string ranks = "4"; ///< whose words are read
  std::string address = "mapa.shared::cluster.u32 %r9, %r4, %r7;"; ///< line 8
  std::string load = "ld.shared::cluster.u32 %r10, [%r9];";        ///< line 9
  // Line 12, 13: all have read.
  std::string lastArrive = "barrier.cluster.arrive.aligned;";
  std::string lastWait = "barrier.cluster.wait.aligned;";
  std::string guard; ///< of the write, line 3
  std::string directives = clusterOf("4, 1, 1");

  std::string body() const {
    return R"(.reg .b64 %rd<9>; .reg .b32 %r<16>; .reg .pred %p<4>;
ld.param.u64 %rd1, [p0]; mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2; mov.u32 %r3, s; add.u32 %r4, %r3, %r2; mov.u32 %r5, %ctaid.x; mad.lo.u32 %r6, %r5, 64, %r1; setp.eq.u32 %p2, %r5, 0;
)" + guard +
           "st.shared.u32 [%r4], %r6;\n" + arrive + "\n" + wait + "\n" +
           "mov.u32 %r7, 0; mov.u32 %r8, 0;\nnext:\n" + address + "\n" + load +
           "\nadd.u32 %r8, %r8, %r10; add.u32 %r7, %r7, 1; setp.lt.u32 %p1, "
           "%r7, " +
           ranks + ";\n@%p1 bra next;\n" + lastArrive + "\n" + lastWait +
           "\nmul.wide.u32 %rd2, %r6, 4; add.s64 %rd2, %rd1, %rd2; "
           "st.global.u32 [%rd2], %r8;";
  }
};

/// Two clusters of it, with memory for the sums and a counter behind them.
struct ClusterRun : KernelRun {
  explicit ClusterRun(const ClusterSum &kernel, uint64_t seed = 0)
      : KernelRun(kernel.body(), 1, clusterArray, kernel.directives) {
    options.seed = seed;
    out = array(std::vector<uint32_t>(2 * 256 + 1));
  }
  Status launch(uint32_t clusters = 2) {
    return KernelRun::launch({4 * clusters}, {64});
  }
  /// One cluster runs on one thread: always the same finding.
  void expectFinding(FindingKind kind, uint32_t line, uint32_t clusters = 1) {
    KernelRun::expectFinding(kind, line, {4 * clusters}, {64});
  }
  uint64_t out;
};

} // namespace qopt::emulator

#endif // QOPT_TEST_RUNTIME_EMULATOR_CLUSTERKERNEL_H
