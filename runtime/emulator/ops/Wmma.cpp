// wmma.load, wmma.mma and wmma.store of f16, bf16, tf32, f64, bytes, four bits
// and one, as nvcc's mma.h makes them. Where a fragment keeps an element is not
// for a program to know; here the elements of a matrix, row by row (a B of less
// than bytes: column by column), lie one behind the other in lane 0's, lane
// 1's, … first register, then in the second registers, and so on. Where a
// fragment has room for more, the elements repeat.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/MatrixShape.h"
#include "runtime/emulator/MemoryAccess.h"

#include "runtime/emulator/checks/UndefinedMemory.h"
#include "runtime/emulator/numerics/BitProduct.h"
#include "runtime/emulator/numerics/Float64.h"
#include "runtime/emulator/numerics/IntegerProduct.h"
#include "runtime/emulator/numerics/RowMajorTiles.h"

#include <cstring>

namespace qopt::emulator {
namespace {

using namespace numerics;

/// A matrix of an instruction: its size, its elements' bytes, and the bits that
/// strides count. Elements of less than bytes are moved by the word.
struct Part {
  int rows = 0, columns = 0;
  unsigned bytes = 0, bits = 0;
  int perRegister() const { return int(registerBytes() / bytes); }
  unsigned registerBytes() const { return std::max(bytes, 4u); }
  int elements() const { return rows * columns; }
};

/// Packed into Inst::offset2, beside the address's offset.
int64_t packPart(const Part &part, bool byColumns) {
  return part.rows | part.columns << 8 | int64_t(part.bytes) << 16 |
         int64_t(byColumns) << 24 | int64_t(part.bits) << 32;
}
Part unpackPart(int64_t packed) {
  return {int(packed & 0xff), int(packed >> 8 & 0xff),
          unsigned(packed >> 16 & 0xff), unsigned(packed >> 32)};
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
  if (!warp.isWholeWarp(inst, mask))
    return Step::Stopped;
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
      const uint64_t stride = uint64_t(strides[lane]) * part.bits / 8;
      addresses[lane] =
          bases[lane] + (byColumns ? column * stride + row * part.bytes
                                   : row * stride + column * part.bytes);
    }
    uint32_t good = fullMask;
    warp.fragment = {number, at};
    if (!resolve(warp, inst, space, good, part.bytes,
                 Load ? AccessKind::Read : AccessKind::Write, addresses,
                 places) ||
        (!Load && !storeFragment(warp, inst, good, part.bytes, addresses)))
      return Step::Stopped;
    uint8_t *bytes =
        warp.file + (Load ? inst.destination(number) : inst.source(2 + number));
    for (uint32_t rest = good; rest; rest &= rest - 1) {
      const size_t lane = size_t(std::countr_zero(rest));
      uint8_t *element = bytes + lane * part.registerBytes() + at;
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
  constexpr unsigned each =
      lanes * std::max(sizeof(T), sizeof(uint32_t)) / sizeof(T);
  for (unsigned i = 0; i < count; i += each)
    std::memcpy(to + i, warp.file + inst.source(first + i / each),
                std::min(count - i, each) * sizeof(T));
}
template <typename T>
void scatter(Warp &warp, const Inst &inst, unsigned count, const T *from) {
  constexpr unsigned each =
      lanes * std::max(sizeof(T), sizeof(uint32_t)) / sizeof(T);
  for (unsigned i = 0; i < count; i += each)
    std::memcpy(warp.file + inst.destination(i / each), from + i,
                std::min(count - i, each) * sizeof(T));
}

/// Inst::aux of wmma.mma: the registers of a, and of b above them; .satfinite.
constexpr uint32_t saturates = 1u << 16;

/// Products of 16 × 8 tiles. Sums: float, or uint16_t for halves.
template <typename Format, typename SumType> struct FloatTiles {
  using Code = typename Format::Code;
  using Sum = SumType;
  template <int K>
  static void multiply(const Code *a, const Code *b, Sum *tile, bool) {
    multiplyTile<Format, K>(a, b, tile, tile);
  }
};
template <typename Byte> struct ByteTiles {
  using Code = uint8_t;
  using Sum = int32_t;
  template <int K>
  static void multiply(const Code *a, const Code *b, Sum *tile,
                       bool saturating) {
    multiplyRows<8, K>(a, b, tile, tile, [&](auto sources, auto results) {
      multiplyIntegerFragments<Byte, Byte, 8, K>(sources, results, saturating);
    });
  }
};

/// M × N sums in tiles of 16 × 8; eight rows are filled up with zeros.
template <typename Tiles, int M, int N, int K>
Step runMma(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!warp.converged(fullMask))
    return Step::Again;
  if (!warp.isWholeWarp(inst, mask))
    return Step::Stopped;
  using Code = typename Tiles::Code;
  using Sum = typename Tiles::Sum;
  constexpr int rows = M < 16 ? 16 : M;
  Code a[rows * K] = {}, b[K * N];
  Sum sums[rows * N] = {};
  const unsigned aCount = inst.aux & 0xff, bCount = inst.aux >> 8 & 0xff;
  gather(warp, inst, 0, M * K, a);
  gather(warp, inst, aCount, K * N, b);
  gather(warp, inst, aCount + bCount, M * N, sums);
  if constexpr (sizeof(Code) == 4) { // tf32: the upper bits
    for (Code &code : a)
      code >>= 13;
    for (Code &code : b)
      code >>= 13;
  }
  for (int row = 0; row < rows; row += 16)
    for (int column = 0; column < N; column += 8) {
      Code right[K * 8];
      Sum tile[16 * 8];
      for (int k = 0; k < K; ++k)
        std::memcpy(right + size_t(k) * 8, &b[k * N + column],
                    sizeof(Code) * 8);
      for (int i = 0; i < 16; ++i)
        std::memcpy(&tile[i * 8], &sums[(row + i) * N + column],
                    sizeof(Sum) * 8);
      Tiles::template multiply<K>(a + size_t(row) * K, right, tile,
                                  inst.aux & saturates);
      for (int i = 0; i < 16; ++i)
        std::memcpy(&sums[(row + i) * N + column], &tile[i * 8],
                    sizeof(Sum) * 8);
    }
  scatter(warp, inst, M * N, sums);
  return Step::Next;
}

/// Multiplies fragments of mma with m = 16.
using Product = void (*)(const uint32_t *const *sources,
                         uint32_t *const *results, bool saturating);

template <typename Nibble>
void nibbleProduct(const uint32_t *const *sources, uint32_t *const *results,
                   bool saturating) {
  multiplyIntegerFragments<Nibble, Nibble, 4, 32>(sources, results, saturating);
}
template <BitOperation Operation>
void bitProduct(const uint32_t *const *sources, uint32_t *const *results,
                bool) {
  multiplyBitFragments<Operation, 128>(sources, results);
}

/// Less than bytes: rows of A and columns of B are four words each, which lie
/// as in the fragments of mma with m = 8.
template <Product P>
Step runPacked(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!warp.converged(fullMask))
    return Step::Again;
  if (!warp.isWholeWarp(inst, mask))
    return Step::Stopped;
  constexpr unsigned extent = 8;
  const uint32_t zeros[lanes] = {};
  uint32_t sums[extent * extent], fragment[4][lanes];
  const unsigned aCount = inst.aux & 0xff, bCount = inst.aux >> 8 & 0xff;
  gather(warp, inst, aCount + bCount, std::size(sums), sums);
  auto inFragment = [&](unsigned i) -> uint32_t & {
    const FragmentPlace place = placeInC<1>(int(i / extent), int(i % extent));
    return fragment[place.number][place.lane];
  };
  for (unsigned i = 0; i < std::size(sums); ++i)
    inFragment(i) = sums[i];
  const uint32_t *sources[] = {warp.lanes32(inst.source(0)),
                               zeros,
                               warp.lanes32(inst.source(aCount)),
                               fragment[0],
                               fragment[1],
                               zeros,
                               zeros};
  uint32_t *results[] = {fragment[0], fragment[1], fragment[2], fragment[3]};
  P(sources, results, inst.aux & saturates);
  for (unsigned i = 0; i < std::size(sums); ++i)
    sums[i] = inFragment(i);
  scatter(warp, inst, std::size(sums), sums);
  return Step::Next;
}

/// f64, 8 × 8 × 4: as mma does it.
template <Rounding R>
Step runDoubleMma(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!warp.converged(fullMask))
    return Step::Again;
  if (!warp.isWholeWarp(inst, mask))
    return Step::Stopped;
  constexpr int extent = 8, depth = 4;
  double a[extent * depth], b[depth * extent], sums[extent * extent];
  gather(warp, inst, 0, std::size(a), a);
  gather(warp, inst, 1, std::size(b), b);
  gather(warp, inst, 2, std::size(sums), sums);
  for (int row = 0; row < extent; ++row)
    for (int column = 0; column < extent; ++column)
      for (int k = 0; k < depth; ++k) {
        double &sum = sums[row * extent + column];
        sum = fusedMultiplyAdd<R>(a[row * depth + k], b[k * extent + column],
                                  sum);
      }
  scatter(warp, inst, std::size(sums), sums);
  return Step::Next;
}

constexpr MatrixShape squareShape = {16, 16, 16}, tallShape = {32, 8, 16},
                      wideShape = {8, 32, 16}, singleShape = {16, 16, 8},
                      doubleShape = {8, 8, 4}, nibbleShape = {8, 8, 32},
                      bitShape = {8, 8, 128};

template <typename Tiles> Handler handlerOf(MatrixShape shape) {
  return shape == squareShape ? &runMma<Tiles, 16, 16, 16>
         : shape == tallShape ? &runMma<Tiles, 32, 8, 16>
         : shape == wideShape ? &runMma<Tiles, 8, 32, 16>
                              : nullptr;
}

/// The types of an instruction's matrices.
struct MatrixTypes {
  ptx::Type a, b, c, d;
};

/// .d.c of products of f16, .d.a.b.c of others.
MatrixTypes typesOf(const Decoder &decoder) {
  if (decoder.type(2) == ptx::Type::None)
    return {ptx::Type::F16, ptx::Type::F16, decoder.type(1), decoder.type(0)};
  return {decoder.type(1), decoder.type(2), decoder.type(3), decoder.type(0)};
}

/// Null for what PTX does not have, or not with these sums.
Handler mmaHandler(const Decoder &decoder, MatrixShape shape) {
  using ptx::Type;
  const MatrixTypes types = typesOf(decoder);
  if (types.a != types.b || types.c != types.d)
    return nullptr;
  const bool integers = types.a == Type::S8 || types.a == Type::U8 ||
                        types.a == Type::S4 || types.a == Type::U4;
  if (decoder.has("satfinite") && !integers)
    return nullptr;
  const bool isSingle = types.d == Type::F32;
  switch (types.a) {
  case Type::F16:
    return isSingle ? handlerOf<FloatTiles<Float16, float>>(shape)
           : types.d == Type::F16
               ? handlerOf<FloatTiles<Float16, uint16_t>>(shape)
               : nullptr;
  case Type::BF16:
    return isSingle ? handlerOf<FloatTiles<Bfloat16, float>>(shape) : nullptr;
  case Type::TF32:
    return isSingle && shape == singleShape
               ? &runMma<FloatTiles<Tf32, float>, 16, 16, 8>
               : nullptr;
  case Type::S8:
    return types.d == Type::S32 ? handlerOf<ByteTiles<int8_t>>(shape) : nullptr;
  case Type::U8:
    return types.d == Type::S32 ? handlerOf<ByteTiles<uint8_t>>(shape)
                                : nullptr;
  case Type::S4:
  case Type::U4:
    return types.d != Type::S32 || shape != nibbleShape ? nullptr
           : types.a == Type::S4 ? &runPacked<nibbleProduct<int8_t>>
                                 : &runPacked<nibbleProduct<uint8_t>>;
  case Type::B1:
    return types.d != Type::S32 || shape != bitShape || !decoder.has("popc") ||
                   decoder.has("and") == decoder.has("xor")
               ? nullptr
           : decoder.has("and")
               ? &runPacked<bitProduct<BitOperation::And>>
               : &runPacked<bitProduct<BitOperation::ExclusiveOr>>;
  case Type::F64:
    return types.d != Type::F64 || shape != doubleShape ? nullptr
           : decoder.has("rz") ? &runDoubleMma<Rounding::Zero>
           : decoder.has("rm") ? &runDoubleMma<Rounding::Down>
           : decoder.has("rp") ? &runDoubleMma<Rounding::Up>
                               : &runDoubleMma<Rounding::NearestEven>;
  default:
    return nullptr;
  }
}

size_t countOf(const ptx::Operand &operand) {
  return operand.kind == ptx::Operand::Vector ? operand.elements.size() : 1;
}

/// The bytes of an element of a matrix that is loaded or stored, 4 where it has
/// less than one; 0 where PTX has no such matrix.
unsigned elementBytes(const Decoder &decoder, MatrixShape shape) {
  using ptx::Type;
  const Type type = decoder.type();
  const bool operand = decoder.has("a") || decoder.has("b");
  const bool large =
      shape == squareShape || shape == tallShape || shape == wideShape;
  switch (type) {
  case Type::F16:
    return large ? 2 : 0;
  case Type::BF16:
    return large && operand ? 2 : 0;
  case Type::S8:
  case Type::U8:
    return large && operand ? 1 : 0;
  case Type::S32:
    return (large || shape == nibbleShape || shape == bitShape) && !operand ? 4
                                                                            : 0;
  case Type::S4:
  case Type::U4:
    return shape == nibbleShape && operand ? 4 : 0;
  case Type::B1:
    return shape == bitShape && operand ? 4 : 0;
  case Type::TF32:
    return shape == singleShape && operand ? 4 : 0;
  case Type::F32:
    return (large || shape == singleShape) && !operand ? 4 : 0;
  case Type::F64:
    return shape == doubleShape ? 8 : 0;
  default:
    return 0;
  }
}

/// wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {…}, [p], stride;
/// wmma.store.d.… [p], {…}, stride; the stride may be left out.
bool decodeMove(Decoder &decoder, bool load, MatrixShape shape) {
  const unsigned size = elementBytes(decoder, shape);
  if (size == 0)
    return decoder.unknown();
  Part part = {int(shape.m), int(shape.n), size, bitsOf(decoder.type())};
  if (decoder.has("a"))
    part.columns = int(shape.k);
  else if (decoder.has("b"))
    part.rows = int(shape.k);
  bool byColumns = decoder.has("col");
  const int tight = byColumns ? part.rows : part.columns;
  if (part.bits < 8) {
    if (decoder.has("b") != byColumns)
      return decoder.fail("expected a by rows ('.row') and b by columns "
                          "('.col')");
    byColumns = false;
    part.rows = int(shape.m);
    part.columns = int(shape.k * part.bits / 32);
  }
  ptx::Space space = spaceOf(decoder);
  const ptx::Operand &data = decoder.operand(load ? 0 : 1);
  const OperandType kind = Decoder::kindOf(decoder.type());
  if (!decoder.expectOperands(2, 3) ||
      (load && !decoder.destinations(data, kind)) ||
      !decoder.address(decoder.operand(load ? 1 : 0), space))
    return false;
  if (decoder.operands() == 3) {
    if (!decoder.source(decoder.operand(2), OperandType::Word))
      return false;
  } else {
    decoder.constant(uint64_t(tight), OperandType::Word);
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

/// Registers of a fragment of `elements` elements.
size_t registersOf(unsigned elements, ptx::Type type) {
  const unsigned bits = bitsOf(type);
  return elements * bits / (lanes * std::max(bits, 32u));
}

bool decodeMma(Decoder &decoder, MatrixShape shape) {
  Handler handler = mmaHandler(decoder, shape);
  if (!handler)
    return decoder.unknown();
  const MatrixTypes types = typesOf(decoder);
  const OperandType factors = Decoder::kindOf(types.a);
  const OperandType sums = Decoder::kindOf(types.d);
  if (!decoder.expectOperands(4, 4) ||
      !decoder.destinations(decoder.operand(0), sums) ||
      !decoder.sources(decoder.operand(1), factors) ||
      !decoder.sources(decoder.operand(2), factors) ||
      !decoder.sources(decoder.operand(3), sums))
    return false;
  const size_t aCount = countOf(decoder.operand(1));
  const size_t bCount = countOf(decoder.operand(2));
  const size_t words = registersOf(shape.m * shape.n, types.d);
  if (aCount < registersOf(shape.m * shape.k, types.a) ||
      bCount < registersOf(shape.k * shape.n, types.a) ||
      !decoder.hasCounts(words, aCount + bCount + words))
    return decoder.fail("too few registers for the fragments");
  decoder.inst.aux = uint32_t(aCount | bCount << 8) |
                     (decoder.has("satfinite") ? saturates : 0u);
  return decoder.emit(handler);
}

bool decodeWmma(Decoder &decoder) {
  const MatrixShape shape = matrixShapeOf(decoder.instruction());
  if (shape.m == 0)
    return decoder.unknown();
  if (decoder.has("mma"))
    return decodeMma(decoder, shape);
  return decodeMove(decoder, decoder.has("load"), shape);
}

} // namespace

void addWmma(FamilyTable &table) { table["wmma"] = &decodeWmma; }

} // namespace qopt::emulator
