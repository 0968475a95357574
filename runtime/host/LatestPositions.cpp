// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LatestPositions.h"
#include "lib/Quant/FloatConversion.h"
#include "runtime/host/KeyGroups.h"
#include "runtime/host/Scratch.h"

#include <cstring>

namespace qopt::host {

namespace {
/// One head of a sequence in a step.
struct HeadStep {
  const KvAppendArguments &a;
  int64_t sequence, head;
  StepRows at;
  SlotHead<uint16_t> slot;
  int64_t context, length; ///< positions before and after
  uint16_t *keys, *values; ///< rows of the step

  HeadStep(const KvAppendArguments &a, int64_t sequence, int64_t head)
      : a(a), sequence(sequence), head(head),
        at(a.layout, a.batch, sequence, head),
        slot(a.layout, static_cast<uint8_t *>(a.pages), a.batch.slots[sequence],
             head),
        context(a.batch.contextStarts[sequence]),
        length(context + a.batch.tokenStarts[sequence + 1] -
               a.batch.tokenStarts[sequence]),
        keys(a.stepRows + at.element),
        values(a.stepRows + at.valueElement(a.layout)) {}

  void fillRows() const;
  void closeGroups() const;
  void fillSlot() const;
};
} // namespace

/// The latest positions from the slot, the new ones as they come.
void HeadStep::fillRows() const {
  int64_t size = a.layout.headSize, recent = a.layout.recent;
  for (int64_t p = std::max<int64_t>(context - recent, 0); p < context; ++p) {
    const uint16_t *key = slot.keys + p % recent * size;
    for (int64_t d = 0; d < size; ++d)
      keys[keyElement(p - at.base, d, size)] = key[d];
    std::memcpy(values + (p - at.base) * size, slot.values + p % recent * size,
                size_t(size) * 2);
  }
  for (int64_t p = context; p < length; ++p) {
    int64_t token = a.batch.tokenStarts[sequence] + p - context;
    const float *key = a.key + token * a.keyStride + head * size;
    const float *value = a.value + token * a.valueStride + head * size;
    for (int64_t d = 0; d < size; ++d) {
      keys[keyElement(p - at.base, d, size)] = quant::floatToHalf(key[d]);
      values[(p - at.base) * size + d] = quant::floatToHalf(value[d]);
    }
  }
}

/// A group that was open has begun within the latest positions.
void HeadStep::closeGroups() const {
  int64_t size = a.layout.headSize, group = a.layout.keyGroup();
  if (!group)
    return;
  auto *rows = static_cast<uint16_t *>(threadScratch(group * size * 2));
  for (int64_t start = context / group * group; start + group <= length;
       start += group) {
    for (int64_t t = 0; t < group; ++t)
      for (int64_t d = 0; d < size; ++d)
        rows[t * size + d] = keys[keyElement(start + t - at.base, d, size)];
    closeKeyGroup(a.layout, rows, a.pages,
                  keyGroupPlace(a.layout, a.batch, sequence, head, start));
  }
}

void HeadStep::fillSlot() const {
  int64_t size = a.layout.headSize, recent = a.layout.recent;
  for (int64_t p = std::max(context, length - recent); p < length; ++p) {
    for (int64_t d = 0; d < size; ++d)
      slot.keys[p % recent * size + d] = keys[keyElement(p - at.base, d, size)];
    std::memcpy(slot.values + p % recent * size, values + (p - at.base) * size,
                size_t(size) * 2);
  }
  for (int64_t p = context; p < std::min(length, a.layout.first); ++p) {
    for (int64_t d = 0; d < size; ++d)
      slot.firstKeys[keyElement(p, d, size)] =
          keys[keyElement(p - at.base, d, size)];
    std::memcpy(slot.firstValues + p * size, values + (p - at.base) * size,
                size_t(size) * 2);
  }
}

void appendLatest(const KvAppendArguments &arguments, int64_t sequence,
                  int64_t head) {
  HeadStep step(arguments, sequence, head);
  if (step.length == step.context)
    return;
  step.fillRows();
  step.closeGroups();
  step.fillSlot();
}

} // namespace qopt::host
