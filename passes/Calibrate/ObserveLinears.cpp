// What a linear reads decides which errors of its weight cost most. The tensor
// becomes a result, so that a calibration can take statistics of it while the
// function runs as it will run later.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "passes/Calibrate/ObservedResults.h"
#include "passes/Calibrate/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace qopt::passes {
#define GEN_PASS_DEF_OBSERVELINEARSPASS
#include "passes/Calibrate/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

/// The weight of the file that a linear multiplies by, where that is to be
/// quantized, or null.
static ir::WeightOp sourceOf(ir::LinearOp linear) {
  auto quantized = linear.getWeight().getDefiningOp<ir::QuantizeWeightOp>();
  return quantized ? quantized.getSource().getDefiningOp<ir::WeightOp>()
                   : nullptr;
}

/// What the linear reads, before it is quantized.
static Value inputOf(ir::LinearOp linear) {
  auto quantize = linear.getX().getDefiningOp<ir::QuantizeOp>();
  return quantize ? quantize.getX() : linear.getX();
}

namespace {

struct ObserveLinears : passes::impl::ObserveLinearsPassBase<ObserveLinears> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    llvm::MapVector<Value, SmallVector<Attribute>> observed;
    func.walk([&](ir::LinearOp linear) {
      if (ir::WeightOp weight = sourceOf(linear))
        observed[inputOf(linear)].push_back(weight.getNameAttr());
    });
    SmallVector<passes::ObservedResult> results;
    for (auto &[value, weights] : observed)
      results.push_back({value, ir::Observed::Input, weights,
                         "input " + std::to_string(results.size())});
    passes::appendResults(func, results);
  }
};

} // namespace
