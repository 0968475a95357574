// From an op to the problem that a family of GPU kernels is asked: what both
// the choice of a schedule and the generation of the kernel start from. The
// family is not said here, one problem may suit several.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_SCHEDULE_KERNELPROBLEMS_H
#define QOPT_PASSES_SCHEDULE_KERNELPROBLEMS_H

#include "dialects/QOpt/QOptOps.h"
#include "lib/Kernels/Argmax/Argmax.h"
#include "lib/Kernels/AttentionDecode/AttentionDecode.h"
#include "lib/Kernels/GatedActivation/GatedActivation.h"
#include "lib/Kernels/GatherRows/GatherRows.h"
#include "lib/Kernels/Gemm/Gemm.h"
#include "lib/Kernels/Norm/Norm.h"
#include "lib/Kernels/Quantize/Quantize.h"
#include "lib/Kernels/RotaryAppend/RotaryAppend.h"
#include "lib/Kernels/RotaryTable/RotaryTable.h"
#include "lib/Kernels/Sampling/Sampling.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <optional>

namespace qopt::passes {

/// Most tokens of a step on a GPU: as many as the largest schedules of gemm are
/// chosen for. No kernel needs the limit, but memory does: intermediate tensors
/// and partial sums of blocks grow with it (for an 8B decoder by about 110 KB a
/// token, 225 MB), and requests that generate wait for the step of a prompt.
constexpr int64_t cudaStepTokens = 2048;

/// Most tokens of a launch, of the kernels of a linear: skinny_linear's, then
/// gemm's, whose last one has no limit.
constexpr int64_t skinnyBuckets[] = {1, 8, 16, 32,
                                     kernels::skinny_linear::largestBucket};
constexpr int64_t gemmBuckets[] = {128, 256, 512, 0};

/// The element type of a tensor that a GPU kernel reads or writes; Int8 for
/// quantized activations.
quant::ElementType elementOf(mlir::Value tensor);
/// Whether a value is codes with their scales, and ok where it is such that GPU
/// kernels have: int8 with one scale a row.
bool isQuantized(mlir::Value value);
/// What makes activations of codes that the model computes; null for others.
ir::FromCodesOp fromCodesOf(mlir::Value activations);
mlir::LogicalResult verifyQuantized(mlir::Operation *op);
/// The ranges of a weight as segments of a linear's launch.
std::vector<kernels::skinny_linear::Segment> segmentsOf(ir::WeightType type);
/// The last dimension.
int64_t lastOf(mlir::Value tensor);
/// Elements from row to row of heads [T, heads, size], which may be columns of
/// a merged projection.
int64_t rowStrideOf(mlir::Value heads);
/// The longest sequence of the function that `op` is in; 0 for a graph.
int64_t contextOf(mlir::Operation *op);

kernels::gather_rows::Problem problemOf(ir::EmbeddingOp op);
kernels::gather_rows::Problem problemOf(ir::SelectRowsOp op);
kernels::norm::Problem problemOf(ir::RmsNormOp op);
kernels::norm::Problem problemOf(ir::LayerNormOp op);
/// Of an rms_norm or a layer_norm.
kernels::norm::Problem normProblemOf(mlir::Operation *op);
kernels::norm::Problem problemOf(const ir::NormSumBody &body);
kernels::quantize::Problem problemOf(ir::QuantizeOp op);
kernels::gated_activation::Problem problemOf(ir::ActivationOp op);
kernels::gated_activation::Problem problemOf(ir::GatedActivationOp op);
kernels::rotary_table::Problem problemOf(ir::RotaryTableOp op);
kernels::attention_decode::Problem problemOf(ir::CachedAttentionOp op);

/// Which parts of a region are in the launch of its linear.
struct LinearParts {
  bool prologue = false, tail = false;
  bool sum = false; ///< ahead of the prologue
};
/// Those that a region's attributes say, for launches of at most `tokens`
/// tokens.
LinearParts partsOf(ir::FusedOp op, int64_t tokens);
/// The launch of the linear of `body` with these parts.
kernels::skinny_linear::Problem problemOf(const ir::LinearBody &body,
                                          LinearParts parts, int64_t tokens);
/// For launches of at most `tokens` tokens, of skinny_linear or gemm, with what
/// is in its launch of the region that it is in.
kernels::skinny_linear::Problem problemOf(ir::LinearOp op, int64_t tokens);

/// Whether gemm takes a launch of so few tokens that skinny_linear could: from
/// 32 on, where it is predicted to be faster.
bool gemmIsFaster(const kernels::skinny_linear::Problem &problem,
                  const target::Target &target);

kernels::rotary_append::Problem problemOf(ir::KVAppendOp op);
/// Rotation and append in one launch.
kernels::rotary_append::Problem problemOf(const ir::RotaryAppendBody &body);

/// The choice of the tokens that follow a decoder's logits; none where `op`
/// returns no logits.
std::optional<kernels::argmax::Problem> problemOf(mlir::func::ReturnOp op);
/// The same with the options of requests; none, too, where the vocabulary is
/// more than a kernel chooses from.
std::optional<kernels::sampling::Problem>
samplingProblemOf(mlir::func::ReturnOp op);

} // namespace qopt::passes

#endif // QOPT_PASSES_SCHEDULE_KERNELPROBLEMS_H
