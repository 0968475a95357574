// What the families of LowerOnnx share. A lowering gets an onnx op and a
// LoweringContext, builds linalg, tensor and arith ops that compute the same,
// and tells the context what stands for each result. The onnx ops stay until
// all are lowered: shape inference speaks of the original values, and whatever
// only fed shapes is dead afterwards.
//
// Element types: i1 is a boolean, signless integers are signed, ui8 … are
// unsigned. Inside of a region integers are signless; `load` and `store`
// convert.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_LOWER_ONNXLOWERING_H
#define QOPT_PASSES_LOWER_ONNXLOWERING_H

#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Lower/SizeBuilder.h"

namespace qopt {

/// An element inside of a region, with the signedness that its signless type
/// does not tell.
struct Scalar {
  mlir::Value value;
  bool isUnsigned = false;

  bool isFloat() const { return mlir::isa<mlir::FloatType>(value.getType()); }
  bool isBool() const { return value.getType().isInteger(1); }
};

/// How the elements of one operand are found from the indices of the result.
struct Access {
  mlir::Value original; ///< the onnx operand
  mlir::AffineMap map;  ///< result indices to operand indices
};

class LoweringContext {
public:
  using Indices = llvm::ArrayRef<mlir::Value>;
  /// Computes one element of the result at `indices`.
  using ElementBody = llvm::function_ref<mlir::Value(Indices indices)>;
  /// Computes one element from the operands' elements.
  using PointwiseBody =
      llvm::function_ref<Scalar(llvm::ArrayRef<Scalar> operands)>;
  /// The next accumulator from the operands' elements and the present one.
  using ReductionBody = llvm::function_ref<mlir::Value(
      llvm::ArrayRef<Scalar> operands, mlir::Value accumulator)>;

  LoweringContext(mlir::func::FuncOp function, onnx::SymbolicShapes &shapes)
      : b(function.getContext()), loc(function.getLoc()), shapes(shapes),
        sizes(function, shapes) {
    sizes.setCurrent([this](mlir::Value value) { return lowered(value); });
  }

  /// Prepares for lowering `op`: insertion point, location, no reason to fail.
  void begin(mlir::Operation *op);

  /// Says why the op cannot be lowered; lower case, for the diagnostic.
  mlir::LogicalResult fail(const llvm::Twine &why) {
    reason = why.str();
    return mlir::failure();
  }

  // ---- Values -------------------------------------------------------------

  /// What stands for an operand.
  mlir::Value lowered(mlir::Value original) const {
    return mapping.lookupOrDefault(original);
  }
  void replace(mlir::Value original, mlir::Value value) {
    mapping.map(original, value);
  }
  mlir::RankedTensorType typeOf(mlir::Value original) const {
    return mlir::cast<mlir::RankedTensorType>(original.getType());
  }
  mlir::Type elementOf(mlir::Value original) const {
    return typeOf(original).getElementType();
  }
  int64_t rankOf(mlir::Value original) const {
    return typeOf(original).getRank();
  }

  // ---- Sizes --------------------------------------------------------------

  /// The size of a dimension as code; null when it depends on data.
  mlir::OpFoldResult size(mlir::Value original, unsigned dim);
  mlir::Value sizeValue(mlir::Value original, unsigned dim);
  /// Whether there is code for every size.
  bool hasSizes(mlir::Value original);
  /// Whether the dimension is 1 (broadcasts), is the same as that of `other`,
  /// or is not known to be either.
  bool isOne(mlir::Value original, unsigned dim) const;
  bool isSame(mlir::Value a, unsigned i, mlir::Value b, unsigned j) const;
  /// The elements of a small integer tensor as code; nothing when they depend
  /// on data.
  std::optional<llvm::SmallVector<mlir::OpFoldResult>>
  content(mlir::Value original);
  /// The same where all must be numbers.
  std::optional<llvm::SmallVector<int64_t>> integers(mlir::Value original);
  /// A tensor.empty for a result; null when its size depends on data.
  mlir::Value empty(mlir::Value original, mlir::Type elementType = {});

  // ---- Structured ops -----------------------------------------------------

  /// result[i] = body(i) for every index tuple; operands are read with
  /// `element`. Registers the result.
  mlir::LogicalResult generate(mlir::Value original, ElementBody body);
  /// result[i] = body(operand[map(i)] …).
  mlir::LogicalResult pointwise(mlir::Value original,
                                llvm::ArrayRef<Access> operands,
                                PointwiseBody body);
  /// An intermediate tensor that has the sizes of `like` where `reduced` is
  /// false and 1 elsewhere, reduced over these dimensions; element type of
  /// `start`. Operands are read through `maps` from the indices of `like`.
  /// Null when sizes depend on data.
  mlir::Value reduce(mlir::Value like, llvm::ArrayRef<bool> reduced,
                     llvm::ArrayRef<mlir::Value> operands,
                     llvm::ArrayRef<mlir::AffineMap> maps,
                     mlir::TypedAttr start, ReductionBody body);
  /// The same elements in row-major order with the shape of `original`.
  mlir::Value view(mlir::Value value, mlir::Value original);
  /// An intermediate tensor of the sizes of `like`.
  mlir::Value compute(mlir::Value like, llvm::ArrayRef<mlir::Value> operands,
                      llvm::ArrayRef<mlir::AffineMap> maps,
                      mlir::Type elementType, PointwiseBody body);

  /// Inside of a body: an element of an operand. Signless.
  mlir::Value element(mlir::Value original, Indices indices);
  /// The elements of an index operand, which are places of axes of these sizes
  /// (one, or one for each place of the last axis) or end the run with an
  /// error.
  mlir::Value checkedIndices(mlir::Value original,
                             llvm::ArrayRef<mlir::Value> sizes);
  /// The same for places that may not be negative.
  mlir::Value checkedStarts(mlir::Value original, mlir::Value size);
  /// An element of an index tensor as a place in [0, size): counted from the
  /// end when negative. It is limited to the range too, so that a kernel never
  /// leaves its buffers, whatever ran or did not run before it.
  mlir::Value placeOf(mlir::Value places, Indices at, mlir::Value size);
  /// How `operand` broadcasts to `result`: null where a size might be 1 or not.
  mlir::AffineMap broadcastMap(mlir::Value operand, mlir::Value result);

  // ---- Scalars ------------------------------------------------------------

  mlir::Value index(int64_t value);
  mlir::Value index(mlir::OpFoldResult value);
  /// From a tensor's element to region arithmetic and back.
  Scalar load(mlir::Value element);
  mlir::Value store(mlir::Value value, mlir::Type elementType);

  mlir::OpBuilder b;
  mlir::Location loc;
  onnx::SymbolicShapes &shapes;
  std::string reason;

  /// Registers `value` for a result, with the result's type.
  mlir::LogicalResult finish(mlir::Value original, mlir::Value value);

private:
  /// The same tensor with sizes in its type that are known or not.
  mlir::Value castTo(mlir::Value value, mlir::RankedTensorType type);

  SizeBuilder sizes;
  mlir::IRMapping mapping;
};

/// Lowers one kind of op; on failure it has built nothing that is used and has
/// called `fail`.
using OnnxLowering = mlir::LogicalResult (*)(mlir::Operation *,
                                             LoweringContext &);
using OnnxLoweringTable = llvm::StringMap<OnnxLowering>;

template <typename OpTy, mlir::LogicalResult (*lower)(OpTy, LoweringContext &)>
void addLowering(OnnxLoweringTable &table) {
  table[OpTy::getOperationName()] = [](mlir::Operation *op,
                                       LoweringContext &context) {
    return lower(mlir::cast<OpTy>(op), context);
  };
}

void addElementwiseLowerings(OnnxLoweringTable &table);
void addViewLowerings(OnnxLoweringTable &table);
void addMoveLowerings(OnnxLoweringTable &table);
void addGatherLowerings(OnnxLoweringTable &table);
void addScatterLowerings(OnnxLoweringTable &table);
void addStateLowerings(OnnxLoweringTable &table);
void addReduceLowerings(OnnxLoweringTable &table);
void addNormLowerings(OnnxLoweringTable &table);
void addProductLowerings(OnnxLoweringTable &table);
void addQuantLowerings(OnnxLoweringTable &table);

} // namespace qopt

#endif // QOPT_PASSES_LOWER_ONNXLOWERING_H
