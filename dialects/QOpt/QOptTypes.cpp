// Syntax and constraints of the types.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptTypes.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/Shapes.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/VectorCodes.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

#define GET_TYPEDEF_CLASSES
#include "dialects/QOpt/QOptTypes.cpp.inc"

void QOptDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/QOpt/QOptTypes.cpp.inc"
      >();
}

//===- !qopt.weight -------------------------------------------------------===//

quant::Format WeightType::getFormat() const {
  assert(hasOneFormat() && "rows of several formats");
  return getRanges().front().format;
}

std::string WeightType::spellFormats() const {
  if (hasOneFormat())
    return quant::spell(getFormat());
  std::string text = "[";
  for (const RowRange &range : getRanges())
    text += (text.size() > 1 ? ", " : "") + std::to_string(range.rows) + ": " +
            quant::spell(range.format);
  return text + "]";
}

WeightType WeightType::withFormat(quant::Format format) const {
  return get(getContext(), getRows(), getColumns(), RowRange{getRows(), format},
             getLayout());
}

WeightType WeightType::withLayout(Layout layout) const {
  return get(getContext(), getRows(), getColumns(), getRanges(), layout);
}

/// A format for all `rows`, or a list of ranges.
static ParseResult parseRanges(AsmParser &parser, int64_t rows,
                               SmallVectorImpl<RowRange> &ranges) {
  auto parseRange = [&]() -> ParseResult {
    RowRange range;
    if (parser.parseInteger(range.rows) || parser.parseColon())
      return failure();
    FailureOr<quant::Format> format = parseFormat(parser);
    if (failed(format))
      return failure();
    range.format = *format;
    ranges.push_back(range);
    return success();
  };
  if (succeeded(parser.parseOptionalLSquare()))
    return failure(parser.parseCommaSeparatedList(parseRange) ||
                   parser.parseRSquare());
  FailureOr<quant::Format> format = parseFormat(parser);
  if (failed(format))
    return failure();
  ranges.push_back({rows, *format});
  return success();
}

Type WeightType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  if (parser.parseLess())
    return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false,
                                /*withTrailingX=*/false) ||
      parser.parseComma())
    return {};
  if (shape.size() != 2) {
    parser.emitError(loc) << "a weight has two dimensions, rows x columns; got "
                          << shape.size();
    return {};
  }
  SmallVector<RowRange> ranges;
  if (parseRanges(parser, shape[0], ranges))
    return {};
  Layout layout = Layout::Canonical;
  if (succeeded(parser.parseOptionalComma())) {
    if (parser.parseKeyword("layout") || parser.parseEqual())
      return {};
    FailureOr<Layout> parsed = FieldParser<Layout>::parse(parser);
    if (failed(parsed))
      return {};
    layout = *parsed;
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<WeightType>(loc, parser.getContext(), shape[0],
                                       shape[1], ranges, layout);
}

void WeightType::print(AsmPrinter &printer) const {
  printer << "<" << getRows() << "x" << getColumns() << ", " << spellFormats();
  if (getLayout() != Layout::Canonical)
    printer << ", layout = " << stringifyLayout(getLayout());
  printer << ">";
}

LogicalResult WeightType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t rows, int64_t columns,
                                 ArrayRef<RowRange> ranges, Layout) {
  if (rows <= 0 || columns <= 0) // (C1)
    return emitError() << "a weight has positive dimensions; got " << rows
                       << "x" << columns;
  int64_t sum = 0;
  for (size_t i = 0; i < ranges.size(); ++i) { // (C2)
    if (ranges[i].rows <= 0)
      return emitError() << "a range of a weight has " << ranges[i].rows
                         << " rows; expected at least one";
    if (i && ranges[i].format == ranges[i - 1].format)
      return emitError() << "neighbouring ranges of a weight have one format, "
                         << quant::spell(ranges[i].format)
                         << "; expected one range of both";
    sum += ranges[i].rows;
  }
  if (sum != rows)
    return emitError() << "the ranges of a weight have " << sum
                       << " rows; expected " << rows;
  return success();
}

//===- !qopt.quantized ----------------------------------------------------===//

Type QuantizedType::getElementType() const {
  return Float32Type::get(getContext());
}

ShapedType QuantizedType::cloneWith(std::optional<ArrayRef<int64_t>> shape,
                                    Type elementType) const {
  return cast<ShapedType>(
      get(getContext(), shape.value_or(getShape()), getFormat(), getScale()));
}

Type QuantizedType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  if (parser.parseLess())
    return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(shape, /*allowDynamic=*/true,
                                /*withTrailingX=*/false) ||
      parser.parseComma())
    return {};
  FailureOr<quant::Format> format = parseFormat(parser);
  FloatAttr scale;
  if (failed(format))
    return {};
  if (succeeded(parser.parseOptionalComma()) &&
      (parser.parseKeyword("scale") || parser.parseEqual() ||
       parser.parseAttribute(scale, parser.getBuilder().getF32Type())))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<QuantizedType>(loc, parser.getContext(), shape,
                                          *format, scale);
}

void QuantizedType::print(AsmPrinter &printer) const {
  printer << "<" << spellShape(getShape()) << ", " << quant::spell(getFormat());
  if (getScale()) {
    printer << ", scale = ";
    printer.printAttributeWithoutType(getScale());
  }
  printer << ">";
}

bool QuantizedType::isCentred(quant::Format format) {
  return format == quant::Format{.element = quant::ElementType::Int8,
                                 .granularity = quant::Granularity::Channel,
                                 .zero = quant::ZeroType::U8};
}

LogicalResult
QuantizedType::verify(function_ref<InFlightDiagnostic()> emitError,
                      ArrayRef<int64_t> shape, quant::Format format,
                      FloatAttr scale) {
  if (shape.empty() || ShapedType::isDynamic(shape.back())) // (C1)
    return emitError()
           << "quantized activations have a static last dimension; got "
           << spellShape(shape);
  bool hasCodes = quant::elementOf(format.element).isInteger() ||
                  format.element == quant::ElementType::Fp8E4m3;
  bool isSymmetric =
      hasCodes && format.isSymmetric() && format.scale == quant::ScaleType::F32;
  if (!isSymmetric && !isCentred(format)) // (C2)
    return emitError() << "quantized activations have a symmetric format of "
                          "integers or fp8 with f32 scales, for example "
                          "\"int8\", \"int8_g32_sf32\" or \"fp8_e4m3\", or "
                          "\"int8_asym\"; got \""
                       << quant::spell(format) << "\"";
  bool isStatic = format.granularity == quant::Granularity::Tensor;
  if (isStatic != bool(scale)) // (C3)
    return emitError() << "quantized activations have a scale of their type "
                          "where it is one for all rows, with \"int8_tensor\" "
                          "or \"fp8_e4m3_tensor\"; got \""
                       << quant::spell(format) << "\" and "
                       << (scale ? "a scale" : "no scale");
  if (scale && (!scale.getType().isF32() || !(scale.getValueAsDouble() > 0) ||
                !scale.getValue().isFinite())) // (C3)
    return emitError() << "the scale of quantized activations is a positive, "
                          "finite f32; got "
                       << scale;
  return success();
}

//===- !qopt.kv_cache -----------------------------------------------------===//

/// (C2) and (C3) of the keys and values of a layer.
static LogicalResult
verifyLayerFormats(function_ref<InFlightDiagnostic()> emitError,
                   KVCacheType::Formats formats, int64_t headSize,
                   int64_t page) {
  auto [key, value] = formats;
  for (const quant::Format &format : {key, value})
    if (!quant::isVectorFormat(format) &&
        !quant::isVectorGroupFormat(format)) // (C2)
      return emitError()
             << "keys and values of a cache are f32, f16, bf16, int8, int4 or "
                "fp8_e4m3, or integers in groups; got \""
             << quant::spell(format) << "\"";
  if (key.groupSize &&
      (key.groupSize % 32 != 0 || page % key.groupSize != 0)) // (C3)
    return emitError() << "a group of keys is a multiple of 32 positions that "
                          "divides a page of "
                       << page << "; got " << key.groupSize;
  if (value.groupSize &&
      (value.groupSize % 16 != 0 || headSize % value.groupSize != 0)) // (C3)
    return emitError() << "a group of values is a multiple of 16 channels that "
                          "divides a head of "
                       << headSize << "; got " << value.groupSize;
  return success();
}

static std::string spelt(const quant::Format &format) {
  return quant::spell(format);
}
static std::string spelt(int64_t count) { return std::to_string(count); }

/// (C5) of a list, of formats or of counts.
template <typename Element>
static LogicalResult
verifyLayerList(function_ref<InFlightDiagnostic()> emitError, StringRef what,
                ArrayRef<Element> list, int64_t layers) {
  int64_t count = int64_t(list.size());
  if (count != 1 && count != layers)
    return emitError() << "a cache has one " << what
                       << " of all layers or one of each of its " << layers
                       << "; got " << count;
  if (count > 1 && llvm::all_equal(list))
    return emitError() << "the layers of a cache have one " << what << ", "
                       << spelt(list.front()) << "; expected it once";
  return success();
}

/// (C4).
static LogicalResult
verifyPositions(function_ref<InFlightDiagnostic()> emitError, int64_t layer,
                int64_t group, int64_t recent, int64_t first) {
  if (recent < 0 || recent % 32 != 0 || first < 0 || first % 16 != 0 ||
      (recent == 0 && first > 0) || (recent > 0 && recent < group))
    return emitError() << "a cache keeps a multiple of 32 latest positions, "
                          "not fewer than a group of keys, and then a multiple "
                          "of 16 first ones; got "
                       << recent << " and " << first << " in layer " << layer;
  return success();
}

ArrayRef<int64_t> KVCacheType::listed(ArrayRef<int64_t> ofLayers) {
  if (!llvm::all_equal(ofLayers))
    return ofLayers;
  return ofLayers.take_front(!ofLayers.empty() && ofLayers.front() != 0);
}

LogicalResult KVCacheType::verify(function_ref<InFlightDiagnostic()> emitError,
                                  int64_t layers, int64_t kvHeads,
                                  int64_t headSize, ArrayRef<quant::Format> key,
                                  ArrayRef<quant::Format> value, int64_t page,
                                  ArrayRef<int64_t> recent,
                                  ArrayRef<int64_t> first) {
  for (auto [name, size] : {std::pair("layers", layers),
                            {"kv_heads", kvHeads},
                            {"head_size", headSize},
                            {"page", page}})
    if (size <= 0) // (C1)
      return emitError() << name << " of a cache is positive; got " << size;
  for (ArrayRef<quant::Format> formats : {key, value})
    if (failed(verifyLayerList(emitError, "format", formats, layers)))
      return failure();
  for (auto [name, counts] : {std::pair("number of latest positions", recent),
                              {"number of first positions", first}}) {
    if (counts.empty())
      continue;
    if (failed(verifyLayerList(emitError, name, counts, layers)))
      return failure();
    if (counts.size() == 1 && counts.front() == 0) // (C5)
      return emitError() << "the one " << name
                         << " of a cache is not 0; expected none";
  }
  for (int64_t layer = 0; layer < layers; ++layer) {
    Formats own{formatOf(key, layer), formatOf(value, layer)};
    if (failed(verifyLayerFormats(emitError, own, headSize, page)) ||
        failed(verifyPositions(emitError, layer, own.key.groupSize,
                               countOf(recent, layer), countOf(first, layer))))
      return failure();
  }
  return success();
}
