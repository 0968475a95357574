// Terms are summed by their names; the figure that one rests on is the same in
// all kernels, so the reason of the first is an example of all.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/KernelSummaries.h"

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

void addLaunches(StepSummary &step, const Prediction &kernel,
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
    auto same = llvm::find_if(sum.terms, [&](const PredictedTerm &other) {
      return other.name == term.name;
    });
    if (same == sum.terms.end())
      same = sum.terms.insert(
          same, {term.name, 0, "over all launches, one of them: " + term.why});
    same->seconds += count * term.seconds;
  }
}

} // namespace qopt::driver
