// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Block.h"

#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/Lanes.h"
#include "runtime/emulator/checks/AccessChecks.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace qopt::emulator {
namespace {

constexpr uint32_t barrierCount = 16;

} // namespace

Block::Block(Cluster &cluster, uint32_t rank)
    : cluster(cluster), worker(cluster.worker), grid(worker.grid), rank(rank),
      barriers(barrierCount) {
  for (uint32_t i = 0; i < grid.warpsPerBlock(); ++i)
    warps.push_back(std::make_unique<Warp>(*this, i, grid.program));
}

void Block::start() {
  const Extent &extents = grid.cluster;
  const uint32_t in[] = {rank % extents.x, rank / extents.x % extents.y,
                         rank / extents.x / extents.y};
  const uint32_t widths[] = {extents.x, extents.y, extents.z};
  for (unsigned i = 0; i < 3; ++i) {
    inCluster[i] = in[i];
    coordinates[i] = cluster.coordinates[i] * widths[i] + in[i];
  }
  number = coordinates[0] +
           uint64_t(grid.extent.x) *
               (coordinates[1] + uint64_t(grid.extent.y) * coordinates[2]);
  // What was there before is no kernel's business: make it show.
  shared.assign(grid.program.dynamicSharedOffset + grid.dynamicShared, 0xcd);
  if (grid.options.checks.any()) {
    if (!shadow)
      shadow = std::make_unique<SharedShadow>(shared.size());
    else
      shadow->clear();
  }
  for (Barrier &barrier : barriers) {
    barrier = Barrier();
    barrier.arrived.assign(warps.size(), 0);
  }
  mbarriers.clear();
  bulk.clear();
  executed = events = 0;
  for (std::unique_ptr<Warp> &warp : warps)
    warp->start();
}

bool Block::ended() const {
  for (const std::unique_ptr<Warp> &warp : warps)
    if (!warp->ended())
      return false;
  return true;
}

void Block::finish() {
  reportLeftovers();
  landDueCopies(true);
  if (shadow && grid.shadow && cluster.size() > 1)
    checkLastAccesses(*this);
}

uint32_t Block::arrivedThreads(const Barrier &barrier) const {
  uint32_t threads = 0;
  for (size_t i = 0; i < warps.size(); ++i) {
    // A warp all of whose threads are here counts whole, as on the device.
    uint32_t mask = barrier.arrived[i];
    bool whole = mask && (warps[i]->alive & ~mask) == 0;
    threads += whole ? lanes : uint32_t(std::popcount(mask));
  }
  return threads;
}

bool Block::isComplete(const Barrier &barrier) const {
  if (!barrier.active)
    return false;
  if (barrier.expected)
    return arrivedThreads(barrier) >= barrier.expected;
  for (size_t i = 0; i < warps.size(); ++i)
    if (warps[i]->alive & ~barrier.arrived[i])
      return false;
  return true;
}

void Block::recheckBarriers() {
  for (uint32_t i = 0; i < barriers.size(); ++i)
    if (isComplete(barriers[i]))
      completeBarrier(i);
}

/// What is wrong with an arrival at a barrier that others are at; else "".
std::string Block::divergenceAt(const Barrier &barrier, Warp &warp,
                                const Inst &inst, uint32_t mask,
                                uint32_t threads) const {
  uint32_t before = barrier.arrived[warp.index];
  auto line = [&] {
    return std::to_string(grid.program.code[barrier.firstInst].line);
  };
  if (before & mask)
    return "a thread arrives twice in one phase";
  if (threads != barrier.expected)
    return "expects " + std::to_string(threads) + " threads, but line " +
           line() + " expects " + std::to_string(barrier.expected);
  if (before && inst.aux && barrier.firstInst != warp.group().position)
    return "threads of one warp wait at different barriers, others at line " +
           line();
  return "";
}

Step Block::arriveAtBarrier(Warp &warp, const Inst &inst, uint32_t mask,
                            uint32_t barrierNumber, uint32_t threads,
                            bool wait) {
  if (barrierNumber >= barriers.size() || threads % lanes != 0) {
    bool goOn = warp.report(
        inst, FindingKind::InvalidUse, mask,
        barrierNumber >= barriers.size()
            ? "barrier " + std::to_string(barrierNumber) + " does not exist"
            : "the thread count " + std::to_string(threads) +
                  " is no multiple of 32");
    return goOn ? Step::Next : Step::Stopped;
  }
  Barrier &barrier = barriers[barrierNumber];
  uint32_t position = warp.group().position;
  if (barrier.active && grid.options.checks.barriers) {
    std::string detail = divergenceAt(barrier, warp, inst, mask, threads);
    if (!detail.empty() &&
        !warp.report(inst, FindingKind::BarrierDivergence, mask,
                     "barrier " + std::to_string(barrierNumber) + ": " +
                         detail))
      return Step::Stopped;
  }
  if (!barrier.active || !barrier.arrived[warp.index])
    barrier.firstInst = position;
  barrier.active = true;
  barrier.expected = threads;
  barrier.arrived[warp.index] |= mask;
  ++events;
  if (shadow && grid.options.checks.races) {
    barrier.clock.join(warp.clocks.known);
    warp.clocks.advance();
  }
  if (wait) {
    warp.separate(mask);
    warp.group().state = Group::AtBarrier;
    warp.group().barrier = barrierNumber;
    barrier.waiting += uint32_t(std::popcount(mask));
  }
  if (isComplete(barrier)) {
    if (wait) { // this group is among those that go on
      ++warp.group().position;
      completeBarrier(barrierNumber);
      return Step::Jumped;
    }
    completeBarrier(barrierNumber);
  }
  return wait ? Step::Blocked : Step::Next;
}

/// bar.red: the result of the vote, at the instruction before the group.
void Block::giveVotes(const Barrier &barrier, Warp &warp, const Group &group) {
  const Inst &inst = grid.program.code[group.position - 1];
  if (inst.destinations == 0)
    return;
  uint32_t all = 0;
  for (uint32_t mask : barrier.arrived)
    all += uint32_t(std::popcount(mask));
  auto vote = BarrierVote(inst.offset);
  if (vote == BarrierVote::Count) {
    forLanes(group.mask, [&](unsigned lane) {
      warp.lanes32(inst.destination())[lane] = barrier.votes;
    });
    return;
  }
  bool holds =
      vote == BarrierVote::All ? barrier.votes == all : barrier.votes > 0;
  uint32_t &result = warp.predicate(inst.destination());
  result = holds ? result | group.mask : result & ~group.mask;
}

void Block::completeBarrier(uint32_t barrierNumber) {
  Barrier &barrier = barriers[barrierNumber];
  bool checkClocks = shadow && grid.options.checks.races;
  for (size_t i = 0; i < warps.size(); ++i) {
    Warp &warp = *warps[i];
    bool woken = false;
    for (Group &group : warp.groups) {
      if (group.state != Group::AtBarrier || group.barrier != barrierNumber)
        continue;
      group.state = Group::Ready;
      woken = true;
      giveVotes(barrier, warp, group);
    }
    if (woken && checkClocks)
      warp.clocks.known.join(barrier.clock);
    uint32_t missing = warp.launched & ~warp.alive;
    if (missing && !barrier.expected && grid.options.checks.barriers &&
        barrier.waiting)
      warp.report(grid.program.code[barrier.firstInst],
                  FindingKind::BarrierDivergence, missing,
                  "barrier " + std::to_string(barrierNumber) +
                      ": the thread has ended, others wait here for all "
                      "threads of the block");
  }
  barrier.arrived.assign(warps.size(), 0);
  barrier.waiting = barrier.expected = barrier.votes = 0;
  barrier.active = false;
  barrier.clock.clear();
}

void Block::wakeMbarrier(uint32_t address) {
  ++events;
  for (std::unique_ptr<Warp> &warp : warps)
    for (Group &group : warp->groups)
      if (group.state == Group::AtMbarrier && group.barrier == address)
        group.state = Group::Ready;
}

void Block::send(BulkCopy copy) {
  nextDue = bulk.empty() ? copy.due : std::min(nextDue, copy.due);
  bulk.push_back(std::move(copy));
}

void Block::landDueCopies(bool all) {
  if (!all && executed < nextDue)
    return;
  nextDue = ~uint64_t(0);
  for (size_t i = 0; i < bulk.size();) {
    if (!all && bulk[i].due > executed) {
      nextDue = std::min(nextDue, bulk[i].due);
      ++i;
      continue;
    }
    BulkCopy copy = std::move(bulk[i]);
    bulk.erase(bulk.begin() + ptrdiff_t(i));
    landBulkCopy(*this, copy);
    ++events;
  }
}

bool Block::landNextCopy() {
  if (bulk.empty())
    return false;
  bulk.front().due = nextDue = 0;
  landDueCopies(false);
  return true;
}

/// A block has ended with copies that no thread waited for.
void Block::reportLeftovers() {
  if (!grid.options.checks.copies)
    return;
  for (std::unique_ptr<Warp> &warp : warps)
    if (!warp->copies.empty()) {
      const PendingCopy &copy = warp->copies.front();
      warp->report(grid.program.code[copy.position], FindingKind::AsyncCopy,
                   1u << copy.lane,
                   "the thread has ended and never waited for this copy");
    }
  // Shared memory goes with the block, under the hands of the bulk engine.
  for (const BulkCopy &copy : bulk)
    if (copy.kind != BulkCopy::Arrive) {
      copy.warp->report(grid.program.code[copy.position],
                        FindingKind::AsyncCopy, 1u << copy.lane,
                        "the block has ended and nobody waited for this "
                        "copy");
      break;
    }
}

} // namespace qopt::emulator
