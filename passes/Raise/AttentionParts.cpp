// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/AttentionParts.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"
#include <cmath>

using namespace mlir;

namespace qopt::onnx {

bool Permuted::isThere() const {
  return llvm::equal(order, llvm::seq<int64_t>(0, order.size()));
}

RankedTensorType Permuted::type() const {
  SmallVector<int64_t> shape;
  for (int64_t axis : order)
    shape.push_back(onnx::typeOf(source).getDimSize(axis));
  return onnx::typeOf(source).clone(shape);
}

Value Permuted::build(OnnxBuilder &b) const {
  return isThere() ? source : b.transpose(source, order);
}

Permuted permuted(Value x, ArrayRef<int64_t> perm) {
  Permuted result{x, SmallVector<int64_t>(perm)};
  if (auto inner = x.getDefiningOp<TransposeOp>()) {
    for (int64_t &axis : result.order)
      axis = inner.getPerm()[axis];
    result.source = inner.getData();
  }
  return result;
}

Value withoutRepeatedHeads(Value x) {
  auto reshape = x.getDefiningOp<ReshapeOp>();
  auto expand =
      reshape ? reshape.getData().getDefiningOp<ExpandOp>() : ExpandOp();
  auto unsqueeze =
      expand ? expand.getData().getDefiningOp<UnsqueezeOp>() : UnsqueezeOp();
  if (!unsqueeze)
    return x;
  auto axes = constantIntegers(unsqueeze.getAxes());
  auto source = typeOf(unsqueeze.getData()), wide = typeOf(expand.getResult()),
       result = typeOf(x);
  bool matches =
      axes && axes->size() == 1 && (*axes)[0] == 2 && source.getRank() == 4 &&
      wide.getRank() == 5 && result.getRank() == 4 && !source.isDynamicDim(1) &&
      !wide.isDynamicDim(2) && wide.getDimSize(1) == source.getDimSize(1) &&
      result.getDimSize(1) == source.getDimSize(1) * wide.getDimSize(2) &&
      result.getDimSize(3) == source.getDimSize(3);
  return matches ? unsqueeze.getData() : x;
}

double takeScale(Value &value) {
  double scale = 1;
  while (true) {
    value = withoutFloatCasts(value);
    if (auto product = value.getDefiningOp<MulOp>()) {
      if (auto factor = constantScalar(product.getB())) {
        scale *= *factor, value = product.getA();
        continue;
      }
      if (auto factor = constantScalar(product.getA())) {
        scale *= *factor, value = product.getB();
        continue;
      }
    }
    if (auto quotient = value.getDefiningOp<DivOp>())
      if (auto divisor = constantScalar(quotient.getB())) {
        scale /= *divisor, value = quotient.getA();
        continue;
      }
    return scale;
  }
}

/// A mask with four axes that broadcasts to [B, H, S, T].
static Value maskOfRank4(OnnxBuilder &b, Value mask) {
  int64_t rank = typeOf(mask).getRank();
  auto axes =
      llvm::to_vector(llvm::seq<int64_t>(0, std::max<int64_t>(4 - rank, 0)));
  return rank < 4 ? b.unsqueeze(mask, axes) : mask;
}

/// [B·H, 1 or S, T] with heads parted: [B, H, 1 or S, T].
static Value partedBias(OnnxBuilder &b, Value bias, int64_t heads) {
  ArrayRef<int64_t> sizes = typeOf(bias).getShape();
  auto type =
      typeOf(bias).clone({ShapedType::kDynamic, heads, sizes[1], sizes[2]});
  Value shape = b.concat({b.integers({-1, heads}), b.shape(bias, 1, 3)}, 0);
  return ReshapeOp::create(b.builder, b.loc, type, bias, shape,
                           b.builder.getBoolAttr(false));
}

/// All that is added to scores or hides them, in one mask; null for none.
static Value maskOf(OnnxBuilder &b, const Scores &scores, int64_t heads) {
  SmallVector<Value> terms(scores.terms);
  if (scores.bias)
    terms.insert(terms.begin(), partedBias(b, scores.bias, heads));
  Value mask = scores.mask;
  bool hides = mask && OnnxBuilder::elementOf(mask).isInteger(1);
  if (mask && !hides)
    terms.push_back(mask);
  Value sum;
  for (Value term : terms)
    sum = sum ? b.binary<AddOp>(sum, term) : term;
  if (!hides)
    return sum;
  if (!sum)
    return scores.isInverted
               ? NotOp::create(b.builder, b.loc, mask.getType(), mask)
               : mask;
  Value none = b.number(-INFINITY, OnnxBuilder::elementOf(sum));
  return scores.isInverted ? b.where(mask, none, sum)
                           : b.where(mask, sum, none);
}

StringRef refusal(RankedTensorType q, RankedTensorType k, RankedTensorType v) {
  if (q.getRank() != 4 || k.getRank() != 4 || v.getRank() != 4)
    return "queries, keys and values need four axes";
  if (!ir::sizesAgree(q.getDimSize(0), k.getDimSize(0)) ||
      !ir::sizesAgree(q.getDimSize(0), v.getDimSize(0)) ||
      !ir::sizesAgree(k.getDimSize(0), v.getDimSize(0)))
    return "the batch is broadcast";
  if (q.isDynamicDim(1) || k.isDynamicDim(1) || q.isDynamicDim(3) ||
      k.isDynamicDim(3) || v.isDynamicDim(3))
    return "the numbers and sizes of heads are not known";
  if (k.getDimSize(1) != v.getDimSize(1) ||
      q.getDimSize(1) % k.getDimSize(1) != 0 ||
      q.getDimSize(3) != k.getDimSize(3))
    return "heads of queries, keys and values do not fit";
  return {};
}

Value makeAttention(OnnxBuilder &b, const Heads &heads, const Scores &scores) {
  Value q = permuted(heads.q, swapHeads).build(b);
  Value mask = maskOf(b, scores, typeOf(heads.q).getDimSize(1));
  if (mask && !OnnxBuilder::elementOf(mask).isInteger(1))
    mask = b.cast(mask, b.builder.getF32Type());
  if (mask)
    mask = maskOfRank4(b, mask);
  SmallVector<int64_t> shape(typeOf(q).getShape());
  shape.back() = typeOf(heads.v).getDimSize(3);
  Value y = ir::AttentionOp::create(
      b.builder, b.loc, typeOf(q).clone(shape), q, heads.k, heads.v, mask,
      b.builder.getF32FloatAttr(scores.scale),
      scores.causal ? b.builder.getUnitAttr() : UnitAttr(),
      scores.window ? b.builder.getI64IntegerAttr(*scores.window)
                    : IntegerAttr(),
      scores.softcap != 0 ? b.builder.getF32FloatAttr(scores.softcap)
                          : FloatAttr());
  return b.transpose(y, swapHeads);
}

} // namespace qopt::onnx
