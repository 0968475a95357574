// Attention as seven generics: scores, their masking, the largest of each row,
// exponentials, their sum, the sum of values, and the division. A row that
// hides everything has the sum 0 and gives 0.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/GenericOps.h"

#include <limits>

using namespace mlir;
using namespace qopt;
using Order = ScalarMath::Order;

constexpr double hidden = -std::numeric_limits<double>::infinity();

Value qopt::buildGeneric(OpBuilder &b, Location loc, const GenericSpec &spec,
                         GenericBody body) {
  Value init = tensor::EmptyOp::create(b, loc, spec.sizes, spec.type);
  if (spec.start) {
    Value start = ScalarMath(b, loc).constant(spec.type, *spec.start);
    init = linalg::FillOp::create(b, loc, start, init).getResult(0);
  }
  AffineMap to = spec.maps.back();
  SmallVector<utils::IteratorType> kinds(to.getNumDims(),
                                         utils::IteratorType::reduction);
  for (AffineExpr dim : to.getResults())
    kinds[cast<AffineDimExpr>(dim).getPosition()] =
        utils::IteratorType::parallel;
  return linalg::GenericOp::create(
             b, loc, init.getType(), spec.operands, init, spec.maps, kinds,
             [&](OpBuilder &inner, Location, ValueRange elements) {
               ScalarMath math(inner, loc);
               SmallVector<Value> wide;
               for (Value element : elements.drop_back())
                 wide.push_back(math.widen({element}).value);
               wide.push_back(elements.back());
               Value value = math.convert({body(math, wide)}, spec.type);
               linalg::YieldOp::create(inner, loc, value);
             })
      .getResult(0);
}

namespace {
/// The generics of one attention, in dimensions b, h, i, j and one of a head.
/// Regions are built by the same builder, which stands in them meanwhile.
class AttentionWriter {
public:
  explicit AttentionWriter(ir::AttentionOp op)
      : op(op), b(op), loc(op.getLoc()), real(b.getF32Type()) {
    for (int64_t axis : {0, 2, 1})
      grid.push_back(tensor::getMixedSize(b, loc, op.getQ(), axis));
    grid.push_back(tensor::getMixedSize(b, loc, op.getK(), 2));
    if (op.getMask())
      maskSizes = tensor::getMixedSizes(b, loc, op.getMask());
    auto heads = [](Value tensor, int64_t axis) {
      return cast<RankedTensorType>(tensor.getType()).getDimSize(axis);
    };
    sharing = heads(op.getQ(), 2) / heads(op.getK(), 1);
  }

  void write() {
    Value scores = mask(product());
    Value largest =
        buildGeneric(b, loc, {{scores}, {whole(), row()}, rows(), real, hidden},
                     [](ScalarMath &math, ValueRange x) {
                       return math.maximum({x[1]}, {x[0]});
                     });
    Value weights = buildGeneric(
        b, loc, {{scores, largest}, {whole(), row(), whole()}, grid, real, {}},
        [](ScalarMath &math, ValueRange x) {
          Value zero = math.constant(x[0].getType(), 0);
          Value none = math.constant(x[0].getType(), hidden);
          Value hides = math.compare(Order::Equal, {x[0]}, {none});
          return math.select(hides, zero,
                             math.exp(math.subtract({x[0]}, {x[1]})));
        });
    Value sum =
        buildGeneric(b, loc, {{weights}, {whole(), row()}, rows(), real, 0.0},
                     [](ScalarMath &math, ValueRange x) {
                       return math.add({x[1]}, {x[0]});
                     });
    finish(divide(weightedValues(weights), sum));
  }

private:
  AffineExpr dim(unsigned position) { return b.getAffineDimExpr(position); }
  AffineMap map(unsigned dims, ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(dims, 0, exprs, op.getContext());
  }
  /// Of [B, H, S, T], and of its rows.
  AffineMap whole() { return b.getMultiDimIdentityMap(4); }
  AffineMap row() { return map(4, {dim(0), dim(1), dim(2)}); }
  SmallVector<OpFoldResult> rows() {
    return SmallVector<OpFoldResult>(ArrayRef(grid).drop_back());
  }

  /// Dimensions b, h, i, j, d.
  Value product() {
    AffineMap q = map(5, {dim(0), dim(2), dim(1), dim(4)});
    AffineMap k = map(5, {dim(0), dim(1).floorDiv(sharing), dim(3), dim(4)});
    AffineMap y = map(5, {dim(0), dim(1), dim(2), dim(3)});
    return buildGeneric(
        b, loc, {{op.getQ(), op.getK()}, {q, k, y}, grid, real, 0.0},
        [](ScalarMath &math, ValueRange x) {
          return math.add({x[2]}, {math.multiply({x[0]}, {x[1]})});
        });
  }

  Value mask(Value scores) {
    return buildGeneric(b, loc, {{scores}, {whole(), whole()}, grid, real, {}},
                        [&](ScalarMath &math, ValueRange x) {
                          Value score = scaled(math, x[0]);
                          if (op.getMask())
                            score = masked(math, score);
                          return op.getCausal() ? seen(math, score) : score;
                        });
  }

  Value scaled(ScalarMath &math, Value score) {
    auto number = [&](const APFloat &value) {
      return math.constant(real, value.convertToFloat());
    };
    score = math.multiply({score}, {number(op.getScale())});
    if (!op.getSoftcap())
      return score;
    Value cap = number(*op.getSoftcap());
    return math.multiply({math.tanh(math.divide({score}, {cap}))}, {cap});
  }

  Value masked(ScalarMath &math, Value score) {
    Value mask = op.getMask();
    SmallVector<Value> place;
    for (auto [axis, size] : llvm::enumerate(maskSizes)) {
      std::optional<int64_t> known = getConstantIntValue(size);
      if (known == 1) {
        place.push_back(arith::ConstantIndexOp::create(b, loc, 0));
        continue;
      }
      Value index =
          linalg::IndexOp::create(b, loc, 4 - maskSizes.size() + axis);
      // One for all, where the size is 1 in this call.
      if (!known)
        index = arith::RemUIOp::create(b, loc, index, cast<Value>(size));
      place.push_back(index);
    }
    Value element = tensor::ExtractOp::create(b, loc, mask, place);
    if (element.getType().isInteger(1))
      return math.select(element, score, math.constant(real, hidden));
    return math.add({score}, math.widen({element}));
  }

  /// Hides j > i + T − S, and j ≤ i + T − S − window.
  Value seen(ScalarMath &math, Value score) {
    Value i = linalg::IndexOp::create(b, loc, 2);
    Value j = linalg::IndexOp::create(b, loc, 3);
    Value more = math.subtract({size(grid[3])}, {size(grid[2])});
    Value own = math.add({i}, {more}); // the key of the query's own position
    Value sees = math.compare(Order::LessOrEqual, {j}, {own});
    if (op.getWindow()) {
      Value window = arith::ConstantIndexOp::create(b, loc, *op.getWindow());
      Value first = math.subtract({own}, {window});
      Value near = math.compare(Order::Greater, {j}, {first});
      sees = arith::AndIOp::create(b, loc, sees, near);
    }
    return math.select(sees, score, math.constant(real, hidden));
  }
  Value size(OpFoldResult value) {
    return getValueOrCreateConstantIndexOp(b, loc, value);
  }

  /// Dimensions b, i, h, c, j: neighbours in c read neighbours.
  Value weightedValues(Value weights) {
    AffineMap p = map(5, {dim(0), dim(2), dim(1), dim(4)});
    AffineMap v = map(5, {dim(0), dim(2).floorDiv(sharing), dim(4), dim(3)});
    AffineMap y = map(5, {dim(0), dim(1), dim(2), dim(3)});
    return buildGeneric(
        b, loc, {{weights, op.getV()}, {p, v, y}, resultSizes(), real, 0.0},
        [](ScalarMath &math, ValueRange x) {
          return math.add({x[2]}, {math.multiply({x[0]}, {x[1]})});
        });
  }
  SmallVector<OpFoldResult> resultSizes() {
    return {grid[0], grid[2], grid[1],
            tensor::getMixedSize(b, loc, op.getV(), 3)};
  }

  Value divide(Value total, Value sum) {
    AffineMap ofRow = map(4, {dim(0), dim(2), dim(1)});
    return buildGeneric(
        b, loc,
        {{total, sum},
         {whole(), ofRow, whole()},
         resultSizes(),
         getElementTypeOrSelf(op.getResult().getType()),
         {}},
        [](ScalarMath &math, ValueRange x) {
          Value zero = math.constant(x[0].getType(), 0);
          Value empty = math.compare(Order::Equal, {x[1]}, {zero});
          return math.select(empty, zero, math.divide({x[0]}, {x[1]}));
        });
  }

  void finish(Value result) {
    if (result.getType() != op.getResult().getType())
      result = tensor::CastOp::create(b, loc, op.getResult().getType(), result);
    op.getResult().replaceAllUsesWith(result);
    op.erase();
  }

  ir::AttentionOp op;
  OpBuilder b;
  Location loc;
  Type real;
  SmallVector<OpFoldResult> grid; ///< B, H, S, T
  SmallVector<OpFoldResult> maskSizes;
  int64_t sharing; ///< query heads of a key head
};
} // namespace

void qopt::lowerAttention(ir::AttentionOp op) { AttentionWriter(op).write(); }
