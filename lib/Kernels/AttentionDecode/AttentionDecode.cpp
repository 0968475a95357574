// What follows from a problem and a schedule: sizes, launches, names and
// whether they can be built. No MLIR.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecode.h"
#include "lib/Quant/Element.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;
using quant::ElementType;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t roundUp(int64_t a, int64_t b) { return ceilDiv(a, b) * b; }

static int64_t bitsOf(const quant::Format &format) {
  return quant::elementOf(format.element).bits;
}

/// Whether codes are read by fields of fewer bits than a lane's eight channels
/// have in a word.
static bool isShort(const quant::Format &format) { return bitsOf(format) < 4; }

/// Channels whose codes a chunk of 16 bytes has, as values are read; of int3,
/// their lower two bits.
static int64_t chunkChannels(const quant::Format &format) {
  return 128 / (isShort(format) ? 2 : bitsOf(format));
}

/// Of queries in registers. Keys in groups need others for their scales.
static int64_t mostQueryChannels(const cuda::KvPageLayout &cache) {
  return cache.keyGroup() ? 128 : 256;
}

// Validity --------------------------------------------------------------------

static Status unsupported(std::string message) {
  return Status(StatusCode::Unsupported, std::move(message));
}

Status attention_decode::isValid(const Problem &problem) {
  const cuda::KvPageLayout &cache = problem.cache;
  QOPT_RETURN_IF_ERROR(cache.check());
  if (problem.activation != ElementType::F16 &&
      problem.activation != ElementType::BF16)
    return unsupported("attention takes queries in f16 or bf16, got " +
                       std::string(quant::elementOf(problem.activation).name));
  for (const quant::Format &format : {cache.key, cache.value})
    if (format.isFloat() && format.element != problem.activation)
      return unsupported(
          "a cache in " + quant::spell(format) +
          " needs queries of the same type, got " +
          std::string(quant::elementOf(problem.activation).name));
  if (problem.heads <= 0 || problem.heads % cache.keyHeads)
    return unsupported(std::to_string(problem.heads) +
                       " query heads are not a multiple of " +
                       std::to_string(cache.keyHeads) + " key heads");
  if (problem.queryStride < problem.heads * cache.keySize)
    return unsupported("queries " + std::to_string(problem.queryStride) +
                       " elements apart; expected no less than all heads");
  if (problem.cache.recent && !problem.causal)
    return unsupported("latest positions without a causal mask");
  if (problem.window && !problem.causal)
    return unsupported("a window without a causal mask");
  if (!(problem.softcap >= 0))
    return unsupported("a softcap of " + std::to_string(problem.softcap) +
                       "; expected a positive one, or 0 for none");
  if (problem.context <= 0)
    return unsupported("a context of " + std::to_string(problem.context) +
                       " positions");
  return Status();
}

Status attention_decode::isValid(const Problem &problem,
                                 const Schedule &schedule,
                                 const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  int64_t page = problem.cache.page;
  if (schedule.tile % 16 || schedule.tile <= 0 ||
      (schedule.tile % page && page % schedule.tile))
    return unsupported("tiles of " + std::to_string(schedule.tile) +
                       " positions do not fit pages of " +
                       std::to_string(page));
  if (int64_t group = problem.cache.keyGroup();
      group && group % schedule.tile != 0)
    return unsupported("tiles of " + std::to_string(schedule.tile) +
                       " positions do not fit groups of " +
                       std::to_string(group));
  int warps = schedule.warps;
  if ((warps != 1 && warps != 2 && warps != 4 && warps != 8) ||
      schedule.rowTiles < 1 || schedule.stages < 2)
    return unsupported("expected 1, 2, 4 or 8 warps and at least 2 stages");
  // Queries, outputs and scores of a warp, in registers of a lane.
  Plan plan = planOf(problem, schedule);
  // With groups also the queries of a step times its scales, and two ways to
  // the scores.
  int64_t scaled = problem.cache.keyGroup() ? 4 : 0;
  int64_t most = plan.queryBytes ? 140 : problem.cache.keyGroup() ? 112 : 176;
  bool isLong = plan.queryBytes && schedule.tile > 32;
  int64_t queries = plan.queryBytes ? 4 : plan.keyChannels / 32 * 4;
  int64_t perTile =
      queries + scaled + plan.valueTiles * 4 + schedule.tile / 16 * 4;
  if (isLong || perTile * schedule.rowTiles > most)
    return unsupported(std::to_string(schedule.rows()) + " rows and tiles of " +
                       std::to_string(schedule.tile) +
                       " positions need more registers than a thread has");
  if (problem.cache.recent)
    QOPT_RETURN_IF_ERROR(
        isValid(problem.ofHalves(), halvesOf(schedule), target));
  if (plan.sharedBytes > target.limits.sharedPerBlock)
    return unsupported(std::to_string(plan.sharedBytes) +
                       " bytes of shared memory; " + std::string(target.name) +
                       " has " + std::to_string(target.limits.sharedPerBlock));
  return Status();
}

// Sizes -----------------------------------------------------------------------

Problem Problem::ofHalves() const {
  Problem halves = *this;
  cuda::KvPageLayout &layout = halves.cache;
  layout.key = layout.value = quant::floatFormat(activation);
  layout.recent = layout.first = 0;
  return halves;
}

Schedule attention_decode::halvesOf(const Schedule &schedule) {
  Schedule halves = schedule;
  halves.tile = 16;
  halves.stages = 2;
  return halves;
}

Plan attention_decode::planOf(const Problem &problem,
                              const Schedule &schedule) {
  const cuda::KvPageLayout &cache = problem.cache;
  Plan plan{};
  int64_t keyBits = bitsOf(cache.key), valueBits = bitsOf(cache.value);
  plan.keyRow = cache.keyRow() * keyBits / 8;
  plan.valueRow = cache.valueRow() * valueBits / 8;
  plan.keyChannels = roundUp(cache.keySize, 32);
  // The parts of a row of int3 lie apart, so blocks have all of it.
  bool isWhole = problem.slices() == 1 || valueBits == 3;
  plan.sliceRow =
      isWhole ? plan.valueRow : problem.sliceChannels() * valueBits / 8;
  // Whole reads: of 32 channels of K, of two chunks of V; rows of whole chunks.
  plan.keyStride = roundUp(plan.keyRow, isShort(cache.key) ? 16 : 4 * keyBits);
  plan.valueStride = roundUp(plan.sliceRow, 32);
  plan.keyBytes = schedule.tile * plan.keyStride;
  plan.valueBytes = schedule.tile * plan.valueStride;
  int64_t numbers = cache.keyOffsets() ? 2 : 1; // of a channel of a group
  plan.keyScaleBytes = cache.keyGroup()      ? numbers * plan.keyChannels * 2
                       : cache.key.isFloat() ? 0
                                             : schedule.tile * 2;
  plan.valueScaleBytes = cache.valueNumbers() * schedule.tile * 2;
  plan.stageBytes = plan.keyBytes + plan.valueBytes + plan.keyScaleBytes +
                    plan.valueScaleBytes;
  plan.probabilityBytes = int64_t(schedule.rowTiles) * schedule.tile * 16;
  if (plan.keyChannels > mostQueryChannels(cache))
    plan.queryBytes = schedule.rows() * plan.keyChannels * 2;
  int64_t channels = roundUp(problem.sliceChannels(),
                             std::max<int64_t>(chunkChannels(cache.value), 16));
  plan.valueTiles = channels / 16;
  plan.chunkChannels = chunkChannels(cache.value);
  plan.chunkPairs =
      valueBits == 3 ? ceilDiv(problem.sliceChannels(), 2 * plan.chunkChannels)
                     : plan.valueStride / 32;
  plan.partialStride = channels + 4;
  bool own = schedule.division == Division::Positions;
  plan.ringBytes = schedule.stages * plan.stageBytes;
  if (cache.recent) {
    Plan halves = planOf(problem.ofHalves(), halvesOf(schedule));
    plan.ringBytes = roundUp(std::max(plan.ringBytes, halves.stageBytes), 128);
  }
  int64_t stages = int64_t(own ? schedule.warps : 1) * plan.ringBytes;
  plan.partials = cache.recent ? 2 : 1;
  int64_t partials = plan.partials * schedule.warps * schedule.rows() *
                     (plan.partialStride + 2) * 4;
  if (cache.recent) {
    plan.partialsAt = roundUp(stages, 128);
    stages = plan.partialsAt + partials;
  }
  plan.sharedBytes = roundUp(std::max(stages, partials), 128) +
                     roundUp(schedule.warps * plan.probabilityBytes, 128) +
                     schedule.warps * plan.queryBytes + 128;
  plan.slotFloats = schedule.rows() * (problem.sliceChannels() + 2);
  return plan;
}

namespace {
/// Arithmetic of gridOf on integers.
struct IntegerMath {
  int64_t number(int64_t value) { return value; }
  int64_t add(int64_t a, int64_t b) { return a + b; }
  int64_t mul(int64_t a, int64_t b) { return a * b; }
  int64_t floorDiv(int64_t a, int64_t b) { return a / b; } // of sizes
  int64_t ceilDiv(int64_t a, int64_t b) { return ::ceilDiv(a, b); }
  int64_t min(int64_t a, int64_t b) { return std::min(a, b); }
  int64_t max(int64_t a, int64_t b) { return std::max(a, b); }
};
} // namespace

Launch attention_decode::launchOf(const Problem &problem,
                                  const Schedule &schedule,
                                  const target::Target &target,
                                  int64_t sequences, int64_t tokens,
                                  int64_t context) {
  Plan plan = planOf(problem, schedule);
  Grid<int64_t> grid = gridOf(IntegerMath(), problem, schedule, target,
                              sequences, tokens, context);
  Launch launch{};
  launch.x = grid.x;
  launch.y = grid.y;
  launch.z = grid.z;
  launch.threads = schedule.threads();
  launch.sharedBytes = plan.sharedBytes;
  if (launch.x > 1) {
    launch.workspaceBytes =
        launch.x * launch.y * launch.z * plan.slotFloats * 4;
    launch.counters = launch.y * launch.z;
  }
  return launch;
}

std::string attention_decode::symbolOf(const Problem &problem,
                                       const Schedule &schedule,
                                       const target::Target &target) {
  std::string act(quant::elementOf(problem.activation).name);
  std::string name = schedule.division == Division::Rows ? "attention_prefill_"
                                                         : "attention_decode_";
  name += std::string(target.name) + "_" + act + "_" +
          quant::spell(problem.cache.key) + "_" +
          quant::spell(problem.cache.value) + "_" + act + "_d" +
          std::to_string(problem.cache.keySize) + "_r" +
          std::to_string(schedule.blockRows());
  if (!problem.causal)
    name += "_all";
  if (problem.window)
    name += "_window";
  if (problem.softcap > 0)
    name += "_softcap";
  if (problem.slopes)
    name += "_slopes";
  if (problem.sinks)
    name += "_sinks";
  if (problem.cache.recent)
    name += "_recent" + std::to_string(problem.cache.recent) + "_first" +
            std::to_string(problem.cache.first);
  return name;
}
