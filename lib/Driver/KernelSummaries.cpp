// Terms are summed by their names, and say of how many launches of which length
// they are the sum; sizes are given of the launches that take the longest part.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/KernelSummaries.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace qopt::driver {

std::string spellSchedule(DictionaryAttr schedule) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  auto spell = [&](NamedAttribute one) {
    stream << one.getName().getValue() << "=";
    if (auto flag = dyn_cast<BoolAttr>(one.getValue()))
      stream << (flag.getValue() ? "1" : "0");
    else if (auto number = dyn_cast<IntegerAttr>(one.getValue()))
      stream << number.getInt();
    else if (auto list = dyn_cast<DenseI64ArrayAttr>(one.getValue()))
      llvm::interleave(list.asArrayRef(), stream, ":");
  };
  llvm::interleave(schedule, stream, spell, ",");
  return text;
}

Prediction predictionOf(const kernels::Estimate &estimate, double bytes,
                        double flops) {
  Prediction prediction;
  prediction.seconds = estimate.seconds;
  prediction.bytes = bytes;
  prediction.flops = flops;
  prediction.roofPart = estimate.roofPart;
  for (const kernels::CostTerm &term : estimate.terms)
    prediction.terms.push_back(
        {std::string(term.name), term.seconds, term.why});
  return prediction;
}

/// "1 x 113 us + 32 x 2.78 us; those of 113 us: 525 MB at the …"
static std::string spellParts(ArrayRef<PredictedPart> parts) {
  // Lengths that read alike are one.
  llvm::MapVector<StringRef, int64_t> lengths;
  std::vector<std::string> spelt;
  for (const PredictedPart &part : parts)
    spelt.push_back(target::spellTime(part.seconds));
  for (auto [part, length] : llvm::zip_equal(parts, spelt))
    lengths[length] += part.launches;
  std::string text;
  for (auto [length, launches] : lengths)
    text += (text.empty() ? "" : " + ") + std::to_string(launches) + " x " +
            length.str();
  std::string which = parts.size() == 1 ? "" : "those of " + spelt[0] + ": ";
  return text + "; " + which + parts[0].why;
}

static void addPart(PredictedTerm &sum, PredictedPart part) {
  sum.seconds += double(part.launches) * part.seconds;
  auto same = llvm::find_if(sum.parts, [&](const PredictedPart &other) {
    return other.seconds == part.seconds && other.why == part.why;
  });
  if (same == sum.parts.end())
    sum.parts.push_back(std::move(part));
  else
    same->launches += part.launches;
  auto longerFirst = [](const PredictedPart &a, const PredictedPart &b) {
    return std::make_tuple(-double(a.launches) * a.seconds, StringRef(a.why)) <
           std::make_tuple(-double(b.launches) * b.seconds, StringRef(b.why));
  };
  llvm::sort(sum.parts, longerFirst);
  sum.why = spellParts(sum.parts);
}

void addLaunches(StepLaunches &step, const Prediction &kernel,
                 int64_t launches) {
  Prediction &sum = step.predicted;
  auto count = double(launches);
  double atRoof =
      sum.roofPart * sum.seconds + count * kernel.roofPart * kernel.seconds;
  step.launches += launches;
  sum.seconds += count * kernel.seconds;
  sum.bytes += count * kernel.bytes;
  sum.flops += count * kernel.flops;
  sum.roofPart = sum.seconds > 0 ? atRoof / sum.seconds : 0;
  for (const PredictedTerm &term : kernel.terms) {
    if (term.seconds <= 0)
      continue;
    auto same = llvm::find_if(sum.terms, [&](const PredictedTerm &other) {
      return other.name == term.name;
    });
    if (same == sum.terms.end())
      same = sum.terms.insert(same, {term.name, 0, ""});
    addPart(*same, {launches, term.seconds, term.why});
  }
}

} // namespace qopt::driver
