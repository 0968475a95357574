// Machine code of GPUs as text and counts: what the static table of hot loops
// is made from. It asks NVIDIA's disassembler; nothing else needs one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_SASS_H
#define QOPT_LIB_CODEGEN_CUDA_SASS_H

#include "qopt/Status.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace qopt::codegen {

/// One instruction: "@!P0 LOP3.LUT R4, …" at an address of the kernel.
struct SassInstruction {
  uint64_t address;
  std::string predicate; ///< "@!P0" or empty
  std::string opcode;    ///< with its modifiers: LOP3.LUT
  std::string operands;
};

/// A backward branch and what lies between its target and itself.
struct SassLoop {
  uint64_t begin, end; ///< addresses of the first and the last instruction
  int depth;           ///< 1 for a loop that no other is around
  bool innermost;
};

/// One kernel.
struct SassKernel {
  std::string symbol;
  std::vector<SassInstruction> instructions;
  std::vector<SassLoop> loops; ///< by their begin, outer before inner

  /// Instructions by opcode without modifiers (LOP3, HMMA) in [begin, end]; a
  /// nested loop's count once, as in one iteration.
  std::map<std::string, int> count(uint64_t begin, uint64_t end) const;
  std::map<std::string, int> count() const;
  std::map<std::string, int> count(const SassLoop &loop) const;

  /// Products of halves in a loop: HMMA with 16 columns. Those of tf32 are
  /// others.
  int halfProducts(const SassLoop &loop) const;

  /// The innermost loop with the most instructions of `opcode` (HMMA, FFMA),
  /// or with the most of all where `opcode` is empty; null without loops.
  const SassLoop *mainLoop(llvm::StringRef opcode) const;
};

/// Reads what `nvdisasm -c` prints. The padding behind a kernel's last
/// instruction (an endless branch to itself, NOPs) is left out.
std::vector<SassKernel> parseSass(llvm::StringRef text);

/// Disassembles a cubin with nvdisasm (QOPT_NVDISASM, PATH,
/// /usr/local/cuda/bin, the Python package). NotFound when there is none.
StatusOr<std::string> disassemble(llvm::StringRef cubin);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_SASS_H
