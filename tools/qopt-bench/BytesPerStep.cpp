// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-bench/BytesPerStep.h"

#include "runtime/Devices.h"
#include "runtime/LoadedModel.h"
#include "runtime/plan/StepOperands.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace qopt::bench {

/// How probable it is that a step of so many tokens reads the weight.
static double isRead(const plan::Linear *linear, int64_t batch) {
  if (!linear || linear->share() < 0)
    return 1;
  double taken = std::clamp(double(linear->taken()), 0.0, 1.0);
  return 1 - std::pow(1 - taken, double(batch));
}

static int64_t weightBytes(const plan::Function &function, int64_t batch) {
  std::set<uint32_t> counted;
  int64_t bytes = 0;
  if (!function.steps())
    return 0;
  for (const plan::Step *step : *function.steps()) {
    const plan::Embedding *embedding = step->operation_as_Embedding();
    double part = isRead(step->operation_as_Linear(), batch);
    for (const runtime::StepOperand &operand : runtime::operandsOf(*step)) {
      const plan::Value &value = *function.values()->Get(operand.value);
      if (value.storage() != plan::Storage::Constant)
        continue;
      auto size = int64_t(value.bytes());
      if (embedding && operand.value == embedding->weight())
        bytes += size / std::max<int64_t>(embedding->rows(), 1) * batch;
      else if (counted.insert(operand.value).second)
        bytes += int64_t(part * double(size));
    }
  }
  return bytes;
}

StatusOr<BytesPerStep> bytesPerStep(const Artifact &artifact, int64_t context,
                                    int64_t batch) {
  const plan::Plan &plan = artifact.model()->plan();
  const plan::Decoder &decoder = *plan.decoder();
  BytesPerStep bytes;
  bytes.weights =
      weightBytes(*plan.functions()->Get(decoder.function()), batch);
  if (!decoder.layers())
    return bytes;
  for (const plan::CacheLayer *layer : *decoder.layers()) {
    StatusOr<runtime::CacheSizes> sizes = runtime::cacheSizes(plan, *layer);
    if (!sizes.ok())
      return sizes.status();
    int64_t seen =
        layer->window() ? std::min<int64_t>(context, layer->window()) : context;
    // Of the keys that wait for their group, half of one on average.
    bytes.cache +=
        (sizes->page * seen / decoder.page() + sizes->slot / 2) * batch;
  }
  return bytes;
}

} // namespace qopt::bench
