// A warp: its register file, and its lanes in groups that are at one place of
// the program. A warp starts with one group; a divergent branch makes two,
// which are run one after the other, the one that is earlier in the program
// first, and become one again where they meet. That is only an order: every
// group can make progress while others wait or spin, as independent thread
// scheduling promises.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_WARP_H
#define QOPT_RUNTIME_EMULATOR_WARP_H

#include "runtime/emulator/Finding.h"
#include "runtime/emulator/Program.h"
#include "runtime/emulator/VectorClock.h"
#include "runtime/emulator/checks/RegisterShadow.h"

#include <string>
#include <vector>

namespace qopt::emulator {

class Block;

/// Generic addresses of the windows that are not global memory. Global
/// addresses are the process's own, which end far below.
constexpr uint64_t windowMask = 0xff00000000000000ull;
constexpr uint64_t sharedWindow = 0x0100000000000000ull;
constexpr uint64_t localWindow = 0x0200000000000000ull;
constexpr uint64_t parameterWindow = 0x0300000000000000ull;
/// Addresses in shared memory start here, so that 0 is none of them.
constexpr uint32_t sharedBase = 0x400;

/// What a call has left behind: where and with what frame its caller goes on.
struct Frame {
  uint32_t returnTo = 0;
  uint32_t call = 0; ///< index into Program::calls
  uint32_t frameBase = 0;
  uint32_t function = 0;           ///< of the caller
  std::vector<uint32_t> stackTops; ///< Warp::stackTops at the call
  std::vector<uint8_t> saved;      ///< registers of a recursive function
  SavedShadow shadow;              ///< of the same

  bool operator==(const Frame &other) const {
    return returnTo == other.returnTo && call == other.call &&
           frameBase == other.frameBase;
  }
};

/// What of a warp's local memory is defined, by byte. Somebody has stored an
/// undefined value where there is an origin.
struct LocalShadow {
  std::vector<uint8_t> defined;
  std::vector<Origin> origins; ///< empty while there is none
};

/// Lanes of a warp that are at the same place.
struct Group {
  enum State : uint8_t {
    Ready,
    AtBarrier,  ///< woken by the barrier
    Converging, ///< waits for the lanes `wanted` to come to the same place
    AtClusterBarrier, ///< woken by the barrier of the cluster
    AtMbarrier, ///< woken by the completion of the phase, or by the time limit
  };
  uint32_t position = 0;
  uint32_t mask = 0;
  State state = Ready;
  uint32_t wanted = 0;
  uint32_t barrier = 0; ///< number, or shared address of an mbarrier
  uint32_t function = 0;
  uint32_t frameBase = 0;
  std::vector<Frame> frames;
  bool timedOut = false;
  uint64_t lastRun = 0;       ///< Warp::executed when it ran last
  uint64_t favouredUntil = 0; ///< its turn, given after a long wait
};

/// A copy that cp.async has started and no wait has finished.
struct PendingCopy {
  uint8_t lane = 0;
  uint8_t size = 0;
  uint8_t sourceSize = 0; ///< the rest is zero
  uint32_t position = 0;  ///< of the instruction
  uint32_t group = 0;     ///< number of the lane's group
  uint32_t shared = 0;    ///< offset in the block's memory
  uint64_t global = 0;
};

class Warp {
public:
  Warp(Block &block, uint32_t index, const Program &program);

  /// Begins a block: all its threads at the first instruction.
  void start();
  /// Executes up to `budget` warp instructions; returns how many. 0: all
  /// groups wait, or the warp has ended.
  uint32_t run(uint32_t budget);

  bool ended() const { return groups.empty(); }
  bool runnable() const;

  // For the handlers.
  uint32_t *lanes32(uint32_t slot) {
    return reinterpret_cast<uint32_t *>(file + slot);
  }
  uint64_t *lanes64(uint32_t slot) {
    return reinterpret_cast<uint64_t *>(file + slot);
  }
  uint32_t &predicate(uint32_t slot) { return *lanes32(slot); }
  Group &group() { return groups[current]; }

  /// Sends `taken` to `target`, the other lanes of the group to the next
  /// instruction.
  Step branch(uint32_t target, uint32_t taken);
  /// Each lane of `mask` to its own target.
  Step branchEach(const uint32_t *targets, uint32_t mask);
  /// `site`: index into Program::calls.
  Step call(const Inst &inst, uint32_t site, uint32_t mask);
  /// The lanes of `mask` leave the group and stand at the same instruction.
  void leaveBehind(uint32_t mask);
  Step leave(const Inst &inst, uint32_t mask);
  Step exit(uint32_t mask);
  /// The group's lanes that are not in `mask` become a group behind the
  /// instruction.
  void separate(uint32_t mask);
  /// True when all lanes of `wanted` that are alive are in the group; else the
  /// group waits for them and executes the instruction again.
  bool converged(uint32_t wanted);
  /// The same for lanes of `mask` that each name the members that they meet, at
  /// their place of `wanted`.
  bool meet(const Inst &inst, const uint32_t *wanted, uint32_t mask);

  /// False after a finding, unless all lanes of the warp execute this.
  bool isWholeWarp(const Inst &inst, uint32_t mask);
  /// Reports a finding at an instruction for the first lane of `mask`. True
  /// when the launch goes on.
  bool report(const Inst &inst, FindingKind kind, uint32_t mask,
              const std::string &detail, uint32_t originLine = 0);
  const Inst &instructionOf(const Group &group) const {
    return program.code[group.position];
  }

  Block &block;
  const Program &program;
  const uint32_t index;
  uint8_t *file = nullptr;
  RegisterShadow shadow; ///< with the check of undefined values
  uint32_t alive = 0;
  uint32_t launched = 0; ///< lanes that exist
  uint32_t carry = 0;    ///< condition code of add.cc, a bit a lane
  std::vector<Group> groups;
  std::vector<uint8_t> local; ///< lanes × localStride
  LocalShadow localShadow;    ///< with the check of undefined values
  /// What wmma.load reads now: a result of it, and a byte in that register.
  struct {
    unsigned result = 0;
    unsigned byte = 0;
  } fragment;
  uint32_t localStride = 0;
  uint32_t frameEnd = 0; ///< of a lane's local memory; alloca's is behind it
  /// Where each lane's memory of alloca ends now; empty without alloca.
  std::vector<uint32_t> stackTops;
  uint64_t executed = 0; ///< instructions since the start

  std::vector<PendingCopy> copies;
  uint32_t committed[lanes] = {};   ///< groups committed, by lane
  std::vector<uint32_t> bulkGroups; ///< bulk groups committed, by lane

  ClockState clocks;

private:
  template <bool Checked> uint32_t runGroups(uint32_t budget);
  void startCluster();
  bool select();
  size_t choose();
  void join(Group &into, const Group &from);
  void mergeWith(size_t index);
  int64_t key(const Group &group) const;
  void removeCurrent();
  void copyParameters(const std::vector<ParameterCopy> &copies, uint32_t mask,
                      uint32_t fromBase, uint32_t toBase);

  std::vector<uint8_t> fileStorage;
  size_t current = 0;
  int64_t switchAt = 0;  ///< key at which another group is due
  uint64_t chooseAt = 0; ///< value of `executed` at which one may be
  uint32_t patience = 0; ///< how long a group that could run waits at most
  bool yielded = false;  ///< the group that ran last wants others to run
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_WARP_H
