// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/CacheProbe.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/VectorCodes.h"
#include "lib/Quant/algorithms/Tasks.h"

namespace qopt::calibrate {

using quant::Format;

/// Every `stride`-th of `count` values from `source` on, in their place.
static void readVector(const Format &format, const float *source, int64_t count,
                       int64_t stride, float *target) {
  std::vector<float> values(static_cast<size_t>(count));
  std::vector<uint8_t> codes(static_cast<size_t>(count) * 4);
  for (int64_t i = 0; i < count; ++i)
    values[size_t(i)] = source[i * stride];
  if (format.isFloat()) {
    const quant::Element &element = quant::elementOf(format.element);
    element.encode(values.data(), count, codes.data());
    element.decode(codes.data(), count, values.data());
  } else {
    quant::VectorScale scale =
        quant::encodeVector(format, values.data(), count, codes.data());
    quant::decodeVector(format, scale, codes.data(), count, values.data());
  }
  for (int64_t i = 0; i < count; ++i)
    target[i * stride] = values[size_t(i)];
}

/// Keys of a head: groups that are full by channel, the others as f16.
static void readKeyGroups(const Format &format, const float *keys,
                          const CacheEntries &entries, float *target) {
  int64_t size = entries.size, all = entries.tokens * size;
  readVector(quant::floatFormat(quant::ElementType::F16), keys, all, 1, target);
  int64_t full = entries.tokens / format.groupSize * format.groupSize;
  for (int64_t first = 0; first < full; first += format.groupSize)
    for (int64_t d = 0; d < size; ++d)
      readVector(format, target + first * size + d, format.groupSize, size,
                 target + first * size + d);
}

std::vector<float> readBack(CachePart part, const Format &format,
                            const CacheEntries &entries) {
  int64_t size = entries.size, ofHead = entries.tokens * size;
  std::vector<float> result(static_cast<size_t>(entries.heads * ofHead));
  bool ofChannels = part == CachePart::Keys && format.groupSize;
  int64_t vector = format.groupSize ? format.groupSize : size;
  for (int64_t head = 0; head < entries.heads; ++head) {
    const float *source = entries.values + head * ofHead;
    float *target = result.data() + head * ofHead;
    if (ofChannels)
      readKeyGroups(format, source, entries, target);
    else
      for (int64_t i = 0; i < ofHead; i += vector)
        readVector(format, source + i, vector, 1, target + i);
  }
  return result;
}

void CacheProbe::add(
    const CacheEntries &entries,
    const std::function<const float *(int64_t recent)> &gradientOf,
    unsigned threads) {
  tokens += entries.tokens;
  int64_t size = entries.size;
  quant::forTasks(threads, int64_t(formats.size()), [&](int64_t number) {
    const quant::CacheFormat &format = formats[size_t(number)];
    std::vector<float> read = readBack(part, format.format, entries);
    int64_t recent = format.recent.value_or(0),
            first = format.first.value_or(0);
    std::vector<float> halves;
    if (recent)
      halves =
          readBack(part, quant::floatFormat(quant::ElementType::F16), entries);
    const float *all = gradientOf(0), *far = gradientOf(recent);
    for (int64_t t = 0; t < entries.tokens; ++t) {
      double change = 0;
      for (int64_t head = 0; head < entries.heads; ++head) {
        int64_t at = (head * entries.tokens + t) * size;
        for (int64_t i = at; i < at + size; ++i) {
          double byCodes = t < first ? 0 : far[i];
          change += double(read[size_t(i)] - entries.values[i]) * byCodes;
          if (recent)
            change += double(halves[size_t(i)] - entries.values[i]) *
                      (double(all[i]) - byCodes);
        }
      }
      sums[size_t(number)] += change * change;
    }
  });
}

std::vector<double> CacheProbe::divergences() const {
  std::vector<double> means;
  for (double sum : sums)
    means.push_back(tokens ? sum / (2 * double(tokens)) : 0);
  return means;
}

} // namespace qopt::calibrate
