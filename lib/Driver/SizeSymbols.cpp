// Interning and translation of size expressions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/SizeSymbols.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using qopt::plan::SymbolKind;

namespace qopt::driver {

uint32_t SizeSymbols::intern(const Key &key, StringRef name) {
  auto [entry, isNew] = known.try_emplace(key, symbols.size());
  if (isNew) {
    auto symbol = std::make_unique<plan::SymbolT>();
    std::tie(symbol->kind, symbol->lhs, symbol->rhs, symbol->value) = key;
    symbol->name = name.str();
    symbols.push_back(std::move(symbol));
  }
  return entry->second;
}

uint32_t SizeSymbols::constant(int64_t value) {
  return intern({SymbolKind::Const, 0, 0, value});
}

uint32_t SizeSymbols::inputDim(uint32_t input, uint32_t axis, StringRef name) {
  return intern({SymbolKind::InputDim, input, axis, 0}, name);
}

uint32_t SizeSymbols::batchSize(SymbolKind kind) {
  return intern({kind, 0, 0, 0});
}

std::optional<int64_t> SizeSymbols::constantValue(uint32_t symbol) const {
  if (symbols[symbol]->kind != SymbolKind::Const)
    return std::nullopt;
  return symbols[symbol]->value;
}

static int64_t fold(SymbolKind kind, int64_t a, int64_t b) {
  switch (kind) {
  case SymbolKind::Add:
    return a + b;
  case SymbolKind::Sub:
    return a - b;
  case SymbolKind::Mul:
    return a * b;
  case SymbolKind::FloorDiv:
    return llvm::divideFloorSigned(a, b);
  case SymbolKind::CeilDiv:
    return llvm::divideCeilSigned(a, b);
  case SymbolKind::Mod:
    return a - b * llvm::divideFloorSigned(a, b);
  case SymbolKind::Min:
    return std::min(a, b);
  default:
    return std::max(a, b);
  }
}

uint32_t SizeSymbols::binary(SymbolKind kind, uint32_t lhs, uint32_t rhs) {
  auto a = constantValue(lhs), b = constantValue(rhs);
  bool divides = kind == SymbolKind::FloorDiv || kind == SymbolKind::CeilDiv ||
                 kind == SymbolKind::Mod;
  if (a && b && !(divides && *b == 0))
    return constant(fold(kind, *a, *b));
  if (kind == SymbolKind::Mul && (a == 1 || b == 1))
    return a == 1 ? rhs : lhs;
  if (kind == SymbolKind::Add && (a == 0 || b == 0))
    return a == 0 ? rhs : lhs;
  if ((kind == SymbolKind::Sub && b == 0) ||
      (divides && b == 1 && kind != SymbolKind::Mod))
    return lhs;
  if ((kind == SymbolKind::Min || kind == SymbolKind::Max) && lhs == rhs)
    return lhs;
  return intern({kind, lhs, rhs, 0});
}

FailureOr<uint32_t> SizeSymbols::of(AffineExpr expression,
                                    ArrayRef<uint32_t> operands,
                                    unsigned dims) {
  if (auto number = dyn_cast<AffineConstantExpr>(expression))
    return constant(number.getValue());
  if (auto dim = dyn_cast<AffineDimExpr>(expression))
    return operands[dim.getPosition()];
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expression))
    return operands[dims + symbol.getPosition()];
  auto pair = cast<AffineBinaryOpExpr>(expression);
  FailureOr<uint32_t> lhs = of(pair.getLHS(), operands, dims);
  FailureOr<uint32_t> rhs = of(pair.getRHS(), operands, dims);
  if (failed(lhs) || failed(rhs))
    return failure();
  switch (expression.getKind()) {
  case AffineExprKind::Add:
    return binary(SymbolKind::Add, *lhs, *rhs);
  case AffineExprKind::Mul:
    return binary(SymbolKind::Mul, *lhs, *rhs);
  case AffineExprKind::Mod:
    return binary(SymbolKind::Mod, *lhs, *rhs);
  case AffineExprKind::FloorDiv:
    return binary(SymbolKind::FloorDiv, *lhs, *rhs);
  case AffineExprKind::CeilDiv:
    return binary(SymbolKind::CeilDiv, *lhs, *rhs);
  default:
    return failure();
  }
}

FailureOr<uint32_t> SizeSymbols::of(Value index) {
  llvm::APInt number;
  if (matchPattern(index, m_ConstantInt(&number)))
    return constant(number.getSExtValue());
  Operation *op = index.getDefiningOp();
  auto both = [&](SymbolKind kind) -> FailureOr<uint32_t> {
    FailureOr<uint32_t> lhs = of(op->getOperand(0)),
                        rhs = of(op->getOperand(1));
    if (failed(lhs) || failed(rhs))
      return failure();
    return binary(kind, *lhs, *rhs);
  };
  if (!op)
    return failure();
  using Result = FailureOr<uint32_t>;
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([&](tensor::DimOp dim) -> Result {
        auto axis = dim.getConstantIndex();
        return axis ? dimOf(dim.getSource(), *axis) : Result(failure());
      })
      .Case([&](ir::BatchDimOp dim) -> Result {
        return batchSize(dim.getWhich() == ir::BatchDim::Tokens
                             ? SymbolKind::Tokens
                             : SymbolKind::LogitRows);
      })
      .Case([&](affine::AffineApplyOp apply) -> Result {
        SmallVector<uint32_t> operands;
        for (Value operand : apply.getMapOperands()) {
          Result symbol = of(operand);
          if (failed(symbol))
            return failure();
          operands.push_back(*symbol);
        }
        AffineMap map = apply.getAffineMap();
        return of(map.getResult(0), operands, map.getNumDims());
      })
      .Case<arith::IndexCastOp, arith::ExtSIOp, arith::TruncIOp>(
          [&](Operation *cast) { return of(cast->getOperand(0)); })
      .Case([&](arith::AddIOp) { return both(SymbolKind::Add); })
      .Case([&](arith::SubIOp) { return both(SymbolKind::Sub); })
      .Case([&](arith::MulIOp) { return both(SymbolKind::Mul); })
      .Case([&](arith::FloorDivSIOp) { return both(SymbolKind::FloorDiv); })
      .Case([&](arith::CeilDivSIOp) { return both(SymbolKind::CeilDiv); })
      // Sizes are not negative, so that truncation is the floor.
      .Case<arith::DivSIOp, arith::DivUIOp>(
          [&](Operation *) { return both(SymbolKind::FloorDiv); })
      .Case<arith::RemSIOp, arith::RemUIOp>(
          [&](Operation *) { return both(SymbolKind::Mod); })
      .Case<arith::MinSIOp, arith::MinUIOp>(
          [&](Operation *) { return both(SymbolKind::Min); })
      .Case<arith::MaxSIOp, arith::MaxUIOp>(
          [&](Operation *) { return both(SymbolKind::Max); })
      .Default([](Operation *) -> Result { return failure(); });
}

} // namespace qopt::driver
