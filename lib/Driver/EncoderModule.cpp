// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/EncoderModule.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Import/Onnx/Importer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Quantize/FormatOverrides.h"

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
  auto type =
      mask ? dyn_cast<RankedTensorType>(mask.getType()) : RankedTensorType();
  if (!tokens || !type || !isa<IntegerType>(type.getElementType()) ||
      cast<RankedTensorType>(tokens.getType()).getRank() != type.getRank())
    return;
  OpBuilder builder = OpBuilder::atBlockBegin(&encoder.getBody().front());
  Type sizes = RankedTensorType::get({type.getRank()}, builder.getI64Type());
  Value shape = onnx::ShapeOp::create(builder, encoder.getLoc(), sizes, tokens,
                                      /*start=*/0, /*end=*/IntegerAttr());
  auto one =
      DenseElementsAttr::get(RankedTensorType::get({1}, type.getElementType()),
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

/// An entry that cannot be read stays: a pass says what is wrong with it.
void PartFormats::keepMatching(const llvm::StringSet<> &weights,
                               std::vector<std::string> &entries) {
  llvm::erase_if(entries, [&](const std::string &entry) {
    auto read = passes::FormatOverrides::parse("", {entry});
    bool isOwn =
        !read.ok() || llvm::any_of(weights.keys(), [&](StringRef name) {
          return read->lookup(name).has_value();
        });
    if (isOwn)
      kept.insert(entry);
    return !isOwn;
  });
}

void PartFormats::keepOwn(ModuleOp module, CompileOptions &options) {
  llvm::StringSet<> weights;
  bool hasTable = false;
  module.walk([&](Operation *op) {
    if (auto weight = dyn_cast<ir::WeightOp>(op))
      weights.insert(weight.getName());
    hasTable |= isa<ir::EmbeddingOp>(op);
  });
  keepMatching(weights, options.formats);
  keepMatching(weights, options.activationFormats);
  for (auto func : module.getOps<func::FuncOp>())
    if (!func->hasAttr("qopt.decoder")) { // it has no logits
      options.lmHead.clear();
      if (!hasTable)
        options.embedding.clear();
    }
}

Status PartFormats::checkKept(const CompileOptions &options) const {
  for (const auto &[name, entries] :
       {std::pair("--format", &options.formats),
        {"--activation-format", &options.activationFormats}})
    for (const std::string &entry : *entries)
      if (!kept.contains(entry))
        return Status(StatusCode::InvalidArgument,
                      std::string(name) + " \"" + entry +
                          "\" matches no weight of the encoder or the "
                          "decoder; qopt-inspect lists their names");
  return {};
}

} // namespace qopt::driver
