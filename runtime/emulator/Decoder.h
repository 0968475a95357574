// Turns parsed instructions into Inst records. Decoder knows operands:
// registers, literals, special registers, symbols and what slots they have. The
// files below ops/ know instructions: a family of them has a function here that
// reads the modifiers, chooses a handler and emits one record.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_DECODER_H
#define QOPT_RUNTIME_EMULATOR_DECODER_H

#include "runtime/emulator/OpTable.h"
#include "runtime/emulator/Program.h"

#include <map>
#include <string_view>
#include <unordered_map>

namespace qopt::emulator {

class Decoder;

/// Decodes the decoder's present instruction; false after Decoder::fail.
using FamilyDecoder = bool (*)(Decoder &decoder);

/// By opcode: the families that OpTable cannot describe.
using FamilyTable = std::unordered_map<std::string, FamilyDecoder>;

// One for each file below ops/.
void addLogic3(FamilyTable &table);
void addControl(FamilyTable &table);
void addCalls(FamilyTable &table);
void addMemory(FamilyTable &table);
void addAtomics(FamilyTable &table);
void addAsync(FamilyTable &table);
void addMbarriers(FamilyTable &table);
void addBarriers(FamilyTable &table);
void addClusters(FamilyTable &table);

/// ops/SystemCalls.cpp: the handler of vprintf, __assertfail, malloc or free;
/// null for any other function.
Handler systemCall(const std::string &name);

/// ops/AsyncStores.cpp: st.async and red.async.
bool decodeAsyncStore(Decoder &decoder);
bool decodeAsyncReduction(Decoder &decoder);
/// ops/Bulk.cpp: cp.async.bulk and cp.reduce.async.bulk.
bool decodeBulk(Decoder &decoder);

/// ops/QuadPairMma.cpp: mma.m8n8k4 of f16.
bool decodeQuadPairs(Decoder &decoder);

/// ops/Cluster.cpp: barrier.cluster.
bool decodeClusterBarrier(Decoder &decoder);
void addWarpOps(FamilyTable &table);
void addMatrix(FamilyTable &table);
void addMma(FamilyTable &table);
void addStack(FamilyTable &table);
void addVideo(FamilyTable &table);
void addScalarVideo(FamilyTable &table);
void addWmma(FamilyTable &table);
void addPacking(FamilyTable &table);
void addSetp(FamilyTable &table);

class Decoder {
public:
  Decoder(const ptx::Module &module, uint32_t kernel,
          const std::vector<uint64_t> &addresses, Program &program);

  Status run();

  // The present instruction.
  const ptx::Instruction &instruction() const { return *current; }
  const ptx::Operand &operand(size_t n) const { return current->operands[n]; }
  size_t operands() const { return current->operands.size(); }
  bool has(std::string_view modifier) const;
  /// The last modifier that is a type.
  ptx::Type type() const;
  /// The n-th modifier that is a type, from the front.
  ptx::Type type(unsigned n) const;
  bool expectOperands(size_t least, size_t most);

  // Operands to slots. The tag marks registers until the file is laid out.
  bool source(const ptx::Operand &operand, OperandType type);
  bool destination(const ptx::Operand &operand, OperandType type);
  /// A literal as a source.
  void constant(uint64_t bits, OperandType type);
  /// [base+offset]: the base is a source, offset goes to the record. Symbols
  /// decide the space of a generic or param access.
  bool address(const ptx::Operand &operand, ptx::Space &space);
  /// A 128-bit register, as two of 64 bits.
  bool sourceQuad(const ptx::Operand &operand);
  bool destinationQuad(const ptx::Operand &operand);
  /// The operand is [parameter+offset] of the kernel; its place in the buffer.
  bool kernelParameter(const ptx::Operand &operand, uint64_t &place) const;
  /// One vector or a single operand as sources or destinations.
  bool sources(const ptx::Operand &operand, OperandType type);
  bool destinations(const ptx::Operand &operand, OperandType type);
  /// How many there are now.
  bool hasCounts(size_t destinations, size_t sources) const {
    return destinationSlots.size() == destinations &&
           sourceSlots.size() == sources;
  }
  /// The kind of slots of a register operand; literals have `otherwise`.
  OperandType kindOf(const ptx::Operand &operand, OperandType otherwise) const;
  unsigned registerBytes(const ptx::Operand &operand) const;
  static OperandType kindOf(ptx::Type type);

  /// The record under construction; emit() fills slots, guard and line.
  Inst inst;
  AccessSize access;
  bool emit(Handler run);
  bool fail(const std::string &message);
  /// The emulator lacks the present instruction, or this form of it.
  bool unknown();

  const ptx::Module &module;
  Program &program;

  // ops/Control.cpp
  uint32_t functionIndex(uint32_t moduleFunction);
  const FunctionLayout &layoutOf(uint32_t moduleFunction);
  uint32_t frameOffset(uint32_t variable) const;
  uint32_t branchTarget(uint32_t label) const { return firstPosition + label; }
  const ptx::Function &function() const { return *currentFunction; }
  /// Functions of the module whose address is somewhere, defined ones.
  const std::vector<uint32_t> &addressed() const { return addressedFunctions; }

private:
  struct Place {
    ptx::Space space = ptx::Space::Global;
    uint64_t address = 0;
    bool inFrame = false; ///< relative to the frame of the call
  };

  void findAddressed();
  bool collectFunctions(uint32_t moduleFunction);
  void markRecursion();
  bool placeShared();
  bool placeFrames();
  void placeParameters();
  bool decodeFunction(uint32_t index);
  bool decodeInstruction();
  bool decodeFromTable();
  void addConditionCode();
  uint32_t constantSlot(uint64_t bits, bool wide);
  bool literalBits(const ptx::Operand &operand, OperandType type,
                   uint64_t &bits);
  bool specialSlot(const std::string &name, uint32_t &slot);
  void finishSlots();

  uint32_t kernel;
  const std::vector<uint64_t> &addresses;
  const ptx::Function *currentFunction = nullptr;
  const ptx::Instruction *current = nullptr;
  uint32_t firstPosition = 0;
  std::vector<uint32_t> reachable; ///< module functions, the kernel first
  std::vector<std::vector<uint32_t>> callees; ///< by reachable index
  std::vector<uint32_t> addressedFunctions;
  std::map<uint32_t, Place> places;                 ///< by variable
  std::vector<std::vector<uint32_t>> registerSlots; ///< by function, register
  uint32_t currentIndex = 0;
  uint32_t registerBytesUsed = 0;
  std::map<std::pair<uint64_t, bool>, uint32_t> constants;
  /// Where an operand lies, and how many bits of it count.
  struct OperandSlot {
    uint32_t place = 0;
    uint8_t bits = 32;
  };
  std::vector<OperandSlot> destinationSlots, sourceSlots;
  FamilyTable families;
  std::unordered_map<std::string, uint32_t> opcodes; ///< by fullName
  std::string error;
  bool unsupported = false;
};

/// How sources and bases of addresses are to be read, in Inst::wide.
enum AddressForm : uint8_t { Narrow = 0, Wide = 1, FrameRelative = 2 };

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_DECODER_H
