// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Quantize/ChannelSite.h"
#include "dialects/QOpt/Shapes.h"
#include "dialects/QOpt/StoredElements.h"
#include "lib/Quant/Storage.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <numeric>

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

namespace qopt::passes {

/// Users that need more than the shape.
static SmallVector<Operation *> readersOf(Value value) {
  return llvm::filter_to_vector(value.getUsers(), [](Operation *user) {
    return !isa<tensor::DimOp>(user);
  });
}

static bool isReadOnce(Value value) { return readersOf(value).size() == 1; }

/// The weight of the file that a linear reads, where nobody else reads it and
/// it has real numbers; null where not.
static WeightOp ownWeight(LinearOp linear) {
  auto weight = linear.getWeight().getDefiningOp<WeightOp>();
  bool fits = weight && weight->hasOneUse() &&
              weight.getResult().getType().getFormat().isFloat();
  return fits ? weight : WeightOp();
}

static bool isConstantVector(Value value) {
  return !value || matchPattern(value, m_Constant());
}

/// A linear whose rows can be scaled: they are all that `user` reads.
static LinearOp scalableLinear(Value value) {
  auto linear = value.getDefiningOp<LinearOp>();
  bool fits = linear && isReadOnce(value) && ownWeight(linear) &&
              !linear.getResidual() && isConstantVector(linear.getBias());
  return fits ? linear : LinearOp();
}

/// The projection of values whose heads attention mixes, seen through the views
/// that make heads of its rows.
static LinearOp sourceOfAttention(CachedAttentionOp attention,
                                  std::vector<int64_t> &channels) {
  auto append = attention.getCache().getDefiningOp<KVAppendOp>();
  if (!append || append.getLayer() != attention.getLayer())
    return {};
  Value value = append.getV();
  if (!isReadOnce(value))
    return {};
  if (auto heads = value.getDefiningOp<tensor::ExpandShapeOp>())
    value = heads.getSrc();
  ArrayRef<int64_t> queries = shapeOf(attention.getResult());
  ArrayRef<int64_t> values = shapeOf(append.getV());
  int64_t size = queries.back(), heads = queries[queries.size() - 2];
  int64_t kvHeads = values[values.size() - 2];
  if (values.back() != size || heads % kvHeads)
    return {};
  for (int64_t k = 0; k < heads * size; ++k)
    channels.push_back(k / size / (heads / kvHeads) * size + k % size);
  return scalableLinear(value);
}

/// Fills in what makes the tensor; returns why nothing can be folded there.
static std::string findProducer(Value x, ChannelSite &site) {
  Operation *op = x.getDefiningOp();
  int64_t columns = shapeOf(x).back();
  site.channels.resize(size_t(std::max<int64_t>(columns, 0)));
  std::iota(site.channels.begin(), site.channels.end(), 0);
  if (isa_and_nonnull<RmsNormOp, LayerNormOp>(op)) {
    site.norm = op;
    bool known = llvm::all_of(llvm::drop_begin(op->getOperands()),
                              [](Value v) { return isConstantVector(v); });
    return known ? "" : "the scale or bias of the norm is no constant";
  }
  if (auto gated = dyn_cast_or_null<GatedActivationOp>(op)) {
    if (gated.getUp())
      site.source = scalableLinear(gated.getUp());
    return site.source ? "" : "what the gate multiplies is no linear";
  }
  if (auto flat = dyn_cast_or_null<tensor::CollapseShapeOp>(op))
    if (auto attention = flat.getSrc().getDefiningOp<CachedAttentionOp>();
        attention && isReadOnce(flat.getSrc())) {
      site.channels.clear();
      site.source = sourceOfAttention(attention, site.channels);
      return site.source && int64_t(site.channels.size()) == columns
                 ? ""
                 : "the values of the attention are no linear of their own";
    }
  return "what makes the tensor takes no scales";
}

ChannelSite findChannelSite(Value x, std::string &reason) {
  ChannelSite site;
  for (Operation *user : readersOf(x)) {
    auto linear = dyn_cast<LinearOp>(user);
    if (!linear || linear.getX() != x || !ownWeight(linear)) {
      reason = "not all that reads the tensor are linears with weights of "
               "their own";
      return {};
    }
    site.readers.push_back(linear);
  }
  // As in the function, not as uses are linked.
  llvm::sort(site.readers,
             [](LinearOp a, LinearOp b) { return a->isBeforeInBlock(b); });
  reason = findProducer(x, site);
  if (!reason.empty())
    site.readers.clear();
  return site;
}

//===- Folding ------------------------------------------------------------===//

static DenseElementsAttr vectorAttribute(MLIRContext *context,
                                         ArrayRef<float> values) {
  auto type = RankedTensorType::get({int64_t(values.size())},
                                    Float32Type::get(context));
  return DenseElementsAttr::get(type, values);
}

/// The f32 numbers of a constant vector; nothing without its elements.
static std::optional<std::vector<float>> numbersOf(Value constant) {
  ElementsAttr attribute;
  if (!matchPattern(constant, m_Constant(&attribute)))
    return std::nullopt;
  auto stored = StoredElements::of(attribute);
  if (!stored)
    return std::nullopt;
  Type element = attribute.getElementType();
  quant::Format format =
      quant::floatFormat(element.isF16()    ? quant::ElementType::F16
                         : element.isBF16() ? quant::ElementType::BF16
                                            : quant::ElementType::F32);
  std::vector<float> values(size_t(attribute.getNumElements()));
  quant::StoredRows rows{
      reinterpret_cast<const uint8_t *>(stored->bytes().data()), nullptr,
      nullptr};
  quant::dequantizeRows(format, rows, 1, int64_t(values.size()), values.data());
  return values;
}

/// Lets the operand be what `change` makes of the constant's elements and
/// others.
static LogicalResult changeConstant(OpOperand &operand, ArrayRef<float> others,
                                    float (*change)(float, float)) {
  auto values = numbersOf(operand.get());
  if (!values)
    return operand.getOwner()->emitError(
        "the IR lacks the elements of a constant vector that it reads");
  for (auto [value, other] : llvm::zip(*values, others))
    value = change(value, other);
  OpBuilder builder(operand.getOwner());
  operand.set(arith::ConstantOp::create(
      builder, operand.get().getLoc(),
      vectorAttribute(builder.getContext(), *values)));
  return success();
}

static LogicalResult divideConstant(OpOperand &operand,
                                    ArrayRef<float> scales) {
  return changeConstant(operand, scales,
                        [](float value, float scale) { return value / scale; });
}

bool hasConstantBias(LinearOp linear) {
  return linear.getBias() && isConstantVector(linear.getBias());
}

LogicalResult addToBias(LinearOp linear, ArrayRef<float> numbers) {
  return changeConstant(
      linear.getBiasMutable()[0], numbers,
      [](float value, float number) { return value + number; });
}

Operation *normAhead(LinearOp linear) {
  for (Operation *op = linear.getX().getDefiningOp(); op;
       op = op->getOperand(0).getDefiningOp()) {
    if (isa<RmsNormOp, LayerNormOp>(op))
      return op;
    if (op->getNumOperands() != 1 || !isPure(op))
      return nullptr;
  }
  return nullptr;
}

LogicalResult multiplyNorm(Operation *norm, ArrayRef<float> factors) {
  for (OpOperand &operand : llvm::drop_begin(norm->getOpOperands())) {
    auto type = cast<ShapedType>(operand.get().getType());
    if (type.getNumElements() != int64_t(factors.size()))
      return norm->emitError("its channels are ")
             << type.getNumElements() << "; expected " << factors.size();
    if (failed(changeConstant(operand, factors, [](float value, float factor) {
          return value * factor;
        })))
      return failure();
  }
  return success();
}

/// Multiplies the factors that a weight has, or 1, and makes it f32.
static void multiplyFactors(WeightOp weight, StringRef attribute,
                            ArrayRef<float> factors) {
  std::vector<float> product(factors.begin(), factors.end());
  if (auto before = weight->getAttrOfType<DenseElementsAttr>(attribute))
    for (auto [value, factor] : llvm::zip(product, before.getValues<float>()))
      value *= factor;
  weight->setAttr(attribute, vectorAttribute(weight.getContext(), product));
  auto type = weight.getResult().getType();
  weight.getResult().setType(
      type.withFormat(quant::floatFormat(quant::ElementType::F32)));
}

LogicalResult foldChannelScales(const ChannelSite &site,
                                ArrayRef<float> scales) {
  int64_t count = *llvm::max_element(site.channels) + 1;
  std::vector<float> byChannel(size_t(count), 1.0f);
  for (auto [channel, scale] : llvm::zip(site.channels, scales))
    byChannel[size_t(channel)] = scale;
  for (LinearOp reader : site.readers) {
    WeightOp weight = ownWeight(reader);
    multiplyFactors(weight, weight.getColumnFactorsAttrName(), scales);
  }
  if (site.norm) {
    for (OpOperand &operand : llvm::drop_begin(site.norm->getOpOperands()))
      if (failed(divideConstant(operand, byChannel)))
        return failure();
    return success();
  }
  LinearOp source = site.source;
  if (source.getBias() &&
      failed(divideConstant(source.getBiasMutable()[0], byChannel)))
    return failure();
  std::vector<float> inverse;
  for (float scale : byChannel)
    inverse.push_back(1 / scale);
  WeightOp weight = ownWeight(source);
  multiplyFactors(weight, weight.getRowFactorsAttrName(), inverse);
  return success();
}

} // namespace qopt::passes
