// Syntax and constraints of fused regions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace qopt::ir;

/// `kernel rotary_append (%a = %x, …) : (types) -> types { … } attributes`; the
/// kernel may be absent.
ParseResult FusedOp::parse(OpAsmParser &parser, OperationState &result) {
  if (succeeded(parser.parseOptionalKeyword("kernel"))) {
    FailureOr<FusedKernel> kernel = FieldParser<FusedKernel>::parse(parser);
    if (failed(kernel))
      return failure();
    result.addAttribute(getKernelAttrName(result.name),
                        FusedKernelAttr::get(parser.getContext(), *kernel));
  }
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  FunctionType type;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseAssignmentList(arguments, operands) || parser.parseColon())
    return failure();
  SMLoc typeLoc = parser.getCurrentLocation();
  if (parser.parseType(type))
    return failure();
  if (type.getNumInputs() != operands.size())
    return parser.emitError(typeLoc)
           << "there are " << operands.size() << " inputs and "
           << type.getNumInputs() << " types of inputs";
  for (auto [argument, input] : llvm::zip(arguments, type.getInputs()))
    argument.type = input;
  result.addTypes(type.getResults());
  return failure(parser.resolveOperands(operands, type.getInputs(), loc,
                                        result.operands) ||
                 parser.parseRegion(*result.addRegion(), arguments) ||
                 parser.parseOptionalAttrDict(result.attributes));
}

void FusedOp::print(OpAsmPrinter &printer) {
  if (getKernel())
    printer << " kernel " << stringifyFusedKernel(*getKernel());
  printer << " (";
  llvm::interleaveComma(llvm::zip(getBody().getArguments(), getInputs()),
                        printer, [&](auto pair) {
                          printer << std::get<0>(pair) << " = "
                                  << std::get<1>(pair);
                        });
  printer << ") : ";
  printer.printFunctionalType(*this);
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  printer.printOptionalAttrDict((*this)->getAttrs(),
                                {getKernelAttrName().getValue()});
}

std::optional<RotaryAppendBody> qopt::ir::matchRotaryAppend(FusedOp op) {
  RotaryAppendBody body;
  Operation *next = &op.getBody().front().front();
  auto first = dyn_cast<RotaryOp>(next);
  if (first && isa<RotaryOp>(next->getNextNode())) {
    body.queries = first;
    next = next->getNextNode();
  }
  body.keys = dyn_cast<RotaryOp>(next);
  if (!body.keys)
    return std::nullopt;
  body.append = dyn_cast<KVAppendOp>(next->getNextNode());
  if (!body.append || body.append.getK() != body.keys.getResult() ||
      !body.keys->hasOneUse() || !isa<YieldOp>(body.append->getNextNode()))
    return std::nullopt;
  RotaryOp queries = body.queries;
  if (queries && (queries.getCos() != body.keys.getCos() ||
                  queries.getSin() != body.keys.getSin() ||
                  queries.getInterleaved() != body.keys.getInterleaved()))
    return std::nullopt;
  return body;
}

LogicalResult FusedOp::verify() {
  if (getBody().getArgumentTypes() != getInputs().getTypes()) // (C1)
    return emitOpError(
        "the arguments of the body do not have the types of the inputs");
  return success();
}

LogicalResult FusedOp::verifyRegions() {
  auto yield = cast<YieldOp>(getBody().front().getTerminator());
  if (yield.getValues().getTypes() != getOutputs().getTypes()) { // (C2)
    InFlightDiagnostic error =
        emitOpError("the body does not yield the types of the results");
    error.attachNote(yield.getLoc()) << "yielded here";
    return error;
  }
  for (Operation &op : getBody().front()) { // (C3)
    bool known = isa_and_nonnull<QOptDialect, tensor::TensorDialect,
                                 arith::ArithDialect>(op.getDialect());
    if (known && op.getNumRegions() == 0)
      continue;
    InFlightDiagnostic error =
        emitOpError("the body has operations of qopt, tensor and arith only, "
                    "without regions");
    error.attachNote(op.getLoc()) << "found \"" << op.getName() << "\"";
    return error;
  }
  if (getKernel() && !matchRotaryAppend(*this)) // (C4)
    return emitOpError("the body is not what kernel \"")
           << stringifyFusedKernel(*getKernel())
           << "\" does; expected rotary of queries (or none), rotary of keys, "
              "kv_append";
  return success();
}
