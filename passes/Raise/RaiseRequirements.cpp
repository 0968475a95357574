// What operators ask of sizes that are known only when the model runs: equal
// inner sizes of a product, axes that broadcast, elements that a reshape can
// divide. Shape inference finds it; here it becomes operations on the sizes of
// the function's arguments, which outlive the operators that raising replaces.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/Onnx/SymbolicShapes.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/SizeBuilder.h"
#include "passes/Raise/Passes.h"
#include <set>
#include <tuple>

namespace qopt::passes {
#define GEN_PASS_DEF_RAISEREQUIREMENTSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

static StringRef wordsOf(ir::SizeRelation relation) {
  switch (relation) {
  case ir::SizeRelation::Equal:
    return "equal sizes";
  case ir::SizeRelation::Broadcast:
    return "equal sizes, or 1 and any but 0";
  case ir::SizeRelation::AtMost:
    return "the first to be at most the second";
  case ir::SizeRelation::MultipleOf:
    return "a multiple of the second";
  }
  llvm_unreachable("every relation has words");
}

/// Sizes that are numbers and do not fit: no input could run.
static LogicalResult reportNever(const onnx::SizeRequirement &needed) {
  return mlir::emitError(needed.op->getLoc())
         << "the sizes " << *onnx::constantValue(needed.lhs) << " and "
         << *onnx::constantValue(needed.rhs) << " do not fit; expected "
         << wordsOf(needed.relation);
}

namespace {
struct RaiseRequirements
    : passes::impl::RaiseRequirementsPassBase<RaiseRequirements> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    onnx::SymbolicShapes shapes(&getContext());
    if (Status inferred = shapes.run(function); !inferred.ok())
      return; // lowering reports it
    SizeBuilder sizes(function, shapes);
    OpBuilder builder = OpBuilder::atBlockBegin(&function.getBody().front());
    // The same question of many layers is asked once, of the first.
    std::set<std::tuple<ir::SizeRelation, const void *, const void *>> asked;
    for (const onnx::SizeRequirement &needed : shapes.requirements()) {
      // A branch may never run.
      if (needed.op->getParentOp() != function.getOperation())
        continue;
      if (onnx::constantValue(needed.lhs) && onnx::constantValue(needed.rhs)) {
        if (failed(reportNever(needed)))
          signalPassFailure();
        continue;
      }
      if (asked
              .insert({needed.relation, needed.lhs.getAsOpaquePointer(),
                       needed.rhs.getAsOpaquePointer()})
              .second)
        addRequirement(needed, sizes, builder);
    }
  }

  /// Sizes that depend on data are no index values; what reads them cannot be
  /// lowered.
  static void addRequirement(const onnx::SizeRequirement &needed,
                             SizeBuilder &sizes, OpBuilder &builder) {
    Location loc = needed.op->getLoc();
    OpFoldResult lhs = sizes.build(builder, loc, needed.lhs);
    OpFoldResult rhs = sizes.build(builder, loc, needed.rhs);
    if (!lhs || !rhs)
      return;
    ir::RequireOp::create(builder, loc, needed.relation,
                          getValueOrCreateConstantIndexOp(builder, loc, lhs),
                          getValueOrCreateConstantIndexOp(builder, loc, rhs));
  }
};
} // namespace
