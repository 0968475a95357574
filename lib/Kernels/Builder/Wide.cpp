// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Wide.h"

#include "dialects/Ptx/PtxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

template <typename OpTy, typename T> static T binary(T a, T b) {
  Kernel &k = *a.kernel;
  return {{&k, OpTy::create(k.builder(), k.loc(), a.value, b.value)}};
}

template <typename OpTy, typename Result, typename Source>
static Result convert(Source value, Type type) {
  Kernel &k = *value.kernel;
  return {{&k, OpTy::create(k.builder(), k.loc(), type, value.value)}};
}

static Type i32(Scalar value) { return value.kernel->builder().getI32Type(); }
static Type i64(Scalar value) { return value.kernel->builder().getI64Type(); }
static Type f64(Scalar value) { return value.kernel->builder().getF64Type(); }

// Integers --------------------------------------------------------------------

Long kernels::longConstant(Kernel &k, uint64_t value) {
  return {{&k, arith::ConstantIntOp::create(k.builder(), k.loc(),
                                            k.builder().getI64Type(),
                                            int64_t(value))}};
}

Long kernels::widen(Int value) {
  return convert<arith::ExtUIOp, Long>(value, i64(value));
}

Long kernels::join(Int low, Int high) {
  Kernel &k = *low.kernel;
  Value shifted = arith::ShLIOp::create(k.builder(), k.loc(), widen(high).value,
                                        longConstant(k, 32).value);
  return {{&k, arith::OrIOp::create(k.builder(), k.loc(), widen(low).value,
                                    shifted)}};
}

Int kernels::lowWord(Long value) {
  return convert<arith::TruncIOp, Int>(value, i32(value));
}

Int kernels::highWord(Long value) { return lowWord(value >> 32); }

Long kernels::operator+(Long a, Long b) { return binary<arith::AddIOp>(a, b); }
Long kernels::operator-(Long a, Long b) { return binary<arith::SubIOp>(a, b); }
Long kernels::operator*(Long a, Long b) { return binary<arith::MulIOp>(a, b); }
Long kernels::operator/(Long a, Long b) { return binary<arith::DivUIOp>(a, b); }

Long kernels::operator>>(Long a, int64_t bits) {
  return binary<arith::ShRUIOp>(a, longConstant(*a.kernel, uint64_t(bits)));
}

Flag kernels::operator<(Long a, Long b) {
  Kernel &k = *a.kernel;
  return {
      {&k, arith::CmpIOp::create(k.builder(), k.loc(),
                                 arith::CmpIPredicate::ult, a.value, b.value)}};
}

Long kernels::min(Long a, Long b) { return binary<arith::MinUIOp>(a, b); }
Long kernels::max(Long a, Long b) { return binary<arith::MaxUIOp>(a, b); }

Long kernels::select(Flag condition, Long a, Long b) {
  Kernel &k = *a.kernel;
  return {{&k, arith::SelectOp::create(k.builder(), k.loc(), condition.value,
                                       a.value, b.value)}};
}

// Numbers ---------------------------------------------------------------------

Double kernels::doubleConstant(Kernel &k, double value) {
  return {{&k, arith::ConstantOp::create(k.builder(), k.loc(),
                                         k.builder().getF64FloatAttr(value))}};
}

Double kernels::widen(Real value) {
  return convert<arith::ExtFOp, Double>(value, f64(value));
}
Double kernels::toDouble(Int value) {
  return convert<arith::UIToFPOp, Double>(value, f64(value));
}
Double kernels::toDouble(Long value) {
  return convert<arith::UIToFPOp, Double>(value, f64(value));
}
Real kernels::narrow(Double value) {
  return convert<arith::TruncFOp, Real>(value,
                                        value.kernel->builder().getF32Type());
}
Int kernels::toInt(Double value) {
  return convert<arith::FPToUIOp, Int>(value, i32(value));
}
Long kernels::toLong(Double value) {
  return convert<arith::FPToUIOp, Long>(value, i64(value));
}

Double kernels::operator+(Double a, Double b) {
  return binary<arith::AddFOp>(a, b);
}
Double kernels::operator-(Double a, Double b) {
  return binary<arith::SubFOp>(a, b);
}
Double kernels::operator*(Double a, Double b) {
  return binary<arith::MulFOp>(a, b);
}
Double kernels::operator/(Double a, Double b) {
  return binary<arith::DivFOp>(a, b);
}

Flag kernels::operator<(Double a, Double b) {
  Kernel &k = *a.kernel;
  return {
      {&k, arith::CmpFOp::create(k.builder(), k.loc(),
                                 arith::CmpFPredicate::OLT, a.value, b.value)}};
}

Double kernels::select(Flag condition, Double a, Double b) {
  Kernel &k = *a.kernel;
  return {{&k, arith::SelectOp::create(k.builder(), k.loc(), condition.value,
                                       a.value, b.value)}};
}

Double kernels::exponential(Double x) {
  Kernel &k = *x.kernel;
  return {{&k, math::ExpOp::create(k.builder(), k.loc(), x.value)}};
}

Double kernels::ceiling(Double x) {
  Kernel &k = *x.kernel;
  return {{&k, math::CeilOp::create(k.builder(), k.loc(), x.value)}};
}

Double kernels::floor(Double x) {
  Kernel &k = *x.kernel;
  return {{&k, math::FloorOp::create(k.builder(), k.loc(), x.value)}};
}

// Lanes and shared memory -----------------------------------------------------

static Long shuffle(Kernel &k, Long value, int operand, int clamp,
                    NVVM::ShflKind kind) {
  auto word = [&](Int part) -> Int {
    return {
        {&k, NVVM::ShflOp::create(k.builder(), k.loc(), part.value.getType(),
                                  k.constant(-1).value, part.value,
                                  k.constant(operand).value,
                                  k.constant(clamp).value, kind, UnitAttr())}};
  };
  return join(word(lowWord(value)), word(highWord(value)));
}

Long kernels::fromLaneBelow(Kernel &k, Long value, int distance) {
  return shuffle(k, value, distance, 0, NVVM::ShflKind::up);
}

Long kernels::fromLane(Kernel &k, Long value, int lane) {
  return shuffle(k, value, lane, 31, NVVM::ShflKind::idx);
}

Long kernels::loadSharedLong(Kernel &k, Int address, int64_t offset) {
  std::vector<Int> words = k.loadShared(address, offset, 2);
  return join(words[0], words[1]);
}

void kernels::storeSharedLong(Kernel &k, Int address, int64_t offset,
                              Long value) {
  k.storeShared(address, offset, {lowWord(value), highWord(value)});
}

static Value sharedPointer(Kernel &k, Int address) {
  auto type = LLVM::LLVMPointerType::get(k.builder().getContext(), 3);
  return LLVM::IntToPtrOp::create(k.builder(), k.loc(), type, address.value);
}

void kernels::addShared(Kernel &k, Int address, Long value) {
  ptx::RedOp::create(k.builder(), k.loc(), ptx::Update::add,
                     ptx::Order::relaxed, ptx::Scope::cta,
                     sharedPointer(k, address), value.value);
}

Int kernels::addShared(Kernel &k, Int address, Int value) {
  return {{&k, ptx::AtomOp::create(k.builder(), k.loc(), ptx::Update::add,
                                   ptx::Order::relaxed, ptx::Scope::cta,
                                   sharedPointer(k, address), value.value)}};
}
