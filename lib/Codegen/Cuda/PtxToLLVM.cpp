// One pattern on the interface: the operation knows its instruction, the types
// of its values give the registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/PtxToLLVM.h"

#include "dialects/Ptx/PtxOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;
using namespace qopt;

/// The letter of the register class that holds a value of `type`.
static const char *registerOf(Type type) {
  if (auto pointer = dyn_cast<LLVM::LLVMPointerType>(type))
    return pointer.getAddressSpace() == 3 ? "r" : "l";
  if (isa<VectorType>(type))
    return "r";
  if (type.isF32())
    return "f";
  if (type.isF64())
    return "d";
  switch (type.getIntOrFloatBitWidth()) {
  case 16:
    return "h";
  case 64:
    return "l";
  default:
    return "r";
  }
}

/// "=r,=r,r,l": results, then operands.
static std::string constraintsOf(Operation *op) {
  std::string text;
  auto add = [&](StringRef prefix, Type type) {
    text += (text.empty() ? "" : ",") + prefix.str() + registerOf(type);
  };
  for (Type type : op->getResultTypes())
    add("=", type);
  for (Type type : op->getOperandTypes())
    add("", type);
  // What another thread may see or has written must not be kept in registers.
  if (hasEffect<MemoryEffects::Write>(op))
    text += ",~{memory}";
  return text;
}

namespace {
struct LowerInstruction
    : OpInterfaceRewritePattern<ptx::InstructionOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(ptx::InstructionOpInterface instruction,
                                PatternRewriter &rewriter) const override {
    Operation *op = instruction;
    Location loc = op->getLoc();
    SmallVector<Type> types(op->getResultTypes());
    Type result;
    if (types.size() == 1)
      result = types.front();
    else if (!types.empty())
      result = LLVM::LLVMStructType::getLiteral(op->getContext(), types);
    auto assembly = LLVM::InlineAsmOp::create(
        rewriter, loc, result ? TypeRange(result) : TypeRange(),
        op->getOperands(), instruction.getInstruction(), constraintsOf(op),
        /*has_side_effects=*/!isMemoryEffectFree(op),
        /*is_align_stack=*/false, LLVM::TailCallKind::None,
        LLVM::AsmDialectAttr(), ArrayAttr());
    if (types.size() < 2) {
      rewriter.replaceOp(op, assembly->getResults());
      return success();
    }
    SmallVector<Value> values;
    for (unsigned i = 0; i < types.size(); ++i)
      values.push_back(LLVM::ExtractValueOp::create(
          rewriter, loc, assembly->getResult(0), ArrayRef<int64_t>{i}));
    rewriter.replaceOp(op, values);
    return success();
  }
};
} // namespace

void codegen::populatePtxToLLVMPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerInstruction>(patterns.getContext());
}

void codegen::lowerPtx(Operation *root) {
  RewritePatternSet patterns(root->getContext());
  populatePtxToLLVMPatterns(patterns);
  walkAndApplyPatterns(root, std::move(patterns));
}
