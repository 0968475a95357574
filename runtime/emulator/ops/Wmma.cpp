// wmma.load, wmma.mma and wmma.store of f16 and bf16, as nvcc's mma.h makes
// them. Where a fragment keeps an element is not for a program to know; here
// the elements of a matrix, row by row, lie one behind the other in lane 0's,
// lane 1's, … first register, then in the second registers, and so on. Where a
// fragment has room for more, the elements repeat.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/MemoryAccess.h"

#include "runtime/emulator/checks/UndefinedMemory.h"
#include "runtime/emulator/numerics/RowMajorTiles.h"

#include <cstring>

namespace qopt::emulator {
namespace {

using namespace numerics;

constexpr int depth = 16; ///< K of all shapes here

/// A matrix of an instruction: its size, and its elements' bytes.
struct Part {
  int rows = 0, columns = 0;
  unsigned bytes = 0;
  int perRegister() const { return int(4 / bytes); }
  int elements() const { return rows * columns; }
};

/// Packed into Inst::offset2, beside the address's offset.
int64_t packPart(const Part &part, bool byColumns) {
  return part.rows | part.columns << 8 | int64_t(part.bytes) << 16 |
         int64_t(byColumns) << 24;
}
Part unpackPart(int64_t packed) {
  return {int(packed & 0xff), int(packed >> 8 & 0xff),
          unsigned(packed >> 16 & 0xff)};
}

/// What is undefined of the elements that wmma.store stores now. False when the
/// launch stops.
bool storeFragment(Warp &warp, const Inst &inst, uint32_t mask, unsigned bytes,
                   const uint64_t *addresses) {
  if (!warp.block.grid.options.checks.initialised)
    return true;
  UndefinedStore store;
  store.source = 2 + warp.fragment.result;
  store.firstByte = warp.fragment.byte;
  store.bytes = bytes;
  return storeUndefined(warp, inst, mask, addresses, store);
}

/// Loads or stores every lane's elements, one after the other.
template <bool Load> Step runMove(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!warp.converged(fullMask))
    return Step::Again;
  if (mask != fullMask) {
    warp.report(inst, FindingKind::InvalidUse, ~mask,
                "not all lanes of the warp execute this");
    return Step::Stopped;
  }
  const Part part = unpackPart(inst.offset2);
  const bool byColumns = inst.offset2 >> 24 & 1;
  const auto space = ptx::Space(inst.aux & SpaceBits);
  const unsigned registers = Load ? inst.destinations : inst.sources - 2u;
  const uint32_t *strides = warp.lanes32(inst.source(1));
  uint64_t bases[lanes], addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, bases);
  const int each = part.perRegister();
  for (unsigned slot = 0; slot < registers * unsigned(each); ++slot) {
    const unsigned number = slot / unsigned(each);
    const unsigned at = slot % unsigned(each) * part.bytes;
    for (int lane = 0; lane < int(lanes); ++lane) {
      const int element =
          (int(number * lanes) + lane) * each + int(slot) % each;
      const int index = element % part.elements();
      const uint64_t row = uint64_t(index / part.columns);
      const uint64_t column = uint64_t(index % part.columns);
      const uint64_t stride = strides[lane];
      const uint64_t place =
          byColumns ? column * stride + row : row * stride + column;
      addresses[lane] = bases[lane] + place * part.bytes;
    }
    uint32_t good = fullMask;
    warp.fragment = {number, at};
    if (!resolve(warp, inst, space, good, part.bytes,
                 Load ? AccessKind::Read : AccessKind::Write, addresses,
                 places) ||
        (!Load && !storeFragment(warp, inst, good, part.bytes, addresses)))
      return Step::Stopped;
    auto *bytes = reinterpret_cast<uint8_t *>(warp.lanes32(
        Load ? inst.destination(number) : inst.source(2 + number)));
    for (uint32_t rest = good; rest; rest &= rest - 1) {
      const size_t lane = size_t(std::countr_zero(rest));
      uint8_t *element = bytes + lane * 4 + at;
      std::memcpy(Load ? element : places[lane], Load ? places[lane] : element,
                  part.bytes);
    }
  }
  if (!Load)
    ++warp.block.events;
  return Step::Next;
}

/// The elements of a fragment that starts with source or destination `first`.
template <typename T>
void gather(Warp &warp, const Inst &inst, unsigned first, unsigned count,
            T *to) {
  constexpr unsigned each = slotBytes / sizeof(T);
  for (unsigned i = 0; i < count; i += each)
    std::memcpy(to + i, warp.lanes32(inst.source(first + i / each)),
                std::min(count - i, each) * sizeof(T));
}
template <typename T>
void scatter(Warp &warp, const Inst &inst, unsigned count, const T *from) {
  constexpr unsigned each = slotBytes / sizeof(T);
  for (unsigned i = 0; i < count; i += each)
    std::memcpy(warp.lanes32(inst.destination(i / each)), from + i,
                std::min(count - i, each) * sizeof(T));
}

/// M × N sums in tiles of 16 × 8; eight rows are filled up with zeros. aux
/// holds the registers of a, and of b above them.
template <typename Format, typename Sum, int M, int N>
Step runMma(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!warp.converged(fullMask))
    return Step::Again;
  if (mask != fullMask) {
    warp.report(inst, FindingKind::InvalidUse, ~mask,
                "not all lanes of the warp execute this");
    return Step::Stopped;
  }
  constexpr int rows = M < 16 ? 16 : M;
  uint16_t a[rows * depth] = {}, b[depth * N];
  Sum sums[rows * N] = {};
  const unsigned aCount = inst.aux & 0xff, bCount = inst.aux >> 8;
  gather(warp, inst, 0, M * depth, a);
  gather(warp, inst, aCount, depth * N, b);
  gather(warp, inst, aCount + bCount, M * N, sums);
  for (int row = 0; row < rows; row += 16)
    for (int column = 0; column < N; column += 8) {
      uint16_t right[depth * 8];
      Sum tile[16 * 8];
      for (int k = 0; k < depth; ++k)
        std::memcpy(right + size_t(k) * 8, &b[k * N + column],
                    sizeof(uint16_t) * 8);
      for (int i = 0; i < 16; ++i)
        std::memcpy(&tile[i * 8], &sums[(row + i) * N + column],
                    sizeof(Sum) * 8);
      multiplyTile<Format, depth>(a + size_t(row) * depth, right, tile, tile);
      for (int i = 0; i < 16; ++i)
        std::memcpy(&sums[(row + i) * N + column], &tile[i * 8],
                    sizeof(Sum) * 8);
    }
  scatter(warp, inst, M * N, sums);
  return Step::Next;
}

template <typename Format, typename Sum> Handler handlerOf(int m, int n) {
  return m == 16 && n == 16  ? &runMma<Format, Sum, 16, 16>
         : m == 32 && n == 8 ? &runMma<Format, Sum, 32, 8>
         : m == 8 && n == 32 ? &runMma<Format, Sum, 8, 32>
                             : nullptr;
}

bool shapeOf(const Decoder &decoder, int &m, int &n) {
  m = decoder.has("m16n16k16") ? 16 : decoder.has("m32n8k16") ? 32 : 8;
  n = m == 16 ? 16 : m == 32 ? 8 : 32;
  return m != 8 || decoder.has("m8n32k16");
}

size_t countOf(const ptx::Operand &operand) {
  return operand.kind == ptx::Operand::Vector ? operand.elements.size() : 1;
}

/// wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {…}, [p], stride;
/// wmma.store.d.… [p], {…}, stride; the stride may be left out.
bool decodeMove(Decoder &decoder, bool load, int m, int n) {
  const ptx::Type type = decoder.type();
  const bool half = type == ptx::Type::F16 || type == ptx::Type::BF16;
  if (!half && type != ptx::Type::F32)
    return decoder.unknown();
  Part part = {m, n, half ? 2u : 4u};
  if (decoder.has("a"))
    part.columns = depth;
  else if (decoder.has("b"))
    part.rows = depth;
  const bool byColumns = decoder.has("col");
  ptx::Space space = spaceOf(decoder);
  const ptx::Operand &data = decoder.operand(load ? 0 : 1);
  const OperandType kind = half ? OperandType::Word : OperandType::Single;
  if (!decoder.expectOperands(2, 3) ||
      (load && !decoder.destinations(data, kind)) ||
      !decoder.address(decoder.operand(load ? 1 : 0), space))
    return false;
  if (decoder.operands() == 3) {
    if (!decoder.source(decoder.operand(2), OperandType::Word))
      return false;
  } else {
    decoder.constant(uint64_t(byColumns ? part.rows : part.columns),
                     OperandType::Word);
  }
  if (!load && !decoder.sources(data, kind))
    return false;
  if (int(countOf(data)) * part.perRegister() * int(lanes) < part.elements())
    return decoder.fail("too few registers for the fragment");
  decoder.inst.offset2 = packPart(part, byColumns);
  decoder.inst.aux = uint32_t(space);
  decoder.inst.traits =
      uint8_t(Traits::Address) | uint8_t(load ? Traits::Loads : Traits::Stores);
  const auto bytes = uint16_t(unsigned(part.elements()) / lanes * part.bytes);
  (load ? decoder.access.read : decoder.access.written) = bytes;
  return decoder.emit(load ? &runMove<true> : &runMove<false>);
}

/// wmma.mma.sync.aligned.row.col.m16n16k16.d.c of f16, or .d.a.b.c
bool decodeMma(Decoder &decoder, int m, int n) {
  using ptx::Type;
  const Type d = decoder.type(0), second = decoder.type(1);
  const bool brain = second == Type::BF16;
  const Type c = brain ? decoder.type(3) : second;
  if (d != c || decoder.has("satfinite") || (brain && d != Type::F32))
    return decoder.unknown();
  Handler handler = d == Type::F16   ? handlerOf<Float16, uint16_t>(m, n)
                    : d != Type::F32 ? nullptr
                    : brain          ? handlerOf<Bfloat16, float>(m, n)
                                     : handlerOf<Float16, float>(m, n);
  if (!handler)
    return decoder.unknown();
  const OperandType sums =
      d == Type::F32 ? OperandType::Single : OperandType::Word;
  if (!decoder.expectOperands(4, 4) ||
      !decoder.destinations(decoder.operand(0), sums) ||
      !decoder.sources(decoder.operand(1), OperandType::Word) ||
      !decoder.sources(decoder.operand(2), OperandType::Word) ||
      !decoder.sources(decoder.operand(3), sums))
    return false;
  const size_t aCount = countOf(decoder.operand(1));
  const size_t bCount = countOf(decoder.operand(2));
  const size_t words = d == Type::F32 ? 8 : 4;
  if (int(aCount) * 64 < m * depth || int(bCount) * 64 < depth * n ||
      !decoder.hasCounts(words, aCount + bCount + words))
    return decoder.fail("too few registers for the fragments");
  decoder.inst.aux = uint32_t(aCount | bCount << 8);
  return decoder.emit(handler);
}

bool decodeWmma(Decoder &decoder) {
  int m = 0, n = 0;
  if (!shapeOf(decoder, m, n))
    return decoder.unknown();
  if (decoder.has("mma"))
    return decodeMma(decoder, m, n);
  return decodeMove(decoder, decoder.has("load"), m, n);
}

} // namespace

void addWmma(FamilyTable &table) { table["wmma"] = &decodeWmma; }

} // namespace qopt::emulator
