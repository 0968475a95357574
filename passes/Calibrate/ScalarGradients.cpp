// One rule an operation; x and z are its operands, y its result, g the gradient
// of y.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Calibrate/ScalarGradients.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

#include <numbers>

using namespace mlir;
using namespace qopt;

using Terms = SmallVector<Real>;

/// The rules of functions of one number: what g becomes.
static std::optional<Real> unaryGradient(Operation *op, Real x, Real y,
                                         Real g) {
  Real zero = g.constant(0);
  return llvm::TypeSwitch<Operation *, std::optional<Real>>(op)
      .Case([&](arith::NegFOp) { return -g; })
      .Case<arith::ExtFOp, arith::TruncFOp>([&](Operation *) {
        return Real{g.builder, g.loc, g.as(x.value.getType())};
      })
      .Case([&](math::ExpOp) { return g * y; })
      .Case([&](math::LogOp) { return g / x; })
      .Case([&](math::SqrtOp) { return g / (y + y); })
      .Case([&](math::RsqrtOp) { return -(g * y / (x + x)); })
      .Case([&](math::TanhOp) { return g * (1 - y * y); })
      .Case([&](math::ErfOp) {
        return g * exp(-(x * x)) * (2 * std::numbers::inv_sqrtpi);
      })
      .Case([&](math::SinOp) { return g * cos(x); })
      .Case([&](math::CosOp) { return -(g * sin(x)); })
      .Case([&](math::AbsFOp) {
        return selectGreater(x, x.constant(0), g,
                             selectGreater(x.constant(0), x, -g, zero));
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// The rules of functions of two numbers.
static std::optional<Terms> binaryGradients(Operation *op, Real x, Real z,
                                            Real y, Real g) {
  Real zero = g.constant(0);
  return llvm::TypeSwitch<Operation *, std::optional<Terms>>(op)
      .Case([&](arith::AddFOp) { return Terms{g, g}; })
      .Case([&](arith::SubFOp) { return Terms{g, -g}; })
      .Case([&](arith::MulFOp) { return Terms{g * z, g * x}; })
      .Case([&](arith::DivFOp) { return Terms{g / z, -(g * y / z)}; })
      .Case([&](math::PowFOp) {
        return Terms{g * z * power(x, z + -1.0), g * y * log(x)};
      })
      .Case<arith::MaximumFOp, arith::MaxNumFOp>([&](Operation *) {
        return Terms{selectGreater(x, z, g, zero),
                     selectGreater(x, z, zero, g)};
      })
      .Case<arith::MinimumFOp, arith::MinNumFOp>([&](Operation *) {
        return Terms{selectGreater(z, x, g, zero),
                     selectGreater(z, x, zero, g)};
      })
      .Default([](Operation *) { return std::nullopt; });
}

FailureOr<SmallVector<Value>> qopt::scalarGradients(Operation *op,
                                                    Real gradient) {
  auto real = [&](Value value) {
    return Real{gradient.builder, gradient.loc, value};
  };
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    auto choose = [&](Value a, Value b) -> Value {
      return arith::SelectOp::create(*gradient.builder, gradient.loc,
                                     select.getCondition(), a, b);
    };
    Value zero = gradient.constant(0).value;
    return SmallVector<Value>{Value(), choose(gradient.value, zero),
                              choose(zero, gradient.value)};
  }
  if (op->getNumResults() != 1)
    return failure();
  Real y = real(op->getResult(0));
  if (op->getNumOperands() == 1) {
    if (auto term = unaryGradient(op, real(op->getOperand(0)), y, gradient))
      return SmallVector<Value>{term->value};
  } else if (op->getNumOperands() == 2) {
    if (auto terms = binaryGradients(op, real(op->getOperand(0)),
                                     real(op->getOperand(1)), y, gradient))
      return SmallVector<Value>{(*terms)[0].value, (*terms)[1].value};
  }
  return failure();
}

/// The operations of a body whose results depend on one of its arguments
/// through real numbers.
static DenseSet<Operation *> dependents(Block &body, unsigned argument) {
  DenseSet<Value> real{body.getArgument(argument)};
  DenseSet<Operation *> found;
  for (Operation &op : body.without_terminator()) {
    if (llvm::none_of(op.getOperands(),
                      [&](Value operand) { return real.contains(operand); }))
      continue;
    for (Value result : op.getResults())
      if (isa<FloatType>(result.getType())) {
        real.insert(result);
        found.insert(&op);
      }
  }
  return found;
}

Value qopt::bodyGradient(Block &body, unsigned argument, Real gradient,
                         IRMapping &mapping, Operation *&obstacle) {
  DenseSet<Operation *> active = dependents(body, argument);
  for (Operation &op : body.without_terminator())
    gradient.builder->clone(op, mapping);
  DenseMap<Value, Real> gradients;
  auto add = [&](Value value, Value term) {
    Real next{gradient.builder, gradient.loc, term};
    auto [place, isNew] = gradients.try_emplace(value, next);
    if (!isNew)
      place->second = place->second + next;
  };
  add(body.getTerminator()->getOperand(0), gradient.value);
  for (Operation &op : llvm::reverse(body.without_terminator())) {
    auto arrived = active.contains(&op) ? gradients.find(op.getResult(0))
                                        : gradients.end();
    if (arrived == gradients.end())
      continue;
    auto terms = scalarGradients(
        mapping.lookup(op.getResult(0)).getDefiningOp(), arrived->second);
    if (failed(terms)) {
      obstacle = &op;
      return {};
    }
    for (auto [operand, term] : llvm::zip(op.getOperands(), *terms))
      if (term)
        add(operand, term);
  }
  auto found = gradients.find(body.getArgument(argument));
  return found == gradients.end() ? gradient.constant(0).value
                                  : found->second.value;
}
