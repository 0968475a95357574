// Products of codes with codes, and sums as words: f32, or i32 where
// activations are codes, which add without rounding wherever warps, slices and
// blocks meet.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fragments.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearBody.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

constexpr int64_t productColumns = 32; // of mma.m16n8k32, one block of codes

static IntAccumulator integersOf(Kernel &k, const Accumulator &sum) {
  IntAccumulator integers;
  for (size_t i = 0; i < sum.size(); ++i)
    integers[i] = {{&k, sum[i].value}};
  return integers;
}

static void setTo(Accumulator &sum, const IntAccumulator &integers) {
  for (size_t i = 0; i < sum.size(); ++i)
    sum[i].value = integers[i].value;
}

Body::Sums Body::multiplyCodes(size_t segment, Int unitAddress, Int x,
                               Sums sums) {
  // A second chain of sums, where a warp has one product in flight only.
  bool alone = sums.size() == 1;
  Accumulator second = zeroSums()[0];
  for (int64_t product = 0; product < unitColumns / productColumns; ++product) {
    std::vector<std::vector<Int>> b;
    for (int64_t tile = 0; tile < plan.tokenTiles; ++tile)
      b.push_back(k.loadShared(
          x, product * productColumns + tile * 8 * plan.activationStride, 2));
    for (int s = 0; s < schedule.stripsPerWarp; ++s) {
      Fragment a =
          unpackCodes(k, loadBlock(problem.segments[segment].weight,
                                   {unitAddress, stripOffset(segment, s),
                                    unitColumns / 16, k.constant(0)},
                                   product));
      for (int64_t tile = 0; tile < plan.tokenTiles; ++tile) {
        const std::vector<Int> &columns = b[size_t(tile)];
        Accumulator &sum = alone && product % 2
                               ? second
                               : sums[size_t(s * plan.tokenTiles + tile)];
        auto multiply = problem.codes == Codes::Unsigned ? mmaBytes : mmaInt8;
        setTo(sum, multiply(a, {columns[0], columns[1]}, integersOf(k, sum)));
      }
    }
  }
  if (alone) {
    IntAccumulator first = integersOf(k, sums[0]), rest = integersOf(k, second);
    for (size_t i = 0; i < first.size(); ++i)
      first[i] = first[i] + rest[i];
    setTo(sums[0], first);
  }
  return sums;
}

Int Body::wordOf(Real sum) {
  return problem.hasCodes() ? Int{{&k, sum.value}} : k.bits(sum);
}

Int Body::addWords(Int a, Int b) {
  return problem.hasCodes() ? a + b : k.bits(k.asReal(a) + k.asReal(b));
}

Real Body::valueOf(Int word) {
  return problem.hasCodes() ? toReal(word) : k.asReal(word);
}
