// cvt: between integers, between integers and floating point, and between
// floating point formats, single and packed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/OpTable.h"
#include "runtime/emulator/numerics/Conversion.h"
#include "runtime/emulator/numerics/Half.h"

#include <array>

namespace qopt::emulator {
namespace {

using namespace numerics;

template <typename T> constexpr const char *intName() {
  constexpr const char *names[2][4] = {{"u8", "u16", "u32", "u64"},
                                       {"s8", "s16", "s32", "s64"}};
  return names[std::is_signed_v<T>][std::countr_zero(sizeof(T))];
}

template <typename To, typename From> void addBetweenInts(OpTable &table) {
  std::string t = ".";
  t.append(intName<To>()).append(".").append(intName<From>());
  table.add<[](From a) { return To(a); }>("cvt" + t);
  table.add<&saturateInteger<To, From>>("cvt.sat" + t);
  // From a wider register, of which the lower bits count.
  if constexpr (sizeof(From) < 8)
    table.add<[](uint64_t a) { return To(From(a)); }>("cvt" + t + " of b64");
}

template <Rounding R, typename Int>
void addIntFloat(OpTable &table, const std::string &rounding) {
  std::string integer = intName<Int>();
  for (const char *sat : {"", ".sat"}) {
    std::string back = "cvt";
    back.append(rounding).append("i").append(sat).append(".").append(integer);
    table.add<[](float a) { return toInteger<Int, R>(a); }>(back + ".f32");
    table.add<[](double a) { return toInteger<Int, R>(a); }>(back + ".f64");
    table.add<[](uint16_t a) { return toInteger<Int, R>(widen<Float16>(a)); }>(
        back + ".f16");
    table.add<[](uint16_t a) { return toInteger<Int, R>(widen<Bfloat16>(a)); }>(
        back + ".bf16");
    table.add<[](float a) { return toInteger<Int, R>(flush(a)); }>(
        std::string(back).insert(3 + rounding.size() + 1, ".ftz") + ".f32");
  }
  table.add<[](Int a) {
    return std::bit_cast<float>(narrowInteger<Float32, R>(a));
  }>("cvt" + rounding + ".f32." + integer);
  table.add<[](Int a) { return integerToDouble<R>(a); }>("cvt" + rounding +
                                                         ".f64." + integer);
  table.add<[](Int a) { return narrowInteger<Float16, R>(a); }>(
      "cvt" + rounding + ".f16." + integer);
  table.add<[](Int a) { return narrowInteger<Bfloat16, R>(a); }>(
      "cvt" + rounding + ".bf16." + integer);
}

template <typename Int> void addInt(OpTable &table) {
  addBetweenInts<uint8_t, Int>(table);
  addBetweenInts<uint16_t, Int>(table);
  addBetweenInts<uint32_t, Int>(table);
  addBetweenInts<uint64_t, Int>(table);
  addBetweenInts<int8_t, Int>(table);
  addBetweenInts<int16_t, Int>(table);
  addBetweenInts<int32_t, Int>(table);
  addBetweenInts<int64_t, Int>(table);
  addIntFloat<Rounding::NearestEven, Int>(table, ".rn");
  addIntFloat<Rounding::Zero, Int>(table, ".rz");
  addIntFloat<Rounding::Down, Int>(table, ".rm");
  addIntFloat<Rounding::Up, Int>(table, ".rp");
}

/// The roundings that floating point to narrower floating point takes, and the
/// rounding to whole numbers.
template <Rounding R>
void addFloats(OpTable &table, const std::string &rounding) {
  table.add<[](double a) { return toFloat<R>(a); }>("cvt" + rounding +
                                                    ".f32.f64");
  table.add<[](double a) { return toFloat<R, true>(a); }>("cvt" + rounding +
                                                          ".ftz.f32.f64");
  table.add<[](double a) { return narrow<Float16, R>(a); }>("cvt" + rounding +
                                                            ".f16.f64");
  table.add<[](double a) { return narrow<Bfloat16, R>(a); }>("cvt" + rounding +
                                                             ".bf16.f64");
  std::string whole = "cvt" + rounding + "i";
  table.add<[](float a) { return canonical(toIntegral<R>(a)); }>(whole +
                                                                 ".f32.f32");
  table.add<[](float a) { return canonical(toIntegral<R>(flush(a))); }>(
      whole + ".ftz.f32.f32");
  table.add<[](float a) { return saturate(toIntegral<R>(a)); }>(whole +
                                                                ".sat.f32.f32");
  table.add<[](double a) { return toIntegral<R>(a); }>(whole + ".f64.f64");
  table.add<[](uint16_t a) {
    return fromFloat<Float16>(toIntegral<R>(widen<Float16>(a)));
  }>(whole + ".f16.f16");
  table.add<[](uint16_t a) {
    return fromFloat<Bfloat16>(toIntegral<R>(widen<Bfloat16>(a)));
  }>(whole + ".bf16.bf16");
}

/// f32 to a narrow format, alone and in pairs, with what may follow.
template <typename Format, Rounding R, Overflow O, bool Relu>
typename Format::Code narrowed(float a) {
  typename Format::Code code = narrow<Format, R, O>(a);
  return Relu ? relu<Format>(code) : code;
}

template <typename Format, Rounding R, Overflow O, bool Relu>
void addNarrowing(OpTable &table, const std::string &mode,
                  const std::string &format) {
  static constexpr auto one = &narrowed<Format, R, O, Relu>;
  std::string name = "cvt" + mode + (Relu ? ".relu" : "") +
                     (O == Overflow::Saturate ? ".satfinite" : "") + format;
  constexpr unsigned bits = sizeof(typename Format::Code) * 8;
  using Pair = std::conditional_t<bits == 8, uint16_t, uint32_t>;
  if constexpr (bits == 16) {
    table.add<one>(name + ".f32");
    table.add<[](float a) { return one(flush(a)); }>("cvt" + mode + ".ftz" +
                                                     format + ".f32");
  }
  static constexpr auto pair = [](float a, float b) {
    return Pair(Pair(one(a)) << bits | one(b));
  };
  table.add<pair>(name + "x2.f32");
  if (Relu && O == Overflow::Saturate) // both orders are in use
    table.add<pair>("cvt" + mode + ".satfinite.relu" + format + "x2.f32");
  if constexpr (bits == 8) {
    static constexpr auto fromHalves = [](uint32_t a) {
      return Pair(Pair(one(widen<Float16>(uint16_t(a >> 16)))) << 8 |
                  one(widen<Float16>(uint16_t(a))));
    };
    table.add<fromHalves>(name + "x2.f16x2");
    if (Relu)
      table.add<fromHalves>("cvt" + mode + ".satfinite.relu" + format +
                            "x2.f16x2");
  }
}

template <typename Format, Rounding R>
void addHalves(OpTable &table, const std::string &mode,
               const std::string &format) {
  addNarrowing<Format, R, Overflow::Ieee, false>(table, mode, format);
  addNarrowing<Format, R, Overflow::Ieee, true>(table, mode, format);
  addNarrowing<Format, R, Overflow::Saturate, false>(table, mode, format);
  addNarrowing<Format, R, Overflow::Saturate, true>(table, mode, format);
}

/// The f16 of each code of 8 bits.
template <typename Format>
const std::array<uint16_t, 256> halfOfCode = [] {
  std::array<uint16_t, 256> halves{};
  for (unsigned code = 0; code < halves.size(); ++code)
    halves[code] = fromFloat<Float16>(widen<Format>(uint8_t(code)));
  return halves;
}();

template <typename Format>
void addEights(OpTable &table, const std::string &format) {
  addNarrowing<Format, Rounding::NearestEven, Overflow::Saturate, false>(
      table, ".rn", format);
  addNarrowing<Format, Rounding::NearestEven, Overflow::Saturate, true>(
      table, ".rn", format);
  static constexpr auto halves = [](uint16_t a) {
    return uint32_t(halfOfCode<Format>[a >> 8]) << 16 |
           halfOfCode<Format>[a & 0xff];
  };
  table.add<halves>("cvt.rn.f16x2" + format + "x2");
  table.add<[](uint16_t a) {
    uint32_t both = halves(a);
    return uint32_t(relu<Float16>(uint16_t(both >> 16))) << 16 |
           relu<Float16>(uint16_t(both));
  }>("cvt.rn.relu.f16x2" + format + "x2");
}

template <typename Format>
void addWidening(OpTable &table, const std::string &format) {
  table.add<[](uint16_t a) { return widen<Format>(a); }>("cvt.f32" + format);
  table.add<[](uint16_t a) { return flush(widen<Format>(a)); }>("cvt.ftz.f32" +
                                                                format);
  table.add<[](uint16_t a) { return saturate(widen<Format>(a)); }>(
      "cvt.sat.f32" + format);
  table.add<[](uint16_t a) { return double(widen<Format>(a)); }>("cvt.f64" +
                                                                 format);
}

void addTf32(OpTable &table) {
  static constexpr auto away = [](float a) {
    return toTf32<Rounding::NearestAway>(a);
  };
  static constexpr auto even = [](float a) {
    return toTf32<Rounding::NearestEven>(a);
  };
  static constexpr auto zero = [](float a) {
    return toTf32<Rounding::Zero>(a);
  };
  table.add<away>("cvt.rna.tf32.f32");
  table.add<even>("cvt.rn.tf32.f32");
  table.add<zero>("cvt.rz.tf32.f32");
  table.add<[](float a) {
    return toTf32<Rounding::NearestAway, Overflow::Saturate>(a);
  }>("cvt.rna.satfinite.tf32.f32");
  table.add<[](float a) {
    return toTf32<Rounding::NearestEven, Overflow::Saturate>(a);
  }>("cvt.rn.satfinite.tf32.f32");
}

/// cvt.pack.sat: two saturated integers in the low bits, c shifted up.
template <typename To> void addPack(OpTable &table, const std::string &name) {
  constexpr unsigned bits = sizeof(To) * 8;
  static constexpr auto pack = [](int32_t a, int32_t b) {
    using Bits = std::make_unsigned_t<To>;
    return uint32_t(Bits(saturateInteger<To>(a))) << bits |
           Bits(saturateInteger<To>(b));
  };
  if constexpr (bits == 16)
    table.add<pack>("cvt.pack.sat." + name + ".s32");
  else
    table.add<[](int32_t a, int32_t b, uint32_t c) {
      return c << 16 | pack(a, b);
    }>("cvt.pack.sat." + name + ".s32.b32");
}

} // namespace

void addConversions(OpTable &table) {
  addInt<uint8_t>(table);
  addInt<uint16_t>(table);
  addInt<uint32_t>(table);
  addInt<uint64_t>(table);
  addInt<int8_t>(table);
  addInt<int16_t>(table);
  addInt<int32_t>(table);
  addInt<int64_t>(table);
  addFloats<Rounding::NearestEven>(table, ".rn");
  addFloats<Rounding::Zero>(table, ".rz");
  addFloats<Rounding::Down>(table, ".rm");
  addFloats<Rounding::Up>(table, ".rp");
  addHalves<Float16, Rounding::NearestEven>(table, ".rn", ".f16");
  addHalves<Float16, Rounding::Zero>(table, ".rz", ".f16");
  addHalves<Bfloat16, Rounding::NearestEven>(table, ".rn", ".bf16");
  addHalves<Bfloat16, Rounding::Zero>(table, ".rz", ".bf16");
  addEights<E4M3>(table, ".e4m3");
  addEights<E5M2>(table, ".e5m2");
  addWidening<Float16>(table, ".f16");
  addWidening<Bfloat16>(table, ".bf16");
  table.add<[](float a) { return double(a); }>("cvt.f64.f32");
  table.add<[](float a) { return double(flush(a)); }>("cvt.ftz.f64.f32");
  table.add<[](float a) { return saturate(a); }>("cvt.sat.f32.f32");
  table.add<[](float a) { return saturate(flush(a)); }>("cvt.ftz.sat.f32.f32");
  table.add<[](float a) { return canonical(flush(a)); }>("cvt.ftz.f32.f32");
  table.add<[](uint16_t a) { return fromFloat<Bfloat16>(widen<Float16>(a)); }>(
      "cvt.rn.bf16.f16");
  table.add<[](uint16_t a) { return fromFloat<Float16>(widen<Bfloat16>(a)); }>(
      "cvt.rn.f16.bf16");
  addTf32(table);
  addPack<uint16_t>(table, "u16");
  addPack<int16_t>(table, "s16");
  addPack<uint8_t>(table, "u8");
  addPack<int8_t>(table, "s8");
}

} // namespace qopt::emulator
