// ldmatrix, stmatrix and mma.sync. numerics/Fragments.h draws the fragments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/MemoryAccess.h"

#include "runtime/emulator/numerics/IntegerProduct.h"
#include "runtime/emulator/numerics/MatrixProduct.h"
#include "runtime/emulator/ops/MatrixTiles.h"

#include <cstring>

namespace qopt::emulator {
namespace {

using namespace numerics;

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

/// All lanes take part, or the instruction is wrong.
bool wholeWarp(Warp &warp, const Inst &inst, uint32_t mask) {
  if (mask == fullMask)
    return true;
  warp.report(inst, FindingKind::InvalidUse, ~mask,
              "not all lanes of the warp execute this");
  return false;
}

/// `product(sources, results)` multiplies the registers of a, b and c, as the
/// instruction has them.
template <typename Product>
Step multiply(Warp &warp, const Inst &inst, uint32_t mask, Product product) {
  if (!warp.converged(fullMask))
    return Step::Again;
  if (!wholeWarp(warp, inst, mask))
    return Step::Stopped;
  constexpr unsigned mostSources = 10, mostResults = 4;
  const uint32_t *sources[mostSources];
  uint32_t *results[mostResults];
  for (unsigned i = 0; i < inst.sources; ++i)
    sources[i] = warp.lanes32(inst.source(i));
  for (unsigned i = 0; i < inst.destinations; ++i)
    results[i] = warp.lanes32(inst.destination(i));
  product(sources, results);
  return Step::Next;
}

/// Sum: float, or uint16_t for halves.
template <typename Format, int K, typename Sum>
Step runFloatMma(Warp &warp, const Inst &inst, uint32_t mask) {
  if constexpr (K == 16 && std::is_same_v<Sum, float>)
    return multiply(warp, inst, mask,
                    std::is_same_v<Format, Float16>
                        ? fragmentProducts().half
                        : fragmentProducts().bfloat);
  else
    return multiply(warp, inst, mask, multiplyFragments<Format, K, Sum>);
}

template <typename A, typename B>
Step runFp8Mma(Warp &warp, const Inst &inst, uint32_t mask) {
  return multiply(warp, inst, mask, multiplyFp8Fragments<A, B>);
}

template <typename A, typename B, int Bits, int K>
Step runIntegerMma(Warp &warp, const Inst &inst, uint32_t mask) {
  constexpr bool bytes =
      std::is_signed_v<A> && std::is_signed_v<B> && Bits == 8 && K == 32;
  const auto product = bytes ? fragmentProducts().bytes
                             : multiplyIntegerFragments<A, B, Bits, K>;
  return multiply(warp, inst, mask, [&](auto sources, auto results) {
    product(sources, results, inst.aux != 0);
  });
}

template <int Bits, int K> Handler integerHandler(ptx::Type a, ptx::Type b) {
  if (isSigned(a))
    return isSigned(b) ? &runIntegerMma<int8_t, int8_t, Bits, K>
                       : &runIntegerMma<int8_t, uint8_t, Bits, K>;
  return isSigned(b) ? &runIntegerMma<uint8_t, int8_t, Bits, K>
                     : &runIntegerMma<uint8_t, uint8_t, Bits, K>;
}

template <typename A> Handler fp8Handler(ptx::Type b) {
  return b == ptx::Type::E4M3   ? &runFp8Mma<A, E4M3>
         : b == ptx::Type::E5M2 ? &runFp8Mma<A, E5M2>
                                : nullptr;
}

template <typename Format> Handler halfHandler(int k, bool halfSums) {
  if (halfSums && !std::is_same_v<Format, Float16>)
    return nullptr;
  if (k == 8)
    return halfSums ? &runFloatMma<Format, 8, uint16_t>
                    : &runFloatMma<Format, 8, float>;
  if (k == 16)
    return halfSums ? &runFloatMma<Format, 16, uint16_t>
                    : &runFloatMma<Format, 16, float>;
  return nullptr;
}

Handler mmaHandler(int k, ptx::Type a, ptx::Type b, bool halfSums) {
  using ptx::Type;
  bool eights = a == Type::S8 || a == Type::U8;
  bool fours = a == Type::S4 || a == Type::U4;
  if (eights)
    return k == 16   ? integerHandler<8, 16>(a, b)
           : k == 32 ? integerHandler<8, 32>(a, b)
                     : nullptr;
  if (fours)
    return k == 32   ? integerHandler<4, 32>(a, b)
           : k == 64 ? integerHandler<4, 64>(a, b)
                     : nullptr;
  if (a == Type::E4M3 || a == Type::E5M2)
    return halfSums || k != 32 ? nullptr
           : a == Type::E4M3   ? fp8Handler<E4M3>(b)
                               : fp8Handler<E5M2>(b);
  if (a != b)
    return nullptr;
  switch (a) {
  case Type::F16:
    return halfHandler<Float16>(k, halfSums);
  case Type::BF16:
    return halfHandler<Bfloat16>(k, halfSums);
  case Type::TF32:
    return halfSums ? nullptr
           : k == 4 ? &runFloatMma<Tf32, 4, float>
           : k == 8 ? &runFloatMma<Tf32, 8, float>
                    : nullptr;
  default:
    return nullptr;
  }
}

/// mma.sync.aligned.m16n8kK.row.col.d.a.b.c
bool decodeMma(Decoder &decoder) {
  int k = 0;
  for (const std::string &modifier : decoder.instruction().modifiers)
    if (modifier.starts_with("m16n8k"))
      k = int(std::strtol(modifier.c_str() + 6, nullptr, 10));
  ptx::Type d = decoder.type(0), a = decoder.type(1), b = decoder.type(2);
  if (k == 0 || decoder.has("sp") || !decoder.expectOperands(4, 4))
    return decoder.unknown();
  Handler handler = mmaHandler(k, a, b, d == ptx::Type::F16);
  if (!handler)
    return decoder.unknown();
  bool single = d == ptx::Type::F32;
  OperandType sums = single ? OperandType::Single : OperandType::Word;
  decoder.inst.aux = decoder.has("satfinite");
  if (!decoder.destinations(decoder.operand(0), sums) ||
      !decoder.sources(decoder.operand(1), OperandType::Word) ||
      !decoder.sources(decoder.operand(2), OperandType::Word) ||
      !decoder.sources(decoder.operand(3), sums))
    return false;
  unsigned bits = a == ptx::Type::TF32                       ? 32
                  : a == ptx::Type::S4 || a == ptx::Type::U4 ? 4
                                                             : 8 * sizeOf(a);
  size_t registers = d == ptx::Type::F16 ? 2 : 4;
  size_t operands = size_t(3 * k) * bits / 128;
  if (!decoder.hasCounts(registers, operands + registers))
    return decoder.fail("expected " + std::to_string(registers) +
                        " registers of sums and " + std::to_string(operands) +
                        " of operands");
  return decoder.emit(handler);
}

} // namespace

void addMatrix(FamilyTable &table) {
  table["ldmatrix"] = &decodeMatrixMove;
  table["stmatrix"] = &decodeMatrixMove;
  table["mma"] = &decodeMma;
}

} // namespace qopt::emulator
