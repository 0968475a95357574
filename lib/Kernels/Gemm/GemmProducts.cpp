// The main loop: stages of columns, of which each warp multiplies its strips by
// its tiles of tokens. A fragment of weights is made once and serves all tiles
// of the warp, one of activations all strips.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fragments.h"
#include "lib/Kernels/Gemm/GemmBody.h"
#include "lib/Quant/Element.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;
using skinny_linear::blockBytes;
using skinny_linear::Fragment;
using skinny_linear::Numbers;

constexpr int64_t tileBytes = 8 * stageRowBytes; // of 8 tokens in a stage

Kernel::Values Body::multiplyColumns() {
  int ahead = schedule.stages - 1;
  auto stageAt = [&](int i) { return stages + i * plan.stageBytes; };
  for (int i = 0; i < ahead; ++i)
    ifStep(k.constant(i),
           [&] { copyWeights(stageAt(i), firstStep + int64_t(i)); });
  k.waitForPredecessor();
  for (int i = 0; i < ahead; ++i) {
    ifStep(k.constant(i),
           [&] { copyActivations(stageAt(i), firstStep + int64_t(i)); });
    commitCopies(k);
  }
  mlir::Value zero = isInt8() ? k.constant(0).value : k.real(0).value;
  Kernel::Values carried(size_t(sumsOfThread()), zero);
  carried.push_back(stageAt(0).value);
  carried.push_back(stageAt(ahead).value);
  Int last = stageAt(ahead);
  auto next = [&](Int stage) {
    return select(stage == last, stages, stage + plan.stageBytes).value;
  };
  carried = k.loop(k.constant(0), steps, k.constant(1), std::move(carried),
                   [&](Int step, Kernel::Values values) {
                     Int write{{&k, values.back()}};
                     values.pop_back();
                     Int read{{&k, values.back()}};
                     values.pop_back();
                     waitForCopies(k, unsigned(ahead - 1));
                     k.syncBlock();
                     startStage(write, step + int64_t(ahead));
                     values = isInt8()
                                  ? multiplyStageInt8(read, std::move(values))
                                  : multiplyStage(read, std::move(values));
                     values.push_back(next(read));
                     values.push_back(next(write));
                     return values;
                   });
  carried.resize(size_t(sumsOfThread()));
  return carried;
}

// Half precision --------------------------------------------------------------

static void multiply(Kernel &k, mlir::Type type, const Fragment &a,
                     std::array<Int, 2> b, mlir::Value *sums) {
  Accumulator sum;
  for (int i = 0; i < 4; ++i)
    sum[i] = {{&k, sums[i]}};
  sum = k.mma(type, a, b, sum);
  for (int i = 0; i < 4; ++i)
    sums[i] = sum[i].value;
}

Kernel::Values Body::multiplyStage(Int stage, Kernel::Values sums) {
  constexpr int64_t chunkColumns = 32, chunks = 2, products = 4;
  Int lane = k.lane(), g = lane >> 2, t = lane & 3;
  Int tokenWarp = k.warp() / schedule.rowWarps,
      rowWarp = k.warp() % schedule.rowWarps;
  Int x = stage + tokenWarp * (tiles() * tileBytes) + g * stageRowBytes +
          t * 16 + (g & 1) * 64;
  Int w = stage + plan.activationBytes + rowWarp * (strips() * part.stripBytes);
  Int codes = w + lane * 16, planes = w + part.codeBytes + g * 4;
  int64_t perGroup = products / std::max<int64_t>(part.groups, 1);
  int perBlock = skinny_linear::productsPerBlock(format());
  std::vector<std::vector<Int>> b(tiles()), block(strips());
  std::vector<Group> groups(strips());
  for (int64_t product = 0; product < products; ++product) {
    int64_t j = product % (products / chunks);
    Int chunk = x ^ (product / chunks * chunkColumns * 2);
    for (int64_t tile = 0; tile < tiles() && j == 0; ++tile)
      b[tile] = k.loadShared(chunk, tile * tileBytes, 4);
    for (int64_t s = 0; s < strips(); ++s) {
      int64_t strip = s * part.stripBytes;
      if (product % perGroup == 0)
        groups[s] = groupOf(planes, strip, product / perGroup);
      if (product % perBlock == 0)
        block[s] =
            k.loadShared(codes, strip + product / perBlock * blockBytes, 4);
      Fragment a = weightsOf(block[s], int(product % perBlock), groups[s]);
      for (int64_t tile = 0; tile < tiles(); ++tile)
        multiply(k, activation, a, {b[tile][2 * j], b[tile][2 * j + 1]},
                 &sums[(s * tiles() + tile) * 4]);
    }
  }
  return sums;
}

/// For rows g and g+8:
///   weight = (number / factor + shift) · scale + rest
///   shift = −(base / factor + nearest integer of zero)
Body::Group Body::groupOf(Int planes, int64_t strip, int64_t group) {
  Group result;
  Numbers numbers = skinny_linear::numbersOf(format(), activation);
  result.shifted = !format().isSymmetric() || numbers.needsCorrection();
  result.scaled = part.groups > 0;
  result.fraction = format().zero == quant::ZeroType::Float;
  mlir::Type f16 = k.builder().getF16Type();
  auto valuesOf = [&](int64_t plane) -> std::array<Real, 2> {
    Int word = k.loadShared(planes, strip + plane * 32, 1)[0];
    return {k.lowHalf(word, f16), k.highHalf(word, f16)};
  };
  std::array<Real, 2> scale, zero;
  if (result.scaled)
    scale = valuesOf(group);
  if (!format().isSymmetric())
    zero = valuesOf(part.groups + group);
  for (int i = 0; i < 2; ++i) {
    double base = numbers.base[i] / numbers.factor[i];
    Real whole;
    if (format().isSymmetric()) {
      result.shift[i] = bothHalves(k, -(base + numbers.zero), activation);
    } else {
      whole = result.fraction ? toReal(roundToInt(zero[i])) : zero[i];
      result.shift[i] = bothHalves(k.real(-base) - whole, activation);
    }
    if (result.scaled)
      result.scale[i] = bothHalves(scale[i], activation);
    if (result.fraction)
      result.rest[i] = bothHalves((whole - zero[i]) * scale[i], activation);
  }
  return result;
}

Fragment Body::weightsOf(const std::vector<Int> &block, int product,
                         const Group &group) {
  Fragment words =
      skinny_linear::unpackProduct(k, format(), activation, block, product);
  Numbers numbers = skinny_linear::numbersOf(format(), activation);
  for (int i = 0; i < 4; ++i) {
    int row = i % 2; // of rows g and g+8
    Int factor = bothHalves(k, 1 / numbers.factor[row], activation);
    if (group.shifted)
      words[i] = fmaHalves(words[i], factor, group.shift[row], activation);
    if (group.fraction)
      words[i] =
          fmaHalves(words[i], group.scale[row], group.rest[row], activation);
    else if (group.scaled)
      words[i] = mulHalves(words[i], group.scale[row], activation);
  }
  return words;
}

// Eight bits ------------------------------------------------------------------

Kernel::Values Body::multiplyStageInt8(Int stage, Kernel::Values sums) {
  constexpr int64_t chunks = 4; // of 32 columns, one product each
  Int lane = k.lane(), g = lane >> 2, t = lane & 3;
  Int tokenWarp = k.warp() / schedule.rowWarps,
      rowWarp = k.warp() % schedule.rowWarps;
  Int x = stage + tokenWarp * (tiles() * tileBytes) + g * stageRowBytes +
          (g & 3) * 32 + t * 8;
  Int codes = stage + plan.activationBytes +
              rowWarp * (strips() * part.stripBytes) + lane * 16;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    std::vector<std::vector<Int>> b;
    for (int64_t tile = 0; tile < tiles(); ++tile)
      b.push_back(k.loadShared(x ^ (chunk * 32), tile * tileBytes, 2));
    for (int64_t s = 0; s < strips(); ++s) {
      std::vector<Int> words =
          k.loadShared(codes, s * part.stripBytes + chunk * blockBytes, 4);
      std::array<Int, 4> a;
      for (int i = 0; i < 4; ++i) // rows g: bytes 0 and 2; then without +128
        a[i] = k.prmt(words[i / 2 * 2], words[i / 2 * 2 + 1],
                      i % 2 ? 0x7531 : 0x6420) ^
               int64_t(int32_t(0x80808080));
      for (int64_t tile = 0; tile < tiles(); ++tile) {
        mlir::Value *sum = &sums[(s * tiles() + tile) * 4];
        IntAccumulator total;
        for (int i = 0; i < 4; ++i)
          total[i] = {{&k, sum[i]}};
        total = mmaInt8(a, {b[tile][0], b[tile][1]}, total);
        for (int i = 0; i < 4; ++i)
          sum[i] = total[i].value;
      }
    }
  }
  return sums;
}
