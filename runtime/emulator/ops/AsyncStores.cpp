// st.async and red.async: values of registers on their way to the shared memory
// of a block of the cluster, counted by an mbarrier there.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/AsyncCopies.h"
#include "runtime/emulator/ops/AtomicOperations.h"

namespace qopt::emulator {
namespace {

/// The values are sources 1 and on, of inst.aux bytes each; the mbarrier is the
/// last one.
Step runStore(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t to[lanes], mbarriers[lanes];
  computeAddresses(warp, inst, 0, to);
  Inst last = inst;
  last.offset = inst.offset2;
  last.wide = inst.wide2;
  computeAddresses(warp, last, inst.sources - 1u, mbarriers);
  const uint32_t each = inst.aux, count = inst.sources - 2u;
  bool stops = false;
  auto storeOne = [&](unsigned lane) {
    if (stops)
      return;
    const uint64_t address = to[lane] & ~windowMask;
    const uint64_t mbarrier = mbarriers[lane] & ~windowMask;
    auto fail = [&](FindingKind kind, const std::string &detail) {
      stops = !warp.report(inst, kind, 1u << lane, detail);
    };
    SharedTarget target;
    target.block = warp.block.cluster.blockOf(warp.block, address);
    target.offset = (uint32_t(address) & ~rankBits) - sharedBase;
    target.bytes = each * count;
    if (!target.block)
      return fail(FindingKind::OutOfBounds,
                  "the shared address is in no block of the cluster");
    Block &block = *target.block;
    if (block.ended())
      return fail(FindingKind::InvalidUse, endedBlock(block));
    const std::string what = "store of " + std::to_string(target.bytes) +
                             " bytes at shared offset " +
                             std::to_string(target.offset);
    if (target.offset % target.bytes)
      return fail(FindingKind::Misaligned, what);
    if (!block.holdsShared(target.offset, target.bytes))
      return fail(FindingKind::OutOfBounds,
                  what + ": the block has " +
                      std::to_string(block.shared.size()) + " bytes");
    BulkCopy copy;
    copy.kind = BulkCopy::Store;
    copy.mbarrier = (uint32_t(mbarrier) & ~rankBits) - sharedBase;
    std::string wrong = wrongBarrier(warp, &block, mbarrier, copy.mbarrier);
    if (!wrong.empty())
      return fail(FindingKind::InvalidUse, wrong);
    if (inst.target)
      copy.reduction = warp.program.reductions[inst.target - 1];
    copy.tick = target.tick = ++warp.clocks.engineTick;
    target.reduces = inst.target != 0;
    stops = !prepareTarget(warp, inst, lane, target);
    for (unsigned i = 0; i < count; ++i) {
      const uint64_t value = each == 8 ? warp.lanes64(inst.source(1 + i))[lane]
                                       : warp.lanes32(inst.source(1 + i))[lane];
      for (unsigned byte = 0; byte < each; ++byte)
        copy.data.push_back(uint8_t(value >> 8 * byte));
    }
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
  if (!decoder.has("mbarrier::complete_tx::bytes") || (size != 4 && size != 8) ||
      length > 4)
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
  Reducer reducer = atomicOperation<ReducerMaker>(
      decoder, type, ptx::Space::SharedCluster);
  if (!reducer || isFloat(type))
    return decoder.unknown();
  if (!decodeOperands(decoder))
    return false;
  decoder.program.reductions.push_back({reducer, sizeOf(type)});
  decoder.inst.target = uint32_t(decoder.program.reductions.size());
  return decoder.emit(&runStore);
}

} // namespace qopt::emulator
