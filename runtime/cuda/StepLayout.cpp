// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/StepLayout.h"

#include "runtime/cuda/SamplingRecord.h"

#include <algorithm>

namespace qopt::runtime {

static size_t aligned(size_t bytes) {
  constexpr size_t alignment = 256;
  return (bytes + alignment - 1) & ~(alignment - 1);
}

/// Sets a part aside.
static size_t place(size_t &total, size_t bytes) {
  size_t begin = total;
  total += aligned(bytes);
  return begin;
}

static void placeBatch(StepLayout &layout, const BoundFunction &function) {
  const plan::Decoder &decoder = *function.file().plan().decoder();
  const SymbolInputs &sizes = function.inputs();
  auto sequences = size_t(sizes.sequences), rows = size_t(sizes.logitRows);
  layout.pageTableStride =
      (int64_t(decoder.context()) + decoder.page() - 1) / decoder.page();
  for (uint32_t i = 0; decoder.layers() && i < decoder.layers()->size(); ++i)
    layout.hasSlots |= decoder.layers()->Get(i)->key()->group() > 0 ||
                       decoder.layers()->Get(i)->recent() > 0;
  layout.pageTableStride += layout.hasSlots;
  layout.seenBytes = (size_t(decoder.vocabulary()) + 31) / 32 * 4;
  size_t &total = layout.blockBytes;
  layout.tokenStarts = place(total, (sequences + 1) * 4);
  layout.contextStarts = place(total, sequences * 4);
  layout.pageTable =
      place(total, sequences * size_t(layout.pageTableStride) * 4);
  layout.positions = place(total, size_t(sizes.tokens) * 4);
  layout.logitRows = place(total, rows * 4);
  bool chooses = layout.outputs.size() > 1;
  layout.records =
      place(total, chooses ? rows * sizeof(cuda::SamplingRecord) : 0);
  layout.seen = place(total, chooses ? rows * layout.seenBytes : 0);
}

/// What launches ask for besides their values.
static void placeLaunches(StepLayout &layout, const plan::Function &function) {
  size_t checks = 0;
  if (function.steps())
    for (const plan::Step *step : *function.steps())
      if (const plan::Launch *launch = step->operation_as_Launch()) {
        checks += launch->check() != nullptr;
        layout.counterBytes =
            std::max<size_t>(layout.counterBytes, launch->counter_bytes());
      }
  layout.reports = place(layout.resultBytes, checks * StepLayout::reportBytes);
}

StepLayout StepLayout::of(const BoundFunction &function) {
  StepLayout layout;
  const plan::Function &f = function.function();
  for (uint32_t i = 0; f.inputs() && i < f.inputs()->size(); ++i)
    layout.inputs.push_back(
        place(layout.blockBytes, size_t(function.input(i).bytes)));
  for (uint32_t i = 0; f.outputs() && i < f.outputs()->size(); ++i)
    layout.outputs.push_back(
        place(layout.resultBytes, size_t(function.output(i).bytes)));
  layout.records = layout.seen = layout.blockBytes;
  if (f.kind() == plan::FunctionKind::Decoder)
    placeBatch(layout, function);
  placeLaunches(layout, f);
  layout.total.host = layout.blockBytes + layout.resultBytes;
  size_t &total = layout.total.device;
  place(total, layout.counterBytes);
  layout.block = place(total, layout.blockBytes);
  layout.results = place(total, layout.resultBytes);
  layout.arena = place(total, size_t(function.arenaBytes()));
  return layout;
}

} // namespace qopt::runtime
