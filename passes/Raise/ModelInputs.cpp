// The roles of a model's arguments. Exporters agree on names, and models of
// other names are made by hand; there a text model shows what is what:
//
//   tokens      integers that look up rows of the largest table
//   past        numbers [batch, heads, ?, size] beside tokens
//   positions   integers as large as the tokens
//   mask        [batch, ?] of another length: the past's and the tokens'
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

/// Rows of the table whose indices `use` is.
static int64_t rowsOf(GatherOp gather, OpOperand &use) {
  RankedTensorType table = typeOf(gather.getData());
  return use.getOperandNumber() == 1 && table && table.getRank() == 2
             ? table.getDimSize(0)
             : 0;
}

/// Rows of the tables that `value` looks up, 0 where it does not.
static int64_t rowsLookedUp(Value value) {
  int64_t rows = 0;
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (isa<CastOp, IdentityOp>(user))
      rows = std::max(rows, rowsLookedUp(user->getResult(0)));
    else if (auto gather = dyn_cast<GatherOp>(user))
      rows = std::max(rows, rowsOf(gather, use));
    else if (auto embedding = dyn_cast<ir::EmbeddingOp>(user))
      rows = std::max(rows, embedding.getWeight().getType().getRows());
  }
  return rows;
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
  int64_t rows = 0;
  if (!inputs.tokens)
    for (BlockArgument argument : others)
      if (int64_t found = rowsLookedUp(argument);
          found > rows && isMatrixOfIntegers(typeOf(argument))) {
        inputs.tokens = argument;
        rows = found;
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
