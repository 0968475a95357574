// f32 activations × f32, f16 or bf16 weights, straight from the packed tiles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearKernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/LinearFloat.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/FloatTile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

template <quant::ElementType type>
void multiplyFloatTiles(const LinearArguments &a, int64_t begin, int64_t end) {
  const int64_t stride = a.layout.tileBytes();
  const uint8_t *weight = static_cast<const uint8_t *>(a.weight);
  int64_t tile = begin;
  for (; tile + floatTiles <= end; tile += floatTiles)
    multiplyAllRows<type, floatTiles>(a, weight + tile * stride, stride, tile);
  for (; tile < end; ++tile)
    multiplyAllRows<type, 1>(a, weight + tile * stride, stride, tile);
}

LinearBody chooseFloat(quant::ElementType type) {
  switch (type) {
  case quant::ElementType::F16:
    return multiplyFloatTiles<quant::ElementType::F16>;
  case quant::ElementType::BF16:
    return multiplyFloatTiles<quant::ElementType::BF16>;
  default:
    return multiplyFloatTiles<quant::ElementType::F32>;
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(chooseFloat);

LinearBody floatLinear(const LinearArguments &arguments) {
  if (LinearBody tiles = floatTileLinear(arguments))
    return tiles;
  return HWY_DYNAMIC_DISPATCH(chooseFloat)(arguments.layout.format.element);
}

} // namespace qopt::host
#endif // HWY_ONCE
