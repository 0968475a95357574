// Binds a plan's function to sizes: shapes, bytes, aliases, arena offsets. All
// arithmetic on sizes is checked here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/BoundFunction.h"

#include "qopt/Tensor.h"
#include "runtime/plan/ArenaPlanner.h"
#include "runtime/plan/PlanFormat.h"
#include "runtime/plan/StepOperands.h"

#include <algorithm>
#include <optional>

namespace qopt::runtime {

Status blameOfUnfit(const plan::Function &function, const Status &status) {
  bool sizesAreGiven = function.kind() != plan::FunctionKind::Decoder;
  return status.code() != StatusCode::InvalidArgument || sizesAreGiven
             ? status
             : Status(StatusCode::BadArtifact, status.message());
}

StatusOr<std::shared_ptr<const BoundFunction>>
BoundFunction::bind(std::shared_ptr<const ArtifactFile> file,
                    const plan::Function &function, SymbolInputs inputs,
                    QuantizedRowBytes quantizedRowBytes, UnfitSizes unfit) {
  auto bound = std::make_shared<BoundFunction>();
  bound->artifact = std::move(file);
  bound->plan = &function;
  bound->symbolInputs = std::move(inputs);
  if (Status placed = bound->place(quantizedRowBytes, unfit); !placed.ok())
    return blameOfUnfit(function, placed);
  return std::shared_ptr<const BoundFunction>(std::move(bound));
}

Status BoundFunction::place(QuantizedRowBytes quantizedRowBytes,
                            UnfitSizes unfit) {
  StatusOr<std::vector<int64_t>> evaluated =
      evaluateSymbols(*plan, symbolInputs);
  if (!evaluated.ok())
    return evaluated.status();
  symbols = std::move(*evaluated);
  if (plan->kind() != plan::FunctionKind::Decoder)
    QOPT_RETURN_IF_ERROR(checkInputs());
  if (unfit == UnfitSizes::Refuse)
    QOPT_RETURN_IF_ERROR(checkRequirements());
  QOPT_RETURN_IF_ERROR(placeValues(quantizedRowBytes));
  return planArenaOffsets();
}

Status BoundFunction::checkInputs() const {
  if (!plan->inputs())
    return {};
  for (uint32_t i = 0; i < plan->inputs()->size(); ++i) {
    const plan::Value &value = *plan->values()->Get(plan->inputs()->Get(i));
    std::vector<int64_t> expected;
    std::string spelling;
    if (value.shape())
      for (uint32_t id : *value.shape()) {
        expected.push_back(symbols[id]);
        spelling += (spelling.empty() ? "" : ", ") + spellSymbol(*plan, id);
      }
    if (expected != symbolInputs.inputShapes[i])
      return Status(StatusCode::InvalidArgument,
                    "input \"" + (value.name() ? value.name()->str() : "") +
                        "\" has shape " + spell(symbolInputs.inputShapes[i]) +
                        "; expected [" + spelling + "] = " + spell(expected));
  }
  return {};
}

static bool holds(plan::Relation relation, int64_t lhs, int64_t rhs) {
  switch (relation) {
  case plan::Relation::Equal:
    return lhs == rhs;
  case plan::Relation::Broadcast:
    return lhs == rhs || (lhs == 1 && rhs > 0) || (rhs == 1 && lhs > 0);
  case plan::Relation::AtMost:
    return lhs <= rhs;
  case plan::Relation::MultipleOf:
    if (rhs == 0 || rhs == -1) // what the machine cannot divide by, or may not
      return rhs == -1 || lhs == 0;
    return lhs % rhs == 0;
  }
  return false;
}

static const char *wordsOf(plan::Relation relation) {
  switch (relation) {
  case plan::Relation::Equal:
    return "; expected equal sizes";
  case plan::Relation::Broadcast:
    return "; expected equal sizes, or 1 and any but 0";
  case plan::Relation::AtMost:
    return "; expected the first to be at most the second";
  case plan::Relation::MultipleOf:
    return "; expected a multiple of the second";
  }
  return "";
}

Status BoundFunction::checkRequirements() const {
  if (!plan->requirements())
    return {};
  auto spelt = [&](uint32_t id) {
    std::string number = std::to_string(symbols[id]);
    std::string name = spellSymbol(*plan, id);
    return name == number ? number : name + " = " + number;
  };
  for (const plan::Requirement *needed : *plan->requirements())
    if (!holds(needed->relation(), symbols[needed->lhs()],
               symbols[needed->rhs()])) {
      std::string origin = needed->origin() ? needed->origin()->str() : "";
      return Status(StatusCode::InvalidArgument,
                    origin + (origin.empty() ? "" : ": ") +
                        "these inputs make the sizes " + spelt(needed->lhs()) +
                        " and " + spelt(needed->rhs()) +
                        wordsOf(needed->relation()));
    }
  return {};
}

/// A value by its name in the signature, or by the first step that uses it.
std::string BoundFunction::describeValue(uint32_t value) const {
  const flatbuffers::String *name = plan->values()->Get(value)->name();
  if (name && name->size() > 0)
    return "\"" + name->str() + "\"";
  uint32_t steps = plan->steps() ? plan->steps()->size() : 0;
  for (uint32_t step = 0; step < steps; ++step)
    for (StepOperand operand : operandsOf(*plan->steps()->Get(step)))
      if (operand.value == value)
        return "value " + std::to_string(value) + " of step " +
               describe(*plan->steps()->Get(step));
  return "value " + std::to_string(value);
}

Status BoundFunction::fail(uint32_t value, const std::string &what) const {
  return Status(StatusCode::InvalidArgument,
                "function '" + plan->name()->str() +
                    "': " + describeValue(value) + " " + what);
}

Status BoundFunction::placeValues(QuantizedRowBytes quantizedRowBytes) {
  values.resize(plan->values() ? plan->values()->size() : 0);
  for (uint32_t id = 0; id < values.size(); ++id)
    QOPT_RETURN_IF_ERROR(placeValue(id, quantizedRowBytes));
  return {};
}

Status BoundFunction::placeValue(uint32_t id,
                                 QuantizedRowBytes quantizedRowBytes) {
  const plan::Value &value = *plan->values()->Get(id);
  BoundValue &bound = values[id];
  bound.type = value.dtype();
  bound.quantized = value.quantized() != nullptr;
  if (value.shape())
    for (uint32_t symbol : *value.shape())
      bound.shape.push_back(symbols[symbol]);
  std::optional<int64_t> elements = tensorElements(value, symbols);
  if (!elements || *elements > (int64_t(1) << 48))
    return fail(id, "has shape " + spell(bound.shape) +
                        ", which is too large or has a negative size");
  bound.elements = bound.rowElements = bound.rowStride = *elements;
  bound.bytes = *elements * bytesOf(value.dtype());
  if (bound.quantized) {
    bound.activation = toFormat(*value.quantized());
    bound.activationScale = value.quantized_scale();
    std::optional<int64_t> rowBytes =
        quantizedRowBytes(bound.activation, bound.columns());
    if (!rowBytes)
      return fail(id, "is " + quant::spell(bound.activation) +
                          ", which this device has no activations in");
    bound.bytes = bound.rows() * *rowBytes;
  }
  bound.index = value.index();
  switch (value.storage()) {
  case plan::Storage::Input:
    bound.slot = Slot::Input;
    return {};
  case plan::Storage::Output:
    bound.slot = Slot::Output;
    return {};
  case plan::Storage::Arena:
    bound.slot = Slot::Arena;
    return {};
  case plan::Storage::Constant:
    bound.slot = Slot::Constant;
    bound.address = artifact->segment(value.index()).data() + value.offset();
    return {};
  case plan::Storage::Alias:
    return placeAlias(id, bound);
  }
  return {};
}

// An alias must lie inside its base; with strided rows its last row ends what
// it may touch. One without elements lies anywhere: columns of no rows begin
// where their base has ended.
Status BoundFunction::placeAlias(uint32_t id, BoundValue &bound) const {
  const plan::Value &value = *plan->values()->Get(id);
  const BoundValue &base = values[value.index()];
  if (value.row_elements() > 0) {
    bound.rowElements = value.row_elements();
    bound.rowStride = value.row_stride();
    if (bound.elements % bound.rowElements != 0)
      return fail(id, "is not made of whole rows");
    int64_t rows = bound.elements / bound.rowElements;
    int64_t extent = 0;
    if (rows > 0 &&
        (__builtin_mul_overflow(rows - 1, bound.rowStride, &extent) ||
         extent > (int64_t(1) << 48)))
      return fail(id, "has rows that are too far apart");
    bound.bytes =
        rows == 0 ? 0 : (extent + bound.rowElements) * bytesOf(value.dtype());
  }
  int64_t offset = bound.elements == 0 ? 0 : symbols[value.offset()];
  // Rows that lie apart may be regrouped, as a whole and in the same order.
  bool regroups = offset == 0 && bound.rowElements == base.rowElements &&
                  bound.rowStride == base.rowStride;
  bool fits = !base.strided() || regroups || bound.elements == 0;
  if (!fits || base.quantized != bound.quantized ||
      base.activation != bound.activation ||
      base.activationScale != bound.activationScale || offset < 0 ||
      offset > base.bytes || bound.bytes > base.bytes - offset)
    return fail(id, "of shape " + spell(bound.shape) + " does not lie inside " +
                        describeValue(value.index()) + " of shape " +
                        spell(base.shape));
  if (offset % bytesOf(value.dtype()) != 0)
    return fail(id, "is not aligned to its elements");
  bound.slot = base.slot;
  bound.index = base.index;
  bound.address = base.address ? base.address + offset : nullptr;
  bound.offset = base.offset + offset;
  return {};
}

bool BoundFunction::runs(const plan::Step &step) const {
  const plan::Launch *launch = step.operation_as_Launch();
  if (!launch)
    return true;
  auto size = uint64_t(std::max<int64_t>(symbol(launch->size()), 0));
  return size > launch->after() &&
         (!launch->until() || size <= launch->until());
}

int64_t BoundFunction::sourceLength() const {
  uint32_t steps = plan->steps() ? plan->steps()->size() : 0;
  for (uint32_t step = 0; step < steps; ++step)
    if (const auto *append = plan->steps()->Get(step)->operation_as_KvAppend())
      return values[append->k()].shape.empty() ? 0
                                               : values[append->k()].shape[0];
  return 0;
}

Status BoundFunction::planArenaOffsets() {
  // The value that each alias finally lies in.
  std::vector<uint32_t> root(values.size());
  for (uint32_t id = 0; id < root.size(); ++id) {
    const plan::Value &value = *plan->values()->Get(id);
    root[id] =
        value.storage() == plan::Storage::Alias ? root[value.index()] : id;
  }
  std::vector<Lifetime> lifetimes;
  std::vector<int32_t> lifetimeOf(values.size(), -1);
  constexpr int64_t mostBytes = int64_t(1) << 60; // sums do not overflow
  int64_t total = 0;
  uint32_t steps = plan->steps() ? plan->steps()->size() : 0;
  for (uint32_t step = 0; step < steps; ++step) {
    if (!runs(*plan->steps()->Get(step)))
      continue;
    for (StepOperand operand : operandsOf(*plan->steps()->Get(step))) {
      uint32_t id = root[operand.value];
      if (plan->values()->Get(id)->storage() != plan::Storage::Arena)
        continue;
      if (lifetimeOf[id] < 0) {
        total += values[id].bytes;
        if (total > mostBytes)
          return fail(id, "makes the working memory too large");
        lifetimeOf[id] = int32_t(lifetimes.size());
        lifetimes.push_back({values[id].bytes, step, step});
      }
      lifetimes[lifetimeOf[id]].last = step;
    }
  }
  ArenaPlan packed = planArena(lifetimes);
  arena = packed.bytes;
  lowerBound = arenaLowerBound(lifetimes);
  for (uint32_t id = 0; id < values.size(); ++id)
    if (values[id].slot == Slot::Arena && lifetimeOf[root[id]] >= 0)
      values[id].offset += packed.offsets[lifetimeOf[root[id]]];
  return {};
}

} // namespace qopt::runtime
