// wmma.mma of f16, bf16, tf32, f64, bytes, four bits and one. Wmma.h says where
// a fragment keeps an element.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/Wmma.h"

#include "runtime/emulator/numerics/BitProduct.h"
#include "runtime/emulator/numerics/Float64.h"
#include "runtime/emulator/numerics/IntegerProduct.h"
#include "runtime/emulator/numerics/RowMajorTiles.h"
#include "runtime/emulator/ops/WholeWarp.h"

#include <cstring>

namespace qopt::emulator {
namespace {

using namespace numerics;

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
Step runMma(Warp &warp, const Inst &inst) {
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
template <Product P> Step runPacked(Warp &warp, const Inst &inst) {
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
template <Rounding R> Step runDoubleMma(Warp &warp, const Inst &inst) {
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

template <typename Tiles> Handler handlerOf(MatrixShape shape) {
  return shape == squareShape ? &onWholeWarp<runMma<Tiles, 16, 16, 16>>
         : shape == tallShape ? &onWholeWarp<runMma<Tiles, 32, 8, 16>>
         : shape == wideShape ? &onWholeWarp<runMma<Tiles, 8, 32, 16>>
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
               ? &onWholeWarp<runMma<FloatTiles<Tf32, float>, 16, 16, 8>>
               : nullptr;
  case Type::S8:
    return types.d == Type::S32 ? handlerOf<ByteTiles<int8_t>>(shape) : nullptr;
  case Type::U8:
    return types.d == Type::S32 ? handlerOf<ByteTiles<uint8_t>>(shape)
                                : nullptr;
  case Type::S4:
  case Type::U4:
    return types.d != Type::S32 || shape != nibbleShape ? nullptr
           : types.a == Type::S4
               ? &onWholeWarp<runPacked<nibbleProduct<int8_t>>>
               : &onWholeWarp<runPacked<nibbleProduct<uint8_t>>>;
  case Type::B1:
    return types.d != Type::S32 || shape != bitShape || !decoder.has("popc") ||
                   decoder.has("and") == decoder.has("xor")
               ? nullptr
           : decoder.has("and")
               ? &onWholeWarp<runPacked<bitProduct<BitOperation::And>>>
               : &onWholeWarp<runPacked<bitProduct<BitOperation::ExclusiveOr>>>;
  case Type::F64:
    return types.d != Type::F64 || shape != doubleShape ? nullptr
           : decoder.has("rz") ? &onWholeWarp<runDoubleMma<Rounding::Zero>>
           : decoder.has("rm") ? &onWholeWarp<runDoubleMma<Rounding::Down>>
           : decoder.has("rp")
               ? &onWholeWarp<runDoubleMma<Rounding::Up>>
               : &onWholeWarp<runDoubleMma<Rounding::NearestEven>>;
  default:
    return nullptr;
  }
}

/// Registers of a fragment of `elements` elements.
size_t registersOf(unsigned elements, ptx::Type type) {
  const unsigned bits = bitsOf(type);
  return elements * bits / (lanes * std::max(bits, 32u));
}

} // namespace

bool decodeWmmaProduct(Decoder &decoder, MatrixShape shape) {
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

} // namespace qopt::emulator
