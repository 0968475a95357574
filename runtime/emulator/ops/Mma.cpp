// mma.sync and mma.sp. numerics/Fragments.h draws the fragments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Decoder.h"
#include "runtime/emulator/MatrixShape.h"

#include "runtime/emulator/checks/UndefinedProducts.h"
#include "runtime/emulator/numerics/BitProduct.h"
#include "runtime/emulator/numerics/Float64.h"
#include "runtime/emulator/numerics/Fp8Product.h"
#include "runtime/emulator/numerics/IntegerProduct.h"
#include "runtime/emulator/numerics/SparseProduct.h"
#include "runtime/emulator/ops/MatrixTiles.h"
#include "runtime/emulator/ops/WholeWarp.h"

namespace qopt::emulator {
namespace {

using namespace numerics;

/// Inst::aux of products.
enum : uint32_t { Saturates = 1, OrderedMetadata = 2 };

/// Multiplies the registers of a, b and c, as the instruction has them.
using Product = void (*)(const uint32_t *const *sources,
                         uint32_t *const *results, bool saturating);

constexpr unsigned mostSources = 16, mostResults = 4;

struct Registers {
  const uint32_t *sources[mostSources];
  uint32_t *results[mostResults];

  Registers(Warp &warp, const Inst &inst) {
    for (unsigned i = 0; i < inst.sources; ++i)
      sources[i] = warp.lanes32(inst.source(i));
    for (unsigned i = 0; i < inst.destinations; ++i)
      results[i] = warp.lanes32(inst.destination(i));
  }
};

template <Product P> Step runDense(Warp &warp, const Inst &inst) {
  Registers registers(warp, inst);
  P(registers.sources, registers.results, inst.aux & Saturates);
  return Step::Next;
}

/// m = 8: the upper half of a product with m = 16, whose rest is zero. The
/// registers of a and b are one each.
template <Product P> Step runShort(Warp &warp, const Inst &inst) {
  Registers registers(warp, inst);
  const uint32_t zeros[lanes] = {};
  uint32_t rest[2][lanes];
  const uint32_t *const *from = registers.sources;
  const uint32_t *sources[] = {from[0], zeros, from[1], from[2],
                               from[3], zeros, zeros};
  uint32_t *results[] = {registers.results[0], registers.results[1], rest[0],
                         rest[1]};
  P(sources, results, inst.aux & Saturates);
  return Step::Next;
}

/// The first row and chunk whose metadata is not valid, as text; "" if all is.
template <int Bits, int K>
std::string wrongMetadata(const uint32_t *metadata, int selector,
                          bool ordered) {
  using Rows = SparseRows<Bits, K>;
  for (int row = 0; row < 16; ++row)
    for (int chunk = 0; chunk < Rows::chunks; ++chunk) {
      const unsigned code = Rows::code(metadata, selector, row, chunk);
      if (!Rows::isValid(code, ordered))
        return "the metadata of row " + std::to_string(row) + ", chunk " +
               std::to_string(chunk) + " is " + std::to_string(code) +
               (Bits == 32 ? "; expected 4 or 14"
                : ordered  ? "; expected two indices, the lower one first"
                           : "; expected two different indices");
    }
  return "";
}

/// K: of the whole A.
template <Product P, int Bits, int K>
Step runSparse(Warp &warp, const Inst &inst) {
  Registers registers(warp, inst);
  const int selector =
      int(inst.aux >> metadataLaneShift) / SparseRows<Bits, K>::metadataLanes;
  std::string wrong =
      wrongMetadata<Bits, K>(registers.sources[inst.sources - 1], selector,
                             inst.aux & OrderedMetadata);
  if (!wrong.empty() &&
      !warp.report(inst, FindingKind::InvalidUse, fullMask, wrong))
    return Step::Stopped;
  multiplySparse<Bits, K>(registers.sources, registers.results,
                          inst.destinations, selector,
                          [&](auto sources, auto results) {
                            P(sources, results, inst.aux & Saturates);
                          });
  return Step::Next;
}

/// f64: fused, one k after the other, each sum rounded.
template <int M, int K, Rounding R>
Step runDouble(Warp &warp, const Inst &inst) {
  constexpr int tall = M / 8, inB = tall * K / 4, inC = inB + K / 4;
  auto value = [&](int number, int lane) {
    return std::bit_cast<double>(
        warp.lanes64(inst.source(unsigned(number)))[lane]);
  };
  double sums[M][8];
  for (int row = 0; row < M; ++row)
    for (int column = 0; column < 8; ++column) {
      const FragmentPlace c = placeInC<1>(row, column);
      double &sum = sums[row][column] = value(inC + c.number, c.lane);
      for (int k = 0; k < K; ++k) {
        const FragmentPlace b = placeInB<1>(k, column);
        const int a = k / 4 * tall + row / 8;
        sum = fusedMultiplyAdd<R>(value(a, row % 8 * 4 + k % 4),
                                  value(inB + b.number, b.lane), sum);
      }
    }
  for (int row = 0; row < M; ++row)
    for (int column = 0; column < 8; ++column) {
      const FragmentPlace d = placeInC<1>(row, column);
      warp.lanes64(inst.destination(unsigned(d.number)))[d.lane] =
          std::bit_cast<uint64_t>(sums[row][column]);
    }
  return Step::Next;
}

/// Sum: float, or uint16_t for halves.
template <typename Format, int K, typename Sum>
void floatProduct(const uint32_t *const *sources, uint32_t *const *results,
                  bool) {
  if constexpr (K == 16 && std::is_same_v<Sum, float>)
    (std::is_same_v<Format, Float16>
         ? fragmentProducts().half
         : fragmentProducts().bfloat)(sources, results);
  else
    multiplyFragments<Format, K, Sum>(sources, results);
}

template <typename A, typename B, int K, typename Sum>
void fp8Product(const uint32_t *const *sources, uint32_t *const *results,
                bool) {
  multiplyFp8Fragments<A, B, K, Sum>(sources, results);
}

template <typename A, typename B, int Bits, int K>
void integerProduct(const uint32_t *const *sources, uint32_t *const *results,
                    bool saturating) {
  if constexpr (std::is_signed_v<A> && std::is_signed_v<B> && Bits == 8 &&
                K == 32)
    fragmentProducts().bytes(sources, results, saturating);
  else
    multiplyIntegerFragments<A, B, Bits, K>(sources, results, saturating);
}

template <BitOperation Operation, int K>
void bitProduct(const uint32_t *const *sources, uint32_t *const *results,
                bool) {
  multiplyBitFragments<Operation, K>(sources, results);
}

/// What a product is to be.
struct Request {
  MatrixShape shape;
  ptx::Type a = ptx::Type::None, b = ptx::Type::None;
  bool halfSums = false;
  bool sparse = false;

  /// Of A's registers.
  unsigned depth() const { return sparse ? shape.k / 2 : shape.k; }
};

/// K: of A's registers.
template <Product P, int Bits, int K> Handler handlerOf(const Request &wanted) {
  if (wanted.shape.m == 8)
    return K * Bits == 128 && !wanted.sparse ? &onWholeWarp<runShort<P>>
                                             : nullptr;
  return wanted.sparse ? &onWholeWarp<runSparse<P, Bits, 2 * K>>
                       : &onWholeWarp<runDense<P>>;
}

template <int Bits, int K> Handler integerHandler(const Request &wanted) {
  if (isSigned(wanted.a))
    return isSigned(wanted.b)
               ? handlerOf<integerProduct<int8_t, int8_t, Bits, K>, Bits, K>(
                     wanted)
               : handlerOf<integerProduct<int8_t, uint8_t, Bits, K>, Bits, K>(
                     wanted);
  return isSigned(wanted.b)
             ? handlerOf<integerProduct<uint8_t, int8_t, Bits, K>, Bits, K>(
                   wanted)
             : handlerOf<integerProduct<uint8_t, uint8_t, Bits, K>, Bits, K>(
                   wanted);
}

template <typename A, typename B> Handler fp8Handler(const Request &wanted) {
  auto ofDepth = [&]<typename Sum>(Sum) -> Handler {
    return wanted.depth() == 32
               ? handlerOf<fp8Product<A, B, 32, Sum>, 8, 32>(wanted)
           : wanted.depth() == 16
               ? handlerOf<fp8Product<A, B, 16, Sum>, 8, 16>(wanted)
               : nullptr;
  };
  return wanted.halfSums ? ofDepth(uint16_t()) : ofDepth(float());
}

template <typename A> Handler fp8Handler(const Request &wanted) {
  return wanted.b == ptx::Type::E4M3   ? fp8Handler<A, E4M3>(wanted)
         : wanted.b == ptx::Type::E5M2 ? fp8Handler<A, E5M2>(wanted)
                                       : nullptr;
}

template <typename Format, int K> Handler halfHandler(const Request &wanted) {
  if constexpr (std::is_same_v<Format, Float16>)
    if (wanted.halfSums)
      return handlerOf<floatProduct<Format, K, uint16_t>, 16, K>(wanted);
  return wanted.halfSums
             ? nullptr
             : handlerOf<floatProduct<Format, K, float>, 16, K>(wanted);
}

bool isByte(ptx::Type type) {
  return type == ptx::Type::S8 || type == ptx::Type::U8;
}
bool isNibble(ptx::Type type) {
  return type == ptx::Type::S4 || type == ptx::Type::U4;
}

Handler integerHandler(const Request &wanted) {
  const unsigned k = wanted.depth();
  if (isByte(wanted.a) && isByte(wanted.b))
    return k == 16   ? integerHandler<8, 16>(wanted)
           : k == 32 ? integerHandler<8, 32>(wanted)
                     : nullptr;
  if (isNibble(wanted.a) && isNibble(wanted.b))
    return k == 32   ? integerHandler<4, 32>(wanted)
           : k == 64 ? integerHandler<4, 64>(wanted)
                     : nullptr;
  return nullptr;
}

template <BitOperation Operation> Handler bitHandler(const Request &wanted) {
  return wanted.sparse ? nullptr
         : wanted.shape.k == 128
             ? handlerOf<bitProduct<Operation, 128>, 1, 128>(wanted)
         : wanted.shape.k == 256
             ? handlerOf<bitProduct<Operation, 256>, 1, 256>(wanted)
             : nullptr;
}

/// m8n8k128.….b1.b1.s32.and.popc
Handler bitHandler(const Decoder &decoder, const Request &wanted) {
  if (wanted.b != ptx::Type::B1 || !decoder.has("popc") ||
      decoder.has("satfinite") || decoder.has("and") == decoder.has("xor"))
    return nullptr;
  return decoder.has("and") ? bitHandler<BitOperation::And>(wanted)
                            : bitHandler<BitOperation::ExclusiveOr>(wanted);
}

Handler floatHandler(const Request &wanted) {
  const unsigned k = wanted.depth();
  if (wanted.shape.m != 16)
    return nullptr;
  if (wanted.a == ptx::Type::E4M3)
    return fp8Handler<E4M3>(wanted);
  if (wanted.a == ptx::Type::E5M2)
    return fp8Handler<E5M2>(wanted);
  if (wanted.a != wanted.b)
    return nullptr;
  switch (wanted.a) {
  case ptx::Type::F16:
    return k == 8    ? halfHandler<Float16, 8>(wanted)
           : k == 16 ? halfHandler<Float16, 16>(wanted)
                     : nullptr;
  case ptx::Type::BF16:
    return k == 8    ? halfHandler<Bfloat16, 8>(wanted)
           : k == 16 ? halfHandler<Bfloat16, 16>(wanted)
                     : nullptr;
  case ptx::Type::TF32:
    return wanted.halfSums ? nullptr
           : k == 4 ? handlerOf<floatProduct<Tf32, 4, float>, 32, 4>(wanted)
           : k == 8 ? handlerOf<floatProduct<Tf32, 8, float>, 32, 8>(wanted)
                    : nullptr;
  default:
    return nullptr;
  }
}

template <Rounding R> Handler doubleHandler(MatrixShape shape) {
  return shape == MatrixShape{8, 8, 4}     ? &onWholeWarp<runDouble<8, 4, R>>
         : shape == MatrixShape{16, 8, 4}  ? &onWholeWarp<runDouble<16, 4, R>>
         : shape == MatrixShape{16, 8, 8}  ? &onWholeWarp<runDouble<16, 8, R>>
         : shape == MatrixShape{16, 8, 16} ? &onWholeWarp<runDouble<16, 16, R>>
                                           : nullptr;
}

bool decodeDouble(Decoder &decoder, MatrixShape shape) {
  Handler handler = decoder.has("rz")   ? doubleHandler<Rounding::Zero>(shape)
                    : decoder.has("rm") ? doubleHandler<Rounding::Down>(shape)
                    : decoder.has("rp")
                        ? doubleHandler<Rounding::Up>(shape)
                        : doubleHandler<Rounding::NearestEven>(shape);
  if (!handler)
    return decoder.unknown();
  if (!decoder.expectOperands(4, 4) ||
      !decoder.destinations(decoder.operand(0), OperandType::Double))
    return false;
  for (unsigned i = 1; i < 4; ++i)
    if (!decoder.sources(decoder.operand(i), OperandType::Double))
      return false;
  const size_t sums = shape.m / 4;
  const size_t operands = size_t(shape.m + 8) * shape.k / 32;
  if (!decoder.hasCounts(sums, operands + sums))
    return decoder.fail("expected " + std::to_string(sums) +
                        " registers of sums and " + std::to_string(operands) +
                        " of operands");
  return decoder.emit(handler);
}

/// The metadata of mma.sp, and the selector of the lanes that have it.
bool decodeMetadata(Decoder &decoder, const Request &wanted) {
  const ptx::Operand &selector = decoder.operand(5);
  if (selector.kind != ptx::Operand::Immediate)
    return decoder.fail("expected the sparsity selector, a number");
  const unsigned bits = bitsOf(wanted.a);
  const unsigned chunk = bits == 4 ? 8 : bits == 32 ? 2 : 4;
  const unsigned selectors = 16 * chunk / wanted.shape.k;
  if (selector.bits >= selectors)
    return decoder.fail("the sparsity selector is " +
                        std::to_string(selector.bits) + "; expected 0 to " +
                        std::to_string(selectors - 1));
  const unsigned count = 4 / selectors;
  decoder.inst.aux |= uint32_t(selector.bits) * count << metadataLaneShift;
  decoder.inst.target = count;
  if (decoder.has("sp::ordered_metadata"))
    decoder.inst.aux |= OrderedMetadata;
  return decoder.source(decoder.operand(4), OperandType::Word);
}

/// mma.sync.aligned.mMn8kK.row.col.d.a.b.c; .sp has two operands more.
bool decodeMma(Decoder &decoder) {
  const ptx::Type d = decoder.type(0);
  Request wanted;
  wanted.shape = matrixShapeOf(decoder.instruction());
  wanted.a = decoder.type(1);
  wanted.b = decoder.type(2);
  wanted.halfSums = d == ptx::Type::F16;
  wanted.sparse = decoder.has("sp") || decoder.has("sp::ordered_metadata");
  if (wanted.shape.n != 8)
    return decoder.unknown();
  if (wanted.a == ptx::Type::F64 && !wanted.sparse)
    return decodeDouble(decoder, wanted.shape);
  if (wanted.a == ptx::Type::F16 && wanted.shape == MatrixShape{8, 8, 4})
    return decodeQuadPairs(decoder);
  const bool integers = isByte(wanted.a) || isNibble(wanted.a);
  Handler handler = wanted.a == ptx::Type::B1 ? bitHandler(decoder, wanted)
                    : integers                ? integerHandler(wanted)
                                              : floatHandler(wanted);
  if (!handler)
    return decoder.unknown();
  const size_t count = wanted.sparse ? 6 : 4;
  const OperandType sums =
      d == ptx::Type::F32 ? OperandType::Single : OperandType::Word;
  decoder.inst.aux = decoder.has("satfinite") ? uint32_t(Saturates) : 0;
  if (!decoder.expectOperands(count, count) ||
      !decoder.destinations(decoder.operand(0), sums) ||
      !decoder.sources(decoder.operand(1), OperandType::Word) ||
      !decoder.sources(decoder.operand(2), OperandType::Word) ||
      !decoder.sources(decoder.operand(3), sums))
    return false;
  const size_t registers = wanted.halfSums ? 2 : wanted.shape.m / 4;
  const size_t operands =
      size_t(wanted.shape.m * wanted.depth() + 8 * wanted.shape.k) *
      bitsOf(wanted.a) / (32 * lanes);
  if (!decoder.hasCounts(registers, operands + registers))
    return decoder.fail("expected " + std::to_string(registers) +
                        " registers of sums and " + std::to_string(operands) +
                        " of operands");
  if (wanted.sparse && !decodeMetadata(decoder, wanted))
    return false;
  return decoder.emit(handler);
}

} // namespace

void addMma(FamilyTable &table) { table["mma"] = &decodeMma; }

} // namespace qopt::emulator
