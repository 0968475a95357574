// The generated definitions of the operations, and the pieces of syntax that
// they share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace qopt::ir;

/// A real number without its type: `epsilon 1.0e-05`.
static ParseResult parseReal(OpAsmParser &parser, FloatAttr &value) {
  return parser.parseAttribute(value, parser.getBuilder().getF32Type());
}
static void printReal(OpAsmPrinter &printer, Operation *, FloatAttr value) {
  printer.printAttributeWithoutType(value);
}

/// One type for two values.
static ParseResult parseSameTypes(OpAsmParser &parser, Type &first,
                                  Type &second) {
  if (parser.parseType(first))
    return failure();
  second = first;
  return success();
}
static void printSameTypes(OpAsmPrinter &printer, Operation *, Type first,
                           Type) {
  printer << first;
}

/// The type of gated_activation's second operand is that of the first, so it is
/// not written.
static ParseResult
parseUpType(OpAsmParser &,
            const std::optional<OpAsmParser::UnresolvedOperand> &up,
            Type &upType, Type gateType) {
  if (up)
    upType = gateType;
  return success();
}
static void printUpType(OpAsmPrinter &, Operation *, Value, Type, Type) {}

#define GET_OP_CLASSES
#include "dialects/QOpt/QOptOps.cpp.inc"
