// Syntax and constraints of fused regions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/Matchers.h"

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

/// The operations of a region without those that compute sizes and constants.
static SmallVector<Operation *> operationsOf(FusedOp region) {
  SmallVector<Operation *> ops;
  for (Operation &op : region.getBody().front())
    if (!isa<arith::ConstantOp, tensor::SplatOp>(op) &&
        (op.getNumResults() == 0 || !op.getResult(0).getType().isIndex()))
      ops.push_back(&op);
  return ops;
}

Value RotaryAppendBody::queryHeads() const {
  RotaryOp rotary = queries; // accessors of operations are not const
  return queryNorm ? queryNorm->getOperand(0)
         : rotary  ? rotary.getX()
                   : Value();
}

Value RotaryAppendBody::keyHeads() const {
  RotaryOp rotary = keys;
  KVAppendOp stored = append;
  return keyNorm  ? keyNorm->getOperand(0)
         : rotary ? rotary.getX()
                  : stored.getK();
}

bool qopt::ir::areNormsOfHeads(Operation *query, Operation *key) {
  auto isPlain = [](Operation *op) { // operands: x and scale
    return isa_and_nonnull<RmsNormOp, LayerNormOp>(op) &&
           op->getNumOperands() == 2 &&
           isa<RankedTensorType>(op->getResult(0).getType());
  };
  if (!isPlain(query) || !isPlain(key))
    return false;
  auto scaleOf = [](Operation *op) {
    return cast<ShapedType>(op->getOperand(1).getType());
  };
  return query->getName() == key->getName() &&
         query->getAttr("epsilon") == key->getAttr("epsilon") &&
         scaleOf(query).getElementType() == scaleOf(key).getElementType() &&
         scaleOf(query).getRank() == scaleOf(key).getRank();
}

/// `ops` as rotary_append and the end of the body.
static std::optional<RotaryAppendBody> matchAppend(ArrayRef<Operation *> ops) {
  RotaryAppendBody body;
  if (ops.size() == 6) {
    body.queryNorm = ops[0];
    body.keyNorm = ops[1];
    if (!areNormsOfHeads(body.queryNorm, body.keyNorm))
      return std::nullopt;
    ops = ops.drop_front(2);
  }
  if (ops.size() == 4) {
    body.queries = dyn_cast<RotaryOp>(ops.front());
    if (!body.queries)
      return std::nullopt;
    ops = ops.drop_front();
  }
  if (ops.size() != 3)
    return std::nullopt;
  body.keys = dyn_cast<RotaryOp>(ops[0]);
  body.append = dyn_cast<KVAppendOp>(ops[1]);
  if (!body.keys || !body.append ||
      body.append.getK() != body.keys.getResult() || !body.keys->hasOneUse())
    return std::nullopt;
  RotaryOp queries = body.queries;
  if (queries && (queries.getCos() != body.keys.getCos() ||
                  queries.getSin() != body.keys.getSin() ||
                  queries.getInterleaved() != body.keys.getInterleaved()))
    return std::nullopt;
  auto normalises = [](Operation *norm, RotaryOp rotary) {
    return norm->getResult(0) == rotary.getX() && norm->hasOneUse();
  };
  if (body.queryNorm && (!normalises(body.queryNorm, queries) ||
                         !normalises(body.keyNorm, body.keys)))
    return std::nullopt;
  return body;
}

std::optional<RotaryAppendBody> qopt::ir::matchRotaryAppend(FusedOp op) {
  return matchAppend(operationsOf(op));
}

/// The column of `source` where heads [T, heads, size] begin that are a slice
/// of its columns.
static std::optional<int64_t> firstColumnOf(Value heads, Value source) {
  auto expanded = heads.getDefiningOp<tensor::ExpandShapeOp>();
  auto slice = expanded
                   ? expanded.getSrc().getDefiningOp<tensor::ExtractSliceOp>()
                   : tensor::ExtractSliceOp();
  if (!slice || slice.getSource() != source || !slice.hasUnitStride() ||
      slice.getSourceType().getRank() != 2 || slice.getType().getRank() != 2)
    return std::nullopt;
  ArrayRef<int64_t> offsets = slice.getStaticOffsets();
  if (offsets[0] != 0 || ShapedType::isDynamic(offsets[1]))
    return std::nullopt;
  return offsets[1];
}

/// `ops` as the append of slices of the linear's result, of which `results` are
/// yielded.
static bool matchTail(LinearBody &body, ArrayRef<Operation *> ops,
                      ValueRange results) {
  while (isa<tensor::ExtractSliceOp, tensor::ExpandShapeOp>(ops.front()))
    ops = ops.drop_front();
  if (results.size() != 2 || body.linear.getResidual())
    return false;
  Value queries = results.front();
  if (auto append = dyn_cast<KVAppendOp>(ops.front())) {
    if (ops.size() != 2) // the append and what is yielded
      return false;
    body.append.emplace().append = append;
    body.queryHeads = queries;
  } else {
    body.append = matchAppend(ops);
    if (!body.append || !body.append->queries ||
        queries != body.append->queries.getResult())
      return false;
    body.queryHeads = body.append->queryHeads();
  }
  Value whole = body.linear.getResult();
  auto query = firstColumnOf(body.queryHeads, whole),
       key = firstColumnOf(body.append->keyHeads(), whole),
       value = firstColumnOf(body.append->append.getV(), whole);
  if (!query || !key || !value)
    return false;
  body.query = *query;
  body.key = *key;
  body.value = *value;
  return results.back() == body.append->append.getResult();
}

/// The number that all elements of `value` are.
static std::optional<float> numberOf(Value value) {
  if (auto splat = value.getDefiningOp<tensor::SplatOp>())
    value = splat.getInput();
  FloatAttr number;
  DenseFPElementsAttr numbers;
  if (matchPattern(value, m_Constant(&number)))
    return float(number.getValueAsDouble());
  if (matchPattern(value, m_Constant(&numbers)) && numbers.isSplat())
    return float(numbers.getSplatValue<APFloat>().convertToDouble());
  return std::nullopt;
}

std::optional<LinearStep> qopt::ir::matchLinearStep(Operation *op,
                                                    Value value) {
  if (op->getNumResults() != 1 ||
      op->getResult(0).getType() != value.getType() ||
      llvm::count(op->getOperands(), value) != 1)
    return std::nullopt;
  LinearStep step{op, {}, std::nullopt};
  if (isa<ActivationOp>(op))
    return step;
  if (!isa<arith::AddFOp, arith::MulFOp>(op))
    return std::nullopt;
  Value other = op->getOperand(op->getOperand(0) == value ? 1 : 0);
  if (isa<arith::AddFOp>(op))
    step.added = other;
  else
    step.factor = numberOf(other);
  return step.added || step.factor ? std::optional(step) : std::nullopt;
}

/// `ops` as steps of the linear's result and the end of the body, which yields
/// `results` of them.
static bool matchSteps(LinearBody &body, ArrayRef<Operation *> ops,
                       ValueRange results) {
  Value value = body.linear.getResult();
  for (Operation *op : ops.drop_back()) {
    std::optional<LinearStep> step = matchLinearStep(op, value);
    bool known = step && value.hasOneUse() &&
                 (!step->added || isa<BlockArgument>(step->added));
    if (!known)
      return false;
    body.steps.push_back(*step);
    value = op->getResult(0);
  }
  return !body.steps.empty() && llvm::equal(results, ValueRange{value});
}

/// The first of `ops` as a norm and its sum with an input.
static std::optional<NormSumBody> matchSum(ArrayRef<Operation *> ops) {
  if (ops.size() < 3 || !isa<RmsNormOp, LayerNormOp>(ops[0]) ||
      !isa<arith::AddFOp>(ops[1]) || !ops[0]->hasOneUse())
    return std::nullopt;
  std::optional<LinearStep> step =
      matchLinearStep(ops[1], ops[0]->getResult(0));
  if (!step || !isa<BlockArgument>(step->added))
    return std::nullopt;
  return NormSumBody{ops[0], ops[1], step->added};
}

/// `ops` as what is ahead of the linear and the linear; drops them.
static bool matchHead(LinearBody &body, ArrayRef<Operation *> &ops) {
  Value x; // what is not known reads an input
  body.sum = matchSum(ops);
  if (body.sum) {
    x = body.sum->sum->getResult(0);
    ops = ops.drop_front(2);
  }
  if (isa<RmsNormOp, LayerNormOp>(ops.front()))
    body.norm = ops.front();
  body.quantize = dyn_cast<QuantizeOp>(ops.front());
  if (body.hasPrologue()) {
    if ((x && ops.front()->getOperand(0) != x) || !ops.front()->hasOneUse())
      return false;
    x = ops.front()->getResult(0);
    ops = ops.drop_front();
  }
  body.linear = dyn_cast<LinearOp>(ops.front());
  if (!body.linear || (x && body.linear.getX() != x))
    return false;
  ops = ops.drop_front();
  // Other blocks may not have stored the sum yet.
  return !body.sum || body.linear.getResidual() != body.sum->sum->getResult(0);
}

Value qopt::ir::LinearBody::source() const {
  // Accessors of operations are not const.
  QuantizeOp rounding = quantize;
  LinearOp product = linear;
  return norm       ? norm->getOperand(0)
         : rounding ? rounding.getX()
                    : product.getX();
}

Value qopt::ir::LinearBody::stored() const {
  LinearOp product = linear;
  return steps.empty() ? Value(product.getResult())
                       : Value(steps.back().op->getResult(0));
}

std::optional<LinearBody> qopt::ir::matchLinear(FusedOp op) {
  SmallVector<Operation *> ops = operationsOf(op);
  ArrayRef<Operation *> rest = ops;
  LinearBody body;
  if (!matchHead(body, rest))
    return std::nullopt;
  ValueRange results = ops.back()->getOperands();
  if (body.sum) {
    if (results.empty() || results.back() != body.sum->sum->getResult(0))
      return std::nullopt;
    results = results.drop_back();
  }
  auto yields = [&](Operation *op, Value value) {
    return isa<YieldOp>(op) && llvm::equal(results, ValueRange{value});
  };
  if (yields(rest.front(), body.linear.getResult()))
    return body;
  if (matchSteps(body, rest, results))
    return body;
  body.steps.clear();
  body.gated = dyn_cast<GatedActivationOp>(rest.front());
  if (!body.gated)
    return matchTail(body, rest, results) ? std::optional(body) : std::nullopt;
  bool halves = !body.gated.getUp() &&
                body.gated.getGate() == body.linear.getResult() &&
                isa<RankedTensorType>(body.gated.getResult().getType());
  bool plain = !body.linear.getBias() && !body.linear.getResidual() &&
               body.linear.getWeight().getType().hasOneFormat();
  if (halves && plain && yields(rest[1], body.gated.getResult()))
    return body;
  return std::nullopt;
}

std::optional<NormSumBody> qopt::ir::matchNormSum(FusedOp op) {
  SmallVector<Operation *> ops = operationsOf(op);
  std::optional<NormSumBody> body = matchSum(ops);
  bool isAll = body && ops.size() == 3 &&
               llvm::equal(ops[2]->getOperands(), ops[1]->getResults());
  return isAll ? body : std::nullopt;
}

/// (C4)
static bool doesWhat(FusedKernel kernel, FusedOp op) {
  switch (kernel) {
  case FusedKernel::RotaryAppend:
    return matchRotaryAppend(op).has_value();
  case FusedKernel::Linear:
    return matchLinear(op).has_value();
  }
  llvm_unreachable("every kernel has a contract");
}

static StringRef contractOf(FusedKernel kernel) {
  return kernel == FusedKernel::Linear
             ? "a norm and its sum with an input (or none), "
               "rms_norm, layer_norm or quantize (or none), linear, "
               "gated_activation of its halves, rotary and kv_append of its "
               "columns, or activations, sums and products with a number (or "
               "nothing)"
             : "rms_norm or layer_norm of queries and of keys (or none), "
               "rotary of queries (or none), rotary of keys, kv_append";
}

LogicalResult FusedOp::verify() {
  if (getBody().getArgumentTypes() != getInputs().getTypes()) // (C1)
    return emitOpError(
        "the arguments of the body do not have the types of the inputs");
  for (std::optional<ArrayRef<int64_t>> tokens :
       {getPrologueTokens(), getSumTokens(), getEpilogueTokens()}) {
    bool rise =
        !tokens || tokens->empty() ||
        (tokens->front() >= 0 &&
         std::adjacent_find(tokens->begin(), tokens->end(),
                            std::greater_equal<int64_t>()) == tokens->end());
    if (tokens && (getKernel() != FusedKernel::Linear || !rise)) // (C5)
      return emitOpError("numbers of tokens are those of kernel \"linear\", "
                         "rise and are not negative");
  }
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
  if (getKernel() && !doesWhat(*getKernel(), *this)) // (C4)
    return emitOpError("the body is not what kernel \"")
           << stringifyFusedKernel(*getKernel()) << "\" does; expected "
           << contractOf(*getKernel());
  return success();
}
