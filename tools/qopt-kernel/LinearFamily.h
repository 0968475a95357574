// What the families of linear layers share: the words of a problem, the packed
// layout, the arguments and the epilogue.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTKERNEL_LINEARFAMILY_H
#define QOPT_TOOLS_QOPTKERNEL_LINEARFAMILY_H

#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "tools/qopt-kernel/Family.h"
#include "tools/qopt-kernel/PagedBatch.h"

namespace qopt::kernel_tool {

/// Ranges of rows in formats that are told in words, one for all or each its
/// own. Neighbours in one format are one segment, as in the compiler.
std::vector<kernels::skinny_linear::Segment>
askForSegments(Words &words, llvm::ArrayRef<int64_t> rows);
/// Weights and types of a problem in words, whose rows lie in these ranges. The
/// result is the type that activations have where they are no codes.
quant::ElementType askForWeights(Words &words, llvm::ArrayRef<int64_t> rows,
                                 kernels::skinny_linear::Problem &problem);
/// Weights, types and append of a problem whose rows are the heads of queries,
/// keys and values of a batch.
void askForAppend(Words &words, const PagedBatch &batch,
                  kernels::skinny_linear::Problem &problem);
/// Describes where the heads of a batch lie.
void addHeads(const PagedBatch &batch, StatusOr<Description> &description);
/// Operands and the gate of the epilogue.
void askForEpilogue(Words &words, kernels::skinny_linear::Problem &problem);

/// Where the elements of a packed matrix lie, and its rows' scales: for each
/// segment, of which `scaleOffset` is the plan's.
llvm::json::Object
describeWeights(const kernels::skinny_linear::Problem &problem,
                llvm::function_ref<int64_t(size_t)> scaleOffset);

/// The arguments but the number of tokens, which is the last.
std::vector<Argument>
linearArguments(const kernels::skinny_linear::Problem &problem, int64_t tokens,
                int64_t workspaceBytes, int64_t counters);
Argument tokensArgument(int64_t tokens);

/// Calls `build` with the block of the problem's operands, or null.
StatusOr<mlir::gpu::GPUFuncOp> buildWithEpilogue(
    const kernels::skinny_linear::Problem &problem,
    mlir::gpu::GPUModuleOp module,
    llvm::function_ref<StatusOr<mlir::gpu::GPUFuncOp>(mlir::Block *)> build);

} // namespace qopt::kernel_tool

#endif // QOPT_TOOLS_QOPTKERNEL_LINEARFAMILY_H
