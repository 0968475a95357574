// Arithmetic on the 64 halves of a warp's f16x2 registers at once, compiled for
// the vectors that the processor has; the bits are those of numerics/Half.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_OPS_HALFLANES_H
#define QOPT_RUNTIME_EMULATOR_OPS_HALFLANES_H

#include <cstdint>

namespace qopt::emulator {

/// From 32 words of pairs to 32 words; d may be an operand.
struct HalfLanes {
  void (*add)(const uint32_t *a, const uint32_t *b, uint32_t *d);
  void (*multiply)(const uint32_t *a, const uint32_t *b, uint32_t *d);
  void (*fusedMultiplyAdd)(const uint32_t *a, const uint32_t *b,
                           const uint32_t *c, uint32_t *d);
};

/// Those for this processor, chosen once.
const HalfLanes &halfLanes();

/// For processors with AVX2 and FMA, and for those with AVX-512.
HalfLanes halfLanesAvx2();
HalfLanes halfLanesAvx512();

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_OPS_HALFLANES_H
