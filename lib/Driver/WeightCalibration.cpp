// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/WeightCalibration.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Quantize/ChannelSite.h"
#include "passes/Quantize/LinearScales.h"
#include "passes/Quantize/Passes.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <array>
#include <cstring>

using namespace mlir;

namespace qopt::driver {

std::string weightKey(ir::QuantizeWeightOp op) {
  auto source = op.getSource().getDefiningOp<ir::WeightOp>();
  return source ? source.getName().str() + " " +
                      quant::spell(op.getType().getFormat())
                : "";
}

SmallVector<ir::QuantizeWeightOp> quantizedWeights(Operation *root) {
  SmallVector<ir::QuantizeWeightOp> ops;
  root->walk([&](ir::QuantizeWeightOp op) { ops.push_back(op); });
  return ops;
}

void readSources(Operation *root) {
  for (ir::QuantizeWeightOp op : quantizedWeights(root)) {
    // Of its users only transposes, which are gradients', say its format.
    for (Operation *user : llvm::make_early_inc_range(op->getUsers()))
      if (auto transpose = dyn_cast<ir::TransposeWeightOp>(user)) {
        OpBuilder at(transpose);
        transpose.getResult().replaceAllUsesWith(ir::TransposeWeightOp::create(
            at, transpose.getLoc(), op.getSource()));
        transpose.erase();
      }
    op.getResult().replaceAllUsesWith(op.getSource());
    op.erase();
  }
}

/// Codes, scales and zero points of a weight.
static std::array<std::pair<uint8_t *, int64_t>, 3> partsOf(StoredWeight &w) {
  return {{{w.codes(), quant::codeBytes(w.format, w.rows, w.columns)},
           {w.scales(), quant::scaleBytes(w.format, w.rows, w.columns)},
           {w.zeros(), quant::zeroBytes(w.format, w.rows, w.columns)}}};
}

std::string toBytes(const RoundedWeight &rounded) {
  std::string bytes;
  llvm::raw_string_ostream(bytes)
      << rounded.algorithm << "\n"
      << llvm::format("%.17g", rounded.divergence) << "\n";
  StoredWeight weight = rounded.weight;
  for (auto [part, size] : partsOf(weight))
    bytes.append(reinterpret_cast<const char *>(part), size_t(size));
  bytes.append(reinterpret_cast<const char *>(rounded.biasCorrection.data()),
               rounded.biasCorrection.size() * sizeof(float));
  return bytes;
}

StatusOr<RoundedWeight> fromBytes(const std::string &bytes,
                                  ir::QuantizeWeightOp op) {
  RoundedWeight result;
  auto [algorithm, rest] = StringRef(bytes).split('\n');
  auto [divergence, codes] = rest.split('\n');
  result.algorithm = algorithm.str();
  result.weight.format = op.getType().getFormat();
  result.weight.rows = op.getType().getRows();
  result.weight.columns = op.getType().getColumns();
  result.weight.allocate();
  bool isWhole = !divergence.getAsDouble(result.divergence);
  for (auto [part, size] : partsOf(result.weight)) {
    isWhole &= codes.size() >= size_t(size);
    if (!isWhole)
      return Status(StatusCode::Internal,
                    "a weight in the store of calibrations is damaged; "
                    "remove the folder of --store, by default "
                    "qopt/calibration in the user's cache");
    std::copy_n(codes.data(), size, reinterpret_cast<char *>(part));
    codes = codes.drop_front(size_t(size));
  }
  result.biasCorrection.resize(codes.size() / sizeof(float));
  std::memcpy(result.biasCorrection.data(), codes.data(),
              result.biasCorrection.size() * sizeof(float));
  return result;
}

/// An array as a resource of the IR, which owns a copy.
static DenseResourceElementsAttr resource(StringRef name, ShapedType type,
                                          const uint8_t *bytes, size_t count) {
  ArrayRef<char> data(reinterpret_cast<const char *>(bytes), count);
  return DenseResourceElementsAttr::get(
      type, name, HeapAsmResourceBlob::allocateAndCopyWithAlign(data, 64));
}

static Type scaleTypeOf(const quant::Format &format, Builder &builder) {
  if (format.hasTwoLevels())
    return builder.getI8Type();
  switch (format.scale) {
  case quant::ScaleType::F16:
    return builder.getF16Type();
  case quant::ScaleType::BF16:
    return builder.getBF16Type();
  case quant::ScaleType::E8m0:
    return Float8E8M0FNUType::get(builder.getContext());
  default:
    return builder.getF32Type();
  }
}

/// The weight of codes in the place of `op`.
static Value storedAt(ir::QuantizeWeightOp op, const StoredWeight &weight,
                      const std::string &prefix) {
  OpBuilder builder(op);
  const quant::Format &format = weight.format;
  auto source = op.getSource().getDefiningOp<ir::WeightOp>();
  int64_t rows =
      format.granularity == quant::Granularity::Tensor ? 1 : weight.rows;
  auto typed = [&](ArrayRef<int64_t> shape, Type element) {
    return RankedTensorType::get(shape, element);
  };
  auto rowOf = [&](int64_t bytes, Type element) {
    return typed({rows, bytes * 8 / element.getIntOrFloatBitWidth()}, element);
  };
  Type scale = scaleTypeOf(format, builder);
  Type zero =
      format.zero == quant::ZeroType::Float ? scale : builder.getI8Type();
  std::string name = prefix + source.getName().str();
  quant::StoredRows stored = weight.stored();
  ElementsAttr codes =
      resource(name + " codes",
               typed({weight.rows, quant::bytesPerRow(format, weight.columns)},
                     builder.getI8Type()),
               stored.codes,
               size_t(quant::codeBytes(format, weight.rows, weight.columns)));
  ElementsAttr scales =
      resource(name + " scales",
               rowOf(quant::scaleBytesPerRow(format, weight.columns), scale),
               stored.scales,
               size_t(quant::scaleBytes(format, weight.rows, weight.columns)));
  ElementsAttr zeros;
  if (int book = quant::elementOf(format.element).bookSize)
    zeros = resource(name + " code book", typed({1, book}, zero), stored.zeros,
                     size_t(book));
  else if (!format.isSymmetric())
    zeros =
        resource(name + " zeros",
                 rowOf(quant::zeroBytesPerRow(format, weight.columns), zero),
                 stored.zeros,
                 size_t(quant::zeroBytes(format, weight.rows, weight.columns)));
  return ir::WeightOp::create(
      builder, source.getLoc(), op.getType(), source.getNameAttr(), codes,
      scales, zeros,
      /*transposed=*/UnitAttr(),
      ir::EncodingAttr::get(builder.getContext(), ir::Encoding::Canonical),
      /*row_factors=*/ElementsAttr(), /*column_factors=*/ElementsAttr());
}

/// Lets an operation have the constant that another has there.
static void takeConstant(OpOperand &to, Value from) {
  Operation *constant = from.getDefiningOp();
  if (constant && constant->hasTrait<OpTrait::ConstantLike>())
    to.set(OpBuilder(to.getOwner()).clone(*constant)->getResult(0));
}

/// Lets a linear have the bias of the other, and the norm that it reads the
/// constants of the other's.
static void takeConstants(ir::LinearOp linear, ir::LinearOp other) {
  if (linear.getBias() && other.getBias())
    takeConstant(linear.getBiasMutable()[0], other.getBias());
  Operation *norm = passes::normAhead(linear);
  Operation *from = passes::normAhead(other);
  if (!norm || !from || norm->getNumOperands() != from->getNumOperands())
    return;
  for (auto [to, operand] :
       llvm::drop_begin(llvm::zip(norm->getOpOperands(), from->getOperands())))
    takeConstant(to, operand);
}

void takeCodes(ModuleOp model, ModuleOp quantized) {
  std::map<std::string, ir::LinearOp> readers;
  quantized.walk([&](ir::LinearOp linear) {
    readers.emplace(weightNameOf(linear.getWeight()), linear);
  });
  std::map<std::pair<std::string, std::string>, ir::WeightOp> stored;
  quantized.walk([&](ir::WeightOp op) {
    stored.emplace(
        std::pair(op.getName().str(), quant::spell(op.getType().getFormat())),
        op);
  });
  for (ir::QuantizeWeightOp op : quantizedWeights(model)) {
    auto found = stored.find(
        {weightNameOf(op.getSource()), quant::spell(op.getType().getFormat())});
    if (found == stored.end())
      continue;
    Operation *codes = OpBuilder(op).clone(*found->second);
    op.getResult().replaceAllUsesWith(codes->getResult(0));
    op.erase();
  }
  model.walk([&](ir::LinearOp linear) {
    auto found = readers.find(weightNameOf(linear.getWeight()));
    if (found != readers.end() &&
        found->second.getWeight().getType() == linear.getWeight().getType())
      takeConstants(linear, found->second);
  });
}

Status correctBiases(Operation *root, const CalibratedWeights &weights) {
  SmallVector<func::FuncOp> functions;
  root->walk([&](func::FuncOp function) { functions.push_back(function); });
  root->walk([&](ir::LinearOp linear) {
    auto found = weights.biases.find(weightNameOf(linear.getWeight()));
    if (found == weights.biases.end())
      return;
    Builder builder(linear.getContext());
    linear->setAttr(passes::biasCorrectionAttribute,
                    DenseElementsAttr::get(
                        RankedTensorType::get({int64_t(found->second.size())},
                                              builder.getF32Type()),
                        ArrayRef<float>(found->second)));
  });
  for (func::FuncOp function : functions) {
    PassManager manager(function.getContext(),
                        func::FuncOp::getOperationName());
    manager.addPass(passes::createCorrectBiasesPass());
    if (failed(manager.run(function)))
      return Status(StatusCode::Internal, "biases could not be corrected");
  }
  return Status();
}

void replaceWeights(Operation *root,
                    const std::map<std::string, StoredWeight> &stored,
                    const std::string &prefix) {
  for (ir::QuantizeWeightOp op : quantizedWeights(root)) {
    auto found = stored.find(weightKey(op));
    if (found == stored.end())
      continue;
    op.getResult().replaceAllUsesWith(storedAt(op, found->second, prefix));
    op.erase();
  }
}

} // namespace qopt::driver
