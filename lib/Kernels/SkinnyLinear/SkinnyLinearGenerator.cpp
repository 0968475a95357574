// Setup, the division of work, and the loader of a `skinny_linear` kernel.
//
//   loader    ── weights ──▶ ring ──▶ consumers ── sums ──▶ ring ──▶ epilogue
//   one thread                        x in shared memory               one warp
//   before the dependency point ┊ behind it
//
// With slices of the columns, the consumers bring their sums together through
// the workspace, and there is no epilogue's warp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGenerator.h"
#include "lib/Kernels/Builder/Region.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBody.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;
using quant::ElementType;

Body::Body(Kernel &kernel, const Problem &problem, const Schedule &schedule,
           Block *epilogue, const Arguments &arguments)
    : k(kernel), problem(problem), schedule(schedule), epilogue(epilogue),
      arguments(arguments), plan(planOf(problem, schedule)) {
  if (problem.append)
    appender.emplace(k, *problem.append,
                     rotary_append::widthOf(*problem.append, k.target()),
                     *arguments.append);
  for (size_t i = 0; i < problem.segments.size(); ++i)
    segments.push_back(segmentPlanOf(problem, schedule, i));
  activation = typeOf(problem.source       ? *problem.source
                      : problem.hasCodes() ? problem.output
                                           : problem.activation);
}

Type Body::typeOf(ElementType type) {
  OpBuilder &builder = k.builder();
  if (type == ElementType::BF16)
    return builder.getBF16Type();
  return type == ElementType::F16 ? Type(builder.getF16Type())
                                  : Type(builder.getF32Type());
}

void Body::build() {
  rings.emplace_back(k, schedule.stages, plan.stageBytes, Fillers{},
                     schedule.consumers());
  if (schedule.slices == 1)
    rings.emplace_back(k, schedule.partials, plan.partialBytes,
                       Fillers{schedule.consumers()}, 1);
  else
    lastParts = k.shared(plan.partFlagBytes);
  if (problem.source) {
    warpsLargest = k.shared(plan.quantizeBytes);
    tokenScale = warpsLargest + 4 * int64_t(schedule.consumers());
  }
  if (plan.normBytes)
    normSums = k.shared(plan.normBytes);
  if (plan.correctionBytes)
    corrections = k.shared(plan.correctionBytes);
  if (plan.bookBytes)
    table = k.shared(plan.bookBytes);
  if (plan.startBytes)
    starts = k.shared(plan.startBytes);
  if (plan.zeroBytes)
    zeros = k.shared(plan.zeroBytes);
  activations = k.shared(plan.activationBytes);

  k.when(k.thread() == 0, [&] {
    for (Ring &ring : rings)
      ring.initialise();
  });
  k.syncBlock();
  // The next kernel may fetch its weights as soon as there is room for it.
  k.launchSuccessor();

  Int block = k.block();
  int blocksOfSlice = schedule.grid / schedule.slices;
  slice = schedule.slices == 1 ? k.constant(0) : block / blocksOfSlice;
  blockOfSlice = schedule.slices == 1 ? block : block % blocksOfSlice;
  tokens = problem.tokens == 1 ? k.constant(1) : k.integer(arguments.tokens);

  Int warp = k.warp();
  k.when(warp == schedule.consumers(), [&] { load(); });
  if (schedule.slices == 1)
    k.when(warp == schedule.consumers() + 1, [&] { finish(); });
  k.when(warp < schedule.consumers(), [&] { consume(); });
}

// Work ------------------------------------------------------------------------

Body::Range Body::rangeOf(const SegmentPlan &segment) {
  int64_t each = schedule.wholeTiles ? segment.steps : 1;
  int64_t all = segment.tiles * segment.steps / each;
  Int from = blockOfSlice * all / segment.blocks * each;
  Int to = (blockOfSlice + 1) * all / segment.blocks * each;
  if (segment.blocks < schedule.grid / schedule.slices) {
    Flag works = blockOfSlice < segment.blocks;
    from = select(works, from, k.constant(0));
    to = select(works, to, k.constant(0));
  }
  return {blockOfSlice, from, to};
}

Kernel::Values Body::forTiles(
    const SegmentPlan &segment, Kernel::Values carried,
    llvm::function_ref<Kernel::Values(TileSteps, Kernel::Values)> body) {
  Range range = rangeOf(segment);
  auto [first, count] = tilesOf(segment);
  Int end = first + count;
  // Each slice begins with another part: see SkinnyLinearSlices.cpp.
  Int shift = k.constant(0);
  if (schedule.slices > 1)
    shift = slice * count / int64_t(schedule.slices);
  return k.loop(
      first, end, k.constant(1), std::move(carried),
      [&, first = first, count = count](Int i, Kernel::Values values) {
        Int tile = i;
        if (schedule.slices > 1) {
          tile = i + shift;
          tile = select(tile < end, tile, tile - count);
        }
        Int begin = tile * segment.steps;
        Int from = max(range.from - begin, k.constant(0));
        Int to = min(range.to - begin, k.constant(segment.steps));
        return body({tile, from, to, first, count}, std::move(values));
      });
}

std::pair<Int, Int> Body::tilesOf(const SegmentPlan &segment) {
  Range range = rangeOf(segment);
  Int first = range.from / segment.steps;
  return {first, (range.to + (segment.steps - 1)) / segment.steps - first};
}

// floor(b · steps / blocks) ≤ step for the largest such b.
Int Body::ownerOf(const SegmentPlan &segment, Int step) {
  return ((step + 1) * segment.blocks - 1) / (segment.tiles * segment.steps);
}

bool Body::isRagged() const {
  if (plan.unitsPerSlice * schedule.slices != plan.units)
    return true;
  for (int units : schedule.unitsPerStage)
    if (plan.unitsPerSlice % units)
      return true;
  return false;
}

Int Body::unitsHere() {
  if (plan.unitsPerSlice * schedule.slices == plan.units)
    return k.constant(plan.unitsPerSlice);
  return min(k.constant(plan.units) - slice * plan.unitsPerSlice,
             k.constant(plan.unitsPerSlice));
}

// Loader ----------------------------------------------------------------------

/// Weights do not depend on the kernel before: no dependency point here. What
/// the kernel before reads meanwhile waits behind all that is on its way.
void Body::load() {
  weights().load([&] {
    Value policy = evictFirst(k);
    Global packed = k.pointer(Arguments::Weights);
    Kernel::Values carried;
    Ring::push(carried, weights().start());
    for (size_t i = 0; i < segments.size(); ++i)
      carried =
          loadSegment(i, packed.at(segments[i].packedOffset), policy, carried);
  });
}

Kernel::Values Body::loadSegment(size_t index, Global packed, Value policy,
                                 Kernel::Values carried) {
  const SegmentPlan &segment = segments[index];
  int units = schedule.unitsPerStage[index];
  Int here = unitsHere();
  return forTiles(segment, carried, [&](TileSteps tile, Kernel::Values state) {
    std::vector<Global> strips;
    for (int s = 0; s < schedule.tileStrips(); ++s) {
      Int strip = min(tile.tile * schedule.tileStrips() + s,
                      k.constant(segment.strips - 1));
      strips.push_back(packed.at(strip, plan.units * segment.unitBytes)
                           .at(slice, plan.unitsPerSlice * segment.unitBytes));
    }
    return k.loop(
        tile.from, tile.to, k.constant(1), state,
        [&](Int step, Kernel::Values values) {
          Ring::Cursor cursor = weights().pop(values);
          Int count = min(here - step * units, k.constant(units));
          if (!isRagged())
            count = k.constant(units);
          Int bytes = count * segment.unitBytes;
          weights().waitEmpty(cursor);
          weights().expect(cursor, bytes * schedule.tileStrips());
          for (int s = 0; s < schedule.tileStrips(); ++s)
            weights().copy(cursor, s * units * segment.unitBytes,
                           strips[s].at(step, units * segment.unitBytes), bytes,
                           policy);
          weights().commit(cursor);
          if (schedule.inFlight < schedule.stages)
            weights().waitFull(weights().before(cursor, schedule.inFlight));
          Ring::push(values, weights().next(cursor));
          return values;
        });
  });
}

StatusOr<gpu::GPUFuncOp>
skinny_linear::buildKernel(gpu::GPUModuleOp module, const Problem &problem,
                           const Schedule &schedule,
                           const target::Target &target, Block *epilogue) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  QOPT_RETURN_IF_ERROR(isValidRegion(epilogue, 1 + problem.regionOperands(),
                                     problem.regionOperands()));
  LaunchBounds bounds{schedule.threads(), schedule.blocksPerSm};
  Arguments arguments(problem);
  Kernel kernel(module, symbolOf(problem, target), arguments.list, bounds,
                target);
  Body(kernel, problem, schedule, epilogue, arguments).build();
  return kernel.finish();
}
