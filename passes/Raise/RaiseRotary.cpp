// Rotary position embedding, as one operator or spelt out with slices, becomes
// qopt.rotary on [B, S, H, D]. What multiplies with it is proven by running it:
// tables that follow a position and frequencies become qopt.rotary_table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/RaisingLimits.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/OnnxValues.h"
#include "passes/Raise/Passes.h"
#include "passes/Raise/Probe.h"
#include "passes/Raise/SimplifyOnnx.h"
#include <map>

namespace qopt::passes {
#define GEN_PASS_DEF_RAISEROTARYPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;
using namespace qopt::passes;

namespace {

/// Cosines and sines [B, S, R/2] for the ops of the qopt dialect.
struct Table {
  Value cos, sin;
};

/// A rotation as the source writes it.
struct Rotation {
  Value x;        ///< four axes
  Value cos, sin; ///< as they are multiplied
  RotationKind kind = RotationKind::Halves;
  bool headsFirst = true; ///< x is [B, H, S, D], else [B, S, H, D]
};

/// Slice of the last axis from a constant start: returns the sliced tensor and
/// the start.
std::optional<std::pair<Value, int64_t>> lastAxisSlice(Value value) {
  auto slice = value.getDefiningOp<SliceOp>();
  if (!slice || isAbsent(slice.getAxes()))
    return std::nullopt;
  auto starts = constantIntegers(slice.getStarts());
  auto axes = constantIntegers(slice.getAxes());
  auto steps = isAbsent(slice.getSteps())
                   ? std::optional(SmallVector<int64_t>{1})
                   : constantIntegers(slice.getSteps());
  int64_t last = typeOf(value).getRank() - 1;
  if (!starts || !axes || !steps || axes->size() != 1 || (*steps)[0] != 1 ||
      ((*axes)[0] != -1 && (*axes)[0] != last))
    return std::nullopt;
  return std::pair(slice.getData(), (*starts)[0]);
}

/// Whether x is [B, H, S, D], not [B, S, H, D]: the axis along which cosines of
/// rank 4 are the same is that of the heads. Where both are 1, as for a query
/// length of 1, the axis of one position in x is not.
bool hasHeadsFirst(Value x, Value cos) {
  auto table = typeOf(cos), rows = typeOf(x);
  if (table.getRank() != 4)
    return true;
  if (table.getDimSize(1) == 1 && table.getDimSize(2) == 1)
    return rows.getDimSize(1) != 1;
  return table.getDimSize(1) == 1;
}

/// x·cos + turned(x)·sin in any order of operands.
std::optional<Rotation> matchSpeltOut(const Probe &probe, AddOp op) {
  auto left = op.getA().getDefiningOp<MulOp>(),
       right = op.getB().getDefiningOp<MulOp>();
  auto type = typeOf(op.getC());
  if (!left || !right || type.getRank() != 4 || !isComputable(op.getC()))
    return std::nullopt;
  for (auto [plain, other] : {std::pair(left, right), std::pair(right, left)})
    for (int i : {0, 1})
      for (int j : {0, 1}) {
        Value x = plain->getOperand(j);
        auto kind = classifyRotation(probe, other->getOperand(i), x);
        if (!kind)
          continue;
        Rotation rotation{x, plain->getOperand(1 - j), other->getOperand(1 - i),
                          *kind};
        rotation.headsFirst = hasHeadsFirst(rotation.x, rotation.cos);
        return rotation;
      }
  return std::nullopt;
}

/// A rotation of the first channels only: Concat(rotated(x[:R]), x[R:]), with
/// transposes around the rotation or without. Returns the qopt.rotary.
ir::RotaryOp matchPartial(ConcatOp op) {
  int64_t last = typeOf(op.getResult()).getRank() - 1;
  int64_t axis = op.getAxis();
  if (op.getInputs().size() != 2 || last != 3 || (axis != -1 && axis != last))
    return {};
  auto withoutSwap = [](Value value) {
    auto transpose = value.getDefiningOp<TransposeOp>();
    bool swaps = transpose && transpose.getPerm() == ArrayRef(swapHeads);
    return swaps ? transpose.getData() : value;
  };
  Value turned = withoutSwap(op.getInputs()[0]);
  auto rotary = turned.getDefiningOp<ir::RotaryOp>();
  auto first =
      rotary ? lastAxisSlice(withoutSwap(rotary.getX())) : std::nullopt;
  auto rest = lastAxisSlice(op.getInputs()[1]);
  if (!first || !rest || first->first != rest->first || first->second != 0)
    return {};
  int64_t size = typeOf(rotary.getX()).getShape().back();
  bool whole =
      rest->second == size && typeOf(first->first).getShape().back() ==
                                  typeOf(op.getResult()).getShape().back();
  bool sameOrder = (turned == op.getInputs()[0]) ==
                   (withoutSwap(rotary.getX()) == rotary.getX());
  return whole && sameOrder ? rotary : ir::RotaryOp();
}

class RaiseRotary
    : public qopt::passes::impl::RaiseRotaryPassBase<RaiseRotary> {
public:
  void runOnOperation() override {
    // A pass object runs on many functions.
    countedPositions = {};
    proven.clear();
    caches.clear();
    sharedTables.clear();
    Probe probe(getOperation());
    SmallVector<Operation *> candidates;
    getOperation().walk([&](Operation *op) {
      if (isa<RotaryEmbeddingOp, AddOp>(op))
        candidates.push_back(op);
    });
    for (Operation *op : candidates) {
      OpBuilder builder(op);
      if (auto rotary = dyn_cast<RotaryEmbeddingOp>(op))
        raiseOperator(builder, probe, rotary);
      else if (auto rotation = matchSpeltOut(probe, cast<AddOp>(op)))
        raiseSpeltOut(builder, probe, op, *rotation);
    }
    getOperation().walk([&](ConcatOp op) { raisePartial(op); });
    // Queries, keys and values of one product are cut apart before their heads
    // are turned: the transposes of the rotation then meet the source's.
    RewritePatternSet patterns(&getContext());
    populateCutBeforeTranspose(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    returnWhatIsThere(getOperation());
  }

private:
  using Key = std::pair<void *, void *>;

  /// The positions that a proven table counts, [B, S].
  Value positionsOf(OnnxBuilder &b, const Probe &probe, PositionSource source) {
    if (source == PositionSource::PositionIds)
      return probe.inputs().positions;
    if (source != PositionSource::PastAndIndex || !probe.inputs().tokens)
      return {};
    Value &positions = countedPositions;
    if (positions)
      return positions;
    OpBuilder::InsertionGuard guard(b.builder);
    b.builder.setInsertionPointToStart(&getOperation().getBody().front());
    Value tokens = probe.inputs().tokens;
    Value fresh = b.range(b.size(tokens, 1));
    Value past =
        probe.hasPast() ? b.size(probe.inputs().past.front(), 2) : b.integer(0);
    Value row = b.unsqueeze(b.binary<AddOp>(fresh, past), {0});
    auto type = RankedTensorType::get(typeOf(tokens).getShape().take_front(2),
                                      b.builder.getI64Type());
    auto sizes = RankedTensorType::get({2}, b.builder.getI64Type());
    Value shape = ShapeOp::create(b.builder, b.loc, sizes, tokens,
                                  b.builder.getI64IntegerAttr(0),
                                  b.builder.getI64IntegerAttr(2));
    positions = ExpandOp::create(b.builder, b.loc, type, row, shape);
    return positions;
  }

  /// The table that stands for cosines and sines which were proven to be one.
  std::optional<Table> provenTable(OnnxBuilder &b, const Probe &probe,
                                   Value cos, Value sin,
                                   std::optional<RotationKind> rotation) {
    Key key{cos.getAsOpaquePointer(), sin.getAsOpaquePointer()};
    auto found = proven.find(key);
    if (found != proven.end())
      return found->second;
    std::optional<Table> &table = proven[key];
    auto kind = classifyRotary(probe, cos, sin);
    if (!kind.ok()) {
      getOperation().emitRemark() << "cosines and sines are no rotary table: "
                                  << kind.status().message();
      return table;
    }
    TableLayout expected = !rotation ? TableLayout::Half
                           : *rotation == RotationKind::Halves
                               ? TableLayout::Halves
                               : TableLayout::Repeated;
    if (kind->layout != expected)
      return table;
    Value positions =
        kind->rightPadded ? Value() : positionsOf(b, probe, kind->source);
    if (!positions)
      return table;
    // One table for the whole function, wherever it is first needed.
    OpBuilder::InsertionGuard guard(b.builder);
    if (Operation *op = positions.getDefiningOp())
      b.builder.setInsertionPointAfter(op);
    else
      b.builder.setInsertionPointToStart(&getOperation().getBody().front());
    table = sharedTable(b, positions, *kind);
    return table;
  }

  /// Exporters compute the same table once per use; equal ones become one op.
  Table sharedTable(OnnxBuilder &b, Value positions, const RotaryKind &kind) {
    for (auto &[known, counted, op] : sharedTables)
      if (known.inverseFrequencies == kind.inverseFrequencies &&
          known.scale == kind.scale && counted == positions)
        return {op.getCos(), op.getSin()};
    auto type = RankedTensorType::get(
        {static_cast<int64_t>(kind.inverseFrequencies.size())},
        b.builder.getF32Type());
    Value frequencies = ConstantOp::create(
        b.builder, b.loc, type,
        DenseElementsAttr::get(type, ArrayRef(kind.inverseFrequencies)));
    // Positions are i32 throughout the runtime.
    auto op = ir::RotaryTableOp::create(
        b.builder, b.loc, b.cast(positions, b.builder.getI32Type()),
        frequencies, kind.scale);
    sharedTables.emplace_back(kind, positions, op);
    return {op.getCos(), op.getSin()};
  }

  void raiseSpeltOut(OpBuilder &builder, const Probe &probe, Operation *op,
                     const Rotation &rotation) {
    OnnxBuilder b(builder, op->getLoc());
    auto table =
        provenTable(b, probe, rotation.cos, rotation.sin, rotation.kind);
    if (table)
      replace(b, op, rotation.x, *table, rotation.headsFirst,
              rotation.kind == RotationKind::Interleaved);
  }

  /// The rotation of all channels, of which the table turns the first ones.
  void raisePartial(ConcatOp op) {
    ir::RotaryOp rotary = matchPartial(op);
    if (!rotary)
      return;
    OpBuilder builder(op);
    OnnxBuilder b(builder, op.getLoc());
    Value x = lastAxisSlice(op.getInputs()[1])->first;
    bool headsFirst = op.getInputs()[0].getDefiningOp() != rotary;
    replace(b, op, x, {rotary.getCos(), rotary.getSin()}, headsFirst,
            rotary.getInterleaved());
  }

  void raiseOperator(OpBuilder &builder, const Probe &probe,
                     RotaryEmbeddingOp op) {
    if (!isComputable(op.getX()) || !limitOf(op).empty())
      return;
    OnnxBuilder b(builder, op.getLoc());
    std::optional<Table> table;
    if (isAbsent(op.getPositionIds()))
      table = provenTable(b, probe, op.getCosCache(), op.getSinCache(),
                          std::nullopt);
    else
      table = lookedUpTable(b, op);
    if (!table && !isAbsent(op.getPositionIds()))
      table = Table{gatheredRows(b, op.getCosCache(), op.getPositionIds()),
                    gatheredRows(b, op.getSinCache(), op.getPositionIds())};
    if (!table && isAbsent(op.getPositionIds()))
      table = Table{op.getCosCache(), op.getSinCache()};
    Value x = op.getX();
    bool flat = typeOf(x).getRank() == 3;
    if (flat) {
      int64_t heads = op.getNumHeads().value_or(0);
      int64_t width = typeOf(x).getShape().back();
      if (heads < 1 || width < heads || width % heads)
        return;
      x = b.reshape(x, {0, 0, heads, width / heads});
    }
    replace(b, op, x, *table, /*headsFirst=*/!flat, op.getInterleaved());
  }

  /// What two caches are; all layers have the same.
  StatusOr<RotaryKind> &kindOfCaches(RotaryEmbeddingOp op) {
    Key key{op.getCosCache().getAsOpaquePointer(),
            op.getSinCache().getAsOpaquePointer()};
    auto found = caches.find(key);
    if (found == caches.end())
      found = caches
                  .emplace(key, classifyRotaryCache(op.getCosCache(),
                                                    op.getSinCache()))
                  .first;
    return found->second;
  }

  /// The table that stands for caches which are looked up by position: they
  /// say themselves what their rows are.
  std::optional<Table> lookedUpTable(OnnxBuilder &b, RotaryEmbeddingOp op) {
    Value positions = op.getPositionIds();
    if (typeOf(positions).getRank() != 2)
      return std::nullopt;
    Key key{op.getCosCache().getAsOpaquePointer(),
            positions.getAsOpaquePointer()};
    auto found = proven.find(key);
    if (found != proven.end())
      return found->second;
    std::optional<Table> &table = proven[key];
    auto &kind = kindOfCaches(op);
    if (!kind.ok())
      op.emitRemark() << "the caches are no rotary table: "
                      << kind.status().message();
    else if (kind->layout == TableLayout::Half)
      table = sharedTable(b, positions, *kind);
    return table;
  }

  /// Rows of a constant table by position; the rows that a table does not have
  /// bound the context.
  static Value gatheredRows(OnnxBuilder &b, Value table, Value positions) {
    auto type = typeOf(positions);
    SmallVector<int64_t> shape(type.getShape());
    shape.push_back(typeOf(table).getDimSize(1));
    return GatherOp::create(
        b.builder, b.loc,
        RankedTensorType::get(shape, OnnxBuilder::elementOf(table)), table,
        positions, b.builder.getI64IntegerAttr(0));
  }

  static void replace(OnnxBuilder &b, Operation *op, Value x,
                      const Table &table, bool headsFirst, bool interleaved) {
    Value rows = headsFirst ? b.transpose(x, swapHeads) : x;
    Value y = ir::RotaryOp::create(
        b.builder, b.loc, rows.getType(), rows, table.cos, table.sin,
        interleaved ? b.builder.getUnitAttr() : UnitAttr());
    if (headsFirst)
      y = b.transpose(y, swapHeads);
    auto type = typeOf(op->getResult(0));
    if (type.getRank() == 3)
      y = b.reshape(y, {0, 0, type.getShape().back()});
    op->getResult(0).replaceAllUsesWith(y);
    op->erase();
  }

  Value countedPositions;
  std::map<Key, std::optional<Table>> proven;
  std::map<Key, StatusOr<RotaryKind>> caches;
  std::vector<std::tuple<RotaryKind, Value, ir::RotaryTableOp>> sharedTables;
};

} // namespace
