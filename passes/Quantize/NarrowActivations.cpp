// A GPU reads and writes activations in 16 bits: half the bytes, and what its
// matrix instructions multiply. Values that kernel families exchange become f16
// or bf16 here; kernels sum in f32. All other arithmetic stays f32, for only
// the families are known to keep their values small: a mask of the lowest f32
// would be infinite in f16, and a position not whole in bf16.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptOps.h"
#include "passes/Quantize/ActivationTypes.h"
#include "passes/Quantize/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_NARROWACTIVATIONSPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

/// A linear whose result is only converted to f32, as logits are, gives f32.
static void keepWideResults(func::FuncOp function) {
  SmallVector<onnx::CastOp> casts;
  function.walk([&](onnx::CastOp cast) {
    auto linear = cast.getX().getDefiningOp<ir::LinearOp>();
    auto type = cast.getY().getType();
    if (linear && linear->hasOneUse() && !linear.getResidual() &&
        getElementTypeOrSelf(type).isF32())
      casts.push_back(cast);
  });
  for (onnx::CastOp cast : casts) {
    auto linear = cast.getX().getDefiningOp<ir::LinearOp>();
    linear.getResult().setType(
        mlir::cast<RankedTensorType>(cast.getY().getType()));
    cast.getY().replaceAllUsesWith(linear.getResult());
    cast.erase();
  }
}

namespace {

/// Finds the operations whose floats are those that families exchange.
class NarrowOperations {
public:
  explicit NarrowOperations(func::FuncOp function) {
    function.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isNarrow(op))
        narrow.insert(op);
    });
  }
  bool contains(Operation *op) const { return narrow.contains(op); }

private:
  static bool isReal(Value value) {
    return getElementTypeOrSelf(value.getType()).isF32();
  }

  /// Rearranging values, and adding them, leaves them as they are or as small.
  static bool keepsSize(Operation *op) {
    return isa<onnx::AddOp, onnx::MulOp>(op) || passes::onlyMoves(op);
  }

  /// Constants that f16 holds as well as any number of its size.
  static bool isSmall(Value value) {
    DenseFPElementsAttr numbers;
    if (!matchPattern(value, m_Constant(&numbers)))
      return false;
    return llvm::all_of(numbers.getValues<APFloat>(), [](APFloat number) {
      number.clearSign();
      return number.isZero() ||
             (number >= APFloat(smallest) && number <= APFloat(largest));
    });
  }

  bool isNarrow(Operation *op) const {
    // The scale of a model's own codes is f32 as it is computed.
    if (isa<ir::RotaryTableOp, ir::FromCodesOp>(op))
      return false;
    if (!isa_and_present<onnx::OnnxDialect>(op->getDialect()) ||
        op->getNumRegions() > 0)
      return true;
    auto reals = llvm::make_filter_range(op->getOperands(), isReal);
    auto isOfKernel = [&](Value value) {
      Operation *source = value.getDefiningOp();
      return source && narrow.contains(source) &&
             !source->hasTrait<OpTrait::ConstantLike>();
    };
    return keepsSize(op) && llvm::any_of(reals, isOfKernel) &&
           llvm::all_of(reals, [&](Value value) {
             return isOfKernel(value) || isSmall(value);
           });
  }

  static constexpr float smallest = 1e-3f, largest = 1e3f;
  llvm::DenseSet<Operation *> narrow;
};

struct NarrowActivations
    : passes::impl::NarrowActivationsPassBase<NarrowActivations> {
  using NarrowActivationsPassBase::NarrowActivationsPassBase;

  void runOnOperation() override {
    if (type == "f32")
      return;
    if (type != "f16" && type != "bf16") {
      getOperation().emitError()
          << "option \"type\" is \"" << type << "\"; expected f32, f16 or bf16";
      return signalPassFailure();
    }
    FloatType narrow = type == "f16"
                           ? FloatType(Float16Type::get(&getContext()))
                           : BFloat16Type::get(&getContext());
    NarrowOperations operations(getOperation());
    passes::changeActivations(
        getOperation(),
        {[](Type element) { return element.isF32(); }, narrow,
         [&](Operation *op) { return !operations.contains(op); }});
    keepWideResults(getOperation());
  }
};

} // namespace
