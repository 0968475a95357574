// Memory time of kernels that stream. With fewer blocks than SMs each SM has no
// more bandwidth than the bytes that it can have in flight.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/StreamCost.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;

/// Bytes from which on a kernel loses what those do that stream weights: on an
/// H200 norms, quantizations and activations of 1 to 512 rows took 0.7 to 1.3
/// us below, and 1.3 to 1.8 more than their bytes above.
constexpr double fullGapBytes = 1e6;

StreamCost kernels::streamCostOf(const StreamTraffic &traffic,
                                 const target::Target &target) {
  StreamCost cost;
  cost.traffic = traffic;
  const target::Rates &rates = target.rates;
  auto bytes = double(cost.bytes());
  double roof = bytes / rates.copyBandwidth.value;
  double busy =
      std::min(1.0, double(traffic.blocks) / double(target.multiprocessors));
  cost.add("memory", roof / std::max(busy, 1e-9),
           spellBytes(bytes) + " by " + std::to_string(traffic.blocks) +
               " blocks on " + std::to_string(target.multiprocessors) +
               " SMs at the " + spell(rates.copyBandwidth, "copy bandwidth"));
  double part = std::min(1.0, bytes / fullGapBytes);
  cost.add("dependency",
           rates.emptyGap.value +
               part * (rates.dependencyGap.value - rates.emptyGap.value),
           "between the " +
               spell(rates.emptyGap, "gap of a kernel of no bytes") +
               " and, from 1 MB on, the " +
               spell(rates.dependencyGap, "gap of a dependent kernel"));
  cost.roofPart = roof / cost.seconds;
  return cost;
}

void StreamCost::addBeside(std::string_view name, double more,
                           std::string why) {
  double before = seconds;
  add(name, more, std::move(why));
  roofPart *= before / seconds;
}

int64_t kernels::reductionBytes(const RowShape &shape, int count) {
  return shape.rowsPerBlock > 1 || shape.threads == 32 ? 0
                                                       : int64_t(count) * 128;
}
