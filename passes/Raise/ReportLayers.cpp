// Says what raising made of a model, one remark a layer: a user sees at a
// glance whether every attention was recognised, with which mask and positions,
// and what is left to generated kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptOps.h"
#include "passes/Raise/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

namespace qopt::passes {
#define GEN_PASS_DEF_REPORTLAYERSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

namespace {

/// The rotary embedding that queries come from, through changes of shape.
ir::RotaryOp rotaryOf(Value queries) {
  for (int step = 0; step < 8; ++step) {
    Operation *op = queries.getDefiningOp();
    if (auto rotary = dyn_cast_or_null<ir::RotaryOp>(op))
      return rotary;
    if (!op || op->getNumOperands() == 0)
      break;
    queries = op->getOperand(0);
  }
  return {};
}

std::string positions(Value queries) {
  ir::RotaryOp rotary = rotaryOf(queries);
  if (!rotary)
    return "no rotary embedding";
  int64_t turned =
      2 * cast<ShapedType>(rotary.getCos().getType()).getShape().back();
  int64_t size = cast<ShapedType>(queries.getType()).getShape().back();
  return llvm::formatv("rotary embedding of {0} of {1} channels, {2}", turned,
                       size,
                       rotary.getInterleaved() ? "interleaved" : "halves");
}

/// "8 heads on 4 of size 64"
std::string heads(Value queries, int64_t shared) {
  ArrayRef<int64_t> shape = cast<ShapedType>(queries.getType()).getShape();
  return llvm::formatv("attention of {0} heads on {1} of size {2}",
                       shape[shape.size() - 2], shared, shape.back());
}

std::string limits(std::optional<uint64_t> window,
                   std::optional<llvm::APFloat> softcap) {
  std::string text;
  if (window)
    text += llvm::formatv(", window {0}", *window);
  if (softcap)
    text += llvm::formatv(", softcap {0}", softcap->convertToFloat());
  return text;
}

std::string describe(ir::CachedAttentionOp op) {
  std::string text = heads(op.getQ(), op.getCache().getType().getKvHeads());
  text += op.getSource() ? ", across sequences" : ", causal";
  text += limits(op.getWindow(), op.getSoftcap());
  if (op.getAlibiSlopes())
    text += ", linear biases";
  if (op.getDistanceBiases())
    text += ", biases by distance";
  return text + "; " + positions(op.getQ());
}

std::string describe(ir::AttentionOp op) {
  int64_t shared = cast<ShapedType>(op.getK().getType()).getShape()[1];
  std::string text = heads(op.getQ(), shared);
  text += op.getCausal() ? ", causal" : "";
  text += op.getMask() ? ", mask" : "";
  return text + limits(op.getWindow(), op.getSoftcap()) + "; " +
         positions(op.getQ());
}

struct ReportLayers : qopt::passes::impl::ReportLayersPassBase<ReportLayers> {
  void runOnOperation() override {
    lastNorm.clear();
    current = nullptr;
    layers = 0;
    unraised.clear();
    getOperation().walk([&](Operation *op) { visit(op); });
    finishLayer();
    reportRemainder();
    markAllAnalysesPreserved();
  }

private:
  void visit(Operation *op) {
    llvm::TypeSwitch<Operation *>(op)
        .Case<ir::CachedAttentionOp, ir::AttentionOp>([&](auto attention) {
          finishLayer();
          current = attention;
          text = describe(attention);
          if (!lastNorm.empty())
            text += "; " + lastNorm;
        })
        .Case<ir::RmsNormOp, ir::LayerNormOp>(
            [&](auto norm) { lastNorm = norm->getName().stripDialect().str(); })
        .Case<ir::ActivationOp, ir::GatedActivationOp>([&](auto activation) {
          text +=
              llvm::formatv("; {0} {1}", activation->getName().stripDialect(),
                            ir::stringifyFunction(activation.getFunction()));
        })
        .Default([&](Operation *other) {
          if (isa_and_nonnull<onnx::OnnxDialect>(other->getDialect()) &&
              !isa<onnx::ConstantOp, onnx::NoneOp, onnx::YieldOp>(other))
            ++unraised[other->getName().getStringRef()];
        });
  }

  void finishLayer() {
    if (current)
      current->emitRemark() << "layer " << layers++ << ": " << text;
    current = nullptr;
  }

  void reportRemainder() {
    if (unraised.empty())
      return;
    std::string list;
    for (auto [name, count] : unraised)
      list +=
          llvm::formatv("{0}{1} {2}", list.empty() ? "" : ", ", count, name);
    getOperation().emitRemark() << "left to generated kernels in \""
                                << getOperation().getName() << "\": " << list;
  }

  std::string lastNorm, text;
  Operation *current = nullptr;
  int64_t layers = 0;
  llvm::MapVector<StringRef, int64_t> unraised;
};

} // namespace
