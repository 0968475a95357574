// Integer weights are multiplied fastest by integer activations. This pass
// makes their rounding visible: an operation of its own that can be read,
// measured, left out, and fused into what computes the activations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "mlir/IR/Remarks.h"
#include "passes/Quantize/Passes.h"

#define DEBUG_TYPE "qopt-quantize-activations"

namespace qopt::passes {
#define GEN_PASS_DEF_QUANTIZEACTIVATIONSPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

/// Why the linear cannot read activations in `format`, or an empty string.
static std::string reasonAgainst(LinearOp linear, quant::Format format) {
  if (!isa<RankedTensorType>(linear.getX().getType()))
    return "its activations are quantized already";
  if (!llvm::all_of(
          linear.getWeight().getType().getRanges(), [](const RowRange &range) {
            return quant::elementOf(range.format.element).hasIntegerNumbers();
          }))
    return "its weight is not of integers";
  int64_t columns = shapeOf(linear.getX()).back();
  if (ShapedType::isDynamic(columns))
    return "the number of columns is not known";
  if (int64_t group = quant::groupColumns(format, columns); columns % group)
    return "the group size " + std::to_string(group) + " does not divide the " +
           std::to_string(columns) + " columns";
  return "";
}

namespace {

struct QuantizeActivations
    : passes::impl::QuantizeActivationsPassBase<QuantizeActivations> {
  using QuantizeActivationsPassBase::QuantizeActivationsPassBase;

  void runOnOperation() override {
    StatusOr<quant::Format> parsed = quant::parseFormat(format);
    if (!parsed.ok()) {
      getOperation().emitError()
          << "option \"format\": " << parsed.status().message();
      return signalPassFailure();
    }
    if (*parsed == quant::floatFormat(quant::ElementType::F32))
      return;
    if (failed(QuantizedType::verify([&] { return getOperation().emitError(); },
                                     {1}, *parsed)))
      return signalPassFailure();

    llvm::DenseMap<Value, Value> made; // one quantize for each tensor
    getOperation().walk([&](LinearOp linear) {
      if (std::string reason = reasonAgainst(linear, *parsed);
          !reason.empty()) {
        remark::missed(
            linear.getLoc(),
            remark::RemarkOpts::name("NotQuantized").category(DEBUG_TYPE))
            << remark::reason("{0}", reason);
        return;
      }
      Value &activations = made[linear.getX()];
      if (!activations) {
        OpBuilder builder(linear.getContext());
        builder.setInsertionPointAfterValue(linear.getX());
        activations = QuantizeOp::create(builder, linear.getLoc(),
                                         linear.getX(), *parsed);
      }
      linear.getXMutable().assign(activations);
    });
  }
};

} // namespace
