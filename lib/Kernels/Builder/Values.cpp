// Operators of the builder's values as arith operations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Values.h"
#include "lib/Kernels/Builder/Kernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace qopt::kernels;

std::optional<int64_t> Int::constant() const {
  llvm::APInt number;
  if (matchPattern(value, m_ConstantInt(&number)))
    return number.getSExtValue();
  return std::nullopt;
}

template <typename OpTy, typename Result, typename A>
static Result binary(A a, A b) {
  Kernel &kernel = *a.kernel;
  return {{&kernel, kernel.builder().createOrFold<OpTy>(kernel.loc(), a.value,
                                                        b.value)}};
}

#define QOPT_INT_OPERATOR(symbol, OpTy)                                        \
  Int qopt::kernels::operator symbol(Int a, Int b) {                           \
    return binary<OpTy, Int>(a, b);                                            \
  }                                                                            \
  Int qopt::kernels::operator symbol(Int a, int64_t b) {                       \
    return a symbol a.kernel->constant(b);                                     \
  }
QOPT_INT_OPERATOR(+, arith::AddIOp)
QOPT_INT_OPERATOR(-, arith::SubIOp)
QOPT_INT_OPERATOR(*, arith::MulIOp)
QOPT_INT_OPERATOR(/, arith::DivUIOp)
QOPT_INT_OPERATOR(%, arith::RemUIOp)
QOPT_INT_OPERATOR(&, arith::AndIOp)
QOPT_INT_OPERATOR(|, arith::OrIOp)
QOPT_INT_OPERATOR(^, arith::XOrIOp)
QOPT_INT_OPERATOR(<<, arith::ShLIOp)
QOPT_INT_OPERATOR(>>, arith::ShRUIOp)
#undef QOPT_INT_OPERATOR

static Flag compare(arith::CmpIPredicate predicate, Int a, Int b) {
  Kernel &kernel = *a.kernel;
  return {{&kernel, kernel.builder().createOrFold<arith::CmpIOp>(
                        kernel.loc(), predicate, a.value, b.value)}};
}

Flag qopt::kernels::operator<(Int a, Int b) {
  return compare(arith::CmpIPredicate::slt, a, b);
}
Flag qopt::kernels::operator==(Int a, Int b) {
  return compare(arith::CmpIPredicate::eq, a, b);
}
Flag qopt::kernels::operator<(Int a, int64_t b) {
  return a < a.kernel->constant(b);
}
Flag qopt::kernels::operator>=(Int a, int64_t b) {
  return compare(arith::CmpIPredicate::sge, a, a.kernel->constant(b));
}
Flag qopt::kernels::operator==(Int a, int64_t b) {
  return a == a.kernel->constant(b);
}
Flag qopt::kernels::operator&&(Flag a, Flag b) {
  return binary<arith::AndIOp, Flag>(a, b);
}
Int qopt::kernels::min(Int a, Int b) {
  return binary<arith::MinSIOp, Int>(a, b);
}
Int qopt::kernels::max(Int a, Int b) {
  return binary<arith::MaxSIOp, Int>(a, b);
}
Int qopt::kernels::select(Flag condition, Int a, Int b) {
  Kernel &kernel = *a.kernel;
  return {{&kernel, kernel.builder().createOrFold<arith::SelectOp>(
                        kernel.loc(), condition.value, a.value, b.value)}};
}

Real qopt::kernels::operator+(Real a, Real b) {
  return binary<arith::AddFOp, Real>(a, b);
}
Real qopt::kernels::operator-(Real a, Real b) {
  return binary<arith::SubFOp, Real>(a, b);
}
Real qopt::kernels::operator*(Real a, Real b) {
  return binary<arith::MulFOp, Real>(a, b);
}
Real qopt::kernels::operator*(Real a, double b) {
  return a * a.kernel->real(b);
}
Real qopt::kernels::fma(Real a, Real b, Real c) {
  Kernel &kernel = *a.kernel;
  return {{&kernel, math::FmaOp::create(kernel.builder(), kernel.loc(), a.value,
                                        b.value, c.value)}};
}
