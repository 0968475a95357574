// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/plan/EvidenceFormat.h"

#include <algorithm>
#include <cmath>

namespace qopt::runtime {

std::unique_ptr<plan::ValidationT>
fromValidation(const ValidationSummary &from) {
  auto to = std::make_unique<plan::ValidationT>();
  to->device = from.device;
  to->seed = from.seed;
  for (const ValidationText &text : from.texts) {
    auto record = std::make_unique<plan::TextRecordT>();
    record->name = text.name;
    record->file = text.file;
    record->sha256 = text.sha256;
    to->texts.push_back(std::move(record));
  }
  for (const SliceSummary &slice : from.slices) {
    auto record = std::make_unique<plan::SliceRecordT>();
    record->name = slice.name;
    record->windows = uint64_t(slice.windows);
    record->predictions = uint64_t(slice.predictions);
    record->perplexity = slice.perplexity;
    record->reference_perplexity = slice.referencePerplexity;
    record->perplexity_increase = slice.perplexityIncrease;
    record->divergence = slice.divergence;
    record->divergence_low = slice.divergenceLow;
    record->divergence_high = slice.divergenceHigh;
    record->divergence_99 = slice.divergence99;
    record->most_divergence = slice.mostDivergence;
    record->same_top = slice.sameTop;
    to->slices.push_back(std::move(record));
  }
  for (const GateSummary &gate : from.gates) {
    auto record = std::make_unique<plan::GateRecordT>();
    record->option = gate.option;
    record->slice = gate.slice;
    record->limit = gate.limit;
    record->value = gate.value;
    to->gates.push_back(std::move(record));
  }
  return to;
}

template <typename Vector, typename Function>
static void forEach(const Vector *vector, const Function &function) {
  for (uint32_t i = 0; vector && i < vector->size(); ++i)
    function(*vector->Get(i));
}

static std::string text(const flatbuffers::String *string) {
  return string ? string->str() : std::string();
}

ValidationSummary toValidation(const plan::Validation &from) {
  ValidationSummary to;
  to.device = text(from.device());
  to.seed = from.seed();
  forEach(from.texts(), [&](const plan::TextRecord &record) {
    to.texts.push_back(
        {text(record.name()), text(record.file()), text(record.sha256())});
  });
  forEach(from.slices(), [&](const plan::SliceRecord &record) {
    SliceSummary slice;
    slice.name = text(record.name());
    slice.windows = int64_t(record.windows());
    slice.predictions = int64_t(record.predictions());
    slice.perplexity = record.perplexity();
    slice.referencePerplexity = record.reference_perplexity();
    slice.perplexityIncrease = record.perplexity_increase();
    slice.divergence = record.divergence();
    slice.divergenceLow = record.divergence_low();
    slice.divergenceHigh = record.divergence_high();
    slice.divergence99 = record.divergence_99();
    slice.mostDivergence = record.most_divergence();
    slice.sameTop = record.same_top();
    to.slices.push_back(std::move(slice));
  });
  forEach(from.gates(), [&](const plan::GateRecord &record) {
    to.gates.push_back({text(record.option()), text(record.slice()),
                        record.limit(), record.value()});
  });
  return to;
}

static Status bad(const std::string &what) {
  return Status(StatusCode::BadArtifact, "of what was measured, " + what);
}

/// The figure that a gate limits; null for an option that is none.
static const double *figureOf(const std::string &option,
                              const SliceSummary &slice) {
  if (option == "max-kl")
    return &slice.divergence;
  if (option == "max-perplexity-increase")
    return &slice.perplexityIncrease;
  return option == "min-top1" ? &slice.sameTop : nullptr;
}

static bool isMeasured(const SliceSummary &slice) {
  bool counts = slice.windows > 0 && slice.predictions > 0;
  bool figures = slice.perplexity >= 0 && slice.referencePerplexity >= 0 &&
                 slice.perplexityIncrease >= -100 && slice.divergence >= 0 &&
                 slice.divergenceLow >= 0 && slice.divergenceHigh >= 0 &&
                 slice.divergence99 >= 0 && slice.mostDivergence >= 0;
  return counts && figures && slice.sameTop >= 0 && slice.sameTop <= 100;
}

Status verifyValidation(const plan::Validation &validation) {
  ValidationSummary found = toValidation(validation);
  for (const ValidationText &text : found.texts)
    if (text.sha256.size() != 64)
      return bad("the digest of text \"" + text.name + "\" is not one");
  for (const SliceSummary &slice : found.slices)
    if (!isMeasured(slice))
      return bad("slice \"" + slice.name + "\" is not valid");
  for (const GateSummary &gate : found.gates) {
    auto slice = std::find_if(
        found.slices.begin(), found.slices.end(),
        [&](const SliceSummary &each) { return each.name == gate.slice; });
    if (slice == found.slices.end() || std::isnan(gate.limit))
      return bad("gate \"" + gate.option + "\" is of no slice or limit");
    const double *figure = figureOf(gate.option, *slice);
    if (!figure || *figure != gate.value)
      return bad("gate \"" + gate.option + "\" has not the figure of slice \"" +
                 gate.slice + "\"");
  }
  return {};
}

} // namespace qopt::runtime
