// One function an op; nothing is chosen here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Schedule/KernelProblems.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

namespace qopt::passes {

bool isQuantized(Value value) {
  return isa<ir::QuantizedType>(value.getType());
}

LogicalResult verifyQuantized(Operation *op) {
  for (Value result : op->getResults()) {
    auto type = dyn_cast<ir::QuantizedType>(result.getType());
    if (type && (type.getFormat().element != quant::ElementType::Int8 ||
                 type.getFormat().granularity != quant::Granularity::Channel))
      return op->emitError("GPU kernels write activations in int8 with one "
                           "scale a row; got \"")
             << quant::spell(type.getFormat()) << "\"";
  }
  return success();
}

/// What `value` names otherwise: the operand of a region's argument, the source
/// of a view.
static Value sourceOf(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto fused = dyn_cast<ir::FusedOp>(argument.getOwner()->getParentOp());
    return fused ? fused.getInputs()[argument.getArgNumber()] : Value();
  }
  Operation *op = value.getDefiningOp();
  if (auto fused = dyn_cast<ir::FusedOp>(op))
    return fused.getBody().front().getTerminator()->getOperand(
        cast<OpResult>(value).getResultNumber());
  return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op)
             ? op->getOperand(0)
             : Value();
}

ir::FromCodesOp fromCodesOf(Value activations) {
  for (; activations; activations = sourceOf(activations))
    if (auto op = activations.getDefiningOp<ir::FromCodesOp>())
      return op;
  return {};
}

static skinny_linear::Codes codesOf(Value activations) {
  ir::FromCodesOp op = fromCodesOf(activations);
  if (!op)
    return skinny_linear::Codes::OfTokens;
  return getElementTypeOrSelf(op.getCodes().getType()).isUnsignedInteger()
             ? skinny_linear::Codes::Unsigned
             : skinny_linear::Codes::Signed;
}

quant::ElementType elementOf(Value tensor) {
  if (isQuantized(tensor))
    return quant::ElementType::Int8;
  Type element = getElementTypeOrSelf(tensor.getType());
  return element.isF16()    ? quant::ElementType::F16
         : element.isBF16() ? quant::ElementType::BF16
                            : quant::ElementType::F32;
}

int64_t lastOf(Value tensor) {
  return cast<ShapedType>(tensor.getType()).getShape().back();
}

int64_t contextOf(Operation *op) {
  auto func = op->getParentOfType<func::FuncOp>();
  auto context = func->getAttrOfType<IntegerAttr>(ir::contextAttribute);
  return context ? context.getInt() : 0;
}

/// The columns of another tensor's rows that `value` is, if it is such; a piece
/// of every head is a copy.
static tensor::ExtractSliceOp sliceOf(Value value) {
  for (; value; value = sourceOf(value))
    if (auto slice = value.getDefiningOp<tensor::ExtractSliceOp>())
      return slice.getSourceType().getRank() == 2 ? slice
                                                  : tensor::ExtractSliceOp();
  return {};
}

int64_t rowStrideOf(Value heads) {
  auto shape = cast<ShapedType>(heads.getType()).getShape();
  tensor::ExtractSliceOp slice = sliceOf(heads);
  return slice ? slice.getSourceType().getShape().back() : shape[1] * shape[2];
}

static cuda::KvPageLayout layoutOf(ir::KVCacheType cache, int64_t layer) {
  cuda::KvPageLayout layout;
  layout.keyHeads = cache.getKvHeads();
  layout.keySize = layout.valueSize = cache.getHeadSize();
  layout.page = cache.getPage();
  layout.key = cache.keyOf(layer);
  layout.value = cache.valueOf(layer);
  layout.tableHasSlots = llvm::any_of(cache.getKey(),
                                      [](const quant::Format &format) {
                                        return format.groupSize > 0;
                                      }) ||
                         !cache.getRecent().empty();
  layout.recent = cache.recentOf(layer);
  layout.first = cache.firstOf(layer);
  return layout;
}

static Function functionOf(ir::Function function) {
  using To = Function;
  switch (function) {
  case ir::Function::Silu:
    return To::Silu;
  case ir::Function::GeluErf:
    return To::GeluErf;
  case ir::Function::GeluTanh:
    return To::GeluTanh;
  case ir::Function::GeluQuick:
    return To::GeluQuick;
  case ir::Function::Relu:
    return To::Relu;
  case ir::Function::Tanh:
    return To::Tanh;
  case ir::Function::Sigmoid:
    return To::Sigmoid;
  }
  llvm_unreachable("every function has a kernel");
}

gather_rows::Problem problemOf(ir::EmbeddingOp op) {
  ir::WeightType type = op.getWeight().getType();
  gather_rows::Problem problem;
  problem.format = type.getFormat();
  problem.rows = type.getRows();
  problem.columns = type.getColumns();
  problem.output = elementOf(op.getResult());
  return problem;
}

gather_rows::Problem problemOf(ir::SelectRowsOp op) {
  gather_rows::Problem problem;
  problem.table = gather_rows::Table::Tensor;
  problem.format = quant::floatFormat(elementOf(op.getX()));
  problem.columns = lastOf(op.getX());
  problem.output = elementOf(op.getResult());
  return problem;
}

/// The heads of a norm: those that lie in the rows of another tensor, and those
/// with scales of their own.
static void setHeads(norm::Problem &problem, Value x, Value scale) {
  problem.scales = int64_t(cast<ShapedType>(scale.getType()).getNumElements()) /
                   problem.columns;
  if (tensor::ExtractSliceOp slice = sliceOf(x)) {
    problem.stride = slice.getSourceType().getShape().back();
    problem.heads = slice.getType().getShape().back() / problem.columns;
  }
}

norm::Problem problemOf(ir::RmsNormOp op) {
  norm::Problem problem;
  problem.columns = lastOf(op.getX());
  problem.epsilon = op.getEpsilon().convertToFloat();
  problem.activation = elementOf(op.getX());
  problem.scale = elementOf(op.getScale());
  if (isQuantized(op.getResult()))
    problem.result = norm::Result::Int8;
  setHeads(problem, op.getX(), op.getScale());
  return problem;
}

norm::Problem problemOf(ir::LayerNormOp op) {
  norm::Problem problem;
  problem.kind = norm::Kind::Layer;
  problem.columns = lastOf(op.getX());
  problem.epsilon = op.getEpsilon().convertToFloat();
  problem.activation = elementOf(op.getX());
  problem.scale = elementOf(op.getScale());
  problem.bias = bool(op.getBias());
  if (isQuantized(op.getResult()))
    problem.result = norm::Result::Int8;
  setHeads(problem, op.getX(), op.getScale());
  return problem;
}

norm::Problem normProblemOf(Operation *op) {
  if (auto layer = dyn_cast<ir::LayerNormOp>(op))
    return problemOf(layer);
  return problemOf(cast<ir::RmsNormOp>(op));
}

norm::Problem problemOf(const ir::NormSumBody &body) {
  norm::Problem problem = normProblemOf(body.norm);
  problem.added = true;
  return problem;
}

quantize::Problem problemOf(ir::QuantizeOp op) {
  return {lastOf(op.getX()), elementOf(op.getX())};
}

gated_activation::Problem problemOf(ir::ActivationOp op) {
  gated_activation::Problem problem;
  problem.function = functionOf(op.getFunction());
  problem.form = gated_activation::Form::Alone;
  problem.columns = lastOf(op.getX());
  problem.activation = elementOf(op.getX());
  if (isQuantized(op.getResult()))
    problem.result = gated_activation::Result::Int8;
  return problem;
}

gated_activation::Problem problemOf(ir::GatedActivationOp op) {
  gated_activation::Problem problem;
  problem.function = functionOf(op.getFunction());
  problem.form =
      op.getUp() ? gated_activation::Form::Two : gated_activation::Form::Halves;
  problem.columns = lastOf(op.getResult());
  problem.activation = elementOf(op.getGate());
  if (isQuantized(op.getResult()))
    problem.result = gated_activation::Result::Int8;
  return problem;
}

rotary_table::Problem problemOf(ir::RotaryTableOp op) {
  rotary_table::Problem problem;
  problem.count = cast<ShapedType>(op.getInvFreq().getType()).getDimSize(0);
  problem.scale = op.getScale().convertToFloat();
  return problem;
}

attention_decode::Problem problemOf(ir::CachedAttentionOp op) {
  attention_decode::Problem problem;
  problem.heads = cast<ShapedType>(op.getQ().getType()).getDimSize(1);
  problem.cache = layoutOf(op.getCache().getType(), op.getLayer());
  problem.activation = elementOf(op.getQ());
  problem.queryStride = rowStrideOf(op.getQ());
  problem.context = contextOf(op);
  problem.scale = op.getScale().convertToFloat();
  problem.window = op.getWindow().value_or(0);
  problem.softcap = op.getSoftcap() ? op.getSoftcap()->convertToFloat() : 0;
  problem.slopes = bool(op.getAlibiSlopes());
  return problem;
}

static rotary_append::Problem appendProblem(ir::KVAppendOp append, Value keys) {
  rotary_append::Problem problem;
  problem.cache = layoutOf(append.getCache().getType(), append.getLayer());
  problem.pageTableStride = problem.cache.tableStride(contextOf(append));
  problem.activation = elementOf(keys);
  problem.key.stride = rowStrideOf(keys);
  problem.value.stride = rowStrideOf(append.getV());
  problem.query = problem.key;
  return problem;
}

rotary_append::Problem problemOf(ir::KVAppendOp op) {
  return appendProblem(op, op.getK());
}

rotary_append::Problem problemOf(const ir::RotaryAppendBody &body) {
  ir::RotaryOp keys = body.keys, queries = body.queries;
  rotary_append::Problem problem = appendProblem(body.append, body.keyHeads());
  if (!keys)
    return problem;
  if (body.keyNorm) {
    norm::Problem norm = normProblemOf(body.keyNorm);
    auto scale = cast<ShapedType>(body.keyNorm->getOperand(1).getType());
    problem.norm = {norm.epsilon, norm.scale, norm.kind, scale.getRank() > 1};
  }
  problem.rotated = 2 * lastOf(keys.getCos());
  problem.pairs = keys.getInterleaved() ? rotary_append::Pairs::Interleaved
                                        : rotary_append::Pairs::Halves;
  if (queries) {
    Value heads = body.queryHeads();
    problem.heads = cast<ShapedType>(heads.getType()).getDimSize(1);
    problem.query.stride = rowStrideOf(heads);
    problem.queries = rotary_append::Queries::Elsewhere;
  }
  return problem;
}

std::vector<skinny_linear::Segment> segmentsOf(ir::WeightType type) {
  std::vector<skinny_linear::Segment> segments;
  for (const ir::RowRange &range : type.getRanges())
    segments.push_back({range.rows, range.format});
  return segments;
}

/// Whether so many tokens are in the first range that ends in `ends`, or the
/// third, fifth …
static bool isInside(std::optional<ArrayRef<int64_t>> ends, int64_t tokens) {
  ArrayRef<int64_t> all = ends.value_or(ArrayRef<int64_t>());
  auto range = size_t(llvm::lower_bound(all, tokens) - all.begin());
  return range < all.size() && range % 2 == 0;
}

LinearParts partsOf(ir::FusedOp op, int64_t tokens) {
  LinearParts parts{isInside(op.getPrologueTokens(), tokens),
                    isInside(op.getEpilogueTokens(), tokens)};
  std::optional<ir::LinearBody> body = ir::matchLinear(op);
  parts.sum = isInside(op.getSumTokens(), tokens) && body && body->sum &&
              (parts.prologue || !body->hasPrologue());
  return parts;
}

static void addStep(skinny_linear::Problem &problem,
                    const ir::LinearStep &step) {
  using skinny_linear::Step;
  if (auto activation = dyn_cast<ir::ActivationOp>(step.op)) {
    problem.steps.push_back({.kind = Step::Kind::Activate,
                             .function = functionOf(activation.getFunction())});
  } else if (step.factor) {
    problem.steps.push_back(
        {.kind = Step::Kind::Scale, .factor = *step.factor});
  } else {
    problem.steps.push_back({.kind = Step::Kind::Add});
    problem.operands.push_back(
        {skinny_linear::OperandShape::Element, elementOf(step.added)});
  }
}

skinny_linear::Problem problemOf(const ir::LinearBody &body, LinearParts parts,
                                 int64_t tokens) {
  ir::LinearOp op = body.linear;
  ir::WeightType type = op.getWeight().getType();
  skinny_linear::Problem problem;
  problem.tokens = tokens;
  problem.columns = type.getColumns();
  problem.segments = segmentsOf(type);
  problem.activation = elementOf(op.getX());
  problem.codes = codesOf(op.getX());
  problem.output = elementOf(op.getResult());
  problem.paired = type.getLayout() == ir::Layout::CudaStripPairs;
  if (op.getBias())
    problem.operands.push_back(
        {skinny_linear::OperandShape::Column, elementOf(op.getBias())});
  if (op.getResidual())
    problem.operands.push_back(
        {skinny_linear::OperandShape::Element, elementOf(op.getResidual())});
  if (parts.prologue && problem.hasCodes())
    problem.source = elementOf(body.source());
  auto normOf = [](Operation *op) {
    norm::Problem norm = normProblemOf(op);
    return skinny_linear::Norm{norm.epsilon, norm.scale, norm.kind, norm.bias};
  };
  if (body.norm && parts.prologue)
    problem.norm = {normOf(body.norm)};
  if (body.sum && parts.sum)
    problem.sum = normOf(body.sum->norm);
  for (const ir::LinearStep &step : body.steps)
    addStep(problem, step);
  if (ir::GatedActivationOp gated = body.gated; gated && parts.tail) {
    problem.paired = true;
    problem.gate = functionOf(gated.getFunction());
  }
  if (body.append && parts.tail) {
    problem.append = problemOf(*body.append);
    // Queries that nothing is done to stay in y, as heads of it.
    problem.append->heads =
        cast<ShapedType>(body.queryHeads.getType()).getDimSize(1);
    problem.append->query.first = body.query;
    problem.append->key.first = body.key;
    problem.append->value.first = body.value;
  }
  return problem;
}

skinny_linear::Problem problemOf(ir::LinearOp op, int64_t tokens) {
  auto region = op->getParentOfType<ir::FusedOp>();
  if (region && region.getKernel() == ir::FusedKernel::Linear)
    return problemOf(*ir::matchLinear(region), partsOf(region, tokens), tokens);
  ir::LinearBody alone;
  alone.linear = op;
  return problemOf(alone, {}, tokens);
}

std::optional<argmax::Problem> problemOf(func::ReturnOp op) {
  if (!op->getParentOp()->hasAttr("qopt.decoder") || op.getNumOperands() == 0)
    return std::nullopt;
  auto logits = dyn_cast<RankedTensorType>(op.getOperand(0).getType());
  if (!logits || logits.getRank() != 2 || !logits.getElementType().isF32() ||
      logits.isDynamicDim(1))
    return std::nullopt;
  return argmax::Problem{logits.getDimSize(1)};
}

std::optional<sampling::Problem> samplingProblemOf(func::ReturnOp op) {
  std::optional<argmax::Problem> greedy = problemOf(op);
  if (!greedy)
    return std::nullopt;
  sampling::Problem problem{greedy->columns};
  return sampling::isValid(problem).ok() ? std::optional(problem)
                                         : std::nullopt;
}

} // namespace qopt::passes

bool passes::gemmIsFaster(const skinny_linear::Problem &problem,
                          const target::Target &target) {
  if (problem.tokens < 32)
    return false;
  gemm::Problem same{problem};
  auto wide = gemm::chooseSchedule(same, target);
  auto narrow = skinny_linear::chooseSchedule(problem, target);
  if (!wide.ok() || !narrow.ok())
    return wide.ok();
  return costOf(same, *wide, target).seconds <
         costOf(problem, *narrow, target).seconds;
}
