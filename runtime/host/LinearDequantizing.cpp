// f32 activations × integer weights: a tile is dequantized into lines of f32,
// W = scale · (code − zero), and multiplied like a tile of f32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearKernels.h"
#include "runtime/host/Scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/LinearDequantizing.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/Dequantize-inl.h"
#include "runtime/host/FloatTile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

using quant::ElementType;

void multiplyDequantized(const LinearArguments &a, int64_t begin, int64_t end) {
  const LinearLayout &layout = a.layout;
  const int64_t lines = layout.blocks() * blockColumns * tileRows;
  const int64_t tileStride = lines * static_cast<int64_t>(sizeof(float));
  float *panel = static_cast<float *>(threadScratch(floatTiles * tileStride));
  const uint8_t *weight = static_cast<const uint8_t *>(a.weight);
  for (int64_t tile = begin; tile < end; tile += floatTiles) {
    const int64_t count = HWY_MIN(floatTiles, end - tile);
    for (int64_t t = 0; t < count; ++t)
      dequantizeBlocks(layout, weight + (tile + t) * layout.tileBytes(), 0,
                       layout.blocks(), panel + t * lines);
    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(panel);
    if (count == floatTiles)
      multiplyAllRows<ElementType::F32, floatTiles>(a, bytes, tileStride, tile);
    else
      for (int64_t t = 0; t < count; ++t)
        multiplyAllRows<ElementType::F32, 1>(a, bytes + t * tileStride,
                                             tileStride, tile + t);
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(multiplyDequantized);

LinearBody dequantizingLinear(const LinearArguments &arguments) {
  if (LinearBody tiles = floatTileLinear(arguments))
    return tiles;
  return HWY_DYNAMIC_DISPATCH(multiplyDequantized);
}

} // namespace qopt::host
#endif // HWY_ONCE
