// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/EncoderModule.h"
#include "dialects/Onnx/OnnxOps.h"
#include "lib/Import/Onnx/Importer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace qopt::driver {

static StatusOr<OwningOpRef<ModuleOp>> importPart(const import::ModelPart &part,
                                                  const std::string &function,
                                                  MLIRContext &context) {
  import::ImportOptions options;
  options.functionName = function;
  options.fixedInputs = part.fixedInputs;
  return import::importOnnx(part.path, options, context);
}

static BlockArgument argumentOf(func::FuncOp func, StringRef name) {
  for (BlockArgument argument : func.getArguments())
    if (auto found = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                       "qopt.name");
        found && found.getValue() == name)
      return argument;
  return {};
}

/// Ones of the shape of the tokens, where they are [batch, positions] both.
static void fillMask(func::FuncOp encoder) {
  BlockArgument mask = argumentOf(encoder, "attention_mask"),
                tokens = argumentOf(encoder, "input_ids");
  auto type = mask ? dyn_cast<RankedTensorType>(mask.getType())
                   : RankedTensorType();
  if (!tokens || !type || !isa<IntegerType>(type.getElementType()) ||
      cast<RankedTensorType>(tokens.getType()).getRank() != type.getRank())
    return;
  OpBuilder builder = OpBuilder::atBlockBegin(&encoder.getBody().front());
  Type sizes = RankedTensorType::get({type.getRank()}, builder.getI64Type());
  Value shape = onnx::ShapeOp::create(builder, encoder.getLoc(), sizes, tokens,
                                      /*start=*/0, /*end=*/IntegerAttr());
  auto one = DenseElementsAttr::get(
      RankedTensorType::get({1}, type.getElementType()),
      builder.getIntegerAttr(type.getElementType(), 1));
  mask.replaceAllUsesWith(onnx::ConstantOfShapeOp::create(
      builder, encoder.getLoc(), type, shape, one));
  (void)encoder.eraseArgument(mask.getArgNumber());
}

StatusOr<OwningOpRef<ModuleOp>> importEncoder(const EncoderFiles &files,
                                              MLIRContext &context) {
  auto whole = importPart(files.encoder, "encoder", context);
  if (!whole.ok())
    return whole;
  auto decoder = importPart(files.decoder, "decoder", context);
  if (!decoder.ok())
    return decoder;
  fillMask((*whole)->lookupSymbol<func::FuncOp>("encoder"));
  auto function = (*decoder)->lookupSymbol<func::FuncOp>("decoder");
  function->remove();
  (*whole)->push_back(function);
  return whole;
}

} // namespace qopt::driver
