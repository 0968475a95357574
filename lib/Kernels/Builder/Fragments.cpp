// Asynchronous copies, matrices from shared memory and approximations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fragments.h"

#include "dialects/Ptx/PtxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

static Value sharedPointer(Int address) {
  Kernel &kernel = *address.kernel;
  auto type =
      LLVM::LLVMPointerType::get(kernel.builder().getContext(), /*space=*/3);
  return LLVM::IntToPtrOp::create(kernel.builder(), kernel.loc(), type,
                                  address.value);
}

// Copies ----------------------------------------------------------------------

void kernels::copyAsync(Int destination, Global source, Int present,
                        unsigned bytes) {
  Kernel &kernel = *destination.kernel;
  ptx::CpAsyncOp::create(kernel.builder(), kernel.loc(),
                         sharedPointer(destination), source.value,
                         present.value, Value(), bytes);
}

void kernels::commitCopies(Kernel &kernel) {
  NVVM::CpAsyncCommitGroupOp::create(kernel.builder(), kernel.loc());
}

void kernels::waitForCopies(Kernel &kernel, unsigned pending) {
  NVVM::CpAsyncWaitGroupOp::create(kernel.builder(), kernel.loc(), pending);
}

// Fragments -------------------------------------------------------------------

std::vector<Int> kernels::loadTransposed(Int address, unsigned count) {
  Kernel &kernel = *address.kernel;
  OpBuilder &builder = kernel.builder();
  Type word = builder.getI32Type();
  Type type = count == 1
                  ? word
                  : Type(LLVM::LLVMStructType::getLiteral(
                        builder.getContext(), SmallVector<Type>(count, word)));
  auto shape = NVVM::LdStMatrixShapeAttr::get(builder.getContext(), 8, 8);
  Value loaded = NVVM::LdMatrixOp::create(
      builder, kernel.loc(), type, sharedPointer(address), count,
      NVVM::MMALayout::col, shape, NVVM::LdStMatrixEltType::B16);
  if (count == 1)
    return {{{&kernel, loaded}}};
  std::vector<Int> words;
  words.reserve(count);
  for (int64_t i = 0; i < count; ++i)
    words.push_back({{&kernel, LLVM::ExtractValueOp::create(
                                   builder, kernel.loc(), loaded, i)}});
  return words;
}

static Int fmaPairs(Int a, Value b, Value c, Type type) {
  Kernel &kernel = *a.kernel;
  OpBuilder &builder = kernel.builder();
  Value halves = LLVM::BitcastOp::create(builder, kernel.loc(),
                                         VectorType::get(2, type), a.value);
  Value result = math::FmaOp::create(builder, kernel.loc(), halves, b, c);
  return {{&kernel, LLVM::BitcastOp::create(builder, kernel.loc(),
                                            builder.getI32Type(), result)}};
}

static Value constantPair(Kernel &kernel, double value, Type type) {
  OpBuilder &builder = kernel.builder();
  return arith::ConstantOp::create(
      builder, kernel.loc(),
      DenseElementsAttr::get(VectorType::get(2, type),
                             builder.getFloatAttr(type, value)));
}

static Value pairOf(Int word, Type type) {
  return LLVM::BitcastOp::create(word.kernel->builder(), word.kernel->loc(),
                                 VectorType::get(2, type), word.value);
}

Int kernels::fmaHalves(Int a, double b, double c, Type type) {
  return fmaPairs(a, constantPair(*a.kernel, b, type),
                  constantPair(*a.kernel, c, type), type);
}

Int kernels::fmaHalves(Int a, Int b, Int c, Type type) {
  return fmaPairs(a, pairOf(b, type), pairOf(c, type), type);
}

/// As a product plus −0, which every architecture has for both types.
Int kernels::mulHalves(Int a, Int b, Type type) {
  return fmaPairs(a, pairOf(b, type), constantPair(*a.kernel, -0.0, type),
                  type);
}

static Value negative(Kernel &kernel, Value halves) {
  return arith::NegFOp::create(kernel.builder(), kernel.loc(), halves);
}

std::array<Int, 2> kernels::exactProduct(Int a, Int b, Type type) {
  Int product = mulHalves(a, b, type);
  Value rounded = negative(*a.kernel, pairOf(product, type));
  return {product, fmaPairs(a, pairOf(b, type), rounded, type)};
}

Int kernels::negateHalves(Int a, Type type) {
  Kernel &kernel = *a.kernel;
  Value result = negative(kernel, pairOf(a, type));
  return {{&kernel,
           LLVM::BitcastOp::create(kernel.builder(), kernel.loc(),
                                   kernel.builder().getI32Type(), result)}};
}

Int kernels::bothHalves(Real value, Type type) {
  return value.kernel->packHalves(value, value, type);
}

Int kernels::bothHalves(Kernel &kernel, double value, Type type) {
  APFloat half = kernel.builder().getFloatAttr(type, value).getValue();
  auto bits = uint32_t(half.bitcastToAPInt().getZExtValue());
  return kernel.constant(int32_t(bits | bits << 16));
}

static IntAccumulator multiplyBytes(std::array<Int, 4> a, std::array<Int, 2> b,
                                    IntAccumulator c, NVVM::MMATypes ofB) {
  Kernel &kernel = *c[0].kernel;
  OpBuilder &builder = kernel.builder();
  auto values = [](ArrayRef<Int> words) {
    return llvm::map_to_vector(words, [](Int word) { return word.value; });
  };
  Type result = LLVM::LLVMStructType::getLiteral(
      builder.getContext(), SmallVector<Type>(4, builder.getI32Type()));
  Value product = NVVM::MmaOp::create(
      builder, kernel.loc(), result, values(a), values(b), values(c),
      ArrayRef<int64_t>{16, 8, 32}, std::nullopt, NVVM::MMAIntOverflow::wrapped,
      std::array{NVVM::MMATypes::s8, ofB},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  IntAccumulator sums;
  for (int64_t i = 0; i < 4; ++i)
    sums[i] = {{&kernel, LLVM::ExtractValueOp::create(builder, kernel.loc(),
                                                      product, i)}};
  return sums;
}

IntAccumulator kernels::mmaInt8(std::array<Int, 4> a, std::array<Int, 2> b,
                                IntAccumulator c) {
  return multiplyBytes(a, b, c, NVVM::MMATypes::s8);
}

IntAccumulator kernels::mmaBytes(std::array<Int, 4> a, std::array<Int, 2> b,
                                 IntAccumulator c) {
  return multiplyBytes(a, b, c, NVVM::MMATypes::u8);
}

Accumulator kernels::mmaTf32(std::array<Real, 4> a, std::array<Real, 2> b,
                             Accumulator c) {
  Kernel &kernel = *c[0].kernel;
  OpBuilder &builder = kernel.builder();
  auto words = [&](ArrayRef<Real> values) {
    return llvm::map_to_vector(
        values, [&](Real value) { return kernel.bits(value).value; });
  };
  SmallVector<Value> sums =
      llvm::map_to_vector(c, [](Real value) { return value.value; });
  Type result = LLVM::LLVMStructType::getLiteral(
      builder.getContext(), SmallVector<Type>(4, builder.getF32Type()));
  Value product = NVVM::MmaOp::create(
      builder, kernel.loc(), result, words(a), words(b), sums,
      ArrayRef<int64_t>{16, 8, 8}, std::nullopt, std::nullopt,
      std::array{NVVM::MMATypes::tf32, NVVM::MMATypes::tf32},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  for (int64_t i = 0; i < 4; ++i)
    c[i] = {{&kernel,
             LLVM::ExtractValueOp::create(builder, kernel.loc(), product, i)}};
  return c;
}

std::array<Real, 2> kernels::splitTf32(Real value) {
  Kernel &kernel = *value.kernel;
  Real upper = kernel.asReal(kernel.bits(value) & int64_t(int32_t(0xffffe000)));
  return {upper, value - upper};
}

// Numbers ---------------------------------------------------------------------

Real kernels::maxFromLane(Real value, int distance) {
  Kernel &kernel = *value.kernel;
  Value other = NVVM::ShflOp::create(
      kernel.builder(), kernel.loc(), value.value.getType(),
      kernel.constant(-1).value, value.value, kernel.constant(distance).value,
      kernel.constant(31).value, NVVM::ShflKind::bfly, UnitAttr());
  return max(value, Real{{&kernel, other}});
}

Flag kernels::operator<(Real a, Real b) {
  Kernel &kernel = *a.kernel;
  return {{&kernel,
           arith::CmpFOp::create(kernel.builder(), kernel.loc(),
                                 arith::CmpFPredicate::OLT, a.value, b.value)}};
}

// Blocks ----------------------------------------------------------------------

template <typename OpTy> static Int special(Kernel &kernel) {
  return {{&kernel, OpTy::create(kernel.builder(), kernel.loc(),
                                 kernel.builder().getI32Type())}};
}

Int kernels::blockY(Kernel &kernel) {
  return special<NVVM::BlockIdYOp>(kernel);
}
Int kernels::blockZ(Kernel &kernel) {
  return special<NVVM::BlockIdZOp>(kernel);
}
Int kernels::blocksX(Kernel &kernel) {
  return special<NVVM::GridDimXOp>(kernel);
}
Int kernels::blocksY(Kernel &kernel) {
  return special<NVVM::GridDimYOp>(kernel);
}
