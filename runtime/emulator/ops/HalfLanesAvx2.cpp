// The functions of HalfLanes.h once more, compiled for other processors (see
// CMakeLists.txt). Inline functions of this file have names of their own, or
// the linker would give them to every processor.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/HalfLanes.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#define numerics numericsAvx2
#define quant quantAvx2
#include "runtime/emulator/numerics/Half.h"
#include "runtime/emulator/ops/HalfLanes-inl.h"
#undef quant
#undef numerics

namespace qopt::emulator {

HalfLanes halfLanesAvx2() { return lanesOfThisTarget; }

} // namespace qopt::emulator
