// Weights of experts as generics over the scores: softmax, how many scores come
// before each, and what is left of the weights. There is no sort: E is small.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/GenericOps.h"

using namespace mlir;
using namespace qopt;
using Order = ScalarMath::Order;

namespace {
/// Regions are built by the same builder, which stands in them meanwhile.
class RouteWriter {
public:
  explicit RouteWriter(ir::RouteOp op)
      : op(op), b(op), loc(op.getLoc()), real(b.getF32Type()),
        sizes(tensor::getMixedSizes(b, loc, op.getScores())),
        rank(unsigned(sizes.size())) {}

  void write() {
    Value scores = op.getScores();
    Value most = buildGeneric(
        b, loc, {{scores}, {whole(), row()}, rows(), real, -HUGE_VAL},
        [](ScalarMath &math, ValueRange x) {
          return math.maximum({x[1]}, {x[0]});
        });
    Value powers = buildGeneric(
        b, loc, {{scores, most}, {whole(), row(), whole()}, sizes, real, {}},
        [](ScalarMath &math, ValueRange x) {
          return math.exp(math.subtract({x[0]}, {x[1]}));
        });
    Value kept = buildGeneric(
        b, loc,
        {{powers, places()}, {whole(), whole(), whole()}, sizes, real, {}},
        [&](ScalarMath &math, ValueRange x) {
          Value count = math.constant(real, double(op.getCount()));
          return math.select(math.compare(Order::Less, {x[1]}, {count}), x[0],
                             math.constant(real, 0));
        });
    Value sum = buildGeneric(b, loc,
                             {{op.getNormalized() ? kept : powers},
                              {whole(), row()},
                              rows(),
                              real,
                              0.0},
                             [](ScalarMath &math, ValueRange x) {
                               return math.add({x[1]}, {x[0]});
                             });
    Type element =
        cast<RankedTensorType>(op.getResult().getType()).getElementType();
    Value result = buildGeneric(
        b, loc, {{kept, sum}, {whole(), row(), whole()}, sizes, element, {}},
        [](ScalarMath &math, ValueRange x) {
          return math.divide({x[0]}, {x[1]});
        });
    if (result.getType() != op.getResult().getType())
      result = tensor::CastOp::create(b, loc, op.getResult().getType(), result);
    op.getResult().replaceAllUsesWith(result);
    op.erase();
  }

private:
  /// Of each score: how many of its row are larger, or equal and ahead of it.
  Value places() {
    SmallVector<AffineExpr> own, other;
    for (unsigned axis = 0; axis < rank; ++axis) {
      own.push_back(b.getAffineDimExpr(axis));
      other.push_back(b.getAffineDimExpr(axis + 1 == rank ? rank : axis));
    }
    auto map = [&](ArrayRef<AffineExpr> exprs) {
      return AffineMap::get(rank + 1, 0, exprs, b.getContext());
    };
    Value scores = op.getScores();
    return buildGeneric(
        b, loc,
        {{scores, scores}, {map(own), map(other), map(own)}, sizes, real, 0.0},
        [&](ScalarMath &math, ValueRange x) {
          auto index = [&](unsigned dim) -> Value {
            return linalg::IndexOp::create(b, loc, dim);
          };
          Value ahead =
              math.compare(Order::Less, {index(rank)}, {index(rank - 1)});
          Value ties = arith::AndIOp::create(
              b, loc, ahead, math.compare(Order::Equal, {x[1]}, {x[0]}));
          Value before = arith::OrIOp::create(
              b, loc, ties, math.compare(Order::Greater, {x[1]}, {x[0]}));
          return math.add({x[2]}, {math.select(before, math.constant(real, 1),
                                               math.constant(real, 0))});
        });
  }

  AffineMap whole() { return b.getMultiDimIdentityMap(rank); }
  AffineMap row() { return whole().dropResult(rank - 1); }
  SmallVector<OpFoldResult> rows() {
    return SmallVector<OpFoldResult>(ArrayRef(sizes).drop_back());
  }

  ir::RouteOp op;
  OpBuilder b;
  Location loc;
  Type real;
  SmallVector<OpFoldResult> sizes;
  unsigned rank;
};
} // namespace

void qopt::lowerRoute(ir::RouteOp op) { RouteWriter(op).write(); }
