// A kernel ready to run: every instruction decoded once to a function and the
// places of its operands. All dispatch on types, roundings and modifiers has
// happened; what is left at run time is one indirect call for each warp
// instruction.
//
// The registers of a warp are one file of 128-byte slots. A register of up to
// 32 bits is 32 lanes of uint32_t, one of 64 bits two slots, one of 128 bits
// four; a predicate is one slot whose first word has a bit for each lane.
// Constants and special registers are slots of the same file, filled when the
// warp is made, so that operands of all kinds are read alike.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_PROGRAM_H
#define QOPT_RUNTIME_EMULATOR_PROGRAM_H

#include "runtime/emulator/ptx/Module.h"

#include <array>
#include <deque>
#include <map>
#include <memory>

namespace qopt::emulator {

class Warp;
struct Inst;

constexpr uint32_t lanes = 32;
constexpr uint32_t slotBytes = 128;
constexpr uint32_t fullMask = 0xffffffffu;

/// What a warp does after an instruction.
enum class Step : uint8_t {
  Next,    ///< goes on with the following instruction
  Jumped,  ///< the handler has set the position, or split the lanes
  Again,   ///< waits, and executes this instruction again
  Blocked, ///< waits behind this instruction until something wakes it
  Yield,   ///< goes on, but others first
  Stopped, ///< the launch has ended
};

/// Executes one instruction for the lanes of `mask`, which is not empty.
using Handler = Step (*)(Warp &warp, const Inst &inst, uint32_t mask);

/// What the checks and the statistics want to know of an instruction.
enum class Traits : uint8_t {
  None = 0,
  Address = 1, ///< the first source is an address: must be defined
  Uses = 2,    ///< all sources must be defined
  Loads = 4,   ///< what is undefined of the results comes from memory
  Stores = 8,  ///< what is undefined of the data goes to memory
  Copies = 16, ///< so do undefined bytes, from memory to memory
};

/// How undefined bits go from an instruction's sources to its results, see
/// checks/UndefinedValues.h.
enum class Flow : uint8_t {
  Any,       ///< an undefined bit makes all results of the lane undefined
  Moves,     ///< as the bits of the first `data` sources; the others say where
  Logic,     ///< bitwise, as the bits of the other operands allow
  Carries,   ///< no lower bits depend on a higher one
  Halves,    ///< halves of a register are numbers of their own
  Pair,      ///< the first source makes the upper part, the second the lower
  Compare,   ///< setp, with the predicate that it may be combined with
  Vote,      ///< a bit for each lane's, or what is true for whatever they are
  WholeWarp, ///< one lane's undefined bit makes those of all lanes undefined
  Product,   ///< mma: rows of A and columns of B
  Fragments, ///< the same of wmma
};

struct FlowRule {
  static constexpr uint8_t all = 0xff;
  Flow flow = Flow::Any;
  uint8_t data = all; ///< sources that are data, of Flow::Moves
};

/// By the instruction's name.
FlowRule flowOf(const ptx::Instruction &instruction);

struct Inst {
  Handler run = nullptr;
  /// Byte offsets in the register file: destinations, then sources.
  const uint32_t *slots = nullptr;
  int64_t offset = 0;  ///< of an address; else what the handler wants
  int64_t offset2 = 0; ///< of a second address
  uint32_t aux = 0;    ///< what the handler wants
  uint32_t target = 0; ///< of a branch or call
  uint32_t guard = 0;  ///< slot of a predicate, 0 for none
  bool guardNegated = false;
  uint8_t destinations = 0;
  uint8_t sources = 0;
  uint8_t traits = 0;
  uint8_t wide = 0;  ///< AddressForm of the address
  uint8_t wide2 = 0; ///< of the second
  uint32_t line = 0;
  uint32_t rank = 0; ///< order in which diverged lanes are run, see Ranks.h

  uint32_t destination(unsigned n = 0) const { return slots[n]; }
  uint32_t source(unsigned n) const { return slots[destinations + n]; }
};

/// Combines one element in memory with the one at `operand`, atomically.
using Reducer = void (*)(uint8_t *place, const uint8_t *operand);

/// What an asynchronous reduction does with each element.
struct Reduction {
  Reducer combine = nullptr; ///< null: it stores
  uint32_t bytes = 0;        ///< of an element
};

/// Bytes to move between a caller's and a callee's parameter variables, which
/// lie in the lanes' local memory.
struct ParameterCopy {
  uint32_t from = 0;
  uint32_t to = 0;
  uint32_t bytes = 0;
};

/// The address of a function of the module: no memory is there.
constexpr uint64_t functionAddress(uint32_t moduleFunction) {
  return 0x0400000000000000ull + uint64_t(moduleFunction + 1) * 16;
}

/// Most bytes of shared memory of a block and of local memory of a thread.
constexpr uint64_t mostShared = 227 << 10, mostLocal = 512 << 10;

/// Bytes of memory that one lane of an instruction moves.
struct AccessSize {
  uint16_t read = 0;
  uint16_t written = 0;
  const char *space = ""; ///< as statistics name it
};

/// Of a call of the system the callee does not count, and of the copies only
/// the caller's end.
struct CallSite {
  uint32_t callee = 0; ///< index into Program::functions
  std::vector<ParameterCopy> arguments;
  std::vector<ParameterCopy> results;
};

/// What a call through an address may call: by the address of the function, the
/// index into Program::calls. `others`: those with other parameters.
struct IndirectCall {
  std::map<uint64_t, uint32_t> sites;
  std::map<uint64_t, std::string> others;
};

/// Where a function lies in the program.
struct FunctionLayout {
  uint32_t first = 0; ///< index of its first instruction
  uint32_t frameBytes = 0;
  /// Its registers: the slot, and the bytes of a lane; 0 for a predicate.
  std::vector<std::pair<uint32_t, uint32_t>> registers;
  bool recursive = false;
};

/// The special registers that have slots, filled when a warp starts a block.
enum class SpecialSlot : uint8_t {
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,
  ClusterCtaidX,
  ClusterCtaidY,
  ClusterCtaidZ,
  ClusterNctaidX,
  ClusterNctaidY,
  ClusterNctaidZ,
  ClusteridX,
  ClusteridY,
  ClusteridZ,
  NclusteridX,
  NclusteridY,
  NclusteridZ,
  ClusterCtarank,
  ClusterNctarank,
  IsExplicitCluster, ///< a predicate
  LaneId,
  WarpId,
  NWarpId,
  SmId,
  NSmId,
  GridId,
  LaneMaskEq,
  LaneMaskLe,
  LaneMaskLt,
  LaneMaskGe,
  LaneMaskGt,
  DynamicShared,
  TotalShared,
  WarpSize,
  ConditionCode, ///< a predicate; the bits themselves are Warp::carry
  Count
};

struct Program {
  std::string name;
  const ptx::Module *module = nullptr;
  const ptx::Function *kernel = nullptr;
  std::vector<Inst> code;
  std::deque<std::vector<uint32_t>> slotLists; ///< Inst::slots points here
  std::vector<FunctionLayout> functions;       ///< [0] is the kernel
  std::vector<CallSite> calls;
  std::vector<IndirectCall> indirectCalls;
  std::vector<std::vector<uint32_t>> tables; ///< of brx.idx
  std::vector<Reduction> reductions;         ///< Inst::target of those
  std::vector<uint8_t> constants; ///< the leading slots of a register file
  /// The parsed instructions, by position; null for the decoder's own.
  std::vector<const ptx::Instruction *> sources;
  std::vector<AccessSize> accesses;     ///< by position
  std::vector<std::string> opcodeNames; ///< "add.s32", each once
  std::vector<uint32_t> opcodes;        ///< by position: which of these
  std::vector<FlowRule> flows;          ///< by position
  /// Bits of an instruction's destinations, then sources, by position. 1: a
  /// predicate.
  std::vector<std::vector<uint8_t>> operandBits;
  uint32_t fileBytes = 0;
  /// Behind the registers is room for so many operands of 128 bits.
  uint32_t scratchOperands = 0;
  uint32_t parameterBytes = 0;
  std::vector<ParameterCopy> parameters; ///< of the kernel, in order
  uint32_t staticShared = 0;
  uint32_t dynamicSharedOffset = 0;
  bool usesHeap = false;  ///< calls malloc or free
  bool usesStack = false; ///< has alloca
  /// The kernel names the extents of its clusters.
  bool hasClusters() const { return kernel->requiredCluster[0] != 0; }
  std::string textOf(const Inst &inst) const {
    return module->lineText(inst.line);
  }
};

/// The slot of a special register; slot 0 is kept free so that 0 can mean none.
constexpr uint32_t slotOf(SpecialSlot special) {
  return (1 + 2 * uint32_t(special)) * slotBytes;
}
constexpr uint32_t firstConstantSlot =
    (1 + 2 * uint32_t(SpecialSlot::Count)) * slotBytes;

/// Decodes a kernel and all functions that it calls. `addresses`: the device
/// address of every variable in global or constant memory, by index. A missing
/// instruction is an Unsupported error that names it, the kernel and the line.
StatusOr<std::unique_ptr<Program>>
decode(const ptx::Module &module, uint32_t kernel,
       const std::vector<uint64_t> &addresses);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_PROGRAM_H
