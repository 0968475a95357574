// From a product's numbers to its weights, two rows of a lane at a time.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearWeights.h"

#include "lib/Kernels/Builder/Fragments.h"

#include <optional>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;
using quant::ElementType;

Int skinny_linear::groupOfLane(Kernel &k) { return (k.lane() & 3) >> 1; }

void skinny_linear::loadPlane(std::vector<Int> &words,
                              const quant::Format &format, Int address,
                              int64_t offset, bool wide) {
  Kernel &k = *address.kernel;
  Int g = k.lane() >> 2;
  if (format.hasScaleFields()) {
    words.push_back(k.loadSharedHalfWord(address + g * 2, offset));
    return;
  }
  for (Int word :
       k.loadShared(address + g * (wide ? 8 : 4), offset, wide ? 2 : 1))
    words.push_back(word);
}

/// Whether scales of groups and zero points are halves as f16 computes with
/// them: zero points are integers, whose sums with what numbers are too large
/// by are exact.
static bool roundsByHalves(const quant::Format &format, ElementType type) {
  return type == ElementType::F16 && planesPerUnit(format) &&
         !format.hasScaleFields() && !hasWideScales(format) &&
         format.zero != quant::ZeroType::Float;
}

namespace {
/// A group's scales and zero points of rows g and g+8.
struct GroupNumbers {
  std::array<Real, 2> scale, zero;
};

/// What makes weights of a group's numbers, for rows g and g+8: pairs of
/// halves.
struct Group {
  std::array<Int, 2> shift, scale, lowScale, rest;
  bool shifted = false, scaled = false, fraction = false;
};

class WeightMaker {
public:
  WeightMaker(Kernel &kernel, const quant::Format &format,
              mlir::Type activation)
      : k(kernel), format(format), activation(activation),
        type(activation.isBF16() ? ElementType::BF16 : ElementType::F16),
        factor(scaleFactor(format, type)) {}

  Group groupOf(const std::vector<Int> &planes) {
    return roundsByHalves(format, type) ? groupOfHalves(planes)
                                        : groupOf(numbersOf(planes));
  }
  Fragment weightsOf(const Group &group, Fragment numbers);

private:
  Group groupOfHalves(const std::vector<Int> &planes);
  GroupNumbers numbersOf(const std::vector<Int> &planes);
  Group groupOf(const GroupNumbers &numbers);
  void setScale(Group &group, int row, Real scale);

  Kernel &k;
  const quant::Format &format;
  mlir::Type activation;
  ElementType type;
  double factor;
};
} // namespace

/// `groupOf` in fewer instructions, with the same bits.
Group WeightMaker::groupOfHalves(const std::vector<Int> &planes) {
  auto pairsOf = [&](Int word) -> std::array<Int, 2> {
    return {k.prmt(word, word, 0x1010), k.prmt(word, word, 0x3232)};
  };
  Numbers numbers = skinny_linear::numbersOf(format, type);
  Group result;
  result.shifted = !format.isSymmetric() || numbers.needsCorrection();
  result.scaled = groupsPerUnit(format) > 0;
  if (result.scaled)
    result.scale = pairsOf(planes.front());
  if (format.isSymmetric()) {
    for (size_t i = 0; i < 2; ++i)
      result.shift[i] =
          bothHalves(k, -(numbers.base[i] + numbers.zero), activation);
    return result;
  }
  Int bases = k.packHalves(k.real(-numbers.base[0]), k.real(-numbers.base[1]),
                           activation);
  result.shift = pairsOf(fmaHalves(planes.back(), bothHalves(k, -1, activation),
                                   bases, activation));
  return result;
}

GroupNumbers WeightMaker::numbersOf(const std::vector<Int> &planes) {
  GroupNumbers result;
  mlir::Type f16 = k.builder().getF16Type();
  auto valuesOf = [&](Int word) -> std::array<Real, 2> {
    return {k.lowHalf(word, f16), k.highHalf(word, f16)};
  };
  bool twoLevels = format.hasScaleFields();
  size_t next = 0;
  auto take = [&](bool wide, int offset) -> std::array<Real, 2> {
    size_t first = next;
    next += wide ? 2 : 1;
    if (wide)
      return {k.asReal(planes[first]), k.asReal(planes[first + 1])};
    return valuesOf(twoLevels ? codesToHalves(planes[first], offset)
                              : planes[first]);
  };
  if (groupsPerUnit(format))
    result.scale = take(hasWideScales(format), scaleCodeOffset(format));
  if (!format.isSymmetric())
    result.zero = take(hasWideZeros(format), 0);
  if (twoLevels) {
    std::array<Real, 2> unit = valuesOf(planes.back());
    for (size_t i = 0; i < unit.size(); ++i)
      result.scale[i] = result.scale[i] * unit[i];
  }
  return result;
}

void WeightMaker::setScale(Group &group, int row, Real scale) {
  if (!hasWideScales(format)) {
    group.scale[size_t(row)] = bothHalves(scale, activation);
    return;
  }
  Real factored = scale * k.real(factor);
  Int high = bothHalves(factored, activation);
  group.scale[size_t(row)] = high;
  group.lowScale[size_t(row)] =
      bothHalves(factored - k.lowHalf(high, activation), activation);
}

/// For rows g and g+8:
///   weight = (number + shift) · scale + rest      without groups, scale = 1
///   shift = −(base + nearest integer of zero)
///   rest = (nearest integer of zero − zero) · scale, rounded
/// and with f32 scales, F their factor:
///   weight = (number + shift) / F · scale + ((number + shift) / F · low +
///   rest)
Group WeightMaker::groupOf(const GroupNumbers &group) {
  Group result;
  Numbers numbers = skinny_linear::numbersOf(format, type);
  result.shifted = !format.isSymmetric() || numbers.needsCorrection();
  result.scaled = groupsPerUnit(format) > 0;
  result.fraction = format.zero == quant::ZeroType::Float;
  for (int i = 0; i < 2; ++i) {
    double base = numbers.base[i];
    Real whole;
    if (format.isSymmetric()) {
      result.shift[i] =
          bothHalves(k, -(base + numbers.zero) / factor, activation);
    } else {
      whole =
          result.fraction ? toReal(roundToInt(group.zero[i])) : group.zero[i];
      Real shift = k.real(-base) - whole;
      if (factor != 1)
        shift = shift * k.real(1 / factor);
      result.shift[i] = bothHalves(shift, activation);
    }
    if (result.scaled)
      setScale(result, i, group.scale[i]);
    if (result.fraction) {
      Real rest = whole - group.zero[i];
      result.rest[i] =
          bothHalves(result.scaled ? rest * group.scale[i] : rest, activation);
    }
  }
  return result;
}

Fragment WeightMaker::weightsOf(const Group &group, Fragment words) {
  auto times = [&](Int a, Int b, std::optional<Int> c) {
    return c ? fmaHalves(a, b, *c, activation) : mulHalves(a, b, activation);
  };
  for (int i = 0; i < 4; ++i) {
    int row = i % 2; // of rows g and g+8
    std::optional<Int> shift, rest;
    if (group.shifted)
      shift = group.shift[row];
    if (factor != 1)
      words[i] = times(words[i], bothHalves(k, 1 / factor, activation), shift);
    else if (shift)
      words[i] = k.addHalves(words[i], *shift, activation);
    if (group.fraction)
      rest = group.rest[row];
    if (hasWideScales(format))
      rest = times(words[i], group.lowScale[row], rest);
    if (group.scaled)
      words[i] = times(words[i], group.scale[row], rest);
    else if (rest)
      words[i] = k.addHalves(words[i], *rest, activation);
  }
  return words;
}

Fragment skinny_linear::roundedWeights(Kernel &k, const quant::Format &format,
                                       mlir::Type activation,
                                       const std::vector<Int> &planes,
                                       Fragment numbers) {
  WeightMaker maker(k, format, activation);
  return maker.weightsOf(maker.groupOf(planes), numbers);
}
