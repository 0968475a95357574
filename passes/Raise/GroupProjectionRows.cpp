// Some models project queries, keys and values head by head: the rows of one
// weight are q0 k0 v0, q1 k1 v1, … A piece is then a part of every head, which
// only a copy can part from the others. This pass puts the weight's rows into
// the order q0 q1 … k0 k1 … v0 v1 …, where pieces lie side by side:
//
//   linear [B, S, H·P·D] → [B, S, H, P·D] → pieces [B, S, H, D], at p·D
//   linear [B, S, P·H·D] → [B, S, P, H, D] → pieces [B, S, H, D], place p
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/SymbolicShapes.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/StoredElements.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/OnnxValues.h"
#include "passes/Raise/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_GROUPPROJECTIONROWSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

namespace {

/// How the rows of a projection are interleaved.
struct Interleaving {
  int64_t heads, pieces, size; ///< H, P and D

  /// What stands at a row of the new order.
  int64_t oldRow(int64_t row) const {
    int64_t piece = row / (heads * size), head = row / size % heads;
    return (head * pieces + piece) * size + row % size;
  }
};

/// A result that is one of the pieces.
struct Piece {
  Value result;
  int64_t place;
};

/// The pieces that a reshaped projection is read in, and how large they are
/// along the last axis; nothing where something else reads it.
class PieceFinder {
public:
  std::optional<Interleaving> find(ReshapeOp reshape, int64_t rows) {
    RankedTensorType type = typeOf(reshape.getResult());
    int64_t rank = type.getRank();
    if (rank != 4 && rank != 5)
      return std::nullopt;
    for (Operation *user : reshape->getUsers())
      if (!isa<ShapeOp>(user) && !add(user, type))
        return std::nullopt;
    if (pieces.empty() || ShapedType::isDynamic(type.getDimSize(2)))
      return std::nullopt;
    Interleaving found{type.getDimSize(2), 0, width};
    found.pieces = rows / (found.heads * found.size);
    bool divides = found.heads * found.pieces * found.size == rows;
    for (Piece &piece : pieces) {
      divides &= rank == 5 || piece.place % width == 0;
      piece.place /= rank == 5 ? 1 : width;
      divides &= piece.place < found.pieces;
    }
    return divides && found.pieces > 1 && found.heads > 1 ? std::optional(found)
                                                          : std::nullopt;
  }

  SmallVector<Piece> pieces;

private:
  /// The place is the first column of [B, S, H, P·D], or p of [B, S, H, P, D].
  bool addPiece(Value result, int64_t place) {
    int64_t size = typeOf(result).getShape().back();
    if (ShapedType::isDynamic(size) || (width && width != size) || place < 0)
      return false;
    width = size;
    pieces.push_back({result, place});
    return true;
  }

  bool add(Operation *user, RankedTensorType type) {
    int64_t rank = type.getRank();
    auto isAxis = [&](int64_t axis, int64_t wanted) {
      return axis == wanted || axis + rank == wanted;
    };
    if (auto gather = dyn_cast<GatherOp>(user)) {
      auto index = constantScalar(gather.getIndices());
      return rank == 5 && index && *index >= 0 && isAxis(gather.getAxis(), 3) &&
             typeOf(gather.getIndices()).getRank() == 0 &&
             addPiece(gather.getResult(), static_cast<int64_t>(*index));
    }
    for (Value result : user->getResults()) {
      std::optional<int64_t> offset = offsetInLastAxis(result);
      if (rank != 4 || !offset || !addPiece(result, *offset))
        return false;
    }
    return user->getNumResults() > 0;
  }

  int64_t width = 0; ///< D
};

/// Elements of `type` with the same name, or none.
ElementsAttr elementsOf(ElementsAttr old, ArrayRef<char> bytes) {
  auto type = cast<RankedTensorType>(old.getType());
  constexpr size_t alignment = 64;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(old))
    return DenseResourceElementsAttr::get(
        type, resource.getRawHandle().getKey(),
        HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, alignment,
                                                      /*dataIsMutable=*/false));
  return DenseElementsAttr::getFromRawBuffer(type, bytes);
}

/// `old` [N], [N, K] or, transposed, [K, N] with the rows N in the new order.
ElementsAttr inOrder(ElementsAttr old, bool transposed,
                     const Interleaving &order, int64_t rows) {
  if (ir::areAbsent(old)) // of another order they are as absent
    return old;
  std::optional<ir::StoredElements> stored = ir::StoredElements::of(old);
  if (!stored)
    return {};
  ArrayRef<char> from = stored->bytes();
  std::vector<char> to(from.size());
  int64_t lines =
      transposed ? cast<ShapedType>(old.getType()).getDimSize(0) : 1;
  int64_t rowBytes = static_cast<int64_t>(from.size()) / (lines * rows);
  for (int64_t line = 0; line < lines; ++line)
    for (int64_t row = 0; row < rows; row += order.size)
      std::memcpy(to.data() + (line * rows + row) * rowBytes,
                  from.data() + (line * rows + order.oldRow(row)) * rowBytes,
                  order.size * rowBytes);
  return elementsOf(old, to);
}

class GroupProjectionRows
    : public qopt::passes::impl::GroupProjectionRowsPassBase<
          GroupProjectionRows> {
  void runOnOperation() override {
    SymbolicShapes shapes(&getContext());
    if (qopt::Status status = shapes.run(getOperation()); !status.ok())
      getOperation().emitWarning() << status.message();
    SmallVector<ReshapeOp> reshapes;
    getOperation().walk([&](ReshapeOp op) { reshapes.push_back(op); });
    for (ReshapeOp reshape : reshapes)
      regroup(reshape, shapes);
  }

  /// The linear that `reshape` alone reads, with a weight of its own that the
  /// file stores as numbers.
  static ir::LinearOp projectionOf(ReshapeOp reshape) {
    Value x = reshape.getData();
    auto linear = x.getDefiningOp<ir::LinearOp>();
    bool alone = linear && llvm::all_of(x.getUsers(), [&](Operation *user) {
                   return user == reshape || isa<ShapeOp>(user);
                 });
    auto weight = alone ? linear.getWeight().getDefiningOp<ir::WeightOp>()
                        : ir::WeightOp();
    bool fits = weight && weight->hasOneUse() && !weight.getScales() &&
                !weight.hasFactors() && !linear.getResidual() &&
                typeOf(x).getRank() == 3;
    return fits ? linear : ir::LinearOp();
  }

  void regroup(ReshapeOp reshape, const SymbolicShapes &shapes) {
    ir::LinearOp linear = projectionOf(reshape);
    if (!linear ||
        !shapes.sameDim(linear.getResult(), 0, reshape.getResult(), 0) ||
        !shapes.sameDim(linear.getResult(), 1, reshape.getResult(), 1))
      return;
    auto weight = linear.getWeight().getDefiningOp<ir::WeightOp>();
    int64_t rows = weight.getType().getRows();
    PieceFinder finder;
    std::optional<Interleaving> order = finder.find(reshape, rows);
    if (!order)
      return;
    auto bias = linear.getBias() ? linear.getBias().getDefiningOp<ConstantOp>()
                                 : ConstantOp();
    if (linear.getBias() && !bias)
      return;
    ElementsAttr codes =
        inOrder(weight.getCodes(), weight.getTransposed(), *order, rows);
    ElementsAttr biases =
        bias ? inOrder(cast<ElementsAttr>(bias.getValue()), false, *order, rows)
             : ElementsAttr();
    if (!codes || (bias && !biases))
      return;
    weight.setCodesAttr(codes);
    OpBuilder builder(reshape);
    OnnxBuilder b(builder, reshape.getLoc());
    if (bias) {
      OpBuilder ahead(linear);
      linear.getBiasMutable().assign(ConstantOp::create(
          ahead, bias.getLoc(), typeOf(bias.getResult()), biases));
    }
    Value parted = b.reshape(linear.getResult(),
                             {0, 0, order->pieces, order->heads, order->size});
    for (Piece &piece : finder.pieces) {
      Value place = b.integer(piece.place);
      Value result =
          GatherOp::create(builder, reshape.getLoc(), piece.result.getType(),
                           parted, place, builder.getI64IntegerAttr(2));
      piece.result.replaceAllUsesWith(result);
    }
  }
};

} // namespace
