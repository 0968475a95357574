// Calibration asks what an error in a weight costs the model: the product of
// what a linear reads and the gradient of what it gives. This pass makes the
// function that computes both. It knows no operation but linears, embeddings
// and attention, whose values it reports; derivatives are the operations' own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/Calibrate/Gradients.h"
#include "passes/Calibrate/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_DIFFERENTIATEFUNCTIONPASS
#include "passes/Calibrate/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

/// Whether a value has real numbers for elements: a tensor of floats, or codes
/// that stand for them.
static bool isReal(Value value) {
  auto type = dyn_cast<ShapedType>(value.getType());
  return type && isa<FloatType>(type.getElementType());
}

/// The names of the weights of the model that `weight` is made of.
static void collectNames(Value weight, SmallVector<Attribute> &names) {
  Operation *op = weight.getDefiningOp();
  if (auto source = dyn_cast_or_null<WeightOp>(op))
    return names.push_back(source.getNameAttr());
  for (Value operand : op ? op->getOperands() : ValueRange())
    collectNames(operand, names);
}

namespace {

/// One result of the function that is made.
struct Result {
  Observed what;
  Value value;
  SmallVector<Attribute> of;
};

class Differentiation {
public:
  Differentiation(func::FuncOp function, ArrayRef<int64_t> distances)
      : function(function), distances(distances),
        body(function.getBody().front()), end(body.getTerminator()),
        builder(end), arguments(function.getArguments()) {
    for (Operation &op : body.without_terminator())
      model.push_back(&op);
  }

  LogicalResult run() {
    findVarying();
    addResultGradients();
    for (Operation *op : llvm::reverse(model))
      if (failed(differentiate(op)))
        return failure();
    collectResults();
    returnResults();
    return success();
  }

private:
  /// Whether a region of the operation reads what varies.
  bool capturesVarying(Operation *op) const {
    llvm::SetVector<Value> captured;
    getUsedValuesDefinedAbove(op->getRegions(), captured);
    return llvm::any_of(captured,
                        [&](Value value) { return varying.contains(value); });
  }
  void findVarying();
  void addResultGradients();
  LogicalResult differentiate(Operation *op);
  void add(Value value, Value gradient);
  void collectResults();
  void reportFar(ArrayRef<Value> terms, Attribute place);
  void report(Observed what, Value value, ArrayRef<Attribute> of);
  Value asRows(Value value);
  void returnResults();

  func::FuncOp function;
  ArrayRef<int64_t> distances; ///< of gradients by queries that are far
  Block &body;
  Operation *end;
  OpBuilder builder;
  SmallVector<Value> arguments;   ///< of the model
  SmallVector<Operation *> model; ///< its operations, in their order
  /// What a floating point argument, or the result of a linear or embedding,
  /// changes.
  DenseSet<Value> varying;
  DenseMap<Value, Value> gradients;
  /// For each attention its own part of the gradients of its keys and values.
  DenseMap<Operation *, SmallVector<Value>> ofAttention;
  SmallVector<Result> results;
};

} // namespace

void Differentiation::findVarying() {
  for (auto [number, argument] : llvm::enumerate(arguments))
    if (isReal(argument) &&
        !function.getArgAttr(unsigned(number), passes::noGradientAttribute))
      varying.insert(argument);
  for (Operation *op : model) {
    bool varies = isa<LinearOp, EmbeddingOp>(op);
    auto differentiable = dyn_cast<DifferentiableOpInterface>(op);
    for (OpOperand &operand : op->getOpOperands())
      varies |= varying.contains(operand.get()) &&
                (!differentiable || differentiable.isDifferentiable(operand));
    varies |= capturesVarying(op);
    for (Value result : op->getResults())
      if (varies && isReal(result))
        varying.insert(result);
  }
}

/// One argument for each floating point result, of the sizes that it has.
void Differentiation::addResultGradients() {
  GradientBuilder build(builder, function.getLoc());
  for (auto [number, result] : llvm::enumerate(end->getOperands())) {
    if (!isReal(result))
      continue;
    RankedTensorType type = GradientBuilder::gradientType(result);
    auto given = function.getResultAttrOfType<StringAttr>(number, "qopt.name");
    std::string name = given ? given.str() : "result" + std::to_string(number);
    NamedAttribute named("qopt.name",
                         builder.getStringAttr(name + ".gradient"));
    unsigned place = function.getNumArguments();
    (void)function.insertArgument(place, type, builder.getDictionaryAttr(named),
                                  result.getLoc());
    Value gradient = function.getArgument(place);
    for (int64_t axis = 0; axis < type.getRank(); ++axis)
      build.requireSame(result, axis, gradient, axis);
    if (varying.contains(result))
      add(result, gradient);
  }
}

void Differentiation::add(Value value, Value gradient) {
  Value &sum = gradients[value];
  if (!sum) {
    sum = gradient;
    return;
  }
  sum = arith::AddFOp::create(builder, value.getLoc(), sum, gradient);
}

LogicalResult Differentiation::differentiate(Operation *op) {
  SmallVector<Value> arrived;
  for (Value result : op->getResults())
    arrived.push_back(gradients.lookup(result));
  if (llvm::none_of(arrived, [](Value gradient) { return bool(gradient); }))
    return success();
  auto differentiable = dyn_cast<DifferentiableOpInterface>(op);
  llvm::BitVector wanted(op->getNumOperands());
  for (OpOperand &operand : op->getOpOperands())
    if (varying.contains(operand.get()) &&
        (!differentiable || differentiable.isDifferentiable(operand)))
      wanted.set(operand.getOperandNumber());
  bool captures = capturesVarying(op);
  if (wanted.none() && !captures)
    return success();
  if (!differentiable || captures) {
    std::string node = onnx::describeNode(op->getLoc());
    return op->emitError(node.empty() ? "" : node + ": ")
           << "'" << op->getName() << "' has no gradient, and one is needed "
           << "of every operation between a linear and a result";
  }
  auto terms = differentiable.buildGradients(builder, arrived, wanted);
  if (failed(terms))
    return failure();
  for (unsigned i : wanted.set_bits())
    if (Value term = (*terms)[i])
      add(op->getOperand(i), term);
  if (isa<AttentionOp>(op))
    ofAttention[op] = *terms;
  return success();
}

void Differentiation::report(Observed what, Value value,
                             ArrayRef<Attribute> of) {
  if (!value)
    return;
  auto known = llvm::find_if(results, [&](const Result &result) {
    return result.what == what && result.value == value;
  });
  if (known == results.end()) {
    results.push_back({what, value, llvm::to_vector(of)});
    return;
  }
  for (Attribute name : of)
    if (!llvm::is_contained(known->of, name))
      known->of.push_back(name);
}

void Differentiation::collectResults() {
  for (auto [number, argument] : llvm::enumerate(arguments))
    report(Observed::ArgumentGradient, gradients.lookup(argument),
           builder.getI64IntegerAttr(number));
  for (Operation *op : model) {
    auto user = dyn_cast<WeightUserOpInterface>(op);
    Value gradient = user ? gradients.lookup(op->getResult(0)) : Value();
    if (!gradient)
      continue;
    SmallVector<Attribute> names;
    collectNames(user.getWeightOperand().get(), names);
    if (auto linear = dyn_cast<LinearOp>(op))
      report(Observed::Input, linear.getX(), names);
    if (auto embedding = dyn_cast<EmbeddingOp>(op))
      report(Observed::Lookup, embedding.getIds(), names);
    report(Observed::OutputGradient, gradient, names);
  }
  int64_t number = 0;
  for (Operation *op : model) {
    if (!isa<AttentionOp>(op))
      continue;
    SmallVector<Value> terms = ofAttention.lookup(op);
    Attribute place = builder.getI64IntegerAttr(number++);
    if (terms.empty())
      continue;
    auto attention = cast<AttentionOp>(op);
    report(Observed::Key, attention.getK(), place);
    report(Observed::KeyGradient, terms[1], place);
    report(Observed::Value, attention.getV(), place);
    report(Observed::ValueGradient, terms[2], place);
    reportFar(terms, place);
  }
}

/// Of an attention, what its far queries give of the gradients of its keys and
/// values.
void Differentiation::reportFar(ArrayRef<Value> terms, Attribute place) {
  Value known = terms[1] ? terms[1] : terms[2];
  auto whole = known ? known.getDefiningOp<AttentionGradientOp>() : nullptr;
  if (!whole)
    return;
  for (int64_t distance : distances) {
    auto far = cast<AttentionGradientOp>(builder.clone(*whole));
    far.setDistance(distance);
    Attribute of[] = {place, builder.getI64IntegerAttr(distance)};
    if (terms[1])
      report(Observed::FarKeyGradient, far.getKGradient(), of);
    if (terms[2])
      report(Observed::FarValueGradient, far.getVGradient(), of);
  }
}

/// Tokens × channels, of real numbers.
Value Differentiation::asRows(Value value) {
  Location loc = value.getLoc();
  if (isa<QuantizedType>(value.getType()))
    value = DequantizeOp::create(builder, loc,
                                 GradientBuilder::gradientType(value), value);
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  if (rank <= 2)
    return value;
  ReassociationIndices tokens;
  for (int64_t axis = 0; axis < rank - 1; ++axis)
    tokens.push_back(axis);
  return tensor::CollapseShapeOp::create(
      builder, loc, value,
      ArrayRef<ReassociationIndices>{tokens, ReassociationIndices{rank - 1}});
}

static bool isFar(Observed what) {
  return what == Observed::FarKeyGradient || what == Observed::FarValueGradient;
}

/// What a result is called outside: after the argument, weight or attention
/// that it belongs to.
static std::string nameOf(const Result &result, func::FuncOp function) {
  std::string what = stringifyObserved(result.what).str();
  if (auto name = dyn_cast<StringAttr>(result.of.front()))
    return name.str() + "." + what;
  int64_t number = cast<IntegerAttr>(result.of.front()).getInt();
  std::string distance;
  if (isFar(result.what))
    distance = "." + std::to_string(cast<IntegerAttr>(result.of[1]).getInt());
  if (result.what != Observed::ArgumentGradient)
    return "attention" + std::to_string(number) + "." + what + distance;
  auto given = function.getArgAttrOfType<StringAttr>(number, "qopt.name");
  return (given ? given.str() : "argument" + std::to_string(number)) +
         ".gradient";
}

void Differentiation::returnResults() {
  SmallVector<Value> values;
  SmallVector<DictionaryAttr> attributes;
  llvm::StringMap<int> uses;
  for (const Result &result : results) {
    bool ofLinear = result.what == Observed::Input ||
                    result.what == Observed::OutputGradient;
    values.push_back(ofLinear ? asRows(result.value) : result.value);
    // A weight that two linears read has two of each.
    std::string name = nameOf(result, function);
    if (int again = uses[name]++)
      name += "#" + std::to_string(again);
    attributes.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("qopt.name", builder.getStringAttr(name)),
         builder.getNamedAttr(
             "qopt.observation",
             ObservationAttr::get(builder.getContext(), result.what,
                                  builder.getArrayAttr(result.of)))}));
  }
  end->setOperands(values);
  function.setFunctionType(builder.getFunctionType(
      function.getArgumentTypes(), ValueRange(values).getTypes()));
  function.setAllResultAttrs(attributes);
}

namespace {
struct DifferentiateFunction
    : qopt::passes::impl::DifferentiateFunctionPassBase<DifferentiateFunction> {
  using DifferentiateFunctionPassBase::DifferentiateFunctionPassBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    DifferentiateFunctionPassBase::getDependentDialects(registry);
    registerGradients(registry);
  }

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || !function.getBody().hasOneBlock()) {
      function.emitError("a function of one block is differentiated");
      return signalPassFailure();
    }
    if (failed(Differentiation(function, *distances).run()))
      return signalPassFailure();
    // What only the model's own results needed.
    Block &body = function.getBody().front();
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
};
} // namespace
