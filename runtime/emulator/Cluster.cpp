// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Cluster.h"

#include "runtime/emulator/Lanes.h"

#include <algorithm>

namespace qopt::emulator {
namespace {

/// How often waiting on an mbarrier may time out without any event in the
/// cluster before that is a deadlock.
constexpr uint32_t mostTimeouts = 64;

bool waitsAtBarrier(const Group &group) {
  return group.state == Group::AtBarrier ||
         group.state == Group::AtClusterBarrier;
}

} // namespace

Cluster::Cluster(Worker &worker) : worker(worker), grid(worker.grid) {
  for (uint32_t rank = 0; rank < grid.cluster.count(); ++rank) {
    blocks.push_back(std::make_unique<Block>(*this, rank));
    for (std::unique_ptr<Warp> &warp : blocks.back()->warps)
      warps.push_back(warp.get());
  }
}

void Cluster::start(uint64_t number) {
  Extent clusters = grid.clusters();
  coordinates[0] = uint32_t(number % clusters.x);
  coordinates[1] = uint32_t(number / clusters.x % clusters.y);
  coordinates[2] = uint32_t(number / clusters.x / clusters.y);
  executed = timeoutEvents = 0;
  timeouts = 0;
  barrier = ClusterBarrier();
  for (std::unique_ptr<Block> &block : blocks)
    block->start();
  turn = worker.random.below(uint32_t(warps.size()));
}

bool Cluster::run(uint64_t slice) {
  uint64_t end = executed + slice;
  Random &random = worker.random;
  while (!grid.stopped.load(std::memory_order_relaxed)) {
    bool ended = true, moved = false;
    for (size_t i = 0; i < warps.size(); ++i) {
      turn = turn + 1 < warps.size() ? turn + 1 : 0;
      Warp &warp = *warps[turn];
      if (warp.ended())
        continue;
      ended = false;
      moved |= runWarp(warp);
      if (grid.stopped.load(std::memory_order_relaxed))
        return true;
    }
    // Some other warp than the next one in turn goes first now and then.
    if (random.below(4) == 0)
      turn = random.below(uint32_t(warps.size()));
    if (ended)
      return true;
    if (!moved && !resolveStandstill())
      return true;
    if (executed >= end)
      return false;
  }
  return true;
}

/// A warp's turn; false when it could not move.
bool Cluster::runWarp(Warp &warp) {
  Block &block = warp.block;
  uint64_t limit = grid.options.maximumInstructions;
  uint32_t budget = 32 + worker.random.below(224);
  if (limit)
    budget = uint32_t(std::min<uint64_t>(budget, limit - warp.executed));
  uint32_t done = warp.run(budget);
  executed += done;
  // Time passes for all: others may spin on what a block at rest waits for.
  for (std::unique_ptr<Block> &each : blocks) {
    each->executed += done;
    if (!each->bulk.empty())
      each->landDueCopies(false);
  }
  // Who has not ended has at least one instruction before it.
  if (limit && warp.executed >= limit && !warp.ended()) {
    warp.report(warp.instructionOf(warp.groups[0]), FindingKind::Watchdog,
                warp.groups[0].mask,
                "a warp executes more than " + std::to_string(limit) +
                    " instructions");
    grid.stopped = true;
  } else if (warp.ended() && !grid.stopped && block.ended()) {
    block.finish();
  }
  return done > 0;
}

Block *Cluster::blockOf(Block &from, uint64_t address) const {
  uint64_t tag = address >> rankShift;
  if (tag == 0)
    return &from;
  return tag <= blocks.size() ? blocks[tag - 1].get() : nullptr;
}

Block *Cluster::holderOf(const uint8_t *place) const {
  for (const std::unique_ptr<Block> &block : blocks) {
    const std::vector<uint8_t> &shared = block->shared;
    if (place >= shared.data() && place < shared.data() + shared.size())
      return block.get();
  }
  return nullptr;
}

ClusterBarrier::Lanes &Cluster::lanesOf(const Warp &warp) {
  if (barrier.warps.empty())
    barrier.warps.resize(warps.size());
  return barrier
      .warps[size_t(warp.block.rank) * grid.warpsPerBlock() + warp.index];
}

/// Whether a warp's threads are at one instruction of those that `.aligned`
/// says so of, or the launch goes on in spite of it; `does` is what they do
/// there.
bool Cluster::isAligned(Warp &warp, const Inst &inst, uint32_t mask,
                        uint32_t others, const char *does) {
  if (!(inst.aux & ClusterAligned) || !grid.options.checks.barriers ||
      others == warp.group().position)
    return true;
  return warp.report(inst, FindingKind::BarrierDivergence, mask,
                     "the cluster's barrier: threads of one warp " +
                         std::string(does) +
                         " at different instructions, others at line " +
                         std::to_string(grid.program.code[others].line));
}

Step Cluster::arrive(Warp &warp, const Inst &inst, uint32_t mask) {
  ClusterBarrier::Lanes &own = lanesOf(warp);
  uint32_t position = warp.group().position;
  if (uint32_t twice = own.owing & mask) {
    bool goOn =
        warp.report(inst, FindingKind::InvalidUse, twice,
                    "the thread arrives at the cluster's barrier twice, "
                    "without barrier.cluster.wait between");
    return goOn ? Step::Next : Step::Stopped;
  }
  if (own.arrived && !isAligned(warp, inst, mask, own.arrivedInst, "arrive"))
    return Step::Stopped;
  if (!own.arrived)
    own.arrivedInst = position;
  if (!own.owing)
    own.waiting = 0;
  own.arrived |= mask;
  own.owing |= mask;
  ++warp.block.events;
  if (grid.shadow)
    publishArrival(warp, inst.aux & ClusterRelaxed);
  if (isComplete())
    completeBarrier();
  return Step::Next;
}

/// A relaxed arrival passes on what fences have prepared, and no more.
void Cluster::publishArrival(Warp &warp, uint32_t relaxed) {
  ClockState &clocks = warp.clocks;
  if (relaxed) {
    barrier.arriving.join(size() > 1 ? clocks.fencedCluster
                                     : clocks.fencedBlock);
    barrier.arriving.join(clocks.fencedInits);
  } else {
    barrier.arriving.join(clocks.known);
  }
  clocks.advance();
}

Step Cluster::wait(Warp &warp, const Inst &inst, uint32_t mask) {
  ClusterBarrier::Lanes &own = lanesOf(warp);
  uint32_t position = warp.group().position;
  if (uint32_t never = mask & ~own.owing) {
    bool goOn = warp.report(inst, FindingKind::InvalidUse, never,
                            "the thread waits at the cluster's barrier without "
                            "having arrived");
    return goOn ? Step::Next : Step::Stopped;
  }
  if (own.waiting && !isAligned(warp, inst, mask, own.waitingInst, "wait"))
    return Step::Stopped;
  if (!own.waiting)
    own.waitingInst = position;
  own.waiting |= mask;
  own.owing &= ~mask;
  if (grid.shadow)
    warp.clocks.known.join(barrier.complete);
  uint32_t blocked = mask & own.arrived;
  if (!blocked)
    return Step::Next;
  warp.separate(blocked);
  warp.group().state = Group::AtClusterBarrier;
  return Step::Blocked;
}

bool Cluster::isComplete() const {
  bool any = false;
  for (size_t i = 0; i < warps.size(); ++i) {
    if (warps[i]->alive & ~barrier.warps[i].arrived)
      return false;
    any |= barrier.warps[i].arrived != 0;
  }
  return any;
}

void Cluster::recheckBarrier() {
  if (!barrier.warps.empty() && isComplete())
    completeBarrier();
}

void Cluster::completeBarrier() {
  barrier.complete.join(barrier.arriving);
  barrier.arriving.clear();
  for (ClusterBarrier::Lanes &each : barrier.warps)
    each.arrived = 0;
  for (Warp *warp : warps) {
    bool woken = false;
    for (Group &group : warp->groups)
      if (group.state == Group::AtClusterBarrier) {
        group.state = Group::Ready;
        woken = true;
      }
    if (woken && grid.shadow)
      warp->clocks.known.join(barrier.complete);
  }
  for (std::unique_ptr<Block> &block : blocks)
    ++block->events;
}

/// No warp could run. False when that is for ever.
bool Cluster::resolveStandstill() {
  if (landNextCopy() || wakeByTimeout())
    return true;
  reportDeadlock();
  return false;
}

/// Whatever is in flight arrives in the end, one after the other.
bool Cluster::landNextCopy() {
  for (std::unique_ptr<Block> &block : blocks)
    if (block->landNextCopy())
      return true;
  return false;
}

uint64_t Cluster::events() const {
  uint64_t all = 0;
  for (const std::unique_ptr<Block> &block : blocks)
    all += block->events;
  return all;
}

/// Who waits on an mbarrier with a time limit goes on.
bool Cluster::wakeByTimeout() {
  uint64_t now = events();
  timeouts = now == timeoutEvents ? timeouts + 1 : 0;
  timeoutEvents = now;
  bool woken = false;
  if (timeouts < mostTimeouts)
    for (Warp *warp : warps)
      for (Group &group : warp->groups)
        if (group.state == Group::AtMbarrier) {
          group.state = Group::Ready;
          group.timedOut = true;
          woken = true;
        }
  return woken;
}

void Cluster::reportDeadlock() {
  std::string where;
  Warp *first = nullptr;
  // A group that waits at a barrier stands behind it.
  auto standing = [&](const Group &group) -> const Inst & {
    return grid.program.code[group.position - (waitsAtBarrier(group) ? 1 : 0)];
  };
  for (Warp *warp : warps)
    for (const Group &group : warp->groups) {
      first = first ? first : warp;
      char mask[32];
      std::snprintf(mask, sizeof mask, "%08x", group.mask);
      const Inst &inst = standing(group);
      where += "; ";
      if (size() > 1)
        where += "block " + std::to_string(warp->block.rank) + " ";
      where += "warp " + std::to_string(warp->index) + " lanes " + mask +
               " at line " + std::to_string(inst.line) + " (" +
               grid.program.textOf(inst) + ")";
    }
  if (first)
    first->report(standing(first->groups[0]), FindingKind::Deadlock,
                  first->groups[0].mask,
                  std::string("no thread of the ") +
                      (size() > 1 ? "cluster" : "block") + " can go on" +
                      where);
  grid.stopped = true;
}

} // namespace qopt::emulator
