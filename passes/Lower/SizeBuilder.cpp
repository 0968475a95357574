// Finds for every symbol a tensor that has it as a size: function arguments
// first, then results of ops that shape inference does not look into. A sum of
// names ("past + sequence") determines one of them once the others are known.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Lower/SizeBuilder.h"

#include "dialects/Onnx/OnnxOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace qopt;

using onnx::DimSymbol;

SizeBuilder::SizeBuilder(func::FuncOp function, onnx::SymbolicShapes &shapes)
    : shapes(shapes) {
  SmallVector<Value> tensors(function.getArguments());
  function.walk([&](Operation *op) {
    if (!isa_and_present<onnx::OnnxDialect>(op->getDialect()))
      llvm::append_range(tensors, op->getResults());
  });
  // Bare names first, so that sums find the names they need.
  for (bool sums : {false, true})
    for (Value tensor : tensors)
      if (const onnx::TensorFacts *facts = shapes.lookup(tensor))
        for (auto [dim, expr] : llvm::enumerate(facts->dims))
          if (isa_and_present<AffineSymbolExpr>(expr) != sums)
            addSource(tensor, dim, expr);
}

/// Records `expr` as the source of the one symbol in it that has none, where
/// that symbol is a term of its own.
void SizeBuilder::addSource(Value tensor, unsigned dim, AffineExpr expr) {
  if (!expr || isa<AffineConstantExpr>(expr))
    return;
  AffineExpr rest = shapes.dims().constant(0);
  std::optional<unsigned> unknown;
  SmallVector<AffineExpr> terms{expr};
  while (!terms.empty()) {
    AffineExpr term = terms.pop_back_val();
    if (auto sum = dyn_cast<AffineBinaryOpExpr>(term);
        sum && sum.getKind() == AffineExprKind::Add) {
      terms.append({sum.getLHS(), sum.getRHS()});
      continue;
    }
    auto symbol = dyn_cast<AffineSymbolExpr>(term);
    if (symbol && shapes.dims().symbol(symbol.getPosition()).lhs)
      return; // it has a definition, which holds everywhere
    if (symbol && !sources.contains(symbol.getPosition()) && !unknown) {
      unknown = symbol.getPosition();
      continue;
    }
    bool isKnown = true;
    term.walk([&](AffineExpr part) {
      if (auto inner = dyn_cast<AffineSymbolExpr>(part))
        isKnown &= sources.contains(inner.getPosition());
    });
    if (!isKnown)
      return;
    rest = shapes.dims().add(rest, term);
  }
  if (unknown)
    sources.try_emplace(*unknown, Source{tensor, dim, rest});
}

OpFoldResult SizeBuilder::build(OpBuilder &builder, Location loc,
                                AffineExpr expr) {
  if (!expr)
    return {};
  if (std::optional<int64_t> value = onnx::constantValue(expr))
    return builder.getIndexAttr(*value);
  Value value = buildValue(builder, loc, expr);
  return value ? OpFoldResult(value) : OpFoldResult();
}

/// Whether `value` is there where the builder writes.
static bool isDefined(OpBuilder &builder, Value value) {
  Operation *source = value.getDefiningOp();
  Block *block = builder.getInsertionBlock();
  if (!source || source->getBlock() != block ||
      builder.getInsertionPoint() == block->end())
    return true;
  return source->isBeforeInBlock(&*builder.getInsertionPoint());
}

bool SizeBuilder::canBuild(OpBuilder &builder, AffineExpr expr) {
  if (!expr || isa<AffineConstantExpr>(expr))
    return expr != nullptr;
  if (auto binary = dyn_cast<AffineBinaryOpExpr>(expr))
    return canBuild(builder, binary.getLHS()) &&
           canBuild(builder, binary.getRHS());
  auto symbol = dyn_cast<AffineSymbolExpr>(expr);
  if (!symbol)
    return false;
  if (auto found = sources.find(symbol.getPosition()); found != sources.end()) {
    Value tensor = found->second.tensor;
    return isDefined(builder, current ? current(tensor) : tensor) &&
           canBuild(builder, found->second.rest);
  }
  DimSymbol definition = shapes.dims().symbol(symbol.getPosition());
  return canBuild(builder, definition.lhs) && canBuild(builder, definition.rhs);
}

Value SizeBuilder::buildValue(OpBuilder &builder, Location loc,
                              AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return arith::ConstantIndexOp::create(builder, loc, constant.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return buildSymbol(builder, loc, symbol.getPosition());
  if (auto binary = dyn_cast<AffineBinaryOpExpr>(expr))
    return buildBinary(builder, loc, binary);
  return {};
}

Value SizeBuilder::buildBinary(OpBuilder &builder, Location loc,
                               AffineBinaryOpExpr expr) {
  Value lhs = buildValue(builder, loc, expr.getLHS());
  Value rhs = buildValue(builder, loc, expr.getRHS());
  if (!lhs || !rhs)
    return {};
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return builder.createOrFold<arith::AddIOp>(loc, lhs, rhs);
  case AffineExprKind::Mul:
    return builder.createOrFold<arith::MulIOp>(loc, lhs, rhs);
  case AffineExprKind::FloorDiv:
    return builder.createOrFold<arith::FloorDivSIOp>(loc, lhs, rhs);
  case AffineExprKind::CeilDiv:
    return builder.createOrFold<arith::CeilDivSIOp>(loc, lhs, rhs);
  case AffineExprKind::Mod: {
    Value quotient = builder.createOrFold<arith::FloorDivSIOp>(loc, lhs, rhs);
    Value multiple = builder.createOrFold<arith::MulIOp>(loc, quotient, rhs);
    return builder.createOrFold<arith::SubIOp>(loc, lhs, multiple);
  }
  default:
    return {};
  }
}

Value SizeBuilder::buildSymbol(OpBuilder &builder, Location loc,
                               unsigned symbol) {
  if (auto source = sources.find(symbol); source != sources.end()) {
    Source found = source->second;
    Value tensor = current ? current(found.tensor) : found.tensor;
    if (!isDefined(builder, tensor))
      return {};
    Value size = builder.createOrFold<tensor::DimOp>(loc, tensor, found.dim);
    Value rest = buildValue(builder, loc, found.rest);
    if (!rest || matchPattern(rest, m_Zero()))
      return rest ? size : Value();
    return builder.createOrFold<arith::SubIOp>(loc, size, rest);
  }
  DimSymbol definition = shapes.dims().symbol(symbol);
  if (!definition.lhs || !definition.rhs)
    return {};
  Value lhs = buildValue(builder, loc, definition.lhs);
  Value rhs = buildValue(builder, loc, definition.rhs);
  if (!lhs || !rhs)
    return {};
  switch (definition.kind) {
  case DimSymbol::Kind::Minimum:
    return builder.createOrFold<arith::MinSIOp>(loc, lhs, rhs);
  case DimSymbol::Kind::Maximum:
    return builder.createOrFold<arith::MaxSIOp>(loc, lhs, rhs);
  case DimSymbol::Kind::Quotient:
    return builder.createOrFold<arith::FloorDivSIOp>(loc, lhs, rhs);
  default:
    return {};
  }
}
