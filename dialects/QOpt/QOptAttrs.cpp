// Attributes and enumerations, and the one place where the IR reads a format's
// spelling.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptAttrs.h"
#include "dialects/QOpt/KeyRotation.h"
#include "dialects/QOpt/QOptDialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

#include "dialects/QOpt/QOptEnums.cpp.inc"

FailureOr<quant::Format> qopt::ir::parseFormat(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  std::string text;
  if (parser.parseKeywordOrString(&text))
    return failure();
  StatusOr<quant::Format> format = quant::parseFormat(text);
  if (!format.ok()) {
    parser.emitError(loc, format.status().message());
    return failure();
  }
  return *format;
}

/// One element, or a list of them in brackets.
static ParseResult parseOneOrList(AsmParser &parser,
                                  function_ref<ParseResult()> parseOne) {
  if (failed(parser.parseOptionalLSquare()))
    return parseOne();
  return failure(parser.parseCommaSeparatedList(parseOne) ||
                 parser.parseRSquare());
}

template <typename Element>
static void printOneOrList(AsmPrinter &printer, ArrayRef<Element> elements,
                           function_ref<void(const Element &)> printOne) {
  if (elements.size() == 1)
    return printOne(elements.front());
  printer << "[";
  llvm::interleaveComma(elements, printer, printOne);
  printer << "]";
}

FailureOr<SmallVector<quant::Format>>
qopt::ir::parseLayerFormats(AsmParser &parser) {
  SmallVector<quant::Format> formats;
  auto parseOne = [&]() -> ParseResult {
    FailureOr<quant::Format> format = parseFormat(parser);
    if (failed(format))
      return failure();
    formats.push_back(*format);
    return success();
  };
  if (failed(parseOneOrList(parser, parseOne)))
    return failure();
  return formats;
}

void qopt::ir::printLayerFormats(AsmPrinter &printer,
                                 ArrayRef<quant::Format> formats) {
  printOneOrList<quant::Format>(
      printer, formats,
      [&](const quant::Format &format) { printer << quant::spell(format); });
}

FailureOr<SmallVector<int64_t>> qopt::ir::parseLayerCounts(AsmParser &parser) {
  SmallVector<int64_t> counts;
  if (failed(parseOneOrList(parser, [&]() -> ParseResult {
        return parser.parseInteger(counts.emplace_back());
      })))
    return failure();
  if (counts.size() == 1 && counts.front() == 0)
    counts.clear();
  return counts;
}

void qopt::ir::printLayerCounts(AsmPrinter &printer, ArrayRef<int64_t> counts) {
  printOneOrList<int64_t>(printer, counts,
                          [&](const int64_t &count) { printer << count; });
}

FailureOr<std::string> qopt::ir::parseArchitecture(AsmParser &parser) {
  StringRef name;
  if (parser.parseKeyword(&name))
    return failure();
  return name.str();
}

/// `8`, `true` or `[8, 16]`.
static ParseResult parseNumber(AsmParser &parser, Attribute &result) {
  Builder &builder = parser.getBuilder();
  int64_t number = 0;
  if (succeeded(parser.parseOptionalKeyword("true")))
    result = builder.getBoolAttr(true);
  else if (succeeded(parser.parseOptionalKeyword("false")))
    result = builder.getBoolAttr(false);
  else if (OptionalParseResult single = parser.parseOptionalInteger(number);
           single.has_value()) {
    if (failed(*single))
      return failure();
    result = builder.getI64IntegerAttr(number);
  } else {
    SmallVector<int64_t> numbers;
    if (parser.parseCommaSeparatedList(
            AsmParser::Delimiter::Square, [&]() -> ParseResult {
              return parser.parseInteger(numbers.emplace_back());
            }))
      return failure();
    result = builder.getDenseI64ArrayAttr(numbers);
  }
  return success();
}

/// `{grid = 132, units_per_stage = [8], whole_tiles = true}`
static ParseResult parseNumbers(AsmParser &parser, DictionaryAttr &result) {
  NamedAttrList numbers;
  auto parseOne = [&]() -> ParseResult {
    StringRef name;
    Attribute number;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&name) || parser.parseEqual() ||
        parseNumber(parser, number))
      return failure();
    if (numbers.set(name, number))
      return parser.emitError(loc) << "\"" << name << "\" is given twice";
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Braces, parseOne))
    return failure();
  result = numbers.getDictionary(parser.getContext());
  return success();
}

static void printNumbers(AsmPrinter &printer, DictionaryAttr numbers) {
  printer << "{";
  llvm::interleaveComma(numbers, printer, [&](NamedAttribute number) {
    printer << number.getName().getValue() << " = ";
    if (auto flag = dyn_cast<BoolAttr>(number.getValue()))
      printer << (flag.getValue() ? "true" : "false");
    else if (auto single = dyn_cast<IntegerAttr>(number.getValue()))
      printer << single.getInt();
    else if (auto list = dyn_cast<DenseI64ArrayAttr>(number.getValue()))
      printer << "[" << list.asArrayRef() << "]";
    else
      printer << number.getValue();
  });
  printer << "}";
}

#define GET_ATTRDEF_CLASSES
#include "dialects/QOpt/QOptAttrs.cpp.inc"

void QOptDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/QOpt/QOptAttrs.cpp.inc"
      >();
}

/// A list of kernels, those of an architecture side by side by rising `most`.
static LogicalResult verifyKernels(Operation *op, Attribute attribute) {
  auto kernels = dyn_cast<ArrayAttr>(attribute);
  if (!kernels || !llvm::all_of(kernels, llvm::IsaPred<KernelAttr>))
    return op->emitOpError("\"") << kernelsAttribute << "\" is " << attribute
                                 << "; expected a list of #qopt.kernel";
  for (size_t i = 1; i < kernels.size(); ++i) {
    auto before = cast<KernelAttr>(kernels[i - 1]);
    auto kernel = cast<KernelAttr>(kernels[i]);
    // A decoder's end has kernels for two purposes, each for any size.
    if (kernel.getFamily() == KernelFamily::Sampling)
      continue;
    if (kernel.getArchitecture() == before.getArchitecture() &&
        (!before.getMost() ||
         (kernel.getMost() && kernel.getMost() <= before.getMost())))
      return op->emitOpError("its kernels for ")
             << kernel.getArchitecture()
             << " do not rise by the most tokens that they serve";
  }
  return success();
}

LogicalResult QOptDialect::verifyOperationAttribute(Operation *op,
                                                    NamedAttribute attribute) {
  if (attribute.getName() == kernelsAttribute)
    return verifyKernels(op, attribute.getValue());
  if (attribute.getName() == keyRotationAttribute)
    return verifyKeyRotation(op, attribute.getValue());
  if (attribute.getName() == contextAttribute &&
      !isa<IntegerAttr>(attribute.getValue()))
    return op->emitOpError("\"")
           << contextAttribute << "\" is " << attribute.getValue()
           << "; expected a number of positions";
  return success();
}
