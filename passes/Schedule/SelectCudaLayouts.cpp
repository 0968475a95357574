// A linear streams its whole weight, in the order in which tensor cores take
// it; a look-up touches a few rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "passes/Schedule/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SELECTCUDALAYOUTSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

namespace {

struct SelectCudaLayouts
    : qopt::passes::impl::SelectCudaLayoutsPassBase<SelectCudaLayouts> {
  void runOnOperation() override {
    packed.clear();
    WalkResult result =
        getOperation().walk([&](ir::WeightUserOpInterface user) {
          bool done = user.looksUpRows() || succeeded(pack(user));
          return done ? WalkResult::advance() : WalkResult::interrupt();
        });
    if (result.wasInterrupted())
      signalPassFailure();
  }

private:
  LogicalResult pack(ir::WeightUserOpInterface user) {
    OpOperand &operand = user.getWeightOperand();
    Value &weight = packed[operand.get()];
    auto type = cast<ir::WeightType>(operand.get().getType());
    if (type.getLayout() != ir::Layout::Canonical)
      return success();
    kernels::skinny_linear::Problem problem;
    problem.columns = type.getColumns();
    problem.segments = {{type.getRows(), type.getFormat()}};
    if (Status valid = kernels::skinny_linear::isValid(problem); !valid.ok())
      return user.emitError("no GPU kernel reads its weight ")
             << type << ": " << valid.message();
    if (!weight) {
      OpBuilder builder(&getContext());
      builder.setInsertionPointAfterValue(operand.get());
      weight = ir::PackWeightOp::create(builder, user.getLoc(),
                                        type.withLayout(ir::Layout::CudaStrips),
                                        operand.get());
    }
    operand.set(weight);
    return success();
  }

  /// Canonical weight → the packed one.
  llvm::DenseMap<Value, Value> packed;
};

} // namespace
