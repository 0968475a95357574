// ldmatrix, stmatrix and movmatrix. numerics/Fragments.h draws the fragments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/MemoryAccess.h"
#include "runtime/emulator/ops/WholeWarp.h"

#include <cstring>

namespace qopt::emulator {
namespace {

/// ldmatrix and stmatrix: aux beside the flags.
constexpr uint32_t transposed = 1u << 16;

/// Where lane `lane` finds its two elements in an 8 × 8 matrix of halves.
template <typename Body>
void forElements(unsigned lane, bool transpose, Body body) {
  for (unsigned i = 0; i < 2; ++i) {
    unsigned row = lane / 4, column = 2 * (lane % 4) + i;
    if (transpose)
      std::swap(row, column);
    body(i, row, column);
  }
}

template <bool Load>
Step runMatrixMove(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!warp.converged(fullMask))
    return Step::Again;
  uint64_t addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, addresses);
  unsigned count = Load ? inst.destinations : inst.sources - 1u;
  // Eight lanes name the rows of each matrix.
  uint32_t naming = count >= 4 ? fullMask : (1u << 8 * count) - 1;
  if ((mask & naming) != naming) {
    warp.report(inst, FindingKind::InvalidUse, ~mask & naming,
                "not all lanes of the warp execute this");
    return Step::Stopped;
  }
  uint32_t good = naming;
  auto space = ptx::Space(inst.aux & SpaceBits);
  if (!resolve(warp, inst, space, good, 16,
               Load ? AccessKind::Read : AccessKind::Write, addresses, places))
    return Step::Stopped;
  bool transpose = inst.aux & transposed;
  for (unsigned matrix = 0; matrix < count; ++matrix) {
    if ((good >> 8 * matrix & 0xff) != 0xff)
      continue; // one of its rows has a finding
    uint32_t *registers =
        warp.lanes32(Load ? inst.destination(matrix) : inst.source(1 + matrix));
    forLanes(mask, [&](unsigned lane) {
      uint16_t halves[2];
      std::memcpy(halves, &registers[lane], 4);
      forElements(lane, transpose, [&](unsigned i, unsigned row, unsigned col) {
        uint8_t *place = places[8 * matrix + row] + size_t(2) * col;
        std::memcpy(Load ? static_cast<void *>(&halves[i]) : place,
                    Load ? place : static_cast<void *>(&halves[i]), 2);
      });
      if (Load)
        std::memcpy(&registers[lane], halves, 4);
    });
  }
  if (!Load)
    ++warp.block.events;
  return Step::Next;
}

bool decodeMatrixMove(Decoder &decoder) {
  bool load = decoder.instruction().opcode == "ldmatrix";
  if (!decoder.has("m8n8") || decoder.type() != ptx::Type::B16)
    return decoder.unknown();
  ptx::Space space = spaceOf(decoder);
  const ptx::Operand &data = decoder.operand(load ? 0 : 1);
  if (!decoder.expectOperands(2, 2) ||
      (load && !decoder.destinations(data, OperandType::Word)) ||
      !decoder.address(decoder.operand(load ? 1 : 0), space) ||
      (!load && !decoder.sources(data, OperandType::Word)))
    return false;
  size_t count = decoder.has("x4") ? 4 : decoder.has("x2") ? 2 : 1;
  size_t given =
      data.kind == ptx::Operand::Vector ? data.elements.size() : size_t(1);
  if (given != count)
    return decoder.fail("expected " + std::to_string(count) + " registers");
  decoder.inst.aux = uint32_t(space) | (decoder.has("trans") ? transposed : 0u);
  decoder.inst.traits =
      uint8_t(Traits::Address) | uint8_t(load ? Traits::Loads : Traits::Stores);
  (load ? decoder.access.read : decoder.access.written) = uint16_t(4 * count);
  return decoder.emit(load ? &runMatrixMove<true> : &runMatrixMove<false>);
}

/// movmatrix: an 8 × 8 matrix of halves, transposed.
Step runMoveMatrix(Warp &warp, const Inst &inst) {
  uint16_t from[8 * 8], to[8 * 8];
  std::memcpy(from, warp.lanes32(inst.source(0)), sizeof from);
  for (unsigned row = 0; row < 8; ++row)
    for (unsigned column = 0; column < 8; ++column)
      to[column * 8 + row] = from[row * 8 + column];
  std::memcpy(warp.lanes32(inst.destination()), to, sizeof to);
  return Step::Next;
}

bool decodeMoveMatrix(Decoder &decoder) {
  if (!decoder.has("m8n8") || !decoder.has("trans") ||
      decoder.type() != ptx::Type::B16)
    return decoder.unknown();
  return decoder.expectOperands(2, 2) &&
         decoder.destination(decoder.operand(0), OperandType::Word) &&
         decoder.source(decoder.operand(1), OperandType::Word) &&
         decoder.emit(&onWholeWarp<runMoveMatrix>);
}

} // namespace

void addMatrix(FamilyTable &table) {
  table["ldmatrix"] = &decodeMatrixMove;
  table["stmatrix"] = &decodeMatrixMove;
  table["movmatrix"] = &decodeMoveMatrix;
}

} // namespace qopt::emulator
