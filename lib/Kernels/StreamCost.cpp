// Memory time of kernels that stream. With fewer blocks than SMs each SM has no
// more bandwidth than the bytes that it can have in flight.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/StreamCost.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;

static std::string spell(const target::Figure &figure, std::string_view what) {
  return std::string(what) + " (" + std::string(target::spell(figure.basis)) +
         ": " + std::string(figure.source) + ")";
}

StreamCost kernels::streamCostOf(const StreamTraffic &traffic,
                                 const target::Target &target) {
  StreamCost cost;
  cost.traffic = traffic;
  const target::Rates &rates = target.rates;
  double bytes =
      double(traffic.read + traffic.written) * double(traffic.passes);
  double roof = bytes / rates.copyBandwidth.value;
  double busy =
      std::min(1.0, double(traffic.blocks) / double(target.multiprocessors));
  cost.terms.push_back({"memory", roof / std::max(busy, 1e-9),
                        std::to_string(int64_t(bytes)) + " bytes by " +
                            std::to_string(traffic.blocks) + " blocks on " +
                            std::to_string(target.multiprocessors) +
                            " SMs at the " +
                            spell(rates.copyBandwidth, "copy bandwidth")});
  cost.terms.push_back({"dependency", rates.dependencyGap.value,
                        spell(rates.dependencyGap, "gap of a dependent "
                                                   "kernel")});
  for (const StreamTerm &term : cost.terms)
    cost.seconds += term.seconds;
  cost.roofPart = roof / cost.seconds;
  return cost;
}

int64_t kernels::reductionBytes(const RowShape &shape, int count) {
  return shape.rowsPerBlock > 1 || shape.threads == 32 ? 0
                                                       : int64_t(count) * 128;
}
