// Attributes and enumerations, and the one place where the IR reads a format's
// spelling.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptAttrs.h"
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

#define GET_ATTRDEF_CLASSES
#include "dialects/QOpt/QOptAttrs.cpp.inc"

void QOptDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/QOpt/QOptAttrs.cpp.inc"
      >();
}
