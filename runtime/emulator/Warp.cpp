// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Warp.h"

#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/Lanes.h"
#include "runtime/emulator/checks/UndefinedValues.h"

#include <bit>
#include <cstring>
#include <limits>

namespace qopt::emulator {
namespace {

/// Local memory of a lane where functions recurse, in bytes.
constexpr uint32_t recursiveStack = 1 << 16;

/// Local memory of a lane for alloca, in bytes.
constexpr uint32_t allocaStack = 1 << 14;

/// Instructions of a group's turn.
constexpr uint32_t turnLength = 400;

constexpr int64_t never = std::numeric_limits<int64_t>::max();

} // namespace

Warp::Warp(Block &block, uint32_t index, const Program &program)
    : block(block), program(program), index(index),
      fileStorage(program.fileBytes +
                  size_t(4 * slotBytes) * program.scratchOperands + 64) {
  // Vector instructions want the file aligned.
  auto address = reinterpret_cast<uintptr_t>(fileStorage.data());
  file = fileStorage.data() + (64 - address % 64) % 64;
  std::memcpy(file, program.constants.data(), program.constants.size());
  for (const FunctionLayout &function : program.functions) {
    localStride += function.frameBytes;
    if (function.recursive)
      localStride = std::max(localStride, recursiveStack);
  }
  frameEnd = localStride = (localStride + 15) & ~15u;
  if (program.usesStack)
    localStride += allocaStack;
  local.resize(size_t(localStride) * lanes);
}

void Warp::start() {
  const Grid &grid = block.grid;
  Extent threads = grid.block;
  launched = 0;
  auto set = [&](SpecialSlot special, unsigned lane, uint32_t value) {
    lanes32(slotOf(special))[lane] = value;
  };
  for (unsigned lane = 0; lane < lanes; ++lane) {
    uint64_t thread = uint64_t(index) * lanes + lane;
    if (thread < threads.count())
      launched |= 1u << lane;
    set(SpecialSlot::TidX, lane, uint32_t(thread % threads.x));
    set(SpecialSlot::TidY, lane, uint32_t(thread / threads.x % threads.y));
    set(SpecialSlot::TidZ, lane, uint32_t(thread / threads.x / threads.y));
    const uint32_t uniform[] = {threads.x,
                                threads.y,
                                threads.z,
                                block.coordinates[0],
                                block.coordinates[1],
                                block.coordinates[2],
                                grid.extent.x,
                                grid.extent.y,
                                grid.extent.z};
    for (unsigned i = 0; i < 9; ++i)
      set(SpecialSlot(unsigned(SpecialSlot::NtidX) + i), lane, uniform[i]);
    set(SpecialSlot::LaneId, lane, lane);
    set(SpecialSlot::WarpId, lane, index);
    set(SpecialSlot::NWarpId, lane, grid.warpsPerBlock());
    set(SpecialSlot::SmId, lane, uint32_t(block.number % 132));
    set(SpecialSlot::NSmId, lane, 132);
    set(SpecialSlot::LaneMaskEq, lane, 1u << lane);
    set(SpecialSlot::LaneMaskLt, lane, (1u << lane) - 1);
    set(SpecialSlot::LaneMaskLe, lane, (2u << lane) - 1);
    set(SpecialSlot::LaneMaskGt, lane, ~((2u << lane) - 1));
    set(SpecialSlot::LaneMaskGe, lane, ~((1u << lane) - 1));
    set(SpecialSlot::DynamicShared, lane, grid.dynamicShared);
    set(SpecialSlot::TotalShared, lane, uint32_t(block.shared.size()));
    set(SpecialSlot::WarpSize, lane, lanes);
  }
  startCluster();
  alive = launched;
  carry = 0;
  executed = 0;
  patience = 200 + block.worker.random.below(1000);
  yielded = false;
  copies.clear();
  std::fill(std::begin(committed), std::end(committed), 0);
  bulkGroups.assign(lanes, 0);
  stackTops.assign(program.usesStack ? lanes : 0, frameEnd);
  groups.clear();
  Group &first = groups.emplace_back();
  first.position = program.functions[0].first;
  first.mask = launched;
  current = 0;
  if (grid.options.checks.initialised) {
    shadow.start(program);
    localShadow = {std::vector<uint8_t>(local.size()), {}};
  }
  clocks.start(uint32_t(block.number * grid.warpsPerBlock() + index));
}

/// The special registers of the cluster.
void Warp::startCluster() {
  const Extent &size = block.grid.cluster;
  Extent clusters = block.grid.clusters();
  const uint32_t uniform[] = {block.inCluster[0],
                              block.inCluster[1],
                              block.inCluster[2],
                              size.x,
                              size.y,
                              size.z,
                              block.cluster.coordinates[0],
                              block.cluster.coordinates[1],
                              block.cluster.coordinates[2],
                              clusters.x,
                              clusters.y,
                              clusters.z,
                              block.rank,
                              uint32_t(size.count()),
                              program.hasClusters() ? fullMask : 0};
  for (unsigned i = 0; i < std::size(uniform); ++i)
    std::fill_n(
        lanes32(slotOf(SpecialSlot(unsigned(SpecialSlot::ClusterCtaidX) + i))),
        lanes, uniform[i]);
}

bool Warp::runnable() const {
  for (const Group &group : groups)
    if (group.state == Group::Ready)
      return true;
  return false;
}

/// Groups inside a call are before those that wait behind it.
int64_t Warp::key(const Group &group) const {
  return int64_t(program.code[group.position].rank) -
         (int64_t(group.frames.size()) << 32);
}

/// Lanes of a register from one image of it to another.
static void copyLanes(uint8_t *to, const uint8_t *from, size_t bytes,
                      uint32_t mask) {
  if (bytes == 0) { // a predicate
    uint32_t kept, taken;
    std::memcpy(&kept, to, 4);
    std::memcpy(&taken, from, 4);
    kept = (kept & ~mask) | (taken & mask);
    std::memcpy(to, &kept, 4);
    return;
  }
  forLanes(mask, [&](unsigned lane) {
    std::memcpy(to + lane * bytes, from + lane * bytes, bytes);
  });
}

/// Lanes of `from` become lanes of `into`. Their calls may have been made at
/// other times, so every lane keeps the registers that were saved for it.
void Warp::join(Group &into, const Group &from) {
  into.mask |= from.mask;
  for (size_t i = 0; i < into.frames.size(); ++i) {
    Frame &frame = into.frames[i];
    for (size_t lane = 0; lane < frame.stackTops.size(); ++lane)
      if (from.mask >> lane & 1)
        frame.stackTops[lane] = from.frames[i].stackTops[lane];
    if (frame.saved.empty())
      continue;
    uint8_t *to = frame.saved.data();
    const uint8_t *source = from.frames[i].saved.data();
    for (auto [slot, bytes] : program.functions[frame.function].registers) {
      copyLanes(to, source, bytes, from.mask);
      to += bytes ? size_t(bytes) * lanes : 4;
      source += bytes ? size_t(bytes) * lanes : 4;
    }
    for (size_t j = 0; j < frame.shadow.size(); ++j)
      forLanes(from.mask, [&](unsigned lane) {
        frame.shadow[j][lane] = from.frames[i].shadow[j][lane];
      });
  }
}

/// Joins every group that stands where groups[index] stands.
void Warp::mergeWith(size_t index) {
  for (size_t other = groups.size(); other-- > 0;) {
    Group &into = groups[index], &from = groups[other];
    bool waits = from.state == Group::AtBarrier ||
                 from.state == Group::AtClusterBarrier ||
                 from.state == Group::AtMbarrier;
    if (other == index || waits || from.position != into.position ||
        from.frames != into.frames)
      continue;
    join(into, from);
    into.state = Group::Ready;
    groups.erase(groups.begin() + ptrdiff_t(other));
    if (other < index)
      --index;
  }
  current = index;
}

/// The group to run: one that has its turn after a long wait or because the
/// last one yielded, else the earliest in the program. groups.size(): none.
size_t Warp::choose() {
  size_t earliest = groups.size(), longest = groups.size();
  for (size_t i = 0; i < groups.size(); ++i) {
    const Group &group = groups[i];
    if (group.state != Group::Ready)
      continue;
    if (group.favouredUntil > executed)
      return i;
    if (earliest == groups.size() || key(group) < key(groups[earliest]))
      earliest = i;
    if (longest == groups.size() || group.lastRun < groups[longest].lastRun)
      longest = i;
  }
  if (longest == groups.size())
    return longest;
  if (!yielded && executed - groups[longest].lastRun <= patience)
    return earliest;
  groups[longest].favouredUntil = executed + turnLength;
  patience = 200 + block.worker.random.below(1000);
  return longest;
}

bool Warp::select() {
  if (groups.size() == 1) {
    current = 0;
    switchAt = never;
    chooseAt = ~uint64_t(0);
    groups[0].lastRun = executed;
    yielded = false;
    return groups[0].state == Group::Ready;
  }
  if (current < groups.size())
    groups[current].lastRun = executed;
  size_t next = choose();
  yielded = false;
  if (next == groups.size())
    return false;
  mergeWith(next);
  Group &chosen = groups[current];
  chosen.lastRun = executed;
  bool favoured = chosen.favouredUntil > executed;
  switchAt = never;
  chooseAt = favoured ? chosen.favouredUntil : executed + patience;
  for (size_t i = 0; i < groups.size() && !favoured; ++i)
    if (i != current && (groups[i].state == Group::Ready ||
                         groups[i].state == Group::Converging))
      switchAt = std::min(switchAt, key(groups[i]));
  return true;
}

uint32_t Warp::run(uint32_t budget) {
  return block.grid.options.checks.initialised ? runGroups<true>(budget)
                                               : runGroups<false>(budget);
}

template <bool Checked> uint32_t Warp::runGroups(uint32_t budget) {
  if (!select())
    return 0;
  InstCount *counts = block.worker.counts.data();
  const Inst *code = program.code.data();
  uint32_t done = 0;
  Group *running = &groups[current];
  while (done < budget) {
    const Inst &inst = code[running->position];
    uint32_t mask = running->mask;
    if (inst.guard) {
      uint32_t holds = predicate(inst.guard);
      mask &= inst.guardNegated ? ~holds : holds;
    }
    ++done;
    ++executed;
    ++counts[running->position].warps;
    counts[running->position].lanes += uint32_t(std::popcount(mask));
    Step step = Step::Next;
    if (Checked && undefinedLanes(*this, inst, mask))
      step = runUndefined(*this, inst, mask);
    else if (mask)
      step = inst.run(*this, inst, mask);
    if (step == Step::Next) {
      ++running->position;
      if (groups.size() == 1)
        continue;
      if (executed < chooseAt && key(*running) < switchAt)
        continue;
    } else if (step == Step::Stopped) {
      groups.clear();
      break;
    } else if (step == Step::Yield) {
      ++running->position;
      yielded = true;
      break;
    } else if (step == Step::Blocked) {
      ++groups[current].position;
    } else if (step == Step::Jumped && groups.size() == 1 &&
               groups[0].state == Group::Ready) {
      current = 0;
      running = &groups[0];
      continue;
    }
    if (groups.empty() || !select())
      break;
    running = &groups[current];
  }
  return done;
}

void Warp::removeCurrent() {
  groups.erase(groups.begin() + ptrdiff_t(current));
  current = 0;
}

Step Warp::branch(uint32_t target, uint32_t taken) {
  Group &here = group();
  if (taken == here.mask) {
    here.position = target;
    return Step::Jumped;
  }
  Group there = here;
  there.mask = taken;
  there.position = target;
  here.mask &= ~taken;
  ++here.position;
  groups.push_back(std::move(there));
  return Step::Jumped;
}

Step Warp::branchEach(const uint32_t *targets, uint32_t mask) {
  uint32_t rest = mask;
  while (rest) {
    uint32_t target = targets[std::countr_zero(rest)];
    uint32_t same = 0;
    for (unsigned lane = 0; lane < lanes; ++lane)
      if (rest >> lane & 1 && targets[lane] == target)
        same |= 1u << lane;
    rest &= ~same;
    if (same == group().mask)
      return branch(target, same);
    Group there = group();
    there.mask = same;
    there.position = target;
    group().mask &= ~same;
    groups.push_back(std::move(there));
  }
  // Lanes that the guard left out go on.
  ++group().position;
  return Step::Jumped;
}

Step Warp::exit(uint32_t mask) {
  alive &= ~mask;
  Group &here = group();
  here.mask &= ~mask;
  bool empty = here.mask == 0;
  if (empty)
    removeCurrent();
  else
    ++here.position;
  // Those who wait for the lanes that have ended wait no longer.
  for (Group &other : groups)
    if (other.state == Group::Converging)
      other.state = Group::Ready;
  block.recheckBarriers();
  block.cluster.recheckBarrier();
  return Step::Jumped;
}

bool Warp::converged(uint32_t wanted) {
  if ((wanted & alive & ~group().mask) == 0)
    return true;
  group().state = Group::Converging;
  group().wanted = wanted;
  // Another group may wait here already.
  for (size_t other = groups.size(); other-- > 0;) {
    const Group &from = groups[other];
    if (other == current || from.state != Group::Converging ||
        from.position != group().position || from.frames != group().frames)
      continue;
    join(group(), from);
    groups.erase(groups.begin() + ptrdiff_t(other));
    if (other < current)
      --current;
  }
  if ((wanted & alive & ~group().mask) == 0)
    group().state = Group::Ready;
  return false;
}

bool Warp::meet(const Inst &inst, const uint32_t *wanted, uint32_t mask) {
  uint32_t all = 0, strangers = 0;
  forLanes(mask, [&](unsigned lane) {
    all |= wanted[lane];
    strangers |= ~wanted[lane] & 1u << lane;
  });
  if (strangers)
    report(inst, FindingKind::InvalidUse, strangers,
           "the thread is not in its own member mask");
  return converged(all);
}

void Warp::copyParameters(const std::vector<ParameterCopy> &copies,
                          uint32_t mask, uint32_t fromBase, uint32_t toBase) {
  for (const ParameterCopy &copy : copies)
    forLanes(mask, [&](unsigned lane) {
      size_t frame = size_t(lane) * localStride;
      size_t to = frame + toBase + copy.to;
      size_t from = frame + fromBase + copy.from;
      std::memmove(&local[to], &local[from], copy.bytes);
      if (!localShadow.defined.empty())
        std::memmove(&localShadow.defined[to], &localShadow.defined[from],
                     copy.bytes);
      if (!localShadow.origins.empty())
        std::memmove(&localShadow.origins[to], &localShadow.origins[from],
                     copy.bytes * sizeof(Origin));
    });
}

void Warp::separate(uint32_t mask) {
  if (mask == group().mask)
    return;
  Group behind = group();
  behind.mask &= ~mask;
  ++behind.position;
  group().mask = mask;
  groups.push_back(std::move(behind));
}

void Warp::leaveBehind(uint32_t mask) {
  if (!mask)
    return;
  Group others = group();
  others.mask = mask;
  group().mask &= ~mask;
  groups.push_back(std::move(others));
}

Step Warp::call(const Inst &inst, uint32_t siteIndex, uint32_t mask) {
  separate(mask); // the guard may leave some lanes behind
  Group &here = group();
  const CallSite &site = program.calls[siteIndex];
  const FunctionLayout &caller = program.functions[here.function];
  const FunctionLayout &callee = program.functions[site.callee];
  Frame frame;
  frame.returnTo = here.position + 1;
  frame.call = siteIndex;
  frame.frameBase = here.frameBase;
  frame.function = here.function;
  frame.stackTops = stackTops;
  uint32_t base = here.frameBase + caller.frameBytes;
  if (base + callee.frameBytes > frameEnd) {
    report(inst, FindingKind::OutOfBounds, mask, "the call stack overflows");
    return Step::Stopped;
  }
  bool checked = block.grid.options.checks.initialised;
  if (callee.recursive) {
    for (auto [slot, bytes] : caller.registers)
      frame.saved.insert(frame.saved.end(), file + slot,
                         file + slot + (bytes ? size_t(bytes) * lanes : 4));
    if (checked)
      frame.shadow = shadow.save(caller.registers);
  }
  if (checked) // a frame is made anew
    forLanes(mask, [&](unsigned lane) {
      std::fill_n(localShadow.defined.begin() +
                      ptrdiff_t(size_t(lane) * localStride + base),
                  callee.frameBytes, uint8_t(0));
    });
  copyParameters(site.arguments, mask, here.frameBase, base);
  here.frames.push_back(std::move(frame));
  here.frameBase = base;
  here.function = site.callee;
  here.position = callee.first;
  return Step::Jumped;
}

Step Warp::leave(const Inst &inst, uint32_t mask) {
  if (group().frames.empty())
    return exit(mask);
  separate(mask); // the guard may leave some lanes behind
  Group &here = group();
  Frame frame = std::move(here.frames.back());
  here.frames.pop_back();
  uint32_t calleeBase = here.frameBase;
  here.frameBase = frame.frameBase;
  here.function = frame.function;
  here.position = frame.returnTo;
  if (!stackTops.empty())
    forLanes(mask,
             [&](unsigned lane) { stackTops[lane] = frame.stackTops[lane]; });
  if (!frame.saved.empty()) {
    // Only these lanes come back; others may be elsewhere in the recursion.
    const uint8_t *from = frame.saved.data();
    for (auto [slot, bytes] : program.functions[frame.function].registers) {
      copyLanes(file + slot, from, bytes, mask);
      from += bytes ? size_t(bytes) * lanes : 4;
    }
    if (!frame.shadow.empty())
      shadow.restore(program.functions[frame.function].registers, frame.shadow,
                     mask);
  }
  copyParameters(program.calls[frame.call].results, mask, calleeBase,
                 here.frameBase);
  return Step::Jumped;
}

bool Warp::isWholeWarp(const Inst &inst, uint32_t mask) {
  if (mask == fullMask)
    return true;
  report(inst, FindingKind::InvalidUse, ~mask,
         "not all lanes of the warp execute this");
  return false;
}

bool Warp::report(const Inst &inst, FindingKind kind, uint32_t mask,
                  const std::string &detail, uint32_t originLine) {
  Finding finding;
  finding.kind = kind;
  finding.kernel = program.name;
  finding.line = inst.line;
  finding.text = program.textOf(inst);
  unsigned lane = mask ? unsigned(std::countr_zero(mask)) : 0;
  uint64_t thread = uint64_t(index) * lanes + lane;
  const Extent &threads = block.grid.block;
  finding.thread[0] = uint32_t(thread % threads.x);
  finding.thread[1] = uint32_t(thread / threads.x % threads.y);
  finding.thread[2] = uint32_t(thread / threads.x / threads.y);
  std::copy_n(block.coordinates, 3, finding.block);
  finding.detail = detail;
  finding.originLine = originLine;
  return block.grid.report(std::move(finding));
}

} // namespace qopt::emulator
