// st.async and red.async: values of registers on their way to the shared memory
// of a block of the cluster, counted by an mbarrier there.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/AsyncCopies.h"
#include "runtime/emulator/ops/AtomicOperations.h"

namespace qopt::emulator {
namespace {

/// What is wrong with the destination, "" if nothing.
std::string wrongTarget(const SharedTarget &target, FindingKind &kind) {
  kind = FindingKind::OutOfBounds;
  if (!target.block)
    return "the shared address is in no block of the cluster";
  const std::string what = "store of " + std::to_string(target.bytes) +
                           " bytes at shared offset " +
                           std::to_string(target.offset);
  const Block &block = *target.block;
  if (block.ended()) {
    kind = FindingKind::InvalidUse;
    return endedBlock(block);
  }
  if (target.offset % target.bytes) {
    kind = FindingKind::Misaligned;
    return what;
  }
  return block.holdsShared(target.offset, target.bytes)
             ? ""
             : what + ": the block has " + std::to_string(block.shared.size()) +
                   " bytes";
}

/// The bytes of one lane's values.
std::vector<uint8_t> valuesOf(Warp &warp, const Inst &inst, unsigned lane) {
  std::vector<uint8_t> bytes;
  for (unsigned n = 1; n + 1 < inst.sources; ++n) {
    const uint64_t value = inst.aux == 8 ? warp.lanes64(inst.source(n))[lane]
                                         : warp.lanes32(inst.source(n))[lane];
    for (unsigned byte = 0; byte < inst.aux; ++byte)
      bytes.push_back(uint8_t(value >> 8 * byte));
  }
  return bytes;
}

/// The values are sources 1 and on, of inst.aux bytes each; the mbarrier is the
/// last one.
Step runStore(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t to[lanes], mbarriers[lanes];
  computeAddresses(warp, inst, 0, to);
  Inst last = inst;
  last.offset = inst.offset2;
  last.wide = inst.wide2;
  computeAddresses(warp, last, inst.sources - 1u, mbarriers);
  bool stops = false;
  auto storeOne = [&](unsigned lane) {
    if (stops)
      return;
    const uint64_t address = to[lane] & ~windowMask;
    const uint64_t mbarrier = mbarriers[lane] & ~windowMask;
    SharedTarget target;
    target.block = warp.block.cluster.blockOf(warp.block, address);
    target.offset = (uint32_t(address) & ~rankBits) - sharedBase;
    target.bytes = inst.aux * (inst.sources - 2u);
    FindingKind kind;
    std::string wrong = wrongTarget(target, kind);
    BulkCopy copy;
    copy.kind = BulkCopy::Store;
    copy.mbarrier = (uint32_t(mbarrier) & ~rankBits) - sharedBase;
    if (wrong.empty()) {
      kind = FindingKind::InvalidUse;
      wrong = wrongBarrier(warp, target.block, mbarrier, copy.mbarrier);
    }
    if (!wrong.empty()) {
      stops = !warp.report(inst, kind, 1u << lane, wrong);
      return;
    }
    if (inst.target)
      copy.reduction = warp.program.reductions[inst.target - 1];
    copy.tick = target.tick = ++warp.clocks.engineTick;
    target.reduces = inst.target != 0;
    stops = !prepareTarget(warp, inst, lane, target);
    copy.data = valuesOf(warp, inst, lane);
    Block &block = *target.block;
    copy.position = uint32_t(&inst - warp.program.code.data());
    copy.due = block.executed + block.worker.random.below(longestFlight);
    copy.shared = target.offset;
    copy.bytes = target.bytes;
    copy.warp = &warp;
    copy.lane = lane;
    copy.clock = departure(warp, copy.tick);
    block.send(std::move(copy));
  };
  forLanes(mask, storeOne);
  return stops ? Step::Stopped : Step::Next;
}

/// [a], values, [mbarrier]
bool decodeOperands(Decoder &decoder) {
  const ptx::Type type = decoder.type();
  const unsigned length = vectorLength(decoder);
  const unsigned size = sizeOf(type);
  if (!decoder.has("mbarrier::complete_tx::bytes") ||
      (size != 4 && size != 8) || length > 4)
    return decoder.unknown();
  ptx::Space space = ptx::Space::SharedCluster;
  Inst &inst = decoder.inst;
  if (!decoder.expectOperands(3, 3) ||
      !decoder.address(decoder.operand(0), space) ||
      !decoder.sources(decoder.operand(1), Decoder::kindOf(type)))
    return false;
  if (!decoder.hasCounts(0, 1 + length))
    return decoder.fail("expected " + std::to_string(length) + " registers");
  const int64_t offset = std::exchange(inst.offset, 0);
  const uint8_t wide = std::exchange(inst.wide, uint8_t(0));
  if (!decoder.address(decoder.operand(2), space))
    return false;
  inst.offset2 = std::exchange(inst.offset, offset);
  inst.wide2 = std::exchange(inst.wide, wide);
  inst.aux = size;
  inst.traits = uint8_t(Traits::Address) | uint8_t(Traits::Uses);
  decoder.access.written = uint16_t(size * length);
  return true;
}

} // namespace

bool decodeAsyncStore(Decoder &decoder) {
  return decodeOperands(decoder) && decoder.emit(&runStore);
}

bool decodeAsyncReduction(Decoder &decoder) {
  if (!decoder.has("shared::cluster") || vectorLength(decoder) != 1)
    return decoder.unknown();
  const ptx::Type type = decoder.type();
  Reducer reducer =
      atomicOperation<ReducerMaker>(decoder, type, ptx::Space::SharedCluster);
  if (!reducer || isFloat(type))
    return decoder.unknown();
  if (!decodeOperands(decoder))
    return false;
  decoder.program.reductions.push_back({reducer, sizeOf(type)});
  decoder.inst.target = uint32_t(decoder.program.reductions.size());
  return decoder.emit(&runStore);
}

} // namespace qopt::emulator
