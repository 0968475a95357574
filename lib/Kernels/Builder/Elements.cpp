// Runs of elements and reductions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Elements.h"

#include "dialects/Ptx/PtxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

Type kernels::typeOf(Kernel &kernel, quant::ElementType type) {
  OpBuilder &builder = kernel.builder();
  if (type == quant::ElementType::F16)
    return builder.getF16Type();
  return type == quant::ElementType::BF16 ? Type(builder.getBF16Type())
                                          : Type(builder.getF32Type());
}

// Memory ----------------------------------------------------------------------

constexpr int widestWords = 4; // of one instruction

static int64_t bytesOf(Type type) { return type.getIntOrFloatBitWidth() / 8; }

Run kernels::loadRun(Kernel &kernel, Global address, Type type, int count) {
  if (count == 1)
    return {kernel.loadReal(address, type)};
  int words = int(count * bytesOf(type) / 4);
  Run run;
  for (int from = 0; from < words; from += widestWords) {
    unsigned piece = unsigned(std::min(words - from, widestWords));
    for (Int word : kernel.load(from ? address.at(from * 4) : address, piece)) {
      if (type.isF32()) {
        run.push_back(kernel.asReal(word));
        continue;
      }
      run.push_back(kernel.lowHalf(word, type));
      run.push_back(kernel.highHalf(word, type));
    }
  }
  return run;
}

void kernels::storeWords(Kernel &kernel, Global address, ArrayRef<Int> words) {
  OpBuilder &builder = kernel.builder();
  Value value = words.front().value;
  if (words.size() > 1) {
    auto type = VectorType::get(int64_t(words.size()), builder.getI32Type());
    value = LLVM::PoisonOp::create(builder, kernel.loc(), type);
    for (auto [index, word] : llvm::enumerate(words))
      value = LLVM::InsertElementOp::create(
          builder, kernel.loc(), value, word.value,
          kernel.constant(int64_t(index)).value);
  }
  LLVM::StoreOp::create(builder, kernel.loc(), value, address.value,
                        unsigned(words.size() * 4));
}

void kernels::storeRun(Kernel &kernel, Global address, const Run &run,
                       Type type) {
  if (run.size() == 1)
    return kernel.storeReal(address, run.front(), type);
  std::vector<Int> words;
  for (size_t i = 0; i < run.size(); i += type.isF32() ? 1 : 2)
    words.push_back(type.isF32() ? kernel.bits(run[i])
                                 : kernel.packHalves(run[i], run[i + 1], type));
  for (size_t from = 0; from < words.size(); from += widestWords)
    storeWords(
        kernel, from ? address.at(int64_t(from) * 4) : address,
        ArrayRef(words).slice(
            from, std::min<size_t>(words.size() - from, size_t(widestWords))));
}

Run kernels::roundRun(Kernel &kernel, const Run &run, Type type) {
  if (type.isF32())
    return run;
  OpBuilder &builder = kernel.builder();
  Run rounded;
  for (Real value : run) {
    Value narrow =
        arith::TruncFOp::create(builder, kernel.loc(), type, value.value);
    rounded.push_back(
        {{&kernel, arith::ExtFOp::create(builder, kernel.loc(),
                                         builder.getF32Type(), narrow)}});
  }
  return rounded;
}

Int kernels::loadBytes(Kernel &kernel, Global address, int bytes) {
  if (bytes == 4)
    return kernel.load(address, 1).front();
  OpBuilder &builder = kernel.builder();
  Value value = LLVM::LoadOp::create(
      builder, kernel.loc(), builder.getIntegerType(unsigned(bytes) * 8),
      address.value, unsigned(bytes));
  return {{&kernel, arith::ExtUIOp::create(builder, kernel.loc(),
                                           builder.getI32Type(), value)}};
}

void kernels::storeBytes(Kernel &kernel, Global address, Int word, int bytes) {
  OpBuilder &builder = kernel.builder();
  Value value = word.value;
  if (bytes < 4)
    value = arith::TruncIOp::create(builder, kernel.loc(),
                                    builder.getIntegerType(unsigned(bytes) * 8),
                                    value);
  LLVM::StoreOp::create(builder, kernel.loc(), value, address.value,
                        unsigned(bytes));
}

// Numbers ---------------------------------------------------------------------

/// As an intrinsic by name: the operation of arith would become a call.
static Real larger(Real a, Real b, StringRef intrinsic) {
  Kernel &k = *a.kernel;
  return {{&k, LLVM::CallIntrinsicOp::create(
                   k.builder(), k.loc(), a.value.getType(),
                   k.builder().getStringAttr(intrinsic),
                   ValueRange{a.value, b.value})
                   .getResult(0)}};
}

Real kernels::max(Real a, Real b) { return larger(a, b, "llvm.maxnum"); }
Real kernels::largest(Real a, Real b) { return larger(a, b, "llvm.maximum"); }

Real kernels::absolute(Real value) {
  Kernel &k = *value.kernel;
  return {{&k, math::AbsFOp::create(k.builder(), k.loc(), value.value)}};
}

Real kernels::operator/(Real a, Real b) {
  Kernel &k = *a.kernel;
  return {{&k, arith::DivFOp::create(k.builder(), k.loc(), a.value, b.value)}};
}

Real kernels::select(Flag condition, Real a, Real b) {
  Kernel &k = *a.kernel;
  return {{&k, arith::SelectOp::create(k.builder(), k.loc(), condition.value,
                                       a.value, b.value)}};
}

Flag kernels::operator>(Real a, Real b) {
  Kernel &k = *a.kernel;
  return {
      {&k, arith::CmpFOp::create(k.builder(), k.loc(),
                                 arith::CmpFPredicate::OGT, a.value, b.value)}};
}

Flag kernels::operator==(Real a, Real b) {
  Kernel &k = *a.kernel;
  return {
      {&k, arith::CmpFOp::create(k.builder(), k.loc(),
                                 arith::CmpFPredicate::OEQ, a.value, b.value)}};
}

Flag kernels::operator||(Flag a, Flag b) {
  Kernel &k = *a.kernel;
  return {{&k, arith::OrIOp::create(k.builder(), k.loc(), a.value, b.value)}};
}

Flag kernels::operator!(Flag a) {
  Kernel &k = *a.kernel;
  Value one = arith::ConstantIntOp::create(k.builder(), k.loc(),
                                           k.builder().getI1Type(), 1);
  return {{&k, arith::XOrIOp::create(k.builder(), k.loc(), a.value, one)}};
}

Flag kernels::belowUnsigned(Int a, Int b) {
  Kernel &k = *a.kernel;
  return {
      {&k, arith::CmpIOp::create(k.builder(), k.loc(),
                                 arith::CmpIPredicate::ult, a.value, b.value)}};
}

Real kernels::toReal(Int value) {
  Kernel &k = *value.kernel;
  return {{&k, arith::SIToFPOp::create(k.builder(), k.loc(),
                                       k.builder().getF32Type(), value.value)}};
}

Int kernels::shiftSigned(Int value, int64_t bits) {
  Kernel &k = *value.kernel;
  return {{&k, arith::ShRSIOp::create(k.builder(), k.loc(), value.value,
                                      k.constant(bits).value)}};
}

Int kernels::roundToInt(Real value) {
  Kernel &k = *value.kernel;
  return {{&k, ptx::CvtRniS32Op::create(k.builder(), k.loc(), value.value)}};
}

Real kernels::exp2(Real x) {
  Kernel &k = *x.kernel;
  return {{&k, ptx::Ex2Op::create(k.builder(), k.loc(), x.value)}};
}

Real kernels::reciprocal(Real x) {
  Kernel &k = *x.kernel;
  return {{&k, ptx::RcpOp::create(k.builder(), k.loc(), x.value)}};
}

CodeScale kernels::codeScaleOf(Real largest) {
  Kernel &k = *largest.kernel;
  Real step = largest / k.real(127);
  return {step, select(step > k.real(0), k.real(1) / step, k.real(0))};
}

std::vector<Int> kernels::encodeRun(Kernel &k, const Run &run, Real inverse) {
  std::vector<Int> words;
  for (size_t i = 0; i < run.size(); ++i) {
    // 1/scale of a subnormal scale may be infinite.
    Int code = max(min(roundToInt(run[i] * inverse), k.constant(127)),
                   k.constant(-127));
    Int byte = (code & 255) << int64_t(i % 4 * 8);
    if (i % 4 == 0)
      words.push_back(byte);
    else
      words.back() = words.back() | byte;
  }
  return words;
}

// Warps and blocks ------------------------------------------------------------

static Real combine(Real a, Real b, Reduction reduction) {
  switch (reduction) {
  case Reduction::Sum:
    return a + b;
  case Reduction::Max:
    return max(a, b);
  case Reduction::Largest:
    return largest(a, b);
  }
  llvm_unreachable("every reduction combines");
}

static Value shuffleAcross(Kernel &kernel, Value value, int distance) {
  return NVVM::ShflOp::create(
      kernel.builder(), kernel.loc(), value.getType(),
      kernel.constant(-1).value, value, kernel.constant(distance).value,
      kernel.constant(31).value, NVVM::ShflKind::bfly, UnitAttr());
}

Real kernels::fromLaneAcross(Kernel &kernel, Real value, int distance) {
  return {{&kernel, shuffleAcross(kernel, value.value, distance)}};
}

Int kernels::fromLaneAcross(Kernel &kernel, Int value, int distance) {
  return {{&kernel, shuffleAcross(kernel, value.value, distance)}};
}

Real kernels::reduceWarp(Kernel &kernel, Real value, Reduction reduction) {
  for (int distance = 16; distance > 0; distance /= 2)
    value = combine(value, fromLaneAcross(kernel, value, distance), reduction);
  return value;
}

Real kernels::reduceBlock(Kernel &kernel, Real value, Reduction reduction,
                          int warps) {
  value = reduceWarp(kernel, value, reduction);
  if (warps == 1)
    return value;
  Int scratch = kernel.shared(32 * 4);
  kernel.when(kernel.lane() == 0, [&] {
    kernel.storeSharedReal(scratch + kernel.warp() * 4, 0, value);
  });
  kernel.syncBlock();
  Int lane = kernel.lane();
  Real identity = kernel.real(reduction == Reduction::Sum ? 0 : -INFINITY);
  Kernel::Values part =
      kernel.when(lane < kernel.constant(warps), {identity.value},
                  [&](Kernel::Values) -> Kernel::Values {
                    return {kernel.loadSharedReal(scratch + lane * 4, 0).value};
                  });
  return reduceWarp(kernel, {{&kernel, part[0]}}, reduction);
}

Int kernels::sumWarp(Kernel &kernel, Int value) {
  return {{&kernel, NVVM::ReduxOp::create(kernel.builder(), kernel.loc(),
                                          kernel.builder().getI32Type(),
                                          value.value, NVVM::ReduxKind::ADD,
                                          kernel.constant(-1).value)}};
}
