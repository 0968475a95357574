// Matrix products that are no qopt.linear and no attention, Einsum and Conv:
// one generic with reduction dimensions and accumulators of at least 32 bits,
// then an elementwise step for what surrounds the product.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/Reductions.h"

using namespace mlir;
using namespace qopt;

namespace {
/// A product over named iteration dimensions, filled with zero.
struct Product {
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps; ///< one an operand, then the result's
  SmallVector<utils::IteratorType> kinds;
  SmallVector<OpFoldResult> sizes; ///< of the result
  Type type;                       ///< of the accumulators
};
} // namespace

static Value buildProduct(LoweringContext &context, const Product &product) {
  OpBuilder &b = context.b;
  Location loc = context.loc;
  Value init = tensor::EmptyOp::create(b, loc, product.sizes, product.type);
  Value zero = ScalarMath(context).constant(product.type, 0);
  init = linalg::FillOp::create(b, loc, zero, init).getResult(0);
  auto op = linalg::GenericOp::create(b, loc, init.getType(), product.operands,
                                      init, product.maps, product.kinds,
                                      [](OpBuilder &, Location, ValueRange) {});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  ScalarMath math(context);
  Value term;
  for (Value argument : op.getBody()->getArguments().drop_back()) {
    Value factor = math.convert(context.load(argument), product.type);
    term = term ? math.multiply({term}, {factor}) : factor;
  }
  Value total = op.getBody()->getArguments().back();
  linalg::YieldOp::create(b, loc, math.add({total}, {term}));
  return op.getResult(0);
}

/// A product as the result itself, rounded to its element type.
static LogicalResult finishProduct(LoweringContext &context, Value product,
                                   Value result) {
  if (!product)
    return context.fail("the size of its result depends on data");
  Type type = context.elementOf(result);
  if (cast<RankedTensorType>(product.getType()).getElementType() != type) {
    AffineMap identity =
        context.b.getMultiDimIdentityMap(context.rankOf(result));
    product = context.compute(
        result, product, identity, type, [&](ArrayRef<Scalar> x) -> Scalar {
          return {ScalarMath(context).convert(
              {x[0].value, type.isUnsignedInteger()}, type)};
        });
  }
  return context.finish(result, product);
}

/// A copy of `operand` that has the result's sizes in these batch axes, of
/// which only a call knows whether they are that or 1. Null where sizes depend
/// on data.
static Value repeated(LoweringContext &context, Value operand, Value result,
                      int64_t batch, ArrayRef<int64_t> axes) {
  OpBuilder &b = context.b;
  Location loc = context.loc;
  int64_t rank = context.rankOf(operand), offset = batch - (rank - 2);
  SmallVector<OpFoldResult> sizes;
  for (int64_t dim = 0; dim < rank; ++dim) {
    sizes.push_back(llvm::is_contained(axes, dim)
                        ? context.size(result, offset + dim)
                        : context.size(operand, dim));
    if (!sizes.back())
      return {};
  }
  SmallVector<Value> own;
  for (int64_t axis : axes) {
    own.push_back(context.sizeValue(operand, axis));
    if (!own.back())
      return {};
  }
  Value init =
      tensor::EmptyOp::create(b, loc, sizes, context.elementOf(operand));
  SmallVector<utils::IteratorType> kinds(rank, utils::IteratorType::parallel);
  auto op =
      linalg::GenericOp::create(b, loc, init.getType(), ValueRange(), init,
                                b.getMultiDimIdentityMap(rank), kinds,
                                [](OpBuilder &, Location, ValueRange) {});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  SmallVector<Value> place;
  for (int64_t dim = 0; dim < rank; ++dim)
    place.push_back(linalg::IndexOp::create(b, loc, dim));
  for (auto [axis, size] : llvm::zip(axes, own)) {
    Value isOne = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, size,
                                        context.index(1));
    place[axis] =
        arith::SelectOp::create(b, loc, isOne, context.index(0), place[axis]);
  }
  Value element = context.element(operand, place);
  linalg::YieldOp::create(b, loc,
                          context.store(element, context.elementOf(operand)));
  return op.getResult(0);
}

/// Adds an operand [batch axes, row, column] of a batched product, whose
/// iteration dimensions are the result's batch axes, row, column, inner.
static LogicalResult addOperand(LoweringContext &context, Product &product,
                                Value operand, Value result, int64_t batch,
                                ArrayRef<AffineExpr> matrix, int64_t dims) {
  int64_t own = std::max<int64_t>(context.rankOf(operand) - 2, 0);
  SmallVector<AffineExpr> exprs;
  SmallVector<int64_t> uncertain;
  for (int64_t dim = 0; dim < own; ++dim) {
    int64_t place = batch - own + dim;
    bool repeats = context.isOne(operand, dim) && !context.isOne(result, place);
    if (!repeats && !context.isSame(operand, dim, result, place))
      uncertain.push_back(dim);
    exprs.push_back(repeats ? context.b.getAffineConstantExpr(0)
                            : context.b.getAffineDimExpr(place));
  }
  llvm::append_range(exprs, llvm::make_filter_range(matrix, [](AffineExpr dim) {
                       return bool(dim);
                     }));
  Value value = uncertain.empty()
                    ? context.lowered(operand)
                    : repeated(context, operand, result, batch, uncertain);
  if (!value)
    return context.fail("the size of its result depends on data");
  product.operands.push_back(value);
  product.maps.push_back(
      AffineMap::get(dims, 0, exprs, context.b.getContext()));
  return success();
}

static LogicalResult lowerMatMul(onnx::MatMulOp op, LoweringContext &context) {
  Value a = op.getA(), w = op.getB(), y = op.getY();
  OpBuilder &b = context.b;
  bool rowless = context.rankOf(a) == 1, columnless = context.rankOf(w) == 1;
  int64_t batch =
      std::max<int64_t>(std::max(context.rankOf(a), context.rankOf(w)) - 2, 0);
  int64_t dims = batch;
  AffineExpr row, column;
  if (!rowless)
    row = b.getAffineDimExpr(dims++);
  if (!columnless)
    column = b.getAffineDimExpr(dims++);
  AffineExpr inner = b.getAffineDimExpr(dims++);
  Product product;
  if (failed(addOperand(context, product, a, y, batch, {row, inner}, dims)) ||
      failed(addOperand(context, product, w, y, batch, {inner, column}, dims)))
    return failure();
  SmallVector<AffineExpr> result;
  for (int64_t dim = 0; dim + 1 < dims; ++dim)
    result.push_back(b.getAffineDimExpr(dim));
  product.maps.push_back(AffineMap::get(dims, 0, result, op.getContext()));
  product.kinds.assign(dims, utils::IteratorType::parallel);
  product.kinds.back() = utils::IteratorType::reduction;
  for (int64_t dim = 0; dim < context.rankOf(y); ++dim) {
    product.sizes.push_back(context.size(y, dim));
    if (!product.sizes.back())
      return context.fail("the size of its result depends on data");
  }
  product.type = accumulatorType(context.elementOf(y));
  return finishProduct(context, buildProduct(context, product), y);
}

static LogicalResult lowerGemm(onnx::GemmOp op, LoweringContext &context) {
  OpBuilder &b = context.b;
  AffineExpr m = b.getAffineDimExpr(0), n = b.getAffineDimExpr(1),
             k = b.getAffineDimExpr(2);
  auto map = [&](AffineExpr first, AffineExpr second, bool transposed) {
    if (transposed)
      std::swap(first, second);
    return AffineMap::get(3, 0, {first, second}, op.getContext());
  };
  Value y = op.getY();
  Product product;
  product.operands = {context.lowered(op.getA()), context.lowered(op.getB())};
  product.maps = {map(m, k, op.getTransA()), map(k, n, op.getTransB()),
                  map(m, n, false)};
  product.kinds = {utils::IteratorType::parallel, utils::IteratorType::parallel,
                   utils::IteratorType::reduction};
  product.sizes = {context.size(y, 0), context.size(y, 1)};
  if (!product.sizes[0] || !product.sizes[1])
    return context.fail("the size of its result depends on data");
  product.type = accumulatorType(context.elementOf(y));
  Value total = buildProduct(context, product);
  double alpha = op.getAlpha().convertToFloat();
  double beta = op.getBeta().convertToFloat();
  bool hasC = !onnx::isAbsent(op.getC());
  if (alpha == 1.0 && !hasC)
    return finishProduct(context, total, y);
  SmallVector<Value> operands{total};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
  if (hasC) {
    operands.push_back(context.lowered(op.getC()));
    maps.push_back(context.broadcastMap(op.getC(), y));
    if (!maps.back())
      return context.fail("it is not known how its operand C broadcasts");
  }
  Type type = context.elementOf(y);
  Value value = context.compute(
      y, operands, maps, type, [&](ArrayRef<Scalar> x) -> Scalar {
        ScalarMath math(context);
        auto scaled = [&](Value value, double factor) {
          return factor == 1.0
                     ? value
                     : math.multiply({value},
                                     {math.constant(product.type, factor)});
        };
        Value sum = scaled(x[0].value, alpha);
        if (hasC)
          sum =
              math.add({sum}, {scaled(math.convert(x[1], product.type), beta)});
        return {math.convert({sum}, type)};
      });
  return context.finish(y, value);
}

/// Letters to iteration dimensions; those of the result first.
static LogicalResult lowerEinsum(onnx::EinsumOp op, LoweringContext &context) {
  OpBuilder &b = context.b;
  std::string equation;
  for (char c : op.getEquation())
    if (c != ' ')
      equation += c;
  if (StringRef(equation).contains('.'))
    return context.fail("an ellipsis in its equation is not supported");
  auto [left, right] = StringRef(equation).split("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  std::string output = right.str();
  if (!StringRef(equation).contains("->")) {
    std::string letters = left.str();
    llvm::sort(letters);
    for (char c : letters)
      if (c != ',' && llvm::count(letters, c) == 1)
        output += c;
  }
  std::string dims = output;
  for (char c : left)
    if (c != ',' && !StringRef(dims).contains(c))
      dims += c;
  auto mapOf = [&](StringRef letters) {
    SmallVector<AffineExpr> exprs;
    for (char c : letters)
      exprs.push_back(b.getAffineDimExpr(dims.find(c)));
    return AffineMap::get(dims.size(), 0, exprs, op.getContext());
  };
  Product product;
  for (auto [input, term] : llvm::zip(op.getInputs(), terms)) {
    product.operands.push_back(context.lowered(input));
    product.maps.push_back(mapOf(term));
  }
  product.maps.push_back(mapOf(output));
  product.kinds.assign(dims.size(), utils::IteratorType::reduction);
  std::fill_n(product.kinds.begin(), output.size(),
              utils::IteratorType::parallel);
  Value result = op.getResult();
  for (int64_t dim = 0; dim < context.rankOf(result); ++dim) {
    product.sizes.push_back(context.size(result, dim));
    if (!product.sizes.back())
      return context.fail("the size of its result depends on data");
  }
  product.type = accumulatorType(context.elementOf(result));
  return finishProduct(context, buildProduct(context, product), result);
}

/// The input element under one tap of the kernel, zero in the padding.
static Value convolutionInput(LoweringContext &context, onnx::ConvOp op,
                              ArrayRef<Value> dims, ArrayRef<Value> sizes,
                              ArrayRef<int64_t> pads, Value channels) {
  OpBuilder &b = context.b;
  Location loc = context.loc;
  ScalarMath math(context);
  // dims: n, m, output places, c, taps.
  int64_t places = sizes.size();
  Value group = context.index(op.getGroup());
  Value outputs = context.sizeValue(op.getW(), 0);
  Value perGroup = math.divide({outputs, true}, {group, true});
  Value ofGroup = math.divide({dims[1], true}, {perGroup, true});
  Value first = math.multiply({ofGroup}, {channels});
  SmallVector<Value> from{dims[0], math.add({first}, {dims[2 + places]})};
  Value inside = math.constant(b.getI1Type(), 1);
  for (int64_t place = 0; place < places; ++place) {
    Value start = math.multiply({dims[2 + place]},
                                {context.index(op.getStrides()[place])});
    Value tap = math.multiply({dims[3 + places + place]},
                              {context.index(op.getDilations()[place])});
    Value at = math.add({start}, {tap});
    at = math.subtract({at}, {context.index(pads[place])});
    Value fits =
        math.compare(ScalarMath::Order::Less, {at, true}, {sizes[place], true});
    inside = arith::AndIOp::create(b, loc, inside, fits);
    from.push_back(at);
  }
  Type type = context.elementOf(op.getX());
  auto choice = scf::IfOp::create(b, loc, type, inside, true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  scf::YieldOp::create(b, loc, context.element(op.getX(), from));
  b.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(b, loc, math.constant(type, 0));
  return choice.getResult(0);
}

/// The padding before the first element; SAME pads follow from the sizes.
static std::optional<SmallVector<int64_t>> firstPads(onnx::ConvOp op,
                                                     LoweringContext &context) {
  int64_t places = context.rankOf(op.getX()) - 2;
  SmallVector<int64_t> pads(places, 0);
  if (op.getAutoPad() == "NOTSET") {
    ArrayRef<int64_t> given = op.getPads();
    return SmallVector<int64_t>(given.take_front(places));
  }
  if (op.getAutoPad() == "VALID")
    return pads;
  for (int64_t place = 0; place < places; ++place) {
    int64_t size = context.typeOf(op.getX()).getDimSize(2 + place);
    int64_t out = context.typeOf(op.getY()).getDimSize(2 + place);
    if (ShapedType::isDynamic(size) || ShapedType::isDynamic(out))
      return std::nullopt;
    int64_t reach = (op.getKernelShape()[place] - 1) * op.getDilations()[place];
    int64_t total = std::max<int64_t>(
        (out - 1) * op.getStrides()[place] + reach + 1 - size, 0);
    pads[place] = op.getAutoPad() == "SAME_LOWER" ? (total + 1) / 2 : total / 2;
  }
  return pads;
}

static LogicalResult lowerConv(onnx::ConvOp op, LoweringContext &context) {
  OpBuilder &b = context.b;
  Location loc = context.loc;
  Value y = op.getY(), w = op.getW();
  int64_t places = context.rankOf(y) - 2, dims = 3 + 2 * places;
  auto pads = firstPads(op, context);
  if (!pads)
    return context.fail("its automatic padding depends on a dynamic size");
  SmallVector<Value> sizes;
  for (int64_t place = 0; place < places; ++place)
    sizes.push_back(context.sizeValue(op.getX(), 2 + place));
  Value channels = context.sizeValue(w, 1);
  Type type = accumulatorType(context.elementOf(y));
  Value init = context.empty(y, type);
  if (!init || llvm::is_contained(sizes, Value()))
    return context.fail("the size of its operand depends on data");
  Value zero = ScalarMath(context).constant(type, 0);
  init = linalg::FillOp::create(b, loc, zero, init).getResult(0);
  // Iteration: n, m, places | c, taps.
  SmallVector<AffineExpr> weight{b.getAffineDimExpr(1)}, result;
  for (int64_t dim = 2 + places; dim < dims; ++dim)
    weight.push_back(b.getAffineDimExpr(dim));
  for (int64_t dim = 0; dim < 2 + places; ++dim)
    result.push_back(b.getAffineDimExpr(dim));
  SmallVector<utils::IteratorType> kinds(dims, utils::IteratorType::reduction);
  std::fill_n(kinds.begin(), 2 + places, utils::IteratorType::parallel);
  SmallVector<AffineMap> maps{AffineMap::get(dims, 0, weight, op.getContext()),
                              AffineMap::get(dims, 0, result, op.getContext())};
  auto generic = linalg::GenericOp::create(
      b, loc, init.getType(), context.lowered(w), init, maps, kinds,
      [](OpBuilder &, Location, ValueRange) {});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(generic.getBody());
    SmallVector<Value> indices;
    for (int64_t dim = 0; dim < dims; ++dim)
      indices.push_back(linalg::IndexOp::create(b, loc, dim));
    ScalarMath math(context);
    Value x = convolutionInput(context, op, indices, sizes, *pads, channels);
    Value factor =
        math.convert(context.load(generic.getBody()->getArgument(0)), type);
    Value term = math.multiply({math.convert({x}, type)}, {factor});
    Value total = generic.getBody()->getArgument(1);
    linalg::YieldOp::create(b, loc, math.add({total}, {term}));
  }
  if (onnx::isAbsent(op.getBias()))
    return finishProduct(context, generic.getResult(0), y);
  AffineMap channel = AffineMap::get(2 + places, 0, b.getAffineDimExpr(1));
  Value value =
      context.compute(y, {generic.getResult(0), context.lowered(op.getBias())},
                      {b.getMultiDimIdentityMap(2 + places), channel},
                      context.elementOf(y), [&](ArrayRef<Scalar> x) -> Scalar {
                        ScalarMath math(context);
                        Value sum = math.add(x[0], math.widen(x[1]));
                        return {math.convert({sum}, context.elementOf(y))};
                      });
  return context.finish(y, value);
}

void qopt::addProductLowerings(OnnxLoweringTable &table) {
  using namespace onnx;
  addLowering<MatMulOp, lowerMatMul>(table);
  addLowering<GemmOp, lowerGemm>(table);
  addLowering<EinsumOp, lowerEinsum>(table);
  addLowering<ConvOp, lowerConv>(table);
}
