// fp8 by conversion instructions, or by moving bits: a code's exponent and
// fraction stand in a wider number as they are, and one product sets right what
// the exponent is too small by, exactly, subnormals included.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fp8.h"
#include "lib/Kernels/Builder/Fragments.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

constexpr uint8_t andOr = 0xEA; // (a & b) | c
constexpr int64_t signs = int64_t(int32_t(0x80008000));

/// The codes in the lowest two bytes, by one instruction.
static Int convertPair(Kernel &k, Int word) {
  OpBuilder &builder = k.builder();
  Value low = arith::TruncIOp::create(builder, k.loc(), builder.getI16Type(),
                                      word.value);
  Value codes = LLVM::BitcastOp::create(
      builder, k.loc(), VectorType::get(2, builder.getI8Type()), low);
  Value halves = NVVM::ConvertF8x2ToF16x2Op::create(
      builder, k.loc(), VectorType::get(2, builder.getF16Type()), codes,
      /*relu=*/false, Float8E4M3FNType::get(builder.getContext()));
  return {{&k, LLVM::BitcastOp::create(builder, k.loc(), builder.getI32Type(),
                                       halves)}};
}

/// The codes in bytes 1 and 3. f16 has one bit of exponent more than e4m3, and
/// its exponents are 8 larger; bf16 has four more, and 120.
static Int moveBits(Kernel &k, Int word, Type type) {
  bool bf16 = type.isBF16();
  Int moved =
      k.lop3(word >> int64_t(bf16 ? 4 : 1),
             k.constant(bf16 ? 0x07f007f0 : 0x3f803f80), word & signs, andOr);
  return fmaHalves(moved, bf16 ? 0x1p120 : 0x1p8, -0.0, type);
}

/// The codes of a word in bytes 1 and 3 of two, whose other bytes are zero or
/// other codes.
static std::array<Int, 2> upperBytes(Kernel &k, Int word, BytePairs pairs) {
  if (pairs == BytePairs::EveryOther)
    return {word << 8, word};
  Int zero = k.constant(0);
  return {k.prmt(word, zero, 0x1404), k.prmt(word, zero, 0x3424)};
}

std::array<Int, 2> kernels::unpackE4m3(Kernel &k, Int word, Type type,
                                       BytePairs pairs) {
  bool neighbours = pairs == BytePairs::Neighbours;
  Int zero = k.constant(0);
  if (type.isF16() && k.target().features.fp8Convert) {
    if (!neighbours)
      word = k.prmt(word, zero, 0x3120);
    return {convertPair(k, word), convertPair(k, word >> 16)};
  }
  std::array<Int, 2> words = upperBytes(k, word, pairs);
  return {moveBits(k, words[0], type), moveBits(k, words[1], type)};
}

/// e5m2 is the upper half of f16; its exponents are 112 larger in bf16.
static Int moveE5m2(Kernel &k, Int word, Type type) {
  if (type.isF16())
    return word;
  Int moved =
      k.lop3(word >> int64_t(3), k.constant(0x0fe00fe0), word & signs, andOr);
  return fmaHalves(moved, 0x1p112, -0.0, type);
}

std::array<Int, 2> kernels::unpackFp8(Kernel &k, Int word,
                                      quant::ElementType element, Type type,
                                      BytePairs pairs) {
  if (element == quant::ElementType::Fp8E4m3)
    return unpackE4m3(k, word, type, pairs);
  std::array<Int, 2> words = upperBytes(k, word, pairs);
  return {moveE5m2(k, words[0], type), moveE5m2(k, words[1], type)};
}

Real kernels::fp8ToReal(Int code, quant::ElementType element) {
  Kernel &k = *code.kernel;
  bool e4m3 = element == quant::ElementType::Fp8E4m3;
  Real magnitude = k.asReal((code & 0x7f) << int64_t(e4m3 ? 20 : 21)) *
                   (e4m3 ? 0x1p120 : 0x1p112);
  return k.asReal(k.bits(magnitude) | (code & 0x80) << 24);
}

Real kernels::e4m3ToReal(Int code) {
  return fp8ToReal(code, quant::ElementType::Fp8E4m3);
}

/// As floatToE4m3.
static Int packByBits(Real value) {
  Kernel &k = *value.kernel;
  Int bits = k.bits(value);
  Int magnitude = min(bits & 0x7fffffff, k.constant(0x43e00000));
  Int odd = (magnitude >> 20) & 1;
  Int normal = (magnitude - (0x3c000000 - 0x7ffff) + odd) >> 20;
  Int subnormal =
      k.bits(k.asReal(magnitude) + k.real(0x1p14)) - int64_t(0x46800000);
  return select(magnitude < 0x3c800000, subnormal, normal) |
         ((bits >> 24) & 0x80);
}

Int kernels::packE4m3(Real first, Real second) {
  Kernel &k = *first.kernel;
  if (!k.target().features.fp8Convert)
    return packByBits(first) | packByBits(second) << 8;
  OpBuilder &builder = k.builder();
  Value codes = NVVM::ConvertF32x2ToF8x2Op::create(
      builder, k.loc(), builder.getI16Type(), second.value, first.value,
      NVVM::FPRoundingMode::RN, NVVM::SaturationMode::SATFINITE,
      /*relu=*/false, Float8E4M3FNType::get(builder.getContext()));
  return {{&k, arith::ExtUIOp::create(builder, k.loc(), builder.getI32Type(),
                                      codes)}};
}
