// The race check of one instruction: the accesses of its lanes against the
// history of the words that they touch. AccessCell.h says what races.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CHECKS_RACECHECK_H
#define QOPT_RUNTIME_EMULATOR_CHECKS_RACECHECK_H

#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/MemoryAccess.h"
#include "runtime/emulator/checks/AccessCell.h"

#include <algorithm>
#include <cstdio>

namespace qopt::emulator {

/// Which access it was, of whom: "the write of line 12 (…) by thread 3 of …".
inline std::string whereItWas(const Grid &grid, AccessMark mark, uint32_t inst,
                              const char *verb) {
  const Inst &other = grid.program.code[inst];
  uint64_t warp = mark.warp();
  bool engine = warp & AccessMark::engine;
  warp &= ~uint64_t(AccessMark::engine);
  uint64_t block = warp / grid.warpsPerBlock();
  uint64_t thread = warp % grid.warpsPerBlock() * lanes + mark.lane();
  return std::string(verb) + " of line " + std::to_string(other.line) + " (" +
         grid.program.textOf(other) + ") by " +
         (engine ? "the copy engine for " : "") + "thread " +
         std::to_string(thread) + " of block " + std::to_string(block);
}

/// " of block 3": the owner of shared memory, by its number in the grid.
inline std::string ofBlock(const Block &block) {
  return " of block " + std::to_string(block.number);
}

/// The accesses of an instruction's lanes against the history of the words that
/// they touch.
class RaceCheck {
public:
  /// How an access synchronises.
  struct Strength {
    bool strong = false;
    SyncScope scope = SyncScope::Device;
  };
  static Strength strengthOf(const Inst &inst) {
    SyncScope scope = inst.aux & BlockScope     ? SyncScope::Block
                      : inst.aux & ClusterScope ? SyncScope::Cluster
                                                : SyncScope::Device;
    return {(inst.aux & Strong) != 0, scope};
  }

  /// `owner`: the block whose shared memory it is, if not the warp's own.
  RaceCheck(Warp &warp, const Inst &inst, AccessKind kind, Strength strength,
            const Block *owner = nullptr)
      : warp(warp), grid(warp.block.grid), inst(inst), owner(owner),
        position(uint32_t(&inst - warp.program.code.data())),
        write(kind != AccessKind::Read), strong(strength.strong),
        replaces(warp.block.worker.random.next() & 1), scope(strength.scope) {}

  AccessMark markOf(unsigned lane, unsigned bytes) const {
    return AccessMark::make(warp.clocks.warp, warp.clocks.tick, lane, bytes,
                            strong, scope);
  }

  /// `count` words that the lane of `mark` touches alike. False when the launch
  /// stops; `raced` says that there was a finding.
  bool words(AccessCell *cells, uint64_t count, AccessMark mark,
             uint64_t address, const char *space, bool &raced) {
    if (mark.bytes() == whole && areKnown(cells, count)) {
      rememberWhole(cells, count, mark);
      return true;
    }
    Differences differ = differences(cells, count);
    if (!compare(cells, count, differ, mark, address, space, raced))
      return false;
    knownWrite = momentIfKnown(cells[0].write, lastWrite, knownWrite);
    if (write)
      knownRead = momentIfKnown(cells[0].read, lastRead, knownRead);
    uint64_t together = differ.reads ? 1 : count;
    for (uint64_t i = 0; i < count; i += together)
      remember(cells + i, together, mark);
    return true;
  }

  /// The same, and nothing is remembered.
  bool look(const AccessCell *cells, uint64_t count, AccessMark mark,
            uint64_t address, const char *space, bool &raced) {
    return compare(cells, count, differences(cells, count), mark, address,
                   space, raced);
  }

private:
  /// Who accessed, and when.
  static constexpr uint64_t whenMask =
      AccessMark::clockMask | AccessMark::warpMask;
  static constexpr unsigned whole = 15; ///< all bytes of a word

  /// Whether the words' accesses were all at moments that were found to be
  /// before this one, whichever lane it is: mostly those of the lane ahead.
  bool areKnown(const AccessCell *cells, uint64_t count) const {
    auto isKnown = [](AccessMark mark, uint64_t moment) {
      return mark.none() || (mark.bits & whenMask) == moment;
    };
    for (uint64_t i = 0; i < count; ++i)
      if (!isKnown(cells[i].write, knownWrite) ||
          (write && !isKnown(cells[i].read, knownRead)))
        return false;
    return true;
  }

  /// As `remember`, of words that are touched as a whole.
  void rememberWhole(AccessCell *cells, uint64_t count, AccessMark mark) {
    if (write)
      std::fill_n(cells, count, AccessCell{mark, {}, position, 0});
    for (uint64_t i = 0; i < count && !write; ++i)
      remember(cells + i, 1, mark);
  }

  /// In what the last accesses to some words are not those to the first.
  struct Differences {
    uint64_t writes = 0, reads = 0;
  };
  static Differences differences(const AccessCell *cells, uint64_t count) {
    Differences differ;
    for (uint64_t i = 1; i < count; ++i) {
      differ.writes |= cells[i].write.bits ^ cells[0].write.bits;
      differ.reads |= cells[i].read.bits ^ cells[0].read.bits;
    }
    return differ;
  }

  /// Whether these accesses are ordered before this one if the first is: the
  /// lane matters in the own warp only.
  bool areAlike(uint64_t differ, AccessMark first) const {
    if (first.warp() != warp.clocks.warp)
      differ &= ~AccessMark::laneMask;
    return !differ;
  }

  /// Reports the first word, if any, whose accesses are not ordered before this
  /// one; false when the launch stops.
  bool compare(const AccessCell *cells, uint64_t count, Differences differ,
               AccessMark mark, uint64_t address, const char *space,
               bool &raced) {
    auto isOrderedBefore = [&](const AccessCell &cell) {
      return isOrdered(cell.write, mark, lastWrite) &&
             (!write || isOrdered(cell.read, mark, lastRead));
    };
    // Most words were last touched by whoever touched their neighbours.
    bool alike = areAlike(differ.writes, cells[0].write) &&
                 (!write || areAlike(differ.reads, cells[0].read));
    for (uint64_t i = 0; i < (alike ? 1 : count) && !raced; ++i)
      if (!isOrderedBefore(cells[i]) &&
          !judge(cells[i], mark, address, space, raced))
        return false;
    return true;
  }

  /// Whether the access of a moment happened before, as it was found last.
  struct Answer {
    uint64_t moment = ~uint64_t(0);
    bool known = false;
  };

  /// The earlier access happened before what this lane does now. `answer`: what
  /// is known of the moment, if it was another warp's.
  bool known(AccessMark mark, unsigned lane, Answer &answer) const {
    if (mark.warp() == warp.clocks.warp)
      return mark.clock() < warp.clocks.tick || mark.lane() == lane ||
             (strong && mark.atomic());
    uint64_t moment = mark.bits & whenMask;
    if (moment != answer.moment)
      answer = {moment, warp.clocks.known.at(mark.warp()) >= mark.clock()};
    return answer.known;
  }

  /// The moment of an access that is before this one for every lane, as
  /// `answer` or the own clock says; else `otherwise`.
  uint64_t momentIfKnown(AccessMark mark, const Answer &answer,
                         uint64_t otherwise) const {
    uint64_t moment = mark.bits & whenMask;
    bool known = mark.warp() == warp.clocks.warp
                     ? mark.clock() < warp.clocks.tick
                     : answer.known && answer.moment == moment;
    return known && !mark.none() ? moment : otherwise;
  }

  bool isOrdered(AccessMark earlier, AccessMark now, Answer &answer) const {
    return !(earlier.bytesFor(now.warp()) & now.bytes()) ||
           known(earlier, now.lane(), answer);
  }

  /// Reports what `mark` collides with in the cell; false when the launch
  /// stops.
  bool judge(const AccessCell &cell, AccessMark mark, uint64_t address,
             const char *space, bool &raced) {
    bool withWrite = collides(cell.write, mark, cell.writeInst, true);
    if (!withWrite &&
        !(write && collides(cell.read, mark, cell.readInst, false)))
      return true;
    raced = true;
    char text[64];
    std::snprintf(text, sizeof text, "%s at %s address 0x%llx",
                  write ? "write" : "read", space,
                  static_cast<unsigned long long>(address));
    std::string other =
        withWrite ? whereItWas(grid, cell.write, cell.writeInst, "the write")
                  : whereItWas(grid, cell.read, cell.readInst, "the read");
    return warp.report(inst, FindingKind::Race, 1u << mark.lane(),
                       text + (owner ? ofBlock(*owner) : "") +
                           " is not ordered with " + other);
  }

  /// `mark` with what other lanes of its warp wrote of the word at the same
  /// time, which the next lane would else make forgotten.
  static AccessMark joined(AccessMark before, AccessMark mark) {
    bool together = (before.bits & whenMask) == (mark.bits & whenMask) &&
                    before.atomic() == mark.atomic() &&
                    before.scope() == mark.scope();
    if (mark.bytes() == whole || !together)
      return mark;
    return mark.withOthers((before.bytes() | before.others()) & ~mark.bytes());
  }

  /// Of words whose last reads were one.
  void remember(AccessCell *cells, uint64_t count, AccessMark mark) {
    AccessMark before = cells[0].read;
    if (write) {
      bool readToo = before.bytes() & mark.bytes();
      for (uint64_t i = 0; i < count; ++i) {
        cells[i].write = joined(cells[i].write, mark);
        cells[i].writeInst = position;
        if (readToo)
          cells[i].read = AccessMark();
      }
      return;
    }
    // A reader that the new one knows of adds nothing; of others, one stays.
    if ((before.bits & whenMask) == (mark.bits & whenMask) &&
        (before.bytes() & mark.bytes()) == mark.bytes())
      return; // the warp has read it since it last published anything
    if (!before.none() && !replaces && !known(before, mark.lane(), lastRead))
      return;
    for (uint64_t i = 0; i < count; ++i) {
      cells[i].read = mark;
      cells[i].readInst = position;
    }
  }

  bool collides(AccessMark earlier, AccessMark now, uint32_t earlierInst,
                bool earlierWrote) {
    if (isOrdered(earlier, now, earlierWrote ? lastWrite : lastRead))
      return false;
    if (earlier.atomic() && strong)
      return !bothScopesHold(earlier);
    // Lanes of one instruction that write one place: the store compares what
    // they write.
    return !(earlierWrote && write && earlierInst == position &&
             earlier.warp() == warp.clocks.warp);
  }

  /// Each of two atomic accesses is in the scope of the other.
  bool bothScopesHold(AccessMark earlier) const {
    uint64_t block = earlier.warp() / grid.warpsPerBlock();
    if (earlier.scope() == SyncScope::Block || scope == SyncScope::Block)
      return block == warp.block.number;
    if (earlier.scope() == SyncScope::Cluster || scope == SyncScope::Cluster)
      return grid.clusterOf(block) == grid.clusterOf(warp.block.number);
    return true;
  }

  Warp &warp;
  Grid &grid;
  const Inst &inst;
  const Block *owner;
  uint32_t position;
  bool write, strong;
  bool replaces; ///< the mark of a reader that is not known to be earlier
  SyncScope scope;
  Answer lastWrite, lastRead;
  /// Moments that `momentIfKnown` has found; none is all bits.
  uint64_t knownWrite = ~uint64_t(0), knownRead = ~uint64_t(0);
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CHECKS_RACECHECK_H
