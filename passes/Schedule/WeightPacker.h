// Gives the readers of a weight its packed form, made once for each weight:
// what the passes share that choose layouts, for the host and for GPUs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_SCHEDULE_WEIGHTPACKER_H
#define QOPT_PASSES_SCHEDULE_WEIGHTPACKER_H

#include "dialects/QOpt/QOptOps.h"
#include "qopt/Status.h"

namespace qopt::passes {

class WeightPacker {
public:
  /// Why a layout cannot hold a weight; ok if it can.
  using Check = llvm::function_ref<Status(ir::WeightType)>;

  /// Lets `user` read its weight packed as `layout`. One that has a layout
  /// already stays; one that `check` refuses is an error at the user, which
  /// begins with `refusal`.
  mlir::LogicalResult pack(ir::WeightUserOpInterface user, ir::Layout layout,
                           Check check, llvm::StringRef refusal) {
    mlir::OpOperand *operand = &user.getWeightOperand();
    auto type = mlir::cast<ir::WeightType>(operand->get().getType());
    if (type.getLayout() != ir::Layout::Canonical)
      return mlir::success();
    if (Status valid = check(type); !valid.ok())
      return user.emitError(refusal)
             << "of " << type.getRows() << "x" << type.getColumns() << " in "
             << type.spellFormats() << ": " << valid.message();
    // Inside a region a weight is the region's input.
    auto argument = mlir::dyn_cast<mlir::BlockArgument>(operand->get());
    auto region =
        argument
            ? mlir::dyn_cast<ir::FusedOp>(argument.getOwner()->getParentOp())
            : ir::FusedOp();
    if (region)
      operand = &region.getInputsMutable()[argument.getArgNumber()];
    mlir::Value &weight = packed[{operand->get(), layout}];
    if (!weight) {
      mlir::OpBuilder builder(user.getContext());
      builder.setInsertionPointAfterValue(operand->get());
      weight = ir::PackWeightOp::create(
          builder, user.getLoc(), type.withLayout(layout), operand->get());
    }
    operand->set(weight);
    if (region)
      argument.setType(weight.getType());
    return mlir::success();
  }

  /// The packed form of a weight; null if nobody asked for it.
  mlir::Value lookup(mlir::Value weight, ir::Layout layout) const {
    return packed.lookup({weight, layout});
  }

private:
  /// Canonical weight and layout → the packed one.
  llvm::DenseMap<std::pair<mlir::Value, ir::Layout>, mlir::Value> packed;
};

} // namespace qopt::passes

#endif // QOPT_PASSES_SCHEDULE_WEIGHTPACKER_H
