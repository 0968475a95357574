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
  for (const OutputSummary &output : from.outputs) {
    auto record = std::make_unique<plan::OutputRecordT>();
    record->slice = output.slice;
    record->output = output.output;
    record->samples = uint64_t(output.samples);
    record->rows = uint64_t(output.rows);
    record->error = output.error;
    record->error_low = output.errorLow;
    record->error_high = output.errorHigh;
    record->has_logits = output.hasLogits;
    record->divergence = output.divergence;
    record->divergence_low = output.divergenceLow;
    record->divergence_high = output.divergenceHigh;
    record->divergence_99 = output.divergence99;
    record->most_divergence = output.mostDivergence;
    record->same_top = output.sameTop;
    to->outputs.push_back(std::move(record));
  }
  for (const GateSummary &gate : from.gates) {
    auto record = std::make_unique<plan::GateRecordT>();
    record->option = gate.option;
    record->slice = gate.slice;
    record->limit = gate.limit;
    record->value = gate.value;
    record->output = gate.output;
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
  forEach(from.outputs(), [&](const plan::OutputRecord &record) {
    OutputSummary output;
    output.slice = text(record.slice());
    output.output = text(record.output());
    output.samples = int64_t(record.samples());
    output.rows = int64_t(record.rows());
    output.error = record.error();
    output.errorLow = record.error_low();
    output.errorHigh = record.error_high();
    output.hasLogits = record.has_logits();
    output.divergence = record.divergence();
    output.divergenceLow = record.divergence_low();
    output.divergenceHigh = record.divergence_high();
    output.divergence99 = record.divergence_99();
    output.mostDivergence = record.most_divergence();
    output.sameTop = record.same_top();
    to.outputs.push_back(std::move(output));
  });
  forEach(from.gates(), [&](const plan::GateRecord &record) {
    to.gates.push_back({text(record.option()), text(record.slice()),
                        record.limit(), record.value(), text(record.output())});
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

static const double *figureOf(const std::string &option,
                              const OutputSummary &output) {
  if (option == "max-error")
    return &output.error;
  if (!output.hasLogits)
    return nullptr;
  if (option == "max-kl")
    return &output.divergence;
  return option == "min-top1" ? &output.sameTop : nullptr;
}

static bool isMeasured(const SliceSummary &slice) {
  bool counts = slice.windows > 0 && slice.predictions > 0;
  bool figures = slice.perplexity >= 0 && slice.referencePerplexity >= 0 &&
                 slice.perplexityIncrease >= -100 && slice.divergence >= 0 &&
                 slice.divergenceLow >= 0 && slice.divergenceHigh >= 0 &&
                 slice.divergence99 >= 0 && slice.mostDivergence >= 0;
  return counts && figures && slice.sameTop >= 0 && slice.sameTop <= 100;
}

static bool isMeasured(const OutputSummary &output) {
  bool figures = output.error >= 0 && output.errorLow >= 0 &&
                 output.errorHigh >= 0 && output.divergence >= 0 &&
                 output.divergenceLow >= 0 && output.divergenceHigh >= 0 &&
                 output.divergence99 >= 0 && output.mostDivergence >= 0;
  // Outputs may be empty.
  return output.samples > 0 && output.rows >= 0 && figures &&
         output.sameTop >= 0 && output.sameTop <= 100;
}

/// What a gate is of.
struct Limited {
  bool isThere = false;
  const double *figure = nullptr; ///< null for an option that is none
};

template <typename Measured, typename IsIts>
static Limited findLimited(const std::vector<Measured> &measured,
                           const GateSummary &gate, IsIts isIts) {
  auto found = std::find_if(measured.begin(), measured.end(), isIts);
  return found == measured.end() ? Limited()
                                 : Limited{true, figureOf(gate.option, *found)};
}

Status verifyValidation(const plan::Validation &validation) {
  ValidationSummary found = toValidation(validation);
  for (const ValidationText &text : found.texts)
    if (text.sha256.size() != 64)
      return bad("the digest of text \"" + text.name + "\" is not one");
  for (const SliceSummary &slice : found.slices)
    if (!isMeasured(slice))
      return bad("slice \"" + slice.name + "\" is not valid");
  for (const OutputSummary &output : found.outputs)
    if (!isMeasured(output))
      return bad("output \"" + output.output + "\" is not valid");
  for (const GateSummary &gate : found.gates) {
    Limited limited =
        gate.output.empty()
            ? findLimited(found.slices, gate,
                          [&](const SliceSummary &each) {
                            return each.name == gate.slice;
                          })
            : findLimited(found.outputs, gate, [&](const OutputSummary &each) {
                return each.slice == gate.slice && each.output == gate.output;
              });
    if (!limited.isThere || std::isnan(gate.limit))
      return bad("gate \"" + gate.option + "\" is of no slice or limit");
    if (!limited.figure || *limited.figure != gate.value)
      return bad("gate \"" + gate.option + "\" has not the figure of slice \"" +
                 gate.slice + "\"");
  }
  return {};
}

} // namespace qopt::runtime
