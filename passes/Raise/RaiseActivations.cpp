// Activation functions are recognised by their values: the elementwise ops
// between a tensor and a product are evaluated as one scalar function at sample
// points and compared with the functions that qopt.activation knows. However an
// exporter spells GELU, it is one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/OnnxValues.h"
#include "passes/Raise/Passes.h"
#include "passes/Raise/RaiseRouting.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <set>

namespace qopt::passes {
#define GEN_PASS_DEF_RAISEACTIVATIONSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

namespace {

struct Candidate {
  ir::Function function;
  double (*formula)(double);
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const Candidate candidates[] = {
    {ir::Function::Silu, [](double x) { return x * sigmoid(x); }},
    {ir::Function::GeluErf,
     [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }},
    {ir::Function::GeluTanh,
     [](double x) {
       double inner = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
       return x / 2 * (1 + std::tanh(inner));
     }},
    {ir::Function::GeluQuick, [](double x) { return x * sigmoid(1.702 * x); }},
    {ir::Function::Relu, [](double x) { return x < 0 ? 0 : x; }},
    {ir::Function::Tanh, [](double x) { return std::tanh(x); }},
    {ir::Function::Sigmoid, [](double x) { return sigmoid(x); }},
};

/// How close a formula in f16 or f32 constants comes to the exact one, and far
/// below what tells GELU by erf from GELU by tanh (5e-4).
constexpr double tolerance = 2e-5;

bool isElementwise(Operation *op) {
  return op && isa<AddOp, SubOp, MulOp, DivOp, PowOp, NegOp, ReciprocalOp,
                   SqrtOp, ExpOp, ErfOp, TanhOp, SigmoidOp, ReluOp, CastOp,
                   GeluOp, SwishOp, ir::ActivationOp>(op);
}

/// The elementwise expression below a value, seen as a function of one tensor.
class ScalarFunction {
public:
  /// Tries `leaf` as the variable: every other input must be a scalar constant.
  ScalarFunction(Value root, Value leaf) : root(root), leaf(leaf) {}

  std::optional<double> at(double x) const { return evaluate(root, x, 0); }

  /// Tensors that the expression could be a function of, nearest first.
  static SmallVector<Value> leavesOf(Value root) {
    SmallVector<Value> queue{root}, leaves;
    std::set<void *> seen;
    for (size_t i = 0; i < queue.size() && queue.size() < 32; ++i) {
      Operation *op = queue[i].getDefiningOp();
      if (!isElementwise(op))
        continue;
      for (Value operand : op->getOperands())
        if (isa<FloatType>(getElementTypeOrSelf(operand.getType())) &&
            !constantScalar(operand) &&
            seen.insert(operand.getAsOpaquePointer()).second)
          queue.push_back(operand);
    }
    for (Value value : llvm::drop_begin(queue))
      leaves.push_back(value);
    return leaves;
  }

private:
  std::optional<double> evaluate(Value value, double x, int depth) const {
    if (value == leaf)
      return x;
    if (auto constant = constantScalar(value))
      return constant;
    Operation *op = value.getDefiningOp();
    if (!isElementwise(op) || depth > 16)
      return std::nullopt;
    SmallVector<double, 2> in;
    for (Value operand : op->getOperands()) {
      auto result = evaluate(operand, x, depth + 1);
      if (!result)
        return std::nullopt;
      in.push_back(*result);
    }
    return apply(op, in);
  }

  static std::optional<double> apply(Operation *op, ArrayRef<double> in) {
    using Result = std::optional<double>;
    return llvm::TypeSwitch<Operation *, Result>(op)
        .Case([&](AddOp) { return in[0] + in[1]; })
        .Case([&](SubOp) { return in[0] - in[1]; })
        .Case([&](MulOp) { return in[0] * in[1]; })
        .Case([&](DivOp) { return in[0] / in[1]; })
        .Case([&](PowOp) { return std::pow(in[0], in[1]); })
        .Case([&](NegOp) { return -in[0]; })
        .Case([&](ReciprocalOp) { return 1 / in[0]; })
        .Case([&](SqrtOp) { return std::sqrt(in[0]); })
        .Case([&](ExpOp) { return std::exp(in[0]); })
        .Case([&](ErfOp) { return std::erf(in[0]); })
        .Case([&](TanhOp) { return std::tanh(in[0]); })
        .Case([&](SigmoidOp) { return sigmoid(in[0]); })
        .Case([&](ReluOp) { return in[0] < 0 ? 0 : in[0]; })
        .Case([&](CastOp) { return in[0]; })
        .Case([&](SwishOp swish) {
          return in[0] * sigmoid(swish.getAlpha().convertToFloat() * in[0]);
        })
        .Case([&](GeluOp gelu) {
          auto function = gelu.getApproximate() == "tanh"
                              ? ir::Function::GeluTanh
                              : ir::Function::GeluErf;
          return formulaOf(function)(in[0]);
        })
        .Case([&](ir::ActivationOp activation) {
          return formulaOf(activation.getFunction())(in[0]);
        })
        .Default([](Operation *) { return Result(); });
  }

  static double (*formulaOf(ir::Function function))(double) {
    for (const Candidate &candidate : candidates)
      if (candidate.function == function)
        return candidate.formula;
    return nullptr;
  }

  Value root, leaf;
};

std::optional<ir::Function> recognise(const ScalarFunction &function) {
  for (const Candidate &candidate : candidates) {
    bool equal = true;
    for (int sample = 0; equal && sample <= 32; ++sample) {
      double x = -6 + 0.37 * sample;
      auto y = function.at(x);
      if (!y)
        return std::nullopt;
      equal = std::abs(*y - candidate.formula(x)) <= tolerance;
    }
    if (equal)
      return candidate.function;
  }
  return std::nullopt;
}

template <typename Op> struct RaiseActivation : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Value root = op->getResult(0);
    RankedTensorType type = typeOf(root);
    if (!isComputable(root) || type.getRank() == 0)
      return rewriter.notifyMatchFailure(op, "no tensor of f32, f16 or bf16");
    // The farthest tensor that makes the expression a known function: a Mul in
    // the middle of GELU is not an activation of its own.
    SmallVector<Value> leaves = ScalarFunction::leavesOf(root);
    for (Value leaf : llvm::reverse(leaves)) {
      if (leaf.getType() != type)
        continue;
      auto function = recognise(ScalarFunction(root, leaf));
      if (!function)
        continue;
      rewriter.replaceOpWithNewOp<ir::ActivationOp>(op, *function, leaf);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no known activation function");
  }
};

/// function(gate) · up
struct RaiseGatedActivation : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    for (auto [gate, up] :
         {std::pair(op.getA(), op.getB()), std::pair(op.getB(), op.getA())}) {
      auto activation = gate.getDefiningOp<ir::ActivationOp>();
      if (!activation || !gate.hasOneUse() || gate.getType() != up.getType() ||
          gate.getType() != op.getC().getType())
        continue;
      rewriter.replaceOpWithNewOp<ir::GatedActivationOp>(
          op, activation.getFunction(), activation.getX(), up);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no activation times a tensor");
  }
};

struct RaiseActivations
    : qopt::passes::impl::RaiseActivationsPassBase<RaiseActivations> {
  void runOnOperation() override {
    // Whole expressions before their parts: a sigmoid inside SiLU is raised
    // only where no product makes it one.
    if (failed(apply<RaiseActivation<MulOp>, RaiseActivation<DivOp>,
                     RaiseActivation<GeluOp>, RaiseActivation<SwishOp>>()) ||
        failed(apply<RaiseActivation<TanhOp>, RaiseActivation<SigmoidOp>,
                     RaiseActivation<ReluOp>>()) ||
        failed(apply<RaiseGatedActivation>()))
      return signalPassFailure();
    RewritePatternSet routing(&getContext());
    addRoutingPatterns(routing);
    if (failed(applyPatternsGreedily(getOperation(), std::move(routing))))
      signalPassFailure();
  }

  template <typename... Patterns> LogicalResult apply() {
    RewritePatternSet patterns(&getContext());
    patterns.add<Patterns...>(&getContext());
    return applyPatternsGreedily(getOperation(), std::move(patterns));
  }
};

} // namespace
