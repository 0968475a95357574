// The roles of a model's arguments. Exporters agree on names, and models of
// other names are made by hand; where none is known, a text model shows what is
// what:
//
//   tokens      the only integers that look up rows of a table
//   past        numbers [batch, heads, ?, size] beside tokens
//   positions   integers as large as the tokens
//   mask        [batch, ?] of another length: the past's and the tokens'
//
// What a decoder attends to across sequences has its names alone.
//
// Where two look up tables, token types or learned positions beside tokens,
// nothing is guessed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "passes/Raise/OnnxValues.h"
#include "passes/Raise/Probe.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt::passes {

ArrayRef<Attribute> dimensionsOf(func::FuncOp func, Value argument) {
  if (!argument)
    return {};
  auto dims = func.getArgAttrOfType<ArrayAttr>(
      cast<BlockArgument>(argument).getArgNumber(), "onnx.dims");
  return dims ? dims.getValue() : ArrayRef<Attribute>();
}

/// Whether rows of a table are looked up by `value`.
static bool looksUp(Value value) {
  return llvm::any_of(value.getUses(), [](OpOperand &use) {
    Operation *user = use.getOwner();
    if (isa<CastOp, IdentityOp>(user))
      return looksUp(user->getResult(0));
    return isa<ir::EmbeddingOp>(user) ||
           (isa<GatherOp>(user) && use.getOperandNumber() == 1);
  });
}

static bool isMatrixOfIntegers(RankedTensorType type) {
  return type.getRank() == 2 && isa<IntegerType>(type.getElementType());
}

/// Whether a tensor could be keys or values of earlier tokens: how many is all
/// that is not known.
static bool isCache(RankedTensorType type) {
  return type.getRank() == 4 && isa<FloatType>(type.getElementType()) &&
         !type.isDynamicDim(1) && type.isDynamicDim(2) && !type.isDynamicDim(3);
}

std::optional<SourceName> parseSourceName(StringRef name) {
  SourceName found;
  found.isKey = name.consume_back(".encoder.key");
  if (!found.isKey && !name.consume_back(".encoder.value"))
    return std::nullopt;
  if (name.rsplit('.').second.getAsInteger(10, found.layer) || found.layer < 0)
    return std::nullopt;
  return found;
}

static ModelInputs namedInputs(func::FuncOp func,
                               SmallVectorImpl<BlockArgument> &others) {
  ModelInputs inputs;
  for (BlockArgument argument : func.getArguments()) {
    auto name =
        func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "qopt.name");
    RankedTensorType type = typeOf(argument);
    if (!name || !type)
      continue;
    StringRef text = name.getValue();
    if (text == "input_ids" || text == "inputs_embeds")
      inputs.tokens = argument;
    else if (text == "attention_mask")
      inputs.mask = argument;
    else if (text == "position_ids")
      inputs.positions = argument;
    else if (text == "encoder_attention_mask")
      inputs.sourceMask = argument;
    else if (type.getRank() == 4 && parseSourceName(text))
      inputs.sources.push_back(argument);
    else if (text.starts_with("past") && type.getRank() == 4)
      inputs.past.push_back(argument);
    else
      others.push_back(argument);
  }
  return inputs;
}

ModelInputs ModelInputs::of(func::FuncOp func) {
  SmallVector<BlockArgument> others;
  ModelInputs inputs = namedInputs(func, others);
  if (inputs.tokens || inputs.mask || inputs.positions || !inputs.past.empty())
    return inputs;
  for (BlockArgument argument : others) {
    if (!isMatrixOfIntegers(typeOf(argument)) || !looksUp(argument))
      continue;
    if (inputs.tokens)
      return {};
    inputs.tokens = argument;
  }
  if (!inputs.tokens)
    return inputs;
  if (inputs.past.empty())
    llvm::copy_if(others, std::back_inserter(inputs.past),
                  [](Value argument) { return isCache(typeOf(argument)); });
  if (inputs.past.empty())
    return inputs; // token types are as large as tokens too
  ArrayRef<Attribute> size = dimensionsOf(func, inputs.tokens);
  for (BlockArgument argument : others) {
    RankedTensorType type = typeOf(argument);
    if (argument == inputs.tokens || type.getRank() != 2)
      continue;
    bool sameSize = dimensionsOf(func, argument) == size;
    if (sameSize && isMatrixOfIntegers(type) && !inputs.positions)
      inputs.positions = argument;
    else if (!sameSize && !inputs.mask)
      inputs.mask = argument;
  }
  return inputs;
}

} // namespace qopt::passes
