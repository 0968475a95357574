// Instructions of clusters: mapa and getctarank, and the cluster's barrier.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/Decoder.h"
#include "runtime/emulator/Lanes.h"

namespace qopt::emulator {
namespace {

/// Inst::aux of mapa and getctarank: addresses are generic.
constexpr uint32_t generic = 1;

/// False after a finding about an address that is not in shared memory.
bool checkWindow(Warp &warp, const Inst &inst, unsigned lane,
                 uint64_t address) {
  if (!(inst.aux & generic) || (address & windowMask) == sharedWindow)
    return true;
  warp.report(inst, FindingKind::InvalidUse, 1u << lane,
              "the generic address is not in shared memory");
  return false;
}

/// mapa: the address of the same place in the block of another rank.
template <typename Word>
Step runMap(Warp &warp, const Inst &inst, uint32_t mask) {
  auto *from = reinterpret_cast<const Word *>(warp.file + inst.source(0));
  const uint32_t *ranks = warp.lanes32(inst.source(1));
  auto *to = reinterpret_cast<Word *>(warp.file + inst.destination());
  Cluster &cluster = warp.block.cluster;
  bool stops = false;
  forLanes(mask, [&](unsigned lane) {
    bool good = !stops && checkWindow(warp, inst, lane, from[lane]);
    if (good && ranks[lane] >= cluster.size()) {
      warp.report(inst, FindingKind::OutOfBounds, 1u << lane,
                  "there is no rank " + std::to_string(ranks[lane]) +
                      ": the cluster has " + std::to_string(cluster.size()) +
                      (cluster.size() > 1 ? " blocks" : " block"));
      good = false;
    }
    stops |= !good && warp.block.grid.stopped;
    if (good)
      to[lane] = (from[lane] & ~Word(rankBits)) | Word(ranks[lane] + 1)
                                                      << rankShift;
  });
  return stops ? Step::Stopped : Step::Next;
}

/// getctarank: the rank of the block that an address is in.
template <typename Word>
Step runRank(Warp &warp, const Inst &inst, uint32_t mask) {
  auto *from = reinterpret_cast<const Word *>(warp.file + inst.source(0));
  uint32_t *to = warp.lanes32(inst.destination());
  bool stops = false;
  forLanes(mask, [&](unsigned lane) {
    uint64_t address = from[lane];
    if (stops || !checkWindow(warp, inst, lane, address)) {
      stops |= warp.block.grid.stopped;
      return;
    }
    Block *owner =
        warp.block.cluster.blockOf(warp.block, address & ~windowMask);
    if (owner)
      to[lane] = owner->rank;
    else
      stops |= !warp.report(inst, FindingKind::OutOfBounds, 1u << lane,
                            "the address is in no block of the cluster");
  });
  return stops ? Step::Stopped : Step::Next;
}

/// mapa{.shared::cluster}.type d, a, rank and getctarank{…}.type d, a. The type
/// is that of addresses; generic ones have 64 bits.
bool decodeAddress(Decoder &decoder) {
  bool maps = decoder.instruction().opcode == "mapa";
  bool wide = decoder.has("u64");
  if (!decoder.has("shared::cluster"))
    decoder.inst.aux = generic;
  if (wide == decoder.has("u32") || (decoder.inst.aux == generic && !wide))
    return decoder.unknown();
  OperandType kind = wide ? OperandType::LongWord : OperandType::Word;
  if (!decoder.expectOperands(maps ? 3 : 2, maps ? 3 : 2) ||
      !decoder.destination(decoder.operand(0),
                           maps ? kind : OperandType::Word) ||
      !decoder.source(decoder.operand(1), kind))
    return false;
  if (decoder.inst.wide & FrameRelative)
    return decoder.fail("the address is not in shared memory");
  if (!maps)
    return decoder.emit(wide ? &runRank<uint64_t> : &runRank<uint32_t>);
  return decoder.source(decoder.operand(2), OperandType::Word) &&
         decoder.emit(wide ? &runMap<uint64_t> : &runMap<uint32_t>);
}

Step runArrive(Warp &warp, const Inst &inst, uint32_t mask) {
  return warp.block.cluster.arrive(warp, inst, mask);
}

Step runWait(Warp &warp, const Inst &inst, uint32_t mask) {
  return warp.block.cluster.wait(warp, inst, mask);
}

} // namespace

bool decodeClusterBarrier(Decoder &decoder) {
  bool arrives = decoder.has("arrive");
  bool relaxed = decoder.has("relaxed");
  if (!decoder.expectOperands(0, 0))
    return false;
  if (arrives == decoder.has("wait") ||
      (arrives ? decoder.has("acquire") : relaxed || decoder.has("release")))
    return decoder.unknown();
  decoder.inst.aux = (decoder.has("aligned") ? uint32_t(ClusterAligned) : 0) |
                     (relaxed ? uint32_t(ClusterRelaxed) : 0);
  return decoder.emit(arrives ? &runArrive : &runWait);
}

void addClusters(FamilyTable &table) {
  table["mapa"] = &decodeAddress;
  table["getctarank"] = &decodeAddress;
}

} // namespace qopt::emulator
