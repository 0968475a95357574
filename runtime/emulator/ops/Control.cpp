// Branches, ends of threads, and hints that change nothing here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Block.h"
#include "runtime/emulator/Decoder.h"

namespace qopt::emulator {
namespace {

Step runBranch(Warp &warp, const Inst &inst, uint32_t mask) {
  return warp.branch(inst.target, mask);
}

/// brx.idx: the table is Program::tables[inst.aux].
Step runIndexed(Warp &warp, const Inst &inst, uint32_t mask) {
  const std::vector<uint32_t> &table = warp.program.tables[inst.aux];
  const uint32_t *index = warp.lanes32(inst.source(0));
  uint32_t targets[lanes] = {}, beyond = 0;
  forLanes(mask, [&](unsigned lane) {
    if (index[lane] < table.size())
      targets[lane] = table[index[lane]];
    else
      beyond |= 1u << lane;
  });
  if (beyond) {
    warp.report(inst, FindingKind::InvalidUse, beyond,
                "the index is beyond the branch targets");
    return Step::Stopped;
  }
  return warp.branchEach(targets, mask);
}

Step runRet(Warp &warp, const Inst &inst, uint32_t mask) {
  return warp.leave(inst, mask);
}
Step runExit(Warp &warp, const Inst &, uint32_t mask) {
  return warp.exit(mask);
}

Step runTrap(Warp &warp, const Inst &inst, uint32_t mask) {
  warp.report(inst, FindingKind::Trap, mask, "the kernel ends itself");
  warp.block.grid.stopped = true;
  return Step::Stopped;
}

Step runNothing(Warp &, const Inst &, uint32_t) { return Step::Next; }
Step runSleep(Warp &, const Inst &, uint32_t) { return Step::Yield; }

bool decodeBra(Decoder &decoder) {
  if (!decoder.expectOperands(1, 1))
    return false;
  if (decoder.operand(0).kind != ptx::Operand::Label)
    return decoder.fail("expected a label");
  decoder.inst.target = decoder.branchTarget(decoder.operand(0).index);
  return decoder.emit(&runBranch);
}

bool decodeBrx(Decoder &decoder) {
  if (!decoder.expectOperands(2, 2) ||
      !decoder.source(decoder.operand(0), OperandType::Word))
    return false;
  if (decoder.operand(1).kind != ptx::Operand::Table)
    return decoder.fail("expected the label of a .branchtargets");
  std::vector<uint32_t> targets;
  for (uint32_t label : decoder.function().tables[decoder.operand(1).index])
    targets.push_back(decoder.branchTarget(label));
  decoder.inst.traits = uint8_t(Traits::Uses);
  decoder.inst.aux = uint32_t(decoder.program.tables.size());
  decoder.program.tables.push_back(std::move(targets));
  return decoder.emit(&runIndexed);
}

template <Handler Run> bool decodePlain(Decoder &decoder) {
  return decoder.emit(Run);
}

/// createpolicy: a cache policy is a value that nobody looks into.
bool decodePolicy(Decoder &decoder) {
  if (!decoder.destination(decoder.operand(0), OperandType::LongWord))
    return false;
  return decoder.emit(&runNothing);
}

} // namespace

void addControl(FamilyTable &table) {
  table["bra"] = &decodeBra;
  table["brx"] = &decodeBrx;
  table["ret"] = &decodePlain<&runRet>;
  table["exit"] = &decodePlain<&runExit>;
  table["trap"] = &decodePlain<&runTrap>;
  table["brkpt"] = &decodePlain<&runTrap>;
  table["nanosleep"] = &decodePlain<&runSleep>;
  table["createpolicy"] = &decodePolicy;
  // Hints to caches and schedulers, and the edges between kernels of one
  // stream, which run one after the other here.
  for (const char *name : {"griddepcontrol", "setmaxnreg", "prefetch",
                           "prefetchu", "applypriority", "discard", "pmevent"})
    table[name] = &decodePlain<&runNothing>;
}

} // namespace qopt::emulator
