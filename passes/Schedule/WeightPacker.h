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
    mlir::OpOperand &operand = user.getWeightOperand();
    auto type = mlir::cast<ir::WeightType>(operand.get().getType());
    if (type.getLayout() != ir::Layout::Canonical)
      return mlir::success();
    if (Status valid = check(type); !valid.ok())
      return user.emitError(refusal) << type << ": " << valid.message();
    mlir::Value &weight = packed[operand.get()];
    if (!weight) {
      mlir::OpBuilder builder(user.getContext());
      builder.setInsertionPointAfterValue(operand.get());
      weight = ir::PackWeightOp::create(builder, user.getLoc(),
                                        type.withLayout(layout), operand.get());
    }
    operand.set(weight);
    return mlir::success();
  }

  /// The packed form of a weight; null if nobody asked for it.
  mlir::Value lookup(mlir::Value weight) const { return packed.lookup(weight); }

private:
  /// Canonical weight → the packed one.
  llvm::DenseMap<mlir::Value, mlir::Value> packed;
};

} // namespace qopt::passes

#endif // QOPT_PASSES_SCHEDULE_WEIGHTPACKER_H
