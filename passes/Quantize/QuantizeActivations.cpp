// Weights of codes are multiplied fastest by activations of codes. This pass
// makes their rounding visible: an operation of its own that can be read,
// measured, left out, and fused into what computes the activations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "mlir/IR/Remarks.h"
#include "passes/Quantize/ActivationTypes.h"
#include "passes/Quantize/FormatOverrides.h"
#include "passes/Quantize/LinearScales.h"
#include "passes/Quantize/Passes.h"

#define DEBUG_TYPE "qopt-quantize-activations"

namespace qopt::passes {
#define GEN_PASS_DEF_QUANTIZEACTIVATIONSPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

/// Why a weight is not multiplied by activations in `format`, or an empty
/// string. Groups of activations are scaled beside those of any integer weight
/// that has no shorter ones;
/// with one scale a row or tensor, the sum over a row is exact or f32, and the
/// weight's scale comes behind it.
static std::string reasonAgainst(quant::Format weight, quant::Format format) {
  using quant::Granularity;
  if (format.isGrouped()) {
    if (!quant::elementOf(weight.element).hasIntegerNumbers())
      return "its weight is not of integers";
    return weight.isGrouped() && weight.groupSize % format.groupSize != 0
               ? "its weight's groups are shorter than those of activations"
               : "";
  }
  bool fits = weight.element == format.element && weight.isSymmetric() &&
              (weight.granularity == Granularity::Channel ||
               weight.granularity == Granularity::Tensor);
  return fits ? ""
              : "its weight is not " +
                    std::string(quant::elementOf(format.element).name) +
                    " with one scale a row";
}

/// Whether the file has rounded the values to codes, whose scales and zero
/// points are its own; other codes of them would be a second rounding.
static bool isRoundedByFile(Value x) {
  for (Operation *op = x.getDefiningOp(); op;
       op = op->getOperand(0).getDefiningOp()) {
    if (isa<onnx::DequantizeLinearOp>(op))
      return true;
    if (!passes::onlyMoves(op) && !isa<onnx::CastOp>(op))
      return false;
  }
  return false;
}

/// Why the linear cannot read activations in `format`, or an empty string.
static std::string reasonAgainst(LinearOp linear, quant::Format format) {
  if (!isa<RankedTensorType>(linear.getX().getType()))
    return "its activations are quantized already";
  if (isRoundedByFile(linear.getX()))
    return "the file has quantized its activations";
  for (const RowRange &range : linear.getWeight().getType().getRanges())
    if (std::string reason = reasonAgainst(range.format, format);
        !reason.empty())
      return reason;
  int64_t columns = shapeOf(linear.getX()).back();
  if (ShapedType::isDynamic(columns))
    return "the number of columns is not known";
  if (std::string fault = quant::groupFault(format, columns); !fault.empty())
    return fault;
  if (!format.isGrouped() && format.element == quant::ElementType::Int8 &&
      columns > quant::longestInt8Sum)
    return "a sum of " + std::to_string(columns) +
           " columns needs more than "
           "32 bits";
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
    auto named = passes::FormatOverrides::parse("--activation-format",
                                                llvm::to_vector(overrides));
    if (!named.ok()) {
      getOperation().emitError() << named.status().message();
      return signalPassFailure();
    }
    if (failed(checkType(*parsed)))
      return signalPassFailure();
    made.clear();
    WalkResult done = getOperation().walk([&](LinearOp linear) {
      std::optional<quant::Format> own = named->lookup(nameOf(linear));
      if (own && failed(checkOverride(*own)))
        return WalkResult::interrupt();
      quantize(linear, own.value_or(*parsed));
      return WalkResult::advance();
    });
    if (done.wasInterrupted() || failed(checkUse(*named)))
      signalPassFailure();
  }

private:
  /// The name of its weight in the file, or an empty string.
  static StringRef nameOf(LinearOp linear) {
    Value weight = linear.getWeight();
    if (auto quantize = weight.getDefiningOp<QuantizeWeightOp>())
      weight = quantize.getSource();
    auto source = weight.getDefiningOp<WeightOp>();
    return source ? source.getName() : StringRef();
  }

  static bool isStatic(const quant::Format &format) {
    return format.granularity == quant::Granularity::Tensor;
  }

  /// A verifier's error where activations are not stored so.
  LogicalResult checkType(const quant::Format &format) {
    if (format.isFloat())
      return success();
    if (QuantizedType::isCentred(format))
      return getOperation().emitError()
             << "activations in \"" << quant::spell(format)
             << "\" are codes of the model itself; expected a symmetric format";
    Builder builder(&getContext());
    return QuantizedType::verify(
        [&] { return getOperation().emitError(); }, {1}, format,
        isStatic(format) ? builder.getF32FloatAttr(1) : FloatAttr());
  }

  LogicalResult checkOverride(const quant::Format &format) {
    if (isStatic(format))
      return getOperation().emitError()
             << "--activation-format: \"" << quant::spell(format)
             << "\" has one scale for all tokens, which is measured for all "
                "linears; give it as --activations";
    return checkType(format);
  }

  LogicalResult checkUse(const passes::FormatOverrides &named) {
    for (StringRef entry : named.unmatched())
      return getOperation().emitError()
             << "--activation-format \"" << entry
             << "\" matches no linear of the model; they are called like their "
                "weights, which qopt-inspect lists";
    for (StringRef entry : named.hidden())
      return getOperation().emitError()
             << "--activation-format \"" << entry
             << "\" has no effect: all that it matches, an earlier one matches "
                "too; put it before that or leave it out";
    return success();
  }

  void quantize(LinearOp linear, const quant::Format &format) {
    auto scale = dyn_cast_or_null<FloatAttr>(
        linear->removeAttr(passes::activationScaleAttribute));
    if (format.isFloat())
      return;
    std::string reason = reasonAgainst(linear, format);
    if (reason.empty() && isStatic(format) && !scale)
      reason = "the scale of its activations was not measured";
    if (!reason.empty()) {
      remark::missed(
          linear.getLoc(),
          remark::RemarkOpts::name("NotQuantized").category(DEBUG_TYPE))
          << remark::reason("{0}", reason);
      return;
    }
    if (!isStatic(format))
      scale = {};
    Type type = QuantizedType::get(linear.getContext(), shapeOf(linear.getX()),
                                   format, scale);
    Value &activations = made[{linear.getX(), type}];
    if (!activations) {
      OpBuilder at(linear.getContext());
      at.setInsertionPointAfterValue(linear.getX());
      activations =
          QuantizeOp::create(at, linear.getLoc(), type, linear.getX());
    }
    linear.getXMutable().assign(activations);
  }

  /// One quantize for each tensor, format and scale.
  llvm::DenseMap<std::pair<Value, Type>, Value> made;
};

} // namespace
