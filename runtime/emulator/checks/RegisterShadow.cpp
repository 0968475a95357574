// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/checks/RegisterShadow.h"

namespace qopt::emulator {

void RegisterShadow::start(const Program &program) {
  whole.assign(program.fileBytes / slotBytes, 0);
  std::fill_n(whole.begin(), program.constants.size() / slotBytes, fullMask);
  details.clear();
}

Undefined RegisterShadow::at(uint32_t slot, unsigned width,
                             unsigned lane) const {
  if (lanesDefined(slot) >> lane & 1)
    return {};
  if (details.empty())
    return {lowBits(width), neverWritten};
  const Detail &detail = details[slot / slotBytes];
  return {detail.bits[lane] & lowBits(width), detail.origins[lane]};
}

void RegisterShadow::put(uint32_t slot, unsigned width, unsigned lane,
                         Undefined value) {
  value.bits &= lowBits(width);
  uint32_t &defined = whole[slot / slotBytes];
  if (!value.bits) {
    defined |= 1u << lane;
    return;
  }
  defined &= ~(1u << lane);
  if (details.empty()) {
    Detail nothing;
    nothing.bits.fill(~uint64_t(0));
    nothing.origins.fill(neverWritten);
    details.assign(whole.size(), nothing);
  }
  Detail &detail = details[slot / slotBytes];
  detail.bits[lane] = value.bits;
  detail.origins[lane] = value.origin;
}

static unsigned widthOf(uint32_t bytes) { return bytes ? 8 * bytes : 1; }

SavedShadow RegisterShadow::save(const Registers &registers) const {
  SavedShadow saved(registers.size());
  for (size_t i = 0; i < registers.size(); ++i)
    for (unsigned lane = 0; lane < lanes; ++lane)
      saved[i][lane] =
          at(registers[i].first, widthOf(registers[i].second), lane);
  return saved;
}

void RegisterShadow::restore(const Registers &registers,
                             const SavedShadow &saved, uint32_t mask) {
  for (size_t i = 0; i < registers.size(); ++i)
    for (unsigned lane = 0; lane < lanes; ++lane)
      if (mask >> lane & 1)
        put(registers[i].first, widthOf(registers[i].second), lane,
            saved[i][lane]);
}

} // namespace qopt::emulator
