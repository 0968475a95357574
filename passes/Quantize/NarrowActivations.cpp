// A GPU reads and writes activations in 16 bits: half the bytes, and what its
// matrix instructions multiply. The model's values become f16 or bf16 here;
// kernels sum in f32. Angles of rotary embeddings stay f32.
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
    passes::changeActivations(
        getOperation(),
        {[](Type element) { return element.isF32(); }, narrow,
         [](Operation *op) { return isa<ir::RotaryTableOp>(op); }});
    keepWideResults(getOperation());
  }
};

} // namespace
