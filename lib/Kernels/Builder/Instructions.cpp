// The instructions of the builder that have no operator: bits and conversions,
// products, warps, barriers, and what blocks and kernels say to each other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Kernel.h"

#include "dialects/Ptx/PtxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

// Bits and conversions --------------------------------------------------------

Int Kernel::lop3(Int a, Int b, Int c, uint8_t table) {
  return {{this, ptx::Lop3Op::create(opBuilder, location, a.value, b.value,
                                     c.value, table)}};
}

Int Kernel::prmt(Int a, Int b, Int selector) {
  return {{this, NVVM::PermuteOp::create(
                     opBuilder, location, opBuilder.getI32Type(), a.value,
                     b.value, selector.value, NVVM::PermuteMode::DEFAULT)}};
}

Int Kernel::prmt(Int a, Int b, uint32_t selector) {
  return prmt(a, b, constant(selector));
}

Int Kernel::bits(Real value) {
  return {
      {this, arith::BitcastOp::create(opBuilder, location,
                                      opBuilder.getI32Type(), value.value)}};
}

Real Kernel::asReal(Int bits) {
  return {{this, arith::BitcastOp::create(opBuilder, location,
                                          opBuilder.getF32Type(), bits.value)}};
}

static Value asPair(Kernel &kernel, Int word, Type type) {
  return LLVM::BitcastOp::create(kernel.builder(), kernel.loc(),
                                 VectorType::get(2, type), word.value);
}

static Real halfOf(Kernel &kernel, Int word, Type type, int64_t index) {
  OpBuilder &builder = kernel.builder();
  Value half = LLVM::ExtractElementOp::create(builder, kernel.loc(),
                                              asPair(kernel, word, type),
                                              kernel.constant(index).value);
  return {{&kernel, arith::ExtFOp::create(builder, kernel.loc(),
                                          builder.getF32Type(), half)}};
}

// A bf16 is the upper half of an f32.
Real Kernel::lowHalf(Int word, Type type) {
  return type.isBF16() ? asReal(word << 16) : halfOf(*this, word, type, 0);
}

Real Kernel::highHalf(Int word, Type type) {
  return type.isBF16() ? asReal(word & int64_t(int32_t(0xffff0000)))
                       : halfOf(*this, word, type, 1);
}

Int Kernel::packHalves(Real low, Real high, Type type) {
  Type pairType = VectorType::get(2, type);
  Value pair;
  if (type.isBF16())
    pair = NVVM::ConvertF32x2ToBF16x2Op::create(opBuilder, location, pairType,
                                                high.value, low.value, Value(),
                                                NVVM::FPRoundingMode::RN);
  else
    pair = NVVM::ConvertF32x2ToF16x2Op::create(opBuilder, location, pairType,
                                               high.value, low.value, Value(),
                                               NVVM::FPRoundingMode::RN);
  return {{this, LLVM::BitcastOp::create(opBuilder, location,
                                         opBuilder.getI32Type(), pair)}};
}

/// As a product with one, which every architecture has for both types.
Int Kernel::addHalves(Int a, Int b, Type type) {
  auto pairType = VectorType::get(2, type);
  Value one = arith::ConstantOp::create(
      opBuilder, location,
      DenseElementsAttr::get(pairType, opBuilder.getFloatAttr(type, 1.0)));
  Value sum = math::FmaOp::create(opBuilder, location, asPair(*this, a, type),
                                  one, asPair(*this, b, type));
  return {{this, LLVM::BitcastOp::create(opBuilder, location,
                                         opBuilder.getI32Type(), sum)}};
}

// Products and warps ----------------------------------------------------------

Accumulator Kernel::mma(Type type, std::array<Int, 4> a, std::array<Int, 2> b,
                        Accumulator c) {
  auto operand = [&](Int word) {
    return type.isBF16() ? word.value : asPair(*this, word, type);
  };
  SmallVector<Value> aWords, bWords, cValues;
  for (Int word : a)
    aWords.push_back(operand(word));
  for (Int word : b)
    bWords.push_back(operand(word));
  for (Real value : c)
    cValues.push_back(value.value);
  auto kind = type.isBF16() ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  Type result = LLVM::LLVMStructType::getLiteral(
      opBuilder.getContext(), SmallVector<Type>(4, opBuilder.getF32Type()));
  Value product = NVVM::MmaOp::create(
      opBuilder, location, result, aWords, bWords, cValues,
      ArrayRef<int64_t>{16, 8, 16}, std::nullopt, std::nullopt,
      std::array{kind, kind},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  Accumulator sums;
  for (int64_t i = 0; i < 4; ++i)
    sums[i] = {
        {this, LLVM::ExtractValueOp::create(opBuilder, location, product, i)}};
  return sums;
}

static Value shuffle(Kernel &kernel, Value value, int64_t operand,
                     NVVM::ShflKind kind) {
  return NVVM::ShflOp::create(kernel.builder(), kernel.loc(), value.getType(),
                              kernel.constant(-1).value, value,
                              kernel.constant(operand).value,
                              kernel.constant(31).value, kind, UnitAttr());
}

Real Kernel::addFromLane(Real value, int distance) {
  return value + Real{{this, shuffle(*this, value.value, distance,
                                     NVVM::ShflKind::bfly)}};
}

Int Kernel::fromLane(Int value, int lane) {
  return {{this, shuffle(*this, value.value, lane, NVVM::ShflKind::idx)}};
}

Real Kernel::reciprocalRoot(Real value) {
  return {{this, ptx::RsqrtOp::create(opBuilder, location, value.value)}};
}

void Kernel::syncWarp() {
  NVVM::SyncWarpOp::create(opBuilder, location, constant(-1).value);
}

void Kernel::syncThreads(int id, int threads) {
  NVVM::BarrierOp::create(opBuilder, location, TypeRange(), constant(id).value,
                          constant(threads).value, NVVM::BarrierReductionAttr(),
                          Value());
}

void Kernel::syncBlock() { NVVM::BarrierOp::create(opBuilder, location); }

// The dependency point and other blocks ---------------------------------------

static void gridDependency(Kernel &kernel, NVVM::GridDepActionKind kind) {
  if (kernel.target().features.dependentLaunch)
    NVVM::GriddepcontrolOp::create(kernel.builder(), kernel.loc(), kind);
}

void Kernel::waitForPredecessor() {
  gridDependency(*this, NVVM::GridDepActionKind::wait);
}

void Kernel::launchSuccessor() {
  gridDependency(*this, NVVM::GridDepActionKind::launch_dependents);
}

Int Kernel::arriveAt(Global counter, Int last) {
  return {{this, ptx::AtomOp::create(opBuilder, location, ptx::Update::inc,
                                     ptx::Order::acq_rel, ptx::Scope::gpu,
                                     counter.value, last.value)}};
}
