// Values, views, constants and the walk over a function. The table of kernels
// is PlanKernels.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/PlanBuilder.h"
#include "dialects/Onnx/Evaluate/HostTensor.h"
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/QOpt/StoredElements.h"
#include "lib/Driver/CudaSteps.h"
#include "lib/Driver/InputSizes.h"
#include "lib/Driver/WeightEvaluator.h"
#include "lib/Quant/FloatConversion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "runtime/plan/PlanFormat.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::driver {

plan::DType dtypeOf(Type element) {
  return llvm::TypeSwitch<Type, plan::DType>(element)
      .Case([](Float32Type) { return plan::DType::F32; })
      .Case([](Float16Type) { return plan::DType::F16; })
      .Case([](BFloat16Type) { return plan::DType::BF16; })
      .Case([](Float64Type) { return plan::DType::F64; })
      .Case([](Float8E4M3FNType) { return plan::DType::F8E4M3FN; })
      .Case([](Float8E4M3FNUZType) { return plan::DType::F8E4M3FNUZ; })
      .Case([](Float8E5M2Type) { return plan::DType::F8E5M2; })
      .Case([](Float8E5M2FNUZType) { return plan::DType::F8E5M2FNUZ; })
      .Case([](Float8E8M0FNUType) { return plan::DType::F8E8M0; })
      .Case([](Float4E2M1FNType) { return plan::DType::F4E2M1; })
      .Case([](IntegerType type) {
        bool isUnsigned = type.isUnsigned();
        switch (type.getWidth()) {
        case 1:
          return plan::DType::Bool;
        case 2:
          return isUnsigned ? plan::DType::U2 : plan::DType::I2;
        case 4:
          return isUnsigned ? plan::DType::U4 : plan::DType::I4;
        case 8:
          return isUnsigned ? plan::DType::U8 : plan::DType::I8;
        case 16:
          return isUnsigned ? plan::DType::U16 : plan::DType::I16;
        case 32:
          return isUnsigned ? plan::DType::U32 : plan::DType::I32;
        default:
          return isUnsigned ? plan::DType::U64 : plan::DType::I64;
        }
      })
      .Default([](Type) { return plan::DType::U8; });
}

static Status noElements() {
  return Status(StatusCode::BadModel,
                "the IR lacks the elements of this constant");
}

StatusOr<ConstantPlace> ConstantPool::addElements(ElementsAttr elements) {
  auto stored = ir::StoredElements::of(elements);
  return stored ? addBytes(stored->bytes()) : noElements();
}

StatusOr<ConstantPlace> ConstantPool::addWidened(ElementsAttr halves) {
  auto stored = ir::StoredElements::of(halves);
  if (!stored)
    return noElements();
  ArrayRef<char> bytes = stored->bytes();
  std::vector<float> wide(bytes.size() / 2);
  for (size_t i = 0; i < wide.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    wide[i] = halves.getElementType().isF16() ? quant::halfToFloat(half)
                                              : quant::bfloat16ToFloat(half);
  }
  return addBytes(ArrayRef(reinterpret_cast<char *>(wide.data()),
                           wide.size() * sizeof(float)));
}

/// Whether a value is a buffer of the plan: weights, batch and cache are not.
static bool isBuffer(Value value) {
  return isa<RankedTensorType, ir::QuantizedType>(value.getType());
}

PlanBuilder::PlanBuilder(ConstantPool &pool, const GeneratedCode &code,
                         func::FuncOp func)
    : pool(pool), code(code), func(func),
      plan(std::make_unique<plan::FunctionT>()),
      symbols(
          [this](Value tensor, int64_t axis) { return dimOf(tensor, axis); }) {}

static const GeneratedCode noCode;

PlanBuilder::PlanBuilder(ConstantPool &pool, CudaKernels &kernels,
                         func::FuncOp func)
    : PlanBuilder(pool, noCode, func) {
  this->kernels = &kernels;
}

FailureOr<std::unique_ptr<plan::FunctionT>> PlanBuilder::build() {
  bool decoder = func->hasAttr("qopt.decoder");
  plan->name = func.getName().str();
  plan->kind = decoder                         ? plan::FunctionKind::Decoder
               : func->hasAttr("qopt.encoder") ? plan::FunctionKind::Encoder
                                               : plan::FunctionKind::Graph;
  if (failed(addArguments()))
    return failure();
  // Sizes are found by asking ops for their shapes, which makes index
  // arithmetic in the function; it is collected before the walk goes on.
  for (Operation &op : llvm::make_early_inc_range(func.getBody().front()))
    if (failed(addWithSizes(&op)))
      return failure();
  plan->symbols = symbols.take();
  return std::move(plan);
}

LogicalResult PlanBuilder::addWithSizes(Operation *op) {
  // A fused region's results are its body's, which have sizes of their own.
  if (!isa<ir::FusedOp>(op) && failed(resolveSizes(op)))
    return failure();
  return addOperation(op);
}

void PlanBuilder::shareValue(Value value, Value other) {
  // A copy first: the insertion may move the map's entries.
  Sizes shape = sizes.lookup(other);
  sizes[value] = std::move(shape);
  if (isBuffer(other))
    values[value] = valueOf(other);
  if (kernels && isa<ir::QuantizedType>(other.getType()))
    scales[value] = scalesOf(other);
}

LogicalResult PlanBuilder::addArguments() {
  std::vector<std::vector<uint32_t>> graphSizes;
  if (plan->kind != plan::FunctionKind::Decoder)
    graphSizes = inputSizes(func, symbols);
  for (BlockArgument argument : func.getArguments()) {
    if (!isBuffer(argument))
      continue;
    auto type = cast<RankedTensorType>(argument.getType());
    uint32_t input = plan->inputs.size();
    Sizes shape;
    for (auto [axis, size] : llvm::enumerate(type.getShape())) {
      if (!ShapedType::isDynamic(size)) {
        shape.push_back(symbols.constant(size));
      } else if (plan->kind == plan::FunctionKind::Decoder) {
        shape.push_back(symbols.batchSize(plan::SymbolKind::Tokens));
      } else {
        shape.push_back(graphSizes[input][axis]);
      }
    }
    sizes[argument] = shape;
    uint32_t value = addValue(argument, plan::Storage::Input);
    plan->values[value]->index = input;
    if (auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      "qopt.name"))
      plan->values[value]->name = name.str();
    plan->inputs.push_back(value);
  }
  return success();
}

FailureOr<uint32_t> PlanBuilder::dimOf(Value tensor, int64_t axis) {
  auto found = sizes.find(tensor);
  if (found == sizes.end() ||
      axis >= static_cast<int64_t>(found->second.size()))
    return failure();
  return found->second[axis];
}

LogicalResult PlanBuilder::resolveSizes(Operation *op) {
  // A cast's type says more or less of the same sizes.
  if (auto cast = dyn_cast<tensor::CastOp>(op)) {
    Sizes same = sizes.lookup(cast.getSource());
    sizes[cast.getResult()] = same;
    return success();
  }
  ReifiedRankedShapedTypeDims reified;
  bool asked = false;
  for (OpResult result : op->getResults()) {
    if (!isBuffer(result))
      continue;
    auto type = cast<ShapedType>(result.getType());
    Sizes shape;
    for (auto [axis, size] : llvm::enumerate(type.getShape())) {
      if (!ShapedType::isDynamic(size)) {
        shape.push_back(symbols.constant(size));
        continue;
      }
      if (!asked) {
        OpBuilder builder(op);
        if (failed(reifyResultShapes(builder, op, reified)))
          return op->emitError("the sizes of its result are not known");
        asked = true;
      }
      OpFoldResult dim = reified[result.getResultNumber()][axis];
      if (auto constant = getConstantIntValue(dim)) {
        shape.push_back(symbols.constant(*constant));
        continue;
      }
      FailureOr<uint32_t> symbol = symbols.of(cast<Value>(dim));
      if (failed(symbol))
        return op->emitError("dimension ")
               << axis << " of its result is no expression of input sizes";
      shape.push_back(*symbol);
    }
    sizes[result] = shape;
  }
  return success();
}

uint32_t PlanBuilder::newValue(Value like, plan::Storage storage) {
  auto value = std::make_unique<plan::ValueT>();
  auto type = cast<ShapedType>(like.getType());
  value->dtype = dtypeOf(type.getElementType());
  value->shape.assign(sizes[like].begin(), sizes[like].end());
  value->storage = storage;
  if (auto quantized = dyn_cast<ir::QuantizedType>(like.getType())) {
    value->dtype = kernels ? plan::DType::I8 : plan::DType::U8;
    if (!kernels) {
      value->quantized = runtime::fromFormat(quantized.getFormat());
      if (FloatAttr scale = quantized.getScale())
        value->quantized_scale = scale.getValue().convertToFloat();
    }
  }
  plan->values.push_back(std::move(value));
  return plan->values.size() - 1;
}

uint32_t PlanBuilder::addValue(Value value, plan::Storage storage) {
  return values[value] = newValue(value, storage);
}

uint32_t PlanBuilder::valueOf(Value value) {
  auto found = values.find(value);
  return found != values.end() ? found->second
                               : addValue(value, plan::Storage::Arena);
}

uint32_t PlanBuilder::scalesOf(Value quantized) {
  auto [place, isNew] = scales.try_emplace(quantized, 0);
  if (!isNew)
    return place->second;
  auto value = std::make_unique<plan::ValueT>();
  value->dtype = plan::DType::F32;
  Sizes &shape = sizes[quantized];
  value->shape.assign(shape.begin(), shape.end() - 1);
  value->storage = plan::Storage::Arena;
  plan->values.push_back(std::move(value));
  return place->second = uint32_t(plan->values.size() - 1);
}

FailureOr<uint32_t> PlanBuilder::widenedConstant(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  Type element = getElementTypeOrSelf(value.getType());
  if (!constant || element.isF32())
    return valueOf(value);
  auto found = widened.find(value);
  if (found != widened.end())
    return found->second;
  auto place = pool.addWidened(cast<ElementsAttr>(constant.getValue()));
  if (!place)
    return constant.emitError(place.status().message());
  uint32_t id = newValue(value, plan::Storage::Constant);
  plan::ValueT &entry = *plan->values[id];
  entry.dtype = plan::DType::F32;
  entry.index = place->segment;
  entry.offset = place->offset;
  entry.bytes = place->bytes;
  return widened[value] = id;
}

LogicalResult PlanBuilder::addConstant(Operation *op) {
  auto data = dyn_cast<ElementsAttr>(cast<arith::ConstantOp>(op).getValue());
  if (!data) // an index or a scalar
    return success();
  // Vectors in f16 are widened where a kernel asks for them. Elements of less
  // than a byte, which a file packs, have one each in a program.
  Type element = data.getElementType();
  bool isPacked = element.isIntOrFloat() && !element.isInteger(1) &&
                  element.getIntOrFloatBitWidth() < 8;
  auto unpacked = isPacked ? onnx::HostTensor::ofAttr(data) : std::nullopt;
  auto place =
      unpacked ? pool.addBytes(unpacked->bytes()) : pool.addElements(data);
  if (!place)
    return op->emitError(place.status().message());
  uint32_t id = addValue(op->getResult(0), plan::Storage::Constant);
  plan::ValueT &entry = *plan->values[id];
  entry.index = place->segment;
  entry.offset = place->offset;
  entry.bytes = place->bytes;
  return success();
}

FailureOr<uint32_t> PlanBuilder::floatVector(ArrayRef<float> numbers) {
  auto place =
      pool.addBytes(ArrayRef(reinterpret_cast<const char *>(numbers.data()),
                             numbers.size() * sizeof(float)));
  if (!place)
    return func.emitError(place.status().message());
  auto value = std::make_unique<plan::ValueT>();
  value->shape = {symbols.constant(numbers.size())};
  value->storage = plan::Storage::Constant;
  value->index = place->segment;
  value->offset = place->offset;
  value->bytes = place->bytes;
  plan->values.push_back(std::move(value));
  return plan->values.size() - 1;
}

FailureOr<uint32_t> PlanBuilder::rowSumsOf(Value weight) {
  auto found = rowSums.find(weight);
  if (found != rowSums.end())
    return found->second;
  auto place = pool.addRowSums(weight);
  if (!place) // as weightOf
    return failure();
  auto value = std::make_unique<plan::ValueT>();
  value->dtype = plan::DType::I32;
  value->shape = {symbols.constant(int64_t(place->bytes / sizeof(int32_t)))};
  value->storage = plan::Storage::Constant;
  value->index = place->segment;
  value->offset = place->offset;
  value->bytes = place->bytes;
  plan->values.push_back(std::move(value));
  return rowSums[weight] = plan->values.size() - 1;
}

FailureOr<uint32_t> PlanBuilder::weightOf(Value weight) {
  auto found = values.find(weight);
  if (found != values.end())
    return found->second;
  auto place = pool.addWeight(weight);
  if (!place) // the pool keeps why: a full disk has nothing to do with `weight`
    return failure();
  auto value = std::make_unique<plan::ValueT>();
  value->name = weightNameOf(weight);
  value->dtype = plan::DType::U8;
  value->shape = {symbols.constant(place->bytes)};
  value->storage = plan::Storage::Constant;
  value->index = place->segment;
  value->offset = place->offset;
  value->bytes = place->bytes;
  plan->values.push_back(std::move(value));
  return values[weight] = plan->values.size() - 1;
}

LogicalResult PlanBuilder::addView(Operation *op) {
  uint32_t source = valueOf(op->getOperand(0));
  uint32_t id = addValue(op->getResult(0), plan::Storage::Alias);
  plan::ValueT &view = *plan->values[id];
  view.index = source;
  view.offset = symbols.constant(0);
  // Rows that lie apart keep doing so when their elements are regrouped.
  view.row_elements = plan->values[source]->row_elements;
  view.row_stride = plan->values[source]->row_stride;
  return success();
}

/// Whether a norm is a part of an append's launch, which reads heads that begin
/// anywhere.
static bool isOfAppend(Operation *norm) {
  auto fused = dyn_cast<ir::FusedOp>(norm->getParentOp());
  if (!fused)
    return false;
  std::optional<ir::LinearBody> linear = ir::matchLinear(fused);
  return linear ? linear->append.has_value()
                : ir::matchRotaryAppend(fused).has_value();
}

bool PlanBuilder::readsSeparateRows(OpOperand &use, bool isAligned) const {
  Operation *op = use.getOwner();
  auto allDo = [&](auto uses) {
    return llvm::all_of(uses, [&](OpOperand &each) {
      return readsSeparateRows(each, isAligned);
    });
  };
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
    return allDo(op->getUses());
  if (auto fused = dyn_cast<ir::FusedOp>(op)) {
    // A norm ahead of a linear is part of its launch, which reads whole rows;
    // other parts run one by one.
    if (kernels && ir::matchLinear(fused))
      return false;
    return allDo(
        fused.getBody().front().getArgument(use.getOperandNumber()).getUses());
  }
  if (isa<ir::YieldOp>(op))
    return allDo(
        op->getParentOp()->getResult(use.getOperandNumber()).getUses());
  if (isa<ir::KVAppendOp, tensor::DimOp>(op)) // a size is known without a row
    return true;
  if (isa<ir::RotaryOp, ir::CachedAttentionOp>(op))
    return use.getOperandNumber() == 0;
  if (kernels) // of a GPU: all others read whole rows
    return isa<ir::RmsNormOp, ir::LayerNormOp>(op) &&
           use.getOperandNumber() == 0 && (isAligned || isOfAppend(op));
  return isa<ir::GatedActivationOp>(op) || isa<ir::QuantizeOp>(op) ||
         (isa<ir::LinearOp>(op) &&
          (use.getOperandNumber() == 0 ||
           use.get() == cast<ir::LinearOp>(op).getShare()));
}

/// Columns [offset, offset + size) of the last axis: a view where they are
/// those of tokens' rows and every reader takes rows that lie apart, else a
/// copy.
LogicalResult PlanBuilder::addSlice(tensor::ExtractSliceOp op) {
  auto from = op.getSourceType(), to = op.getType();
  int64_t last = from.getRank() - 1;
  SmallVector<int64_t> offsets(op.getStaticOffsets());
  bool columns = op.hasUnitStride() && to.getRank() == from.getRank() &&
                 !ShapedType::isDynamic(offsets[last]) &&
                 !ShapedType::isDynamic(to.getDimSize(last)) &&
                 llvm::all_of(ArrayRef(offsets).drop_back(),
                              [](int64_t offset) { return offset == 0; });
  for (int64_t axis = 0; columns && axis < last; ++axis)
    columns = sizes[op.getSource()][axis] == sizes[op.getResult()][axis];
  if (!columns)
    return op.emitError("only slices of the last axis have a step");
  uint32_t source = valueOf(op.getSource());
  int64_t width = from.getDimSize(last), size = to.getDimSize(last);
  int64_t bytes = from.getElementType().getIntOrFloatBitWidth() / 8;
  bool isAligned = offsets[last] * bytes % 16 == 0 && width * bytes % 16 == 0;
  bool views = from.getRank() == 2 && plan->values[source]->row_elements == 0 &&
               llvm::all_of(op->getUses(), [&](OpOperand &use) {
                 return readsSeparateRows(use, isAligned);
               });
  uint32_t id = addValue(op.getResult(),
                         views ? plan::Storage::Alias : plan::Storage::Arena);
  if (views) {
    plan::ValueT &view = *plan->values[id];
    view.index = source;
    view.offset = symbols.constant(offsets[last] * bytes);
    view.row_elements = size;
    view.row_stride = width;
    return success();
  }
  uint32_t rows = symbols.constant(1);
  for (int64_t axis = 0; axis < last; ++axis)
    rows = symbols.binary(plan::SymbolKind::Mul, rows,
                          sizes[op.getResult()][axis]);
  if (kernels)
    return CudaSteps(*this, *kernels)
        .copyRows(op, source, id,
                  {rows, symbols.constant(size), symbols.constant(width),
                   symbols.constant(offsets[last])});
  auto &copy = addStep<plan::CopyT>(op);
  copy.x = source;
  copy.y = id;
  uint32_t one = symbols.constant(1);
  copy.shape = {rows, symbols.constant(size)};
  copy.x_strides = {symbols.constant(width), one};
  copy.y_strides = {symbols.constant(size), one};
  copy.x_offset = symbols.constant(offsets[last]);
  copy.y_offset = symbols.constant(0);
  return success();
}

static plan::Relation relationOf(ir::SizeRelation relation) {
  switch (relation) {
  case ir::SizeRelation::Equal:
    return plan::Relation::Equal;
  case ir::SizeRelation::Broadcast:
    return plan::Relation::Broadcast;
  case ir::SizeRelation::AtMost:
    return plan::Relation::AtMost;
  case ir::SizeRelation::MultipleOf:
    return plan::Relation::MultipleOf;
  }
  llvm_unreachable("every relation is in the plan");
}

LogicalResult PlanBuilder::addRequirement(ir::RequireOp op) {
  FailureOr<uint32_t> lhs = symbols.of(op.getLhs());
  FailureOr<uint32_t> rhs = symbols.of(op.getRhs());
  if (failed(lhs) || failed(rhs))
    return op.emitError("a size is no expression of input sizes");
  auto left = symbols.constantValue(*lhs), right = symbols.constantValue(*rhs);
  if (*lhs == *rhs ||
      (left && right && ir::holds(op.getRelation(), *left, *right)))
    return success();
  auto needed = std::make_unique<plan::RequirementT>();
  needed->relation = relationOf(op.getRelation());
  needed->lhs = *lhs;
  needed->rhs = *rhs;
  needed->origin = onnx::describeNode(op.getLoc());
  plan->requirements.push_back(std::move(needed));
  return success();
}

LogicalResult PlanBuilder::addCopy(Operation *op, uint32_t from, uint32_t to) {
  if (kernels)
    return CudaSteps(*this, *kernels).copy(op, from, to);
  auto &cast = addStep<plan::CastT>(op);
  cast.x = from;
  cast.y = to;
  return success();
}

LogicalResult PlanBuilder::addOutputs(Operation *terminator) {
  uint32_t index = 0;
  for (auto [number, result] : llvm::enumerate(terminator->getOperands())) {
    if (!isBuffer(result))
      continue;
    uint32_t id = valueOf(result);
    // A value that is an input, a constant, a view, or returned twice is copied
    // to the caller's tensor; any other is written there by its own step.
    if (plan->values[id]->storage != plan::Storage::Arena) {
      uint32_t source = id;
      id = newValue(result, plan::Storage::Output);
      if (failed(addCopy(terminator, source, id)))
        return failure();
    }
    plan::ValueT &output = *plan->values[id];
    output.storage = plan::Storage::Output;
    output.index = index++;
    if (auto name = func.getResultAttrOfType<StringAttr>(number, "qopt.name"))
      output.name = name.str();
    plan->outputs.push_back(id);
  }
  return success();
}

LogicalResult PlanBuilder::addOperation(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](func::ReturnOp) { return addOutputs(op); })
      .Case([&](arith::ConstantOp) { return addConstant(op); })
      .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(
          [&](Operation *) { return addView(op); })
      .Case([&](tensor::ExtractSliceOp slice) { return addSlice(slice); })
      .Case([&](ir::RequireOp require) { return addRequirement(require); })
      .Case([&](tensor::EmptyOp) { return success(); })
      // Weights are evaluated when a kernel asks for them.
      .Case<ir::WeightOp, ir::QuantizeWeightOp, ir::ConcatWeightsOp,
            ir::TransposeWeightOp, ir::PackWeightOp>(
          [&](Operation *) { return success(); })
      .Default([&](Operation *) {
        // Index arithmetic is translated where it is used.
        bool sizesOnly = llvm::all_of(op->getResultTypes(), [](Type type) {
          return isa<IndexType, IntegerType>(type);
        });
        return sizesOnly && op->getNumResults() > 0 ? success() : addKernel(op);
      });
}

} // namespace qopt::driver
