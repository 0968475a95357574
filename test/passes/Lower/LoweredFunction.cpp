// A small interpreter of lowered functions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/passes/Lower/LoweredFunction.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"

using namespace mlir;
using namespace qopt;

LoweredFunction::LoweredFunction(ModuleOp source)
    : module(cast<ModuleOp>(source->clone())) {
  PassManager manager(source.getContext());
  passes::addLowerStage(manager);
  if (failed(manager.run(*module))) {
    error = "the lower stage failed";
    return;
  }
  auto generated = codegen::generateHostCode(
      module->lookupSymbol<ModuleOp>("kernels"), codegen::defaultHostTarget());
  if (failed(generated)) {
    error = "code generation failed";
    return;
  }
  code = std::move(*generated);
  auto loaded =
      runtime::CodeObject::load(code.object.data(), code.object.size());
  if (loaded.ok())
    object = *loaded;
  else
    error = loaded.status().message();
}

static size_t bytesOf(Type type) {
  return std::max<unsigned>(type.getIntOrFloatBitWidth() / 8, 1);
}

static int64_t countOf(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

std::vector<onnx::HostTensor>
LoweredFunction::run(std::vector<onnx::HostTensor> inputs, int64_t count) {
  pieces = count;
  buffers.clear();
  indices.clear();
  auto function = *module->getOps<func::FuncOp>().begin();
  for (auto [argument, input] : llvm::zip(function.getArguments(), inputs)) {
    ArrayRef<char> bytes = input.bytes();
    buffers[argument] = {
        std::make_shared<std::vector<char>>(bytes.begin(), bytes.end()),
        std::vector<int64_t>(input.shape())};
  }
  for (Operation &op : function.getBody().front().without_terminator()) {
    step(op);
    if (!error.empty())
      return {};
  }
  std::vector<onnx::HostTensor> outputs;
  for (Value value :
       function.getBody().front().getTerminator()->getOperands()) {
    Buffer &buffer = buffers[value];
    Type type = cast<RankedTensorType>(value.getType()).getElementType();
    outputs.push_back(onnx::HostTensor::ofBytes(*onnx::elementOf(type),
                                                buffer.shape, *buffer.bytes));
  }
  return outputs;
}

/// Index arithmetic of the kinds that a plan's symbols have.
bool LoweredFunction::stepIndex(Operation &op) {
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    indices[dim] = buffers[dim.getSource()].shape[index(dim.getIndex())];
    return true;
  }
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
    SmallVector<Attribute> operands;
    for (Value operand : apply.getMapOperands())
      operands.push_back(Builder(op.getContext()).getIndexAttr(index(operand)));
    SmallVector<Attribute> results;
    if (failed(apply.getAffineMap().constantFold(operands, results)))
      return false;
    indices[apply] = cast<IntegerAttr>(results[0]).getInt();
    return true;
  }
  if (op.getNumOperands() != 2 || !op.getResult(0).getType().isIndex())
    return false;
  int64_t a = index(op.getOperand(0)), b = index(op.getOperand(1));
  auto floorDiv = [](int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
  };
  std::optional<int64_t> value =
      llvm::TypeSwitch<Operation *, std::optional<int64_t>>(&op)
          .Case([&](arith::AddIOp) { return a + b; })
          .Case([&](arith::SubIOp) { return a - b; })
          .Case([&](arith::MulIOp) { return a * b; })
          .Case([&](arith::MinSIOp) { return std::min(a, b); })
          .Case([&](arith::MaxSIOp) { return std::max(a, b); })
          .Case([&](arith::FloorDivSIOp) { return floorDiv(a, b); })
          .Case([&](arith::CeilDivSIOp) { return -floorDiv(-a, b); })
          .Default([](Operation *) { return std::nullopt; });
  if (value)
    indices[op.getResult(0)] = *value;
  return value.has_value();
}

void LoweredFunction::call(ir::GeneratedOp op) {
  std::vector<int64_t> sizes;
  for (Value size : op.getSizes())
    sizes.push_back(index(size));
  std::vector<void *> addresses;
  for (Value input : op.getInputs())
    addresses.push_back(buffers.at(input).bytes->data());
  ArrayRef<int64_t> places = op.getResultSizes();
  for (Value output : op.getOutputs()) {
    auto type = cast<RankedTensorType>(output.getType());
    Buffer buffer;
    for (int64_t size : type.getShape()) {
      if (ShapedType::isDynamic(size)) {
        size = sizes[places.front()];
        places = places.drop_front();
      }
      buffer.shape.push_back(size);
    }
    // What a kernel does not write shows as an absurd number.
    buffer.bytes = std::make_shared<std::vector<char>>(
        countOf(buffer.shape) * bytesOf(type.getElementType()), char(0xa5));
    addresses.push_back(buffer.bytes->data());
    buffers[output] = buffer;
  }
  StringRef name = op.getKernel().getLeafReference();
  auto kernel =
      llvm::find_if(code.kernels, [&](const codegen::HostKernel &candidate) {
        return candidate.symbol == name;
      });
  SmallVector<Attribute> symbols, extent;
  for (int64_t size : sizes)
    symbols.push_back(Builder(op.getContext()).getIndexAttr(size));
  (void)kernel->range.extent.constantFold(symbols, extent);
  int64_t count = cast<IntegerAttr>(extent[0]).getInt();
  auto entry = object->kernel(name.str());
  for (int64_t piece = 0; piece < pieces && count > 0; ++piece)
    (*entry)(addresses.data(), sizes.data(), count *piece / pieces,
             count * (piece + 1) / pieces);
}

void LoweredFunction::step(Operation &op) {
  if (auto generated = dyn_cast<ir::GeneratedOp>(op))
    return call(generated);
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    if (auto number = dyn_cast<IntegerAttr>(constant.getValue())) {
      indices[constant] = number.getInt();
      return;
    }
    auto tensor =
        onnx::HostTensor::ofAttr(cast<ElementsAttr>(constant.getValue()));
    buffers[constant] = {std::make_shared<std::vector<char>>(
                             tensor->bytes().begin(), tensor->bytes().end()),
                         std::vector<int64_t>(tensor->shape())};
    return;
  }
  if (isa<tensor::CastOp>(op)) {
    buffers[op.getResult(0)] = buffers.at(op.getOperand(0));
    return;
  }
  if (auto check =
          dyn_cast<ir::CheckIndicesOp>(op)) { // the tests' are in range
    buffers[check.getResult()] = buffers.at(check.getIndices());
    return;
  }
  if (auto flat = dyn_cast<tensor::CollapseShapeOp>(op)) {
    Buffer buffer = buffers.at(flat.getSrc());
    std::vector<int64_t> shape;
    for (const ReassociationIndices &group : flat.getReassociationIndices()) {
      shape.push_back(1);
      for (int64_t dim : group)
        shape.back() *= buffer.shape[dim];
    }
    buffers[flat] = {buffer.bytes, shape};
    return;
  }
  if (auto deep = dyn_cast<tensor::ExpandShapeOp>(op)) {
    std::vector<int64_t> shape;
    for (OpFoldResult size : deep.getMixedOutputShape()) {
      std::optional<int64_t> number = getConstantIntValue(size);
      shape.push_back(number ? *number : index(cast<Value>(size)));
    }
    buffers[deep] = {buffers.at(deep.getSrc()).bytes, shape};
    return;
  }
  if (!stepIndex(op))
    error = "the plan has no step for " + op.getName().getStringRef().str();
}
