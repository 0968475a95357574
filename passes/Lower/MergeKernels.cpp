// MergeKernels: the layers of a model do the same work on other tensors. Once
// sizes are simplified their kernels are equal text, and the object holds each
// once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Pass/Pass.h"
#include "passes/Lower/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_MERGEKERNELSPASS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

/// Drops sizes that are passed twice or not used; tells the kernel constants.
static void mergeSizes(ir::GeneratedOp call, func::FuncOp kernel) {
  unsigned first = call.getInputs().size() + call.getNumResults();
  SmallVector<Value> kept;
  SmallVector<int64_t> resultSizes(call.getResultSizes());
  llvm::SmallDenseSet<int64_t> needed(resultSizes.begin(), resultSizes.end());
  llvm::SmallDenseMap<int64_t, int64_t> moved;
  BitVector gone(kernel.getNumArguments());
  OpBuilder inner = OpBuilder::atBlockBegin(&kernel.getBody().front());
  for (auto [place, size] : llvm::enumerate(call.getSizes())) {
    BlockArgument argument = kernel.getArgument(first + place);
    APInt number;
    if (matchPattern(size, m_ConstantInt(&number)))
      argument.replaceAllUsesWith(arith::ConstantIndexOp::create(
          inner, kernel.getLoc(), number.getSExtValue()));
    auto known = llvm::find(kept, size);
    if (known != kept.end()) {
      unsigned earlier = known - kept.begin();
      moved[place] = earlier;
      // Kept arguments keep their order, so the earlier one is the earlier-th
      // that is not gone.
      unsigned seen = 0;
      for (unsigned i = first; i < first + place; ++i)
        if (!gone[i] && seen++ == earlier)
          argument.replaceAllUsesWith(kernel.getArgument(i));
      gone.set(first + place);
      continue;
    }
    if (argument.use_empty() && !needed.contains(place)) {
      gone.set(first + place);
      continue;
    }
    moved[place] = kept.size();
    kept.push_back(size);
  }
  for (int64_t &place : resultSizes)
    place = moved.lookup(place);
  (void)kernel.eraseArguments(gone);
  call.getSizesMutable().assign(kept);
  call.setResultSizes(resultSizes);
}

/// The text of a kernel without its name.
static std::string textOf(func::FuncOp kernel) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  OwningOpRef<func::FuncOp> copy(kernel.clone());
  copy->setSymName("kernel");
  copy->print(stream, OpPrintingFlags().useLocalScope());
  return text;
}

namespace {
struct MergeKernelsPass : passes::impl::MergeKernelsPassBase<MergeKernelsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTableCollection symbols;
    llvm::StringMap<SymbolRefAttr> known;
    // A kernel that several calls share is merged already.
    llvm::DenseMap<Attribute, unsigned> calls;
    module.walk([&](ir::GeneratedOp call) { ++calls[call.getKernelAttr()]; });
    module.walk([&](ir::GeneratedOp call) {
      auto kernel = symbols.lookupNearestSymbolFrom<func::FuncOp>(
          call, call.getKernelAttr());
      if (calls.lookup(call.getKernelAttr()) == 1)
        mergeSizes(call, kernel);
      auto [entry, isNew] =
          known.try_emplace(textOf(kernel), call.getKernelAttr());
      if (isNew || entry->second == call.getKernelAttr())
        return;
      call.setKernelAttr(entry->second);
      kernel.erase();
    });
  }
};
} // namespace
