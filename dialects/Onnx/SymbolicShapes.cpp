// The driver of shape inference: the walk over a function, regions, and the
// questions that the families' shape functions ask of their op.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/SymbolicShapes.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/ShapeTransfer.h"
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"

using namespace mlir;

namespace qopt::onnx {

const TensorFacts *SymbolicShapes::lookup(Value value) const {
  auto found = facts.find(value);
  return found == facts.end() ? nullptr : found->second.get();
}

void SymbolicShapes::set(Value value, TensorFacts valueFacts) {
  // On the heap: references to facts stay valid while others are added.
  facts[value] = std::make_unique<TensorFacts>(std::move(valueFacts));
}

RankedTensorType SymbolicShapes::typeOf(Value value) const {
  const TensorFacts *known = lookup(value);
  if (!known)
    return {};
  SmallVector<int64_t> shape;
  for (AffineExpr dim : known->dims)
    shape.push_back(constantValue(dim).value_or(ShapedType::kDynamic));
  return RankedTensorType::get(shape, known->elementType);
}

AffineExpr SymbolicShapes::dim(Value value, unsigned index) const {
  const TensorFacts *known = lookup(value);
  return known && index < known->dims.size() ? known->dims[index]
                                             : AffineExpr();
}

bool SymbolicShapes::sameDim(Value a, unsigned i, Value b, unsigned j) const {
  AffineExpr left = dim(a, i);
  return left && left == dim(b, j);
}

/// Whether a relation holds for whatever the symbols stand for.
static bool isProven(ir::SizeRelation relation, AffineExpr lhs, AffineExpr rhs,
                     const SymbolicDims &dims) {
  auto left = constantValue(lhs), right = constantValue(rhs);
  if (left && right)
    return ir::holds(relation, *left, *right);
  AffineExpr difference = dims.subtract(lhs, rhs);
  switch (relation) {
  case ir::SizeRelation::Equal:
  case ir::SizeRelation::Broadcast:
    return constantValue(difference) == 0;
  case ir::SizeRelation::AtMost:
    return dims.isAtMost(lhs, rhs);
  case ir::SizeRelation::MultipleOf:
    return lhs == rhs || (right && *right > 0 && lhs.isMultipleOf(*right));
  }
  return false;
}

void SymbolicShapes::require(Operation *op, ir::SizeRelation relation,
                             AffineExpr lhs, AffineExpr rhs) {
  if (lhs && rhs && !isProven(relation, lhs, rhs, symbols))
    required.push_back({op, relation, lhs, rhs});
}

void SymbolicShapes::declare(Value value, ArrayAttr names) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return;
  TensorFacts known{type.getElementType(), {}, std::nullopt};
  for (auto [index, size] : llvm::enumerate(type.getShape())) {
    StringAttr name;
    if (names && index < names.size())
      name = dyn_cast<StringAttr>(names[index]);
    if (!ShapedType::isDynamic(size))
      known.dims.push_back(symbols.constant(size));
    else if (name)
      known.dims.push_back(symbols.parse(name.getValue()));
    else
      known.dims.push_back(symbols.fresh("d" + std::to_string(index)));
  }
  set(value, std::move(known));
}

Status SymbolicShapes::run(FunctionOpInterface function) {
  if (function.isExternal())
    return {};
  for (auto [index, argument] : llvm::enumerate(function.getArguments()))
    declare(argument, function.getArgAttrOfType<ArrayAttr>(index, "onnx.dims"));
  for (Block &block : function.getFunctionBody())
    for (Operation &op : block)
      QOPT_RETURN_IF_ERROR(infer(&op));
  return {};
}

static std::string spellAll(ArrayRef<AffineExpr> exprs,
                            const SymbolicDims &dims) {
  std::string text;
  llvm::interleave(
      exprs, [&](AffineExpr expr) { text += dims.spell(expr); },
      [&] { text += ", "; });
  return text;
}

std::string SymbolicShapes::spell(const TensorFacts &known) const {
  std::string text = "[" + spellAll(known.dims, symbols) + "]";
  if (known.content)
    text += " = {" + spellAll(*known.content, symbols) + "}";
  return text;
}

/// The elements of a dense integer attribute of few elements.
static std::optional<Dims> contentOf(ElementsAttr value, SymbolicDims &dims) {
  auto dense = dyn_cast<DenseIntElementsAttr>(value);
  if (!dense || dense.getNumElements() > maxContent)
    return std::nullopt;
  bool isSigned = !dense.getElementType().isUnsignedInteger() &&
                  !dense.getElementType().isInteger(1);
  Dims content;
  for (const APInt &element : dense.getValues<APInt>())
    content.push_back(dims.constant(isSigned ? element.getSExtValue()
                                             : element.getZExtValue()));
  return content;
}

Status SymbolicShapes::inferRegions(Operation *op) {
  for (Region &region : op->getRegions())
    for (Block &block : region) {
      for (BlockArgument argument : block.getArguments())
        declare(argument, {});
      for (Operation &inner : block)
        QOPT_RETURN_IF_ERROR(infer(&inner));
    }
  return {};
}

/// A branch may give another size than the other one; then it depends on data.
static Status inferIf(IfOp op, SymbolicShapes &shapes) {
  Operation *thenYield = op.getThenBranch().front().getTerminator();
  Operation *elseYield = op.getElseBranch().front().getTerminator();
  ShapeTransfer transfer(op, shapes);
  if (thenYield->getNumOperands() != op.getNumResults() ||
      elseYield->getNumOperands() != op.getNumResults())
    return transfer.error("the branches give different numbers of values");
  for (unsigned i = 0; i < op.getNumResults(); ++i) {
    const TensorFacts &left = transfer.facts(thenYield->getOperand(i));
    const TensorFacts &right = transfer.facts(elseYield->getOperand(i));
    if (left.elementType != right.elementType)
      return transfer.error("the branches give different element types");
    if (left.dims.size() != right.dims.size())
      return transfer.error("the branches give tensors of different rank: " +
                            transfer.spell(left.dims) + " and " +
                            transfer.spell(right.dims));
    Dims merged;
    for (auto [a, b] : llvm::zip(left.dims, right.dims))
      merged.push_back(a == b ? a : transfer.unknown());
    std::optional<Dims> content;
    if (left.content == right.content)
      content = left.content;
    QOPT_RETURN_IF_ERROR(transfer.result(i, left.elementType, merged, content));
  }
  return {};
}

Status SymbolicShapes::infer(Operation *op) {
  QOPT_RETURN_IF_ERROR(inferRegions(op));
  return inferResults(op);
}

/// What every norm asks of its attribute.
static Status checkEpsilon(const ShapeTransfer &transfer) {
  auto epsilon = transfer.op->getAttrOfType<FloatAttr>("epsilon");
  if (!epsilon ||
      (epsilon.getValue().isFinite() && !epsilon.getValue().isNegative()))
    return {};
  return transfer.error("epsilon is " +
                        std::to_string(epsilon.getValueAsDouble()) +
                        "; expected a finite number that is not negative");
}

Status SymbolicShapes::inferResults(Operation *op) {
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    ShapedType type = constant.getValue().getShapedType();
    TensorFacts known{type.getElementType(), {}, std::nullopt};
    for (int64_t size : type.getShape())
      known.dims.push_back(symbols.constant(size));
    known.content = contentOf(constant.getValue(), symbols);
    set(constant, std::move(known));
    return {};
  }
  if (auto ifOp = dyn_cast<IfOp>(op))
    return inferIf(ifOp, *this);
  if (isa_and_present<OnnxDialect>(op->getDialect())) {
    ShapeTransfer transfer(op, *this);
    for (Value operand : op->getOperands())
      if (!isAbsent(operand) && !lookup(operand))
        return transfer.error("an operand is no ranked tensor");
    QOPT_RETURN_IF_ERROR(checkEpsilon(transfer));
    for (auto *family :
         {inferElementwise, inferShapeOp, inferSlicing, inferGather,
          inferReduceOrNorm, inferMatMul, inferAttention, inferMicrosoft})
      if (std::optional<Status> status = family(transfer))
        return *status;
  }
  for (OpResult result : op->getResults()) {
    declare(result, {});
    inferFromSources(result);
  }
  return {};
}

void SymbolicShapes::inferFromSources(OpResult result) {
  const TensorFacts *known = lookup(result);
  if (!known)
    return;
  TensorFacts better = *known;
  for (auto [index, size] : llvm::enumerate(better.dims)) {
    if (constantValue(size))
      continue;
    if (std::optional<ir::SizeSource> source = ir::sizeSource(result, index))
      if (AffineExpr found = dim(source->value, source->dim))
        size = found;
  }
  set(result, std::move(better));
}

//===----------------------------------------------------------------------===//
// ShapeTransfer
//===----------------------------------------------------------------------===//

bool ShapeTransfer::present(unsigned operand) const {
  return operand < op->getNumOperands() && !isAbsent(op->getOperand(operand));
}

const TensorFacts &ShapeTransfer::facts(Value value) const {
  const TensorFacts *known = shapes.lookup(value);
  assert(known && "an operand without a ranked type");
  return *known;
}

const TensorFacts &ShapeTransfer::facts(unsigned operand) const {
  return facts(op->getOperand(operand));
}

std::optional<Dims> ShapeTransfer::content(unsigned operand) const {
  return facts(operand).content;
}

std::optional<SmallVector<int64_t>>
ShapeTransfer::integers(unsigned operand) const {
  const std::optional<Dims> &elements = facts(operand).content;
  if (!elements)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (AffineExpr element : *elements) {
    std::optional<int64_t> value = constantValue(element);
    if (!value)
      return std::nullopt;
    result.push_back(*value);
  }
  return result;
}

std::optional<int64_t> ShapeTransfer::length(unsigned operand) const {
  const Dims &sizes = facts(operand).dims;
  return sizes.size() == 1 ? constantValue(sizes[0]) : std::nullopt;
}

StatusOr<int64_t> ShapeTransfer::axis(int64_t axis, int64_t rank) const {
  if (axis < -rank || axis >= rank)
    return error("axis " + Twine(axis) + " is out of range; expected -" +
                 Twine(rank) + " to " + Twine(rank - 1));
  return axis < 0 ? axis + rank : axis;
}

StatusOr<SmallVector<int64_t>> ShapeTransfer::axes(unsigned operand,
                                                   int64_t rank) const {
  auto values = integers(operand);
  if (!values)
    return Status(StatusCode::Unsupported,
                  "the axes are computed at run time; expected a constant");
  for (int64_t &value : *values) {
    StatusOr<int64_t> counted = axis(value, rank);
    if (!counted)
      return counted.status();
    value = *counted;
  }
  SmallVector<int64_t> sorted(*values);
  llvm::sort(sorted);
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return error("an axis is given twice");
  return *values;
}

StatusOr<Dims> ShapeTransfer::broadcast(ArrayRef<AffineExpr> a,
                                        ArrayRef<AffineExpr> b) const {
  Dims sizes;
  size_t rank = std::max(a.size(), b.size());
  for (size_t i = 0; i < rank; ++i) {
    AffineExpr left = constant(1), right = constant(1);
    if (i + a.size() >= rank)
      left = a[i + a.size() - rank];
    if (i + b.size() >= rank)
      right = b[i + b.size() - rank];
    AffineExpr size = dims.broadcast(left, right);
    if (!size)
      return error("the shapes " + spell(a) + " and " + spell(b) +
                   " do not broadcast");
    if (constantValue(left) != 1 && constantValue(right) != 1)
      require(ir::SizeRelation::Broadcast, left, right);
    sizes.push_back(size);
  }
  return sizes;
}

void ShapeTransfer::require(ir::SizeRelation relation, AffineExpr lhs,
                            AffineExpr rhs) const {
  shapes.require(op, relation, lhs, rhs);
}

void ShapeTransfer::requireFits(AffineExpr own, AffineExpr full) const {
  if (constantValue(own) == 1)
    return;
  require(ir::SizeRelation::Broadcast, own, full);
  require(ir::SizeRelation::AtMost, own, full);
}

AffineExpr ShapeTransfer::product(ArrayRef<AffineExpr> sizes) const {
  AffineExpr product = constant(1);
  for (AffineExpr size : sizes)
    product = dims.multiply(product, size);
  return product;
}

Status ShapeTransfer::result(unsigned index, Type elementType, Dims sizes,
                             std::optional<Dims> content) {
  Value value = op->getResult(index);
  if (isAbsent(value))
    return {};
  int64_t bytes = 8;
  for (AffineExpr &size : sizes) {
    if (!size) // not followed
      size = unknown();
    std::optional<int64_t> fixed = constantValue(size);
    if (fixed &&
        (*fixed < 0 ||
         llvm::MulOverflow(bytes, std::max<int64_t>(*fixed, 1), bytes)))
      return error("the result's shape " + spell(sizes) +
                   " is negative or too large to address");
  }
  if (content && smallCount(sizes) != static_cast<int64_t>(content->size()))
    content.reset();
  shapes.set(value, {elementType, std::move(sizes), std::move(content)});
  return {};
}

AffineExpr ShapeTransfer::unknown() const {
  StringRef name = op->getName().stripDialect();
  return dims.fresh(name.lower());
}

Status ShapeTransfer::error(const Twine &message) const {
  return Status(StatusCode::BadModel, message.str());
}

std::string ShapeTransfer::spell(ArrayRef<AffineExpr> sizes) const {
  return "[" + spellAll(sizes, dims) + "]";
}

std::optional<int64_t> smallCount(ArrayRef<AffineExpr> dims) {
  int64_t count = 1;
  for (AffineExpr dim : dims) {
    std::optional<int64_t> size = constantValue(dim);
    if (!size || *size > maxContent)
      return std::nullopt;
    count *= *size;
    if (count > maxContent)
      return std::nullopt;
  }
  return count;
}

} // namespace qopt::onnx
