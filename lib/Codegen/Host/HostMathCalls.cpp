// The table from math ops to the functions of HostMath.c, and the linking of
// its bitcode. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Host/HostMathCalls.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::codegen;

static const unsigned char hostMathBitcode[] = {
#include "lib/Codegen/Host/HostMath.bc.inc"
};

/// The declaration of `name` in the module around `op`, made if absent.
static func::FuncOp declare(PatternRewriter &rewriter, Operation *op,
                            StringRef name, FunctionType type) {
  Operation *module = SymbolTable::getNearestSymbolTable(op);
  if (Operation *known = SymbolTable::lookupSymbolIn(module, name))
    return cast<func::FuncOp>(known);
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToEnd(&module->getRegion(0).front());
  auto function = func::FuncOp::create(rewriter, op->getLoc(), name, type);
  function.setPrivate();
  return function;
}

static Value call(PatternRewriter &rewriter, Operation *op, StringRef name,
                  ValueRange operands, Type result) {
  auto type = rewriter.getFunctionType(operands.getTypes(), result);
  func::FuncOp callee = declare(rewriter, op, name, type);
  return func::CallOp::create(rewriter, op->getLoc(), callee, operands)
      .getResult(0);
}

namespace {
/// `OpTy` on f32 or f64 becomes a call of qopt_<name>_<type>.
template <typename OpTy> struct MathCall : OpRewritePattern<OpTy> {
  MathCall(MLIRContext *context, StringRef name)
      : OpRewritePattern<OpTy>(context), name(name) {}

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (!type.isF32() && !type.isF64())
      return rewriter.notifyMatchFailure(op, "neither f32 nor f64");
    std::string symbol =
        ("qopt_" + name + (type.isF32() ? "_f32" : "_f64")).str();
    rewriter.replaceOp(op, call(rewriter, op, symbol, op->getOperands(), type));
    return success();
  }

  StringRef name;
};

/// 1 / sqrt(x): two correctly rounded instructions, below 1 ulp.
struct ReciprocalSqrt : OpRewritePattern<math::RsqrtOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::RsqrtOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value root = math::SqrtOp::create(rewriter, loc, op.getOperand());
    Value one = arith::ConstantOp::create(
        rewriter, loc, rewriter.getFloatAttr(op.getType(), 1.0));
    rewriter.replaceOpWithNewOp<arith::DivFOp>(op, one, root);
    return success();
  }
};

/// A whole exponent is an exponent: x^n in f32 or f64 through the same pow.
struct WholePower : OpRewritePattern<math::FPowIOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::FPowIOp op,
                                PatternRewriter &rewriter) const override {
    Value exponent = arith::SIToFPOp::create(rewriter, op.getLoc(),
                                             op.getType(), op.getRhs());
    rewriter.replaceOpWithNewOp<math::PowFOp>(op, op.getLhs(), exponent);
    return success();
  }
};

/// f64 to f16 or bf16 has no instruction.
struct NarrowDouble : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getIn().getType().isF64() || op.getType().isF32())
      return rewriter.notifyMatchFailure(op, "not from f64 to 16 bits");
    Value single = call(rewriter, op, "qopt_narrow_f64", op.getIn(),
                        rewriter.getF32Type());
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, op.getType(), single);
    return success();
  }
};

/// Integers become f16 and bf16 through f64.
template <typename OpTy> struct IntegerToHalf : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;
  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    if (op.getType().getIntOrFloatBitWidth() != 16)
      return rewriter.notifyMatchFailure(op, "not to 16 bits");
    Value wide =
        OpTy::create(rewriter, op.getLoc(), rewriter.getF64Type(), op.getIn());
    Value single =
        call(rewriter, op, "qopt_narrow_f64", wide, rewriter.getF32Type());
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, op.getType(), single);
    return success();
  }
};

struct ExtendHalf : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::ExtFOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getIn().getType().isF16())
      return rewriter.notifyMatchFailure(op, "not from f16");
    Location loc = op.getLoc();
    Value bits = arith::BitcastOp::create(rewriter, loc, rewriter.getI16Type(),
                                          op.getIn());
    Value wide =
        call(rewriter, op, "qopt_extend_f16", bits, rewriter.getF32Type());
    if (op.getType().isF64())
      wide = arith::ExtFOp::create(rewriter, loc, op.getType(), wide);
    rewriter.replaceOp(op, wide);
    return success();
  }
};

struct TruncateHalf : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getType().isF16())
      return rewriter.notifyMatchFailure(op, "not to f16");
    Location loc = op.getLoc();
    Value single = op.getIn();
    if (!single.getType().isF32())
      single =
          arith::TruncFOp::create(rewriter, loc, rewriter.getF32Type(), single);
    Value bits =
        call(rewriter, op, "qopt_truncate_f16", single, rewriter.getI16Type());
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, op.getType(), bits);
    return success();
  }
};
} // namespace

void codegen::populateMathCalls(RewritePatternSet &patterns,
                                HalfConversion conversion) {
  MLIRContext *context = patterns.getContext();
  patterns.add<MathCall<math::ExpOp>>(context, "exp");
  patterns.add<MathCall<math::Exp2Op>>(context, "exp2");
  patterns.add<MathCall<math::ExpM1Op>>(context, "expm1");
  patterns.add<MathCall<math::LogOp>>(context, "log");
  patterns.add<MathCall<math::Log2Op>>(context, "log2");
  patterns.add<MathCall<math::Log10Op>>(context, "log10");
  patterns.add<MathCall<math::Log1pOp>>(context, "log1p");
  patterns.add<MathCall<math::TanhOp>>(context, "tanh");
  patterns.add<MathCall<math::SinhOp>>(context, "sinh");
  patterns.add<MathCall<math::CoshOp>>(context, "cosh");
  patterns.add<MathCall<math::SinOp>>(context, "sin");
  patterns.add<MathCall<math::CosOp>>(context, "cos");
  patterns.add<MathCall<math::TanOp>>(context, "tan");
  patterns.add<MathCall<math::AtanOp>>(context, "atan");
  patterns.add<MathCall<math::AsinOp>>(context, "asin");
  patterns.add<MathCall<math::AcosOp>>(context, "acos");
  patterns.add<MathCall<math::AsinhOp>>(context, "asinh");
  patterns.add<MathCall<math::AcoshOp>>(context, "acosh");
  patterns.add<MathCall<math::AtanhOp>>(context, "atanh");
  patterns.add<MathCall<math::ErfOp>>(context, "erf");
  patterns.add<MathCall<math::PowFOp>>(context, "pow");
  patterns.add<MathCall<arith::RemFOp>>(context, "fmod");
  patterns.add<ReciprocalSqrt, WholePower, NarrowDouble,
               IntegerToHalf<arith::SIToFPOp>, IntegerToHalf<arith::UIToFPOp>>(
      context);
  if (conversion == HalfConversion::Call)
    patterns.add<ExtendHalf, TruncateHalf>(context);
}

LogicalResult codegen::insertMathCalls(Operation *root,
                                       HalfConversion conversion) {
  RewritePatternSet patterns(root->getContext());
  populateMathCalls(patterns, conversion);
  return applyPatternsGreedily(root, std::move(patterns));
}

LogicalResult codegen::linkHostMath(llvm::Module &module) {
  if (llvm::none_of(module, [](const llvm::Function &function) {
        return function.isDeclaration() && !function.isIntrinsic();
      }))
    return success(); // reading the bitcode takes as long as a small kernel
  llvm::StringRef bytes(reinterpret_cast<const char *>(hostMathBitcode),
                        sizeof(hostMathBitcode));
  auto functions = llvm::parseBitcodeFile(
      llvm::MemoryBufferRef(bytes, "HostMath"), module.getContext());
  if (!functions)
    return llvm::consumeError(functions.takeError()), failure();
  (*functions)->setTargetTriple(module.getTargetTriple());
  (*functions)->setDataLayout(module.getDataLayout());
  // What the compiler's own machine is must not show in the object.
  std::vector<std::string> names;
  for (llvm::Function &function : **functions) {
    if (!function.isIntrinsic())
      names.push_back(function.getName().str());
    for (const char *attribute : {"target-cpu", "target-features", "tune-cpu",
                                  "min-legal-vector-width"})
      function.removeFnAttr(attribute);
  }
  if (llvm::NamedMDNode *flags = (*functions)->getModuleFlagsMetadata())
    flags->eraseFromParent();
  if (llvm::NamedMDNode *ident = (*functions)->getNamedMetadata("llvm.ident"))
    ident->eraseFromParent();
  if (llvm::Linker::linkModules(module, std::move(*functions),
                                llvm::Linker::LinkOnlyNeeded))
    return failure();
  for (const std::string &name : names)
    if (llvm::Function *function = module.getFunction(name);
        function && !function->isDeclaration()) {
      function->setLinkage(llvm::GlobalValue::InternalLinkage);
      if (!function->getName().starts_with("qopt_fmod"))
        function->addFnAttr(llvm::Attribute::AlwaysInline);
    }
  return success();
}
