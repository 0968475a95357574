// Integer arithmetic: add, sub, mul, mad, div, rem, min, max, abs, neg, sad.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Integer.h"
#include "runtime/emulator/OpTable.h"

#include <algorithm>

namespace qopt::emulator {
namespace {

using namespace numerics;

/// An unsigned type wide enough that no product is promoted to int.
template <typename T>
using Wrap =
    std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<T>>;

template <typename T> T product(T a, T b) { return T(Wrap<T>(a) * Wrap<T>(b)); }
template <typename T> T sum(T a, T b) { return T(Wrap<T>(a) + Wrap<T>(b)); }
template <typename T> T difference(T a, T b) {
  return T(Wrap<T>(a) - Wrap<T>(b));
}

template <typename T> void addArithmetic(OpTable &table, const std::string &t) {
  table.add<[](T a, T b) { return sum(a, b); }>("add." + t);
  table.add<[](T a, T b) { return difference(a, b); }>("sub." + t);
  table.add<[](T a, T b) { return product(a, b); }>("mul.lo." + t);
  table.add<[](T a, T b) { return multiplyHigh(a, b); }>("mul.hi." + t);
  table.add<[](T a, T b, T c) { return sum(product(a, b), c); }>("mad.lo." + t);
  table.add<[](T a, T b, T c) { return sum(multiplyHigh(a, b), c); }>(
      "mad.hi." + t);
  table.add<[](T a, T b) { return quotientOf(a, b); }>("div." + t);
  table.add<[](T a, T b) { return remainderOf(a, b); }>("rem." + t);
  table.add<[](T a, T b) { return a < b ? a : b; }>("min." + t);
  table.add<[](T a, T b) { return a < b ? b : a; }>("max." + t);
  table.add<[](T a, T b, T c) { return sumOfDifference(a, b, c); }>("sad." + t);
}

template <typename T> void addSigned(OpTable &table, const std::string &t) {
  table.add<[](T a) { return a < 0 ? difference(T(0), a) : a; }>("abs." + t);
  table.add<[](T a) { return difference(T(0), a); }>("neg." + t);
}

template <typename T, typename Wide>
void addWidening(OpTable &table, const std::string &t) {
  table.add<[](T a, T b) { return Wide(a) * Wide(b); }>("mul.wide." + t);
  table.add<[](T a, T b, Wide c) {
    using Unsigned = std::make_unsigned_t<Wide>;
    return Wide(Unsigned(Wide(a) * Wide(b)) + Unsigned(c));
  }>("mad.wide." + t);
}

template <typename T> void addShort24(OpTable &table, const std::string &t) {
  table.add<[](T a, T b) { return multiply24(a, b, false); }>("mul24.lo." + t);
  table.add<[](T a, T b) { return multiply24(a, b, true); }>("mul24.hi." + t);
  table.add<[](T a, T b, T c) { return sum(multiply24(a, b, false), c); }>(
      "mad24.lo." + t);
  table.add<[](T a, T b, T c) { return sum(multiply24(a, b, true), c); }>(
      "mad24.hi." + t);
}

/// Two 16-bit halves.
template <typename T, auto Function> uint32_t halves(uint32_t a, uint32_t b) {
  uint16_t low = uint16_t(Function(T(a), T(b)));
  uint16_t high = uint16_t(Function(T(a >> 16), T(b >> 16)));
  return uint32_t(high) << 16 | low;
}

/// With .relu.
template <typename T> T leastOf(T a, T b) {
  return std::max(std::min(a, b), T(0));
}
template <typename T> T mostOf(T a, T b) {
  return std::max(std::max(a, b), T(0));
}

/// PTX has .relu ahead of the type, nvcc writes it behind.
template <auto Least, auto Most>
void addPositive(OpTable &table, const std::string &t) {
  for (const std::string &type : {"relu." + t, t + ".relu"}) {
    table.add<Least>("min." + type);
    table.add<Most>("max." + type);
  }
}

template <typename T> void addPairs(OpTable &table, const std::string &t) {
  constexpr auto least = [](T a, T b) { return a < b ? a : b; };
  constexpr auto most = [](T a, T b) { return a < b ? b : a; };
  table.add<&halves<T, &sum<T>>>("add." + t);
  table.add<&halves<T, least>>("min." + t);
  table.add<&halves<T, most>>("max." + t);
}

void addDots(OpTable &table) {
  table.add<&dotBytes<uint8_t, uint8_t>>("dp4a.u32.u32");
  table.add<&dotBytes<uint8_t, int8_t>>("dp4a.u32.s32");
  table.add<&dotBytes<int8_t, uint8_t>>("dp4a.s32.u32");
  table.add<&dotBytes<int8_t, int8_t>>("dp4a.s32.s32");
}

template <bool High> void addHalfDots(OpTable &table, const std::string &name) {
  table.add<[](uint32_t a, uint32_t b, uint32_t c) {
    return dotHalves<uint16_t, uint8_t>(a, b, c, High);
  }>(name + ".u32.u32");
  table.add<[](uint32_t a, uint32_t b, uint32_t c) {
    return dotHalves<uint16_t, int8_t>(a, b, c, High);
  }>(name + ".u32.s32");
  table.add<[](uint32_t a, uint32_t b, uint32_t c) {
    return dotHalves<int16_t, uint8_t>(a, b, c, High);
  }>(name + ".s32.u32");
  table.add<[](uint32_t a, uint32_t b, uint32_t c) {
    return dotHalves<int16_t, int8_t>(a, b, c, High);
  }>(name + ".s32.s32");
}

} // namespace

void addIntegerOps(OpTable &table) {
  addArithmetic<uint16_t>(table, "u16");
  addArithmetic<uint32_t>(table, "u32");
  addArithmetic<uint64_t>(table, "u64");
  addArithmetic<int16_t>(table, "s16");
  addArithmetic<int32_t>(table, "s32");
  addArithmetic<int64_t>(table, "s64");
  addSigned<int16_t>(table, "s16");
  addSigned<int32_t>(table, "s32");
  addSigned<int64_t>(table, "s64");
  addWidening<uint16_t, uint32_t>(table, "u16");
  addWidening<uint32_t, uint64_t>(table, "u32");
  addWidening<int16_t, int32_t>(table, "s16");
  addWidening<int32_t, int64_t>(table, "s32");
  addShort24<uint32_t>(table, "u32");
  addShort24<int32_t>(table, "s32");
  addPairs<uint16_t>(table, "u16x2");
  addPairs<int16_t>(table, "s16x2");
  table.add<&addSaturating>("add.sat.s32");
  table.add<&subtractSaturating>("sub.sat.s32");
  table.add<[](int32_t a, int32_t b, int32_t c) {
    return addSaturating(multiplyHigh(a, b), c);
  }>("mad.hi.sat.s32");
  addPositive<&leastOf<int32_t>, &mostOf<int32_t>>(table, "s32");
  addPositive<&halves<int16_t, &leastOf<int16_t>>,
              &halves<int16_t, &mostOf<int16_t>>>(table, "s16x2");
  addDots(table);
  addHalfDots<false>(table, "dp2a.lo");
  addHalfDots<true>(table, "dp2a.hi");
}

} // namespace qopt::emulator
