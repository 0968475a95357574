// Verifiers and folds of the expressions on weights.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

//===- weight -------------------------------------------------------------===//

/// Emits what is wrong with one of the arrays of a weight.
static LogicalResult verifyArray(WeightOp op, StringRef name,
                                 ElementsAttr array, ArrayRef<int64_t> shape,
                                 function_ref<bool(Type)> hasElement,
                                 StringRef elements) {
  auto type = array.getShapedType();
  if (type.getShape() == shape && hasElement(type.getElementType()))
    return success();
  return op.emitOpError() << name << " of \"" << op.getName() << "\" have type "
                          << type << "; expected shape " << spellShape(shape)
                          << " of " << elements;
}

static bool isByte(Type type) { return type.isInteger(8); }
static bool isFloat(Type type) {
  return type.isF32() || type.isF16() || type.isBF16();
}

/// Whether a type is that of scales that a file has: floating point, and e8m0
/// exactly where the format says so.
static bool isScale(Type type, const quant::Format &format) {
  return format.scale == quant::ScaleType::E8m0 ? isa<Float8E8M0FNUType>(type)
                                                : isFloat(type);
}

/// Whether codes of an element have this type in a file.
static bool isCode(Type type, const quant::Element &element) {
  switch (element.type) {
  case quant::ElementType::Fp8E4m3:
    return isa<Float8E4M3FNType>(type);
  case quant::ElementType::Fp8E5m2:
    return isa<Float8E5M2Type>(type);
  case quant::ElementType::Fp4E2m1:
    return isa<Float4E2M1FNType>(type);
  default:
    return element.isInteger() && type.isInteger(element.bits);
  }
}

/// The builtin type of a floating point format.
static Type floatTypeOf(MLIRContext *context, quant::ElementType element) {
  switch (element) {
  case quant::ElementType::F16:
    return Float16Type::get(context);
  case quant::ElementType::BF16:
    return BFloat16Type::get(context);
  default:
    return Float32Type::get(context);
  }
}

/// (C4): shape and elements of the codes.
static LogicalResult verifyCodes(WeightOp op) {
  WeightType type = op.getResult().getType();
  quant::Format format = type.getFormat();
  SmallVector<int64_t> shape = {type.getRows(), type.getColumns()};
  if (op.getTransposed())
    std::swap(shape[0], shape[1]);
  if (op.hasFactors())
    return verifyArray(op, "codes", op.getCodes(), shape, isFloat,
                       "floating point numbers");
  if (format.isFloat()) {
    Type element = floatTypeOf(op.getContext(), format.element);
    return verifyArray(
        op, "codes", op.getCodes(), shape,
        [&](Type found) { return found == element; }, quant::spell(format));
  }
  unsigned bits = quant::elementOf(format.element).bits;
  switch (op.getEncoding()) {
  case Encoding::Canonical:
    return verifyArray(
        op, "codes", op.getCodes(),
        {type.getRows(), quant::bytesPerRow(format, type.getColumns())}, isByte,
        "bytes");
  case Encoding::MatMulNBits: {
    int64_t blocks = quant::groupsPerRow(format, type.getColumns());
    int64_t blob = quant::groupColumns(format, type.getColumns()) * bits / 8;
    return verifyArray(op, "codes", op.getCodes(),
                       {type.getRows(), blocks, blob}, isByte, "bytes");
  }
  case Encoding::DequantizeLinear: {
    const quant::Element &element = quant::elementOf(format.element);
    return verifyArray(
        op, "codes", op.getCodes(), shape,
        [&](Type found) { return isCode(found, element); },
        element.isInteger() ? std::to_string(bits) + "-bit integers"
                            : std::string(element.name));
  }
  }
  llvm_unreachable("every encoding returns");
}

/// (C5): as many scales as the format says, in the order that the encoding
/// says; with two levels the bytes of scales and of zero points.
static LogicalResult verifyScales(WeightOp op) {
  WeightType type = op.getResult().getType();
  const quant::Format &format = type.getFormat();
  if (format.hasTwoLevels()) {
    int64_t rows = type.getRows(), columns = type.getColumns();
    if (failed(verifyArray(op, "scales", *op.getScales(),
                           {rows, quant::scaleBytesPerRow(format, columns)},
                           isByte, "bytes")))
      return failure();
    return format.isSymmetric()
               ? success()
               : verifyArray(op, "zeros", *op.getZeros(),
                             {rows, quant::zeroBytesPerRow(format, columns)},
                             isByte, "bytes");
  }
  int64_t expected =
      quant::scaleCount(type.getFormat(), type.getRows(), type.getColumns());
  auto scales = op.getScales()->getShapedType();
  if (scales.hasStaticShape() && scales.getNumElements() == expected &&
      isScale(scales.getElementType(), format))
    return success();
  return op.emitOpError() << "scales of \"" << op.getName() << "\" have type "
                          << scales << "; expected " << expected
                          << (format.scale == quant::ScaleType::E8m0
                                  ? " powers of two in f8E8M0FNU"
                                  : " floating point numbers");
}

/// (C5): a code book is a byte for each code.
static LogicalResult verifyBook(WeightOp op) {
  quant::ElementType element = op.getResult().getType().getFormat().element;
  int size = quant::elementOf(element).bookSize;
  return size ? verifyArray(op, "zeros", *op.getZeros(), {1, size}, isByte,
                            "bytes, a code book")
              : success();
}

/// (C9): a number for each row and column.
static LogicalResult verifyFactors(WeightOp op) {
  WeightType type = op.getResult().getType();
  if (op.hasFactors() &&
      type.getFormat() != quant::floatFormat(quant::ElementType::F32))
    return op.emitOpError() << "\"" << op.getName() << "\" has factors and "
                            << "the format \"" << quant::spell(type.getFormat())
                            << "\"; expected f32";
  for (auto factors : {op.getRowFactors(), op.getColumnFactors()})
    if (factors && !isa<DenseElementsAttr>(*factors))
      return op.emitOpError()
             << "factors of \"" << op.getName() << "\" are no dense attribute";
  auto isF32 = [](Type element) { return element.isF32(); };
  if (auto factors = op.getRowFactors();
      factors && failed(verifyArray(op, "row_factors", *factors,
                                    {type.getRows()}, isF32, "f32")))
    return failure();
  auto factors = op.getColumnFactors();
  return factors ? verifyArray(op, "column_factors", *factors,
                               {type.getColumns()}, isF32, "f32")
                 : success();
}

/// (C7): what an encoding holds, where that is not this format.
static StringRef heldBy(Encoding encoding, const quant::Format &format) {
  const quant::Element &element = quant::elementOf(format.element);
  switch (encoding) {
  case Encoding::Canonical:
    return "";
  case Encoding::MatMulNBits:
    return element.isInteger() && !format.hasTwoLevels() ? "" : "integers";
  case Encoding::DequantizeLinear:
    return !element.isFloat && !element.bookSize &&
                   element.type != quant::ElementType::Nf4 &&
                   !format.hasScaleFields()
               ? ""
               : "integers, fp8 or fp4";
  }
  llvm_unreachable("every encoding returns");
}

LogicalResult WeightOp::verify() {
  WeightType type = getResult().getType();
  if (!type.hasOneFormat()) // (C8)
    return emitOpError() << "\"" << getName() << "\" has the formats "
                         << type.spellFormats()
                         << "; expected one for all rows";
  quant::Format format = type.getFormat();
  if (type.getLayout() != Layout::Canonical) // (C1)
    return emitOpError() << "the layout of \"" << getName() << "\" is "
                         << stringifyLayout(type.getLayout())
                         << "; expected canonical";
  if (failed(verifyFactors(*this)))
    return failure();
  if (bool(getScales()) == format.isFloat()) // (C2)
    return emitOpError() << "\"" << getName() << "\" has "
                         << (getScales() ? "" : "no ") << "scales; expected "
                         << (getScales() ? "none" : "them") << " in format \""
                         << quant::spell(format) << "\"";
  if (bool(getZeros()) != quant::hasZeroArray(format)) // (C3)
    return emitOpError() << "\"" << getName() << "\" has "
                         << (getZeros() ? "" : "no ") << "zeros; expected "
                         << (getZeros() ? "none" : "them") << " in format \""
                         << quant::spell(format) << "\"";
  bool rowsOnly = getEncoding() == Encoding::MatMulNBits ||
                  (getEncoding() == Encoding::Canonical && !format.isFloat());
  if (getTransposed() && rowsOnly) // (C6)
    return emitOpError()
           << "\"" << getName()
           << "\" is transposed, which is not possible with encoding "
           << stringifyEncoding(getEncoding()) << " and format \""
           << quant::spell(format) << "\"";
  if (StringRef held = heldBy(getEncoding(), format); !held.empty()) // (C7)
    return emitOpError() << "the encoding of \"" << getName() << "\" is "
                         << stringifyEncoding(getEncoding()) << ", which holds "
                         << held << " and no integer scales; got the format "
                         << "\"" << quant::spell(format) << "\"";
  if (failed(verifyCodes(*this))) // (C4)
    return failure();
  if (failed(verifyBook(*this))) // (C5)
    return failure();
  return getScales() ? verifyScales(*this) : success(); // (C5)
}

//===- quantize_weight ----------------------------------------------------===//

LogicalResult QuantizeWeightOp::verify() {
  WeightType source = getSource().getType(), result = getResult().getType();
  bool sameShape = source.getRows() == result.getRows() &&
                   source.getColumns() == result.getColumns();
  if (!sameShape || source.getLayout() != Layout::Canonical ||
      result.getLayout() != Layout::Canonical) // (C1)
    return emitOpError() << "the result has type " << result
                         << "; expected the dimensions of " << source
                         << ", both in the canonical layout";
  if (!source.hasOneFormat() || !source.getFormat().isFloat()) // (C2)
    return emitOpError() << "the source has format \"" << source.spellFormats()
                         << "\"; expected one without scales";
  if (!result.hasOneFormat()) // (C4)
    return emitOpError() << "the result has the formats "
                         << result.spellFormats()
                         << "; expected one for all rows";
  std::string fault =
      quant::groupFault(result.getFormat(), result.getColumns()); // (C3)
  return fault.empty() ? success() : emitOpError() << fault;
}

OpFoldResult QuantizeWeightOp::fold(FoldAdaptor) {
  return getSource().getType() == getResult().getType() ? getSource() : Value();
}

//===- concat_weights -----------------------------------------------------===//

/// The ranges of the sources, one below the other.
static SmallVector<RowRange> rangesOf(ValueRange sources) {
  SmallVector<RowRange> ranges;
  for (Type type : sources.getTypes())
    for (const RowRange &range : cast<WeightType>(type).getRanges()) {
      if (!ranges.empty() && ranges.back().format == range.format)
        ranges.back().rows += range.rows;
      else
        ranges.push_back(range);
    }
  return ranges;
}

void ConcatWeightsOp::build(OpBuilder &builder, OperationState &state,
                            ValueRange sources) {
  auto first = cast<WeightType>(sources.front().getType());
  int64_t rows = 0;
  for (Type type : sources.getTypes())
    rows += cast<WeightType>(type).getRows();
  build(builder, state,
        WeightType::get(builder.getContext(), rows, first.getColumns(),
                        rangesOf(sources), first.getLayout()),
        sources);
}

LogicalResult ConcatWeightsOp::verify() {
  WeightType result = getResult().getType();
  if (getSources().empty()) // (C1)
    return emitOpError("has no sources; expected at least one");
  int64_t rows = 0;
  const RowRange *last = nullptr;
  for (Value source : getSources()) {
    auto type = cast<WeightType>(source.getType());
    if (type.getColumns() != result.getColumns() ||
        type.getLayout() != Layout::Canonical ||
        result.getLayout() != Layout::Canonical) // (C2)
      return emitOpError() << "a source has type " << type << " and the result "
                           << result
                           << "; expected the same columns, both in the "
                              "canonical layout";
    const RowRange &range = type.getRanges().front();
    if (last && last->format == range.format &&
        !quant::isByRow(range.format)) // (C3)
      return emitOpError() << "format \"" << quant::spell(range.format)
                           << "\" has one "
                           << (range.format.granularity ==
                                       quant::Granularity::Tensor
                                   ? "scale"
                                   : "code book")
                           << " for all rows, which the sources do not share";
    last = &type.getRanges().back();
    rows += type.getRows();
  }
  if (rows != result.getRows()) // (C4)
    return emitOpError() << "the result has " << result.getRows()
                         << " rows; expected " << rows
                         << ", the sum of the sources'";
  auto expected = WeightType::get(getContext(), rows, result.getColumns(),
                                  rangesOf(getSources()), Layout::Canonical);
  if (expected != result) // (C5)
    return emitOpError() << "the result has the formats "
                         << result.spellFormats() << "; expected "
                         << expected.spellFormats() << ", the sources'";
  return success();
}

OpFoldResult ConcatWeightsOp::fold(FoldAdaptor) {
  return getSources().size() == 1 ? getSources().front() : Value();
}

/// A concatenation of concatenations is one.
static LogicalResult flattenConcat(ConcatWeightsOp op,
                                   PatternRewriter &rewriter) {
  SmallVector<Value> sources;
  for (Value source : op.getSources()) {
    if (auto inner = source.getDefiningOp<ConcatWeightsOp>())
      llvm::append_range(sources, inner.getSources());
    else
      sources.push_back(source);
  }
  if (sources.size() == op.getSources().size())
    return rewriter.notifyMatchFailure(op, "no source is a concatenation");
  rewriter.modifyOpInPlace(op, [&] { op.getSourcesMutable().assign(sources); });
  return success();
}

void ConcatWeightsOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                                  MLIRContext *) {
  patterns.add(flattenConcat);
}

//===- transpose_weight ---------------------------------------------------===//

/// The format that keeps every value of a weight without scales.
static quant::Format realFormat(WeightType source) {
  bool isReal = source.hasOneFormat() && source.getFormat().isFloat();
  return isReal ? source.getFormat() : *quant::parseFormat("f32");
}

void TransposeWeightOp::build(OpBuilder &builder, OperationState &state,
                              Value source) {
  auto type = cast<WeightType>(source.getType());
  build(builder, state,
        WeightType::get(builder.getContext(), type.getColumns(), type.getRows(),
                        realFormat(type)),
        source);
}

LogicalResult TransposeWeightOp::verify() {
  WeightType source = getSource().getType(), result = getResult().getType();
  bool exchanged = source.getRows() == result.getColumns() &&
                   source.getColumns() == result.getRows();
  if (!exchanged || source.getLayout() != Layout::Canonical ||
      result.getLayout() != Layout::Canonical) // (C1)
    return emitOpError() << "the result has type " << result
                         << "; expected rows and columns of " << source
                         << " exchanged, both in the canonical layout";
  bool isF32 =
      result.hasOneFormat() && quant::spell(result.getFormat()) == "f32";
  bool same = result.hasOneFormat() && source.hasOneFormat() &&
              source.getFormat().isFloat() &&
              source.getFormat() == result.getFormat();
  if (!isF32 && !same) // (C2)
    return emitOpError() << "the result has format \"" << result.spellFormats()
                         << "\"; expected \""
                         << quant::spell(realFormat(source)) << "\"";
  return success();
}

//===- pack_weight --------------------------------------------------------===//

LogicalResult PackWeightOp::verify() {
  WeightType source = getSource().getType(), result = getResult().getType();
  if (result.withLayout(source.getLayout()) != source) // (C1)
    return emitOpError() << "the result has type " << result << "; expected "
                         << source << " in another layout";
  if (source.getLayout() != Layout::Canonical) // (C2)
    return emitOpError() << "the source has layout "
                         << stringifyLayout(source.getLayout())
                         << "; expected canonical";
  return success();
}

OpFoldResult PackWeightOp::fold(FoldAdaptor) {
  return getSource().getType() == getResult().getType() ? getSource() : Value();
}
