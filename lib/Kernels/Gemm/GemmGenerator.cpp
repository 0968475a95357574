// Setup and the division of work of a `gemm` kernel.
//
//   weights of the first stages ┊ dependency point ┊ x of the first stages
//   loop: products of a stage, copies into the one before, wait, barrier
//   sums ──▶ slices added ──▶ shared memory ──▶ epilogue, runs of 8 columns
//   with an append: places of tokens ┊ …, heads in shared memory ──▶ cache
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Gemm/GemmGenerator.h"
#include "lib/Kernels/Builder/Region.h"
#include "lib/Kernels/Gemm/GemmBody.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBook.h"
#include "lib/Quant/Element.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;

/// The largest asynchronous copy that rows of so many bytes are aligned to.
static int64_t pieceOf(int64_t rowBytes) {
  for (int64_t bytes : {16, 8, 4})
    if (rowBytes % bytes == 0)
      return bytes;
  return 0;
}

Body::Body(Kernel &kernel, const Problem &problem, const Schedule &schedule,
           Block *epilogue, const Arguments &arguments)
    : k(kernel), problem(problem), schedule(schedule), epilogue(epilogue),
      arguments(arguments), plan(planOf(problem, schedule)),
      activationLayout{panelRowBytes,
                       isInt8() ? Swizzle{{{0, 1}, {1, 2}}} : Swizzle{{{0, 2}}},
                       /*aligned=*/true},
      elementBytes(quant::elementOf(problem.activation).bits / 8),
      pieceBytes(pieceOf(problem.columns * elementBytes)) {
  if (!isInt8())
    activation = typeOf(k, problem.activation);
  if (!problem.append)
    return;
  appendWidth = rotary_append::widthOf(*problem.append, k.target());
  appender.emplace(k, *problem.append, appendWidth, *arguments.append);
}

void Body::build() {
  tokens = k.integer(arguments.tokens);
  if (schedule.slices > 1)
    flag = k.shared(16);
  if (appender)
    places = k.shared(plan.placeBytes);
  if (plan.bookBytes)
    table = k.shared(plan.bookBytes);
  stages = k.shared(plan.tileBytes);
  slab = stages + k.warp() * plan.slabBytes;
  locate();
  if (problem.segments.size() == 1)
    return workOn(0, rowTile);
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    SegmentPlan segment = segmentPlanOf(problem, schedule, i);
    Int tile = rowTile - segment.firstTile;
    k.when(tile >= 0 && tile < k.constant(segment.tiles),
           [&] { workOn(i, tile); });
  }
}

/// From the index of the block to its tile: bands of tiles of tokens, in a band
/// tile of rows after tile of rows, the band's tiles of tokens side by side.
void Body::locate() {
  Int block = k.block();
  slice = schedule.slices == 1 ? k.constant(0) : block % schedule.slices;
  tileIndex = schedule.slices == 1 ? block : block / schedule.slices;
  int64_t blockTokens = schedule.blockTokens();
  Int tokenTiles = (tokens + (blockTokens - 1)) / blockTokens;
  Int band = tileIndex / (bandTiles * plan.rowTiles);
  Int width = min(k.constant(bandTiles), tokenTiles - band * bandTiles);
  Int inBand = tileIndex - band * (bandTiles * plan.rowTiles);
  rowTile = inBand / width;
  firstToken = (band * bandTiles + (inBand - rowTile * width)) * blockTokens;

  firstStep = slice * plan.stepsPerSlice;
  steps = k.constant(plan.stepsPerSlice);
  if (plan.stepsPerSlice * schedule.slices != plan.steps)
    steps = min(k.constant(plan.steps) - firstStep, steps);
}

Int Body::tokenWarp() const {
  Int warp = k.warp() / schedule.rowWarps;
  return schedule.columnWarps == 1 ? warp : warp % schedule.tokenWarps;
}

Int Body::columnWarp() const {
  return k.warp() / (schedule.rowWarps * schedule.tokenWarps);
}

void Body::workOn(size_t segment, Int tile) {
  index = segment;
  part = segmentPlanOf(problem, schedule, segment);
  firstStrip = tile * int64_t(schedule.blockStrips());
  // Whoever waits for the first stage waits for the table.
  book = skinny_linear::makeBook(
      format(), activation, k.pointer(Arguments::Weights).at(part.bookOffset),
      table, k.thread(), schedule.threads());
  Kernel::Values sums = multiplyColumns();
  // Not sooner: with SMs left free, blocks of the next kernel would gather on
  // them two by two, and stay there when this one has ended.
  k.launchSuccessor();
  finish(std::move(sums));
}

StatusOr<gpu::GPUFuncOp> gemm::buildKernel(gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target,
                                           Block *epilogue) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  QOPT_RETURN_IF_ERROR(isValidRegion(epilogue, 1 + problem.regionOperands(),
                                     problem.regionOperands()));
  LaunchBounds bounds{schedule.threads(), schedule.blocksPerSm};
  Arguments arguments(problem);
  Kernel kernel(module, symbolOf(problem, schedule, target), arguments.list,
                bounds, target);
  Body(kernel, problem, schedule, epilogue, arguments).build();
  return kernel.finish();
}
