// Barriers of the block and of the warp, and fences.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/MemoryAccess.h"

#include "runtime/emulator/checks/AccessChecks.h"

namespace qopt::emulator {
namespace {

/// Inst::aux of a barrier: .aligned, which all lanes of a warp execute at once.
enum : uint32_t { Aligned = 1, NegatedVote = 2 };

/// bar.sync and bar.arrive: sources are the number and the thread count.
template <bool Wait>
Step runBarrier(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned lane = unsigned(std::countr_zero(mask));
  return warp.block.arriveAtBarrier(warp, inst, mask,
                                    warp.lanes32(inst.source(0))[lane],
                                    warp.lanes32(inst.source(1))[lane], Wait);
}

/// bar.red: the third source is the predicate.
Step runReduction(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned lane = unsigned(std::countr_zero(mask));
  uint32_t number = warp.lanes32(inst.source(0))[lane];
  uint32_t votes = warp.predicate(inst.source(2));
  if (inst.aux & NegatedVote)
    votes = ~votes;
  warp.block.vote(number, uint32_t(std::popcount(votes & mask)));
  return warp.block.arriveAtBarrier(warp, inst, mask, number,
                                    warp.lanes32(inst.source(1))[lane], true);
}

/// bar.warp.sync: orders the memory accesses of the lanes.
Step runWarpSync(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!warp.meet(inst, warp.lanes32(inst.source(0)), mask))
    return Step::Again;
  if (warp.block.grid.options.checks.races)
    warp.clocks.advance();
  return Step::Next;
}

/// fence and membar; aux: the scope.
Step runFence(Warp &warp, const Inst &inst, uint32_t) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  fence(warp, SyncScope(inst.aux));
  return Step::Next;
}

/// fence.mbarrier_init: what was initialised is for a relaxed arrival at the
/// cluster's barrier.
Step runInitFence(Warp &warp, const Inst &, uint32_t) {
  if (warp.block.grid.shadow) {
    warp.clocks.fencedInits = warp.clocks.known;
    warp.clocks.advance();
  }
  return Step::Next;
}

Step runNothing(Warp &, const Inst &, uint32_t) { return Step::Next; }

bool decodeBarrier(Decoder &decoder) {
  if (decoder.has("cluster"))
    return decodeClusterBarrier(decoder);
  decoder.inst.traits = uint8_t(Traits::Uses);
  if (decoder.has("warp"))
    return decoder.expectOperands(1, 1) &&
           decoder.source(decoder.operand(0), OperandType::Word) &&
           decoder.emit(&runWarpSync);
  bool reduces = decoder.has("red"), arrives = decoder.has("arrive");
  if (!reduces && !arrives && !decoder.has("sync"))
    return decoder.unknown();
  size_t at = 0, last = decoder.operands();
  if (reduces) {
    bool counts = decoder.has("popc");
    if (!decoder.expectOperands(3, 4) ||
        !decoder.destination(decoder.operand(0), counts
                                                     ? OperandType::Word
                                                     : OperandType::Predicate))
      return false;
    decoder.inst.offset = int64_t(counts               ? BarrierVote::Count
                                  : decoder.has("and") ? BarrierVote::All
                                                       : BarrierVote::Any);
    at = 1;
    --last;
  }
  // bar.x is barrier.x.aligned.
  if (decoder.instruction().opcode == "bar" || decoder.has("aligned"))
    decoder.inst.aux |= Aligned;
  if (at >= last || !decoder.source(decoder.operand(at), OperandType::Word))
    return decoder.fail("expected the number of a barrier");
  ++at;
  if (at < last) {
    if (!decoder.source(decoder.operand(at), OperandType::Word))
      return false;
  } else {
    decoder.constant(0, OperandType::Word);
  }
  if (!reduces)
    return decoder.emit(arrives ? &runBarrier<false> : &runBarrier<true>);
  const ptx::Operand &predicate = decoder.operand(last);
  decoder.inst.aux |= predicate.negated ? uint32_t(NegatedVote) : 0;
  return decoder.source(predicate, OperandType::Predicate) &&
         decoder.emit(&runReduction);
}

bool decodeFence(Decoder &decoder) {
  // A proxy fence orders views of the same memory; there is one view here.
  if (decoder.has("proxy"))
    return decoder.emit(&runNothing);
  if (decoder.has("mbarrier_init"))
    return decoder.emit(&runInitFence);
  uint32_t scope = scopeFlag(decoder);
  decoder.inst.aux = uint32_t(scope == BlockScope     ? SyncScope::Block
                              : scope == ClusterScope ? SyncScope::Cluster
                                                      : SyncScope::Device);
  return decoder.emit(&runFence);
}

} // namespace

void addBarriers(FamilyTable &table) {
  table["bar"] = &decodeBarrier;
  table["barrier"] = &decodeBarrier;
  table["fence"] = &decodeFence;
  table["membar"] = &decodeFence;
}

} // namespace qopt::emulator
