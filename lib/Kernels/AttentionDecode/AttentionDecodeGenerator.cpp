// Setup of an `attention_decode` kernel: which part of the batch is the
// block's, and the walk of a warp over its tiles.
//
//   copies of tiles i+1 … i+stages−1 in flight ┊ tile i: scores → softmax →
//   values
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeGenerator.h"
#include "lib/Kernels/AttentionDecode/AttentionDecodeBody.h"
#include "runtime/host/SumOrder.h"

#include <numeric>

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;
using quant::ElementType;

// Arguments; see AttentionDecodeGenerator.h.
enum { Query, Output, Pages, PageTable, TokenStarts, ContextStarts };

static std::vector<Argument> argumentsOf(const Problem &problem) {
  std::vector<Argument> arguments = {
      {Argument::Dependent, "query"},
      {Argument::Dependent, "output"},
      {Argument::Dependent, "pages"},
      {Argument::Constant, "page_table", 4},
      {Argument::Constant, "token_starts", 4},
      {Argument::Constant, "context_starts", 4},
      {Argument::Dependent, "workspace"},
      {Argument::Dependent, "counters", 4},
  };
  // Columns of other rows begin where heads do.
  if (problem.cache.keySize % 2)
    arguments[Query].align = 2;
  if (problem.slopes)
    arguments.push_back({Argument::Constant, "slopes", 4});
  if (problem.sinks)
    arguments.push_back({Argument::Constant, "sinks", 4});
  if (problem.cache.recent)
    arguments.push_back({Argument::Dependent, "rows"});
  return arguments;
}

Body::Body(Kernel &kernel, const Problem &problem, const Schedule &schedule)
    : k(kernel), problem(problem), schedule(schedule),
      plan(planOf(problem, schedule)),
      keyLayout(layoutOf(plan, plan.keyStride)),
      valueLayout(layoutOf(plan, plan.valueStride)),
      partialStride(plan.partialStride), ringBytes(plan.ringBytes),
      parts(int(plan.partials)), sharing(int(problem.sharing())),
      outputChannels(int(std::gcd<int64_t>(problem.cache.valueSize, 4))) {
  OpBuilder &builder = k.builder();
  activation = problem.activation == ElementType::BF16
                   ? Type(builder.getBF16Type())
                   : Type(builder.getF16Type());
  exponent =
      host::probabilityExponent(problem.cache.value, activation.isBF16());
}

void Body::build() {
  int64_t queryBytes = schedule.warps * plan.queryBytes;
  stages = k.shared(plan.sharedBytes - 128 - queryBytes -
                    (schedule.warps * plan.probabilityBytes + 127) / 128 * 128);
  probabilities = k.shared(schedule.warps * plan.probabilityBytes) +
                  k.warp() * plan.probabilityBytes;
  if (queryBytes)
    queryPlace = k.shared(queryBytes) + k.thread() * 16;
  partials = plan.partialsAt ? stages + plan.partialsAt : stages;
  flag = k.shared(128);
  g = k.lane() >> 2;
  t = k.lane() & 3;
  k.launchSuccessor();
  Int blockRows = findPlace();
  k.when(k.constant(0) < blockRows && split < active, [&] { attend(); });
}

/// The result: rows of the block.
Int Body::findPlace() {
  sequence = blockZ(k);
  split = k.block();
  Int y = blockY(k);
  if (dividesRows()) // the longest walks first
    y = blocksY(k) - 1 - y;
  int keyHeads = int(problem.cache.keyHeads);
  firstChannel = k.constant(0);
  if (int64_t slices = problem.slices(); slices > 1) {
    firstChannel = y % slices * problem.sliceChannels();
    y = y / slices;
  }
  keyHead = y % keyHeads;
  firstRow = y / keyHeads * schedule.blockRows();
  Global starts = k.pointer(TokenStarts).at(sequence, 4);
  tokenStart = k.loadConstant(starts, 1)[0];
  Int tokens = k.loadConstant(starts.at(4), 1)[0] - tokenStart;
  context = k.loadConstant(k.pointer(ContextStarts).at(sequence, 4), 1)[0];
  length = context + tokens;
  Int blockRows =
      min(tokens * sharing - firstRow, k.constant(schedule.blockRows()));
  rows = blockRows;

  end = problem.causal ? positionOf(max(rows, k.constant(1)) - 1) + 1 : length;
  first = problem.window ? max(positionOf(k.constant(0)) + 1 - problem.window,
                               k.constant(0))
                         : k.constant(0);
  if (problem.cache.recent) {
    findLatest();
    return takeRows(blockRows);
  }
  Int begin = first / schedule.tile;
  Int tiles = (end + (schedule.tile - 1)) / schedule.tile - begin;
  int least = schedule.warps * schedule.tilesPerWarp;
  active = min(blocksX(k), (tiles + (least - 1)) / least);
  active = max(active, k.constant(1));
  tileBegin = begin + split * tiles / active;
  tileEnd = begin + (split + 1) * tiles / active;
  count = tileEnd - tileBegin;
  if (!dividesRows())
    count = (count + (schedule.warps - 1) - k.warp()) / schedule.warps;
  keys = k.pointer(Pages).at(keyHead, problem.cache.keyOffset(1));
  if (problem.cache.keyGroup()) {
    Global slot = k.pointer(PageTable)
                      .at(sequence, problem.pageStride() * 4)
                      .at((problem.pageStride() - 1) * 4);
    openKeys = k.pointer(Pages)
                   .at(k.loadConstant(slot, 1)[0], problem.cache.slotBytes())
                   .at(keyHead, problem.cache.openHeadBytes());
  }
  return takeRows(blockRows);
}

/// The warp's of the block's rows, which are the result.
Int Body::takeRows(Int blockRows) {
  if (dividesRows()) {
    firstRow = firstRow + k.warp() * schedule.rows();
    rows = min(rows - k.warp() * schedule.rows(), k.constant(schedule.rows()));
  }
  return blockRows;
}

/// Of row `row` of the warp.
Int Body::positionOf(Int row) { return context + (firstRow + row) / sharing; }

void Body::attend() {
  walkTiles();
  if (dividesRows()) {
    k.syncWarp();
    storeRows();
    return;
  }
  k.syncBlock();
  combineWarps();
}

void Body::syncReaders() {
  if (dividesRows())
    k.syncBlock();
  else
    k.syncWarp();
}

// A warp's tiles --------------------------------------------------------------

Int Body::tileAt(Int index) {
  return dividesRows() ? tileBegin + index
                       : tileBegin + k.warp() + index * schedule.warps;
}

Body::State Body::startState() {
  Real none = k.real(-1e30), zero = k.real(0);
  std::vector<std::array<Real, 2>> maxima(schedule.rowTiles, {none, none});
  std::vector<std::array<Real, 2>> sums(schedule.rowTiles, {zero, zero});
  return {maxima, sums, {k, int(plan.valueTiles), schedule.rowTiles}};
}

void Body::push(Kernel::Values &values, const State &state) {
  for (const auto *pairs : {&state.maxima, &state.sums})
    for (const std::array<Real, 2> &pair : *pairs)
      for (Real value : pair)
        values.push_back(value.value);
  state.output.push(values);
}

/// Takes its values off the front.
Body::State Body::pop(llvm::ArrayRef<mlir::Value> &values) {
  State state = startState();
  for (auto *pairs : {&state.maxima, &state.sums})
    for (std::array<Real, 2> &pair : *pairs)
      for (Real &value : pair) {
        value.value = values.front();
        values = values.drop_front();
      }
  state.output.pop(values);
  return state;
}

Int Body::groupEnd(Int tile) {
  int64_t tiles = problem.cache.keyGroup() / schedule.tile;
  return (tile / tiles + 1) * problem.cache.keyGroup();
}

/// Starts the copies of the first stages: `early` those of tiles that lie
/// before the new tokens, whose positions are there already, else the others.
/// Codes of a group are there when all of it lies before them.
void Body::startTiles(Int ring, bool early) {
  for (int i = 0; i + 1 < schedule.stages; ++i) {
    Int tile = tileAt(k.constant(i));
    Int stop =
        problem.cache.keyGroup() ? groupEnd(tile) : (tile + 1) * schedule.tile;
    Flag now = early ? stop < context + 1 : context < stop;
    k.when(k.constant(i) < count && now, [&] {
      copyTile(tile, findPages(tile), ring + i * plan.stageBytes);
    });
    if (!early)
      commitCopies(k);
  }
}

void Body::walkTiles() {
  int ahead = schedule.stages - 1;
  int64_t stageBytes = plan.stageBytes;
  Int ring = dividesRows() ? stages : stages + k.warp() * ringBytes;
  startTiles(ring, /*early=*/true);
  k.waitForPredecessor();
  loadQueries();
  findRows();
  startTiles(ring, /*early=*/false);

  Kernel::Values values;
  push(values, startState());
  std::vector<Int> pages = findPages(tileAt(k.constant(ahead)));
  Int zero = k.constant(0), last = k.constant(ahead * stageBytes);
  for (Int page : pages)
    values.push_back(page.value);
  values.push_back(zero.value); // of the stage that is read
  values.push_back(last.value); // of the one that is filled
  size_t pageCount = pages.size();
  values = k.loop(
      zero, count, k.constant(1), values, [&](Int i, Kernel::Values carried) {
        llvm::ArrayRef<Value> now = carried;
        State state = pop(now);
        Int read{{&k, now[pageCount]}}, fill{{&k, now[pageCount + 1]}};
        for (size_t p = 0; p < pageCount; ++p)
          pages[p] = {{&k, now[p]}};
        waitForCopies(k, unsigned(ahead - 1));
        syncReaders();
        Int next = tileAt(i + ahead);
        k.when(i + ahead < count, [&] { copyTile(next, pages, ring + fill); });
        commitCopies(k);
        pages = findPages(tileAt(i + (ahead + 1)));

        Int stage = ring + read, tile = tileAt(i);
        Scores products = problem.cache.keyGroup() ? multiplyGroups(stage, tile)
                                                   : multiplyKeys(stage);
        Scores scores = finishScores(stage, tile, std::move(products));
        exponentiate(scores, state);
        multiplyValues(stage, scores, state);

        Kernel::Values result;
        push(result, state);
        for (Int page : pages)
          result.push_back(page.value);
        Int following = read + stageBytes;
        following = select(following == ahead * stageBytes + stageBytes, zero,
                           following);
        result.push_back(following.value);
        result.push_back(read.value);
        return result;
      });
  llvm::ArrayRef<Value> left = values;
  finishTiles(pop(left));
}

/// What the warp has of its tiles, and those that it has beside codes.
void Body::finishTiles(const State &state) {
  waitForCopies(k, 0);
  if (problem.cache.recent) {
    storePartials(state);
    syncReaders();
    Problem halves = problem.ofHalves();
    Schedule tiles = halvesOf(schedule);
    return Body(*this, halves, tiles).walkHalves();
  }
  k.syncBlock();
  storePartials(state);
}

StatusOr<gpu::GPUFuncOp>
attention_decode::buildKernel(gpu::GPUModuleOp module, const Problem &problem,
                              const Schedule &schedule,
                              const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  LaunchBounds bounds{schedule.threads(), schedule.blocksPerSm};
  Kernel kernel(module, symbolOf(problem, schedule, target),
                argumentsOf(problem), bounds, target);
  Body(kernel, problem, schedule).build();
  return kernel.finish();
}
