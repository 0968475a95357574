// What the video instructions compute of two numbers; SIMD ones (Video.cpp) of
// parts of registers, scalar ones (ScalarVideo.cpp) of one part each.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_OPS_VIDEOOPERATIONS_H
#define QOPT_RUNTIME_EMULATOR_OPS_VIDEOOPERATIONS_H

#include "runtime/emulator/Decoder.h"
#include "runtime/emulator/Lanes.h"

#include <algorithm>

namespace qopt::emulator {

enum class VideoOperation : uint8_t {
  Add,
  Subtract,
  Average,
  Difference,
  Minimum,
  Maximum,
  ShiftLeft,
  ShiftRight,
  Equal,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual
};

/// Int: signed, and wide enough for every result.
template <typename Int>
Int computeVideo(VideoOperation operation, Int a, Int b) {
  switch (operation) {
  case VideoOperation::Add:
    return a + b;
  case VideoOperation::Subtract:
    return a - b;
  case VideoOperation::Average: // rounded to nearest, halves away from zero
    return (a + b + (a + b >= 0)) >> 1;
  case VideoOperation::Difference:
    return a < b ? b - a : a - b;
  case VideoOperation::Minimum:
    return std::min(a, b);
  case VideoOperation::Maximum:
    return std::max(a, b);
  case VideoOperation::ShiftLeft:
    return a * (Int(1) << b);
  case VideoOperation::ShiftRight:
    return a >> b;
  case VideoOperation::Equal:
    return a == b;
  case VideoOperation::NotEqual:
    return a != b;
  case VideoOperation::Less:
    return a < b;
  case VideoOperation::LessEqual:
    return a <= b;
  case VideoOperation::Greater:
    return a > b;
  case VideoOperation::GreaterEqual:
    return a >= b;
  }
  return 0;
}

/// Of the opcode without the number of its parts; vset has the name of a
/// comparison beside it. False for what is no video instruction.
inline bool findVideoOperation(const Decoder &decoder, std::string_view opcode,
                               VideoOperation &operation) {
  struct Name {
    std::string_view name;
    VideoOperation operation;
  };
  static constexpr Name operations[] = {
      {"vadd", VideoOperation::Add},
      {"vsub", VideoOperation::Subtract},
      {"vavrg", VideoOperation::Average},
      {"vabsdiff", VideoOperation::Difference},
      {"vmin", VideoOperation::Minimum},
      {"vmax", VideoOperation::Maximum},
      {"vshl", VideoOperation::ShiftLeft},
      {"vshr", VideoOperation::ShiftRight},
      {"eq", VideoOperation::Equal},
      {"ne", VideoOperation::NotEqual},
      {"lt", VideoOperation::Less},
      {"le", VideoOperation::LessEqual},
      {"gt", VideoOperation::Greater},
      {"ge", VideoOperation::GreaterEqual}};
  for (const Name &known : operations)
    if (opcode == known.name || (opcode == "vset" && decoder.has(known.name))) {
      operation = known.operation;
      return true;
    }
  return false;
}

/// compute(a, b, c) of the words of each lane of `mask`.
template <typename Compute>
void eachVideoLane(Warp &warp, const Inst &inst, uint32_t mask,
                   Compute compute) {
  const uint32_t *a = warp.lanes32(inst.source(0));
  const uint32_t *b = warp.lanes32(inst.source(1));
  const uint32_t *c = warp.lanes32(inst.source(2));
  uint32_t *d = warp.lanes32(inst.destination());
  forLanes(mask, [&](unsigned lane) {
    d[lane] = compute(a[lane], b[lane], c[lane]);
  });
}

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_OPS_VIDEOOPERATIONS_H
