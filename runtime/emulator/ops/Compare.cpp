// Comparisons: setp with its combination and second predicate, set, selp, slct.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Decoder.h"
#include "runtime/emulator/numerics/Half.h"

namespace qopt::emulator {
namespace {

using namespace numerics;

/// In Inst::aux: how the comparison is combined with a further predicate.
enum Combine : uint32_t { Alone, And, Or, Xor, combineMask = 3, NotC = 4 };

uint32_t combined(uint32_t compared, uint32_t other, uint32_t aux) {
  if (aux & NotC)
    other = ~other;
  switch (aux & combineMask) {
  case And:
    return compared & other;
  case Or:
    return compared | other;
  case Xor:
    return compared ^ other;
  default:
    return compared;
  }
}

/// setp.cmp.bool.type p|q, a, b, c: p = (a cmp b) bool c, q = !(a cmp b) bool c
template <typename T, auto Compare>
Step runSetp(Warp &warp, const Inst &inst, uint32_t mask) {
  LaneSource<T> a(warp, inst.source(0)), b(warp, inst.source(1));
  uint32_t compared = 0;
  for (unsigned lane = 0; lane < lanes; ++lane)
    compared |= uint32_t(Compare(a[lane], b[lane])) << lane;
  uint32_t other = inst.sources > 2 ? warp.predicate(inst.source(2)) : 0;
  auto put = [&](uint32_t slot, uint32_t bits) {
    uint32_t &result = warp.predicate(slot);
    result = (result & ~mask) | (combined(bits, other, inst.aux) & mask);
  };
  put(inst.destination(0), compared);
  if (inst.destinations > 1)
    put(inst.destination(1), ~compared);
  return Step::Next;
}

/// 1 as it lies in a register.
constexpr uint16_t oneInHalf = 0x3c00, oneInBfloat = 0x3f80;

/// setp and set of one comparison and type.
template <typename T, auto Compare>
void addComparison(OpTable &table, const std::string &name) {
  constexpr OperandType type = operandTypeOf<T>();
  table.addEntry(
      "setp." + name,
      {&runSetp<T, Compare>, 3, {OperandType::Predicate, type, type}});
  size_t dot = name.rfind('.');
  std::string cmp = name.substr(0, dot), t = name.substr(dot);
  static constexpr auto all = [](T a, T b) { return Compare(a, b) ? ~0u : 0u; };
  table.add<all>("set." + cmp + ".u32" + t);
  table.add<all>("set." + cmp + ".s32" + t);
  table.add<all>("set." + cmp + ".b32" + t);
  table.add<[](T a, T b) { return Compare(a, b) ? 1.0f : 0.0f; }>("set." + cmp +
                                                                  ".f32" + t);
  if constexpr (sizeof(T) == 2) {
    auto put = [&]<uint16_t yes>(const char *result) {
      static constexpr auto chosen = [](T a, T b) {
        return Compare(a, b) ? yes : uint16_t(0);
      };
      table.add<chosen>("set." + cmp + result + t);
    };
    put.template operator()<oneInHalf>(".f16");
    put.template operator()<oneInBfloat>(".bf16");
    put.template operator()<0xffff>(".u16");
    put.template operator()<0xffff>(".s16");
  }
}

template <typename T> void addOrdered(OpTable &table, const std::string &t) {
  static constexpr auto less = [](T a, T b) { return a < b; };
  static constexpr auto lessEqual = [](T a, T b) { return a <= b; };
  static constexpr auto greater = [](T a, T b) { return a > b; };
  static constexpr auto greaterEqual = [](T a, T b) { return a >= b; };
  addComparison<T, [](T a, T b) { return a == b; }>(table, "eq." + t);
  addComparison<T, [](T a, T b) { return a != b; }>(table, "ne." + t);
  addComparison<T, less>(table, "lt." + t);
  addComparison<T, lessEqual>(table, "le." + t);
  addComparison<T, greater>(table, "gt." + t);
  addComparison<T, greaterEqual>(table, "ge." + t);
  if constexpr (std::is_unsigned_v<T>) {
    addComparison<T, less>(table, "lo." + t);
    addComparison<T, lessEqual>(table, "ls." + t);
    addComparison<T, greater>(table, "hi." + t);
    addComparison<T, greaterEqual>(table, "hs." + t);
  }
}

template <typename T> void addEqual(OpTable &table, const std::string &t) {
  addComparison<T, [](T a, T b) { return a == b; }>(table, "eq." + t);
  addComparison<T, [](T a, T b) { return a != b; }>(table, "ne." + t);
}

/// Floating point: T as it lies in a register, Value to a number.
template <typename T, auto Value>
void addFloats(OpTable &table, const std::string &t) {
  static constexpr auto unordered = [](T a, T b) {
    auto x = Value(a), y = Value(b);
    return x != x || y != y;
  };
  addComparison<T, [](T a, T b) { return Value(a) == Value(b); }>(table,
                                                                  "eq." + t);
  addComparison<T, [](T a, T b) {
    return Value(a) < Value(b) || Value(a) > Value(b);
  }>(table, "ne." + t);
  addComparison<T, [](T a, T b) { return Value(a) < Value(b); }>(table,
                                                                 "lt." + t);
  addComparison<T, [](T a, T b) { return Value(a) <= Value(b); }>(table,
                                                                  "le." + t);
  addComparison<T, [](T a, T b) { return Value(a) > Value(b); }>(table,
                                                                 "gt." + t);
  addComparison<T, [](T a, T b) { return Value(a) >= Value(b); }>(table,
                                                                  "ge." + t);
  addComparison<T, [](T a, T b) {
    return unordered(a, b) || Value(a) == Value(b);
  }>(table, "equ." + t);
  addComparison<T, [](T a, T b) { return !(Value(a) == Value(b)); }>(
      table, "neu." + t);
  addComparison<T, [](T a, T b) { return !(Value(a) >= Value(b)); }>(
      table, "ltu." + t);
  addComparison<T, [](T a, T b) { return !(Value(a) > Value(b)); }>(table,
                                                                    "leu." + t);
  addComparison<T, [](T a, T b) { return !(Value(a) <= Value(b)); }>(
      table, "gtu." + t);
  addComparison<T, [](T a, T b) { return !(Value(a) < Value(b)); }>(table,
                                                                    "geu." + t);
  addComparison<T, [](T a, T b) { return !unordered(a, b); }>(table,
                                                              "num." + t);
  addComparison<T, unordered>(table, "nan." + t);
}

float asIs(float a) { return a; }
float flushed(float a) { return flush(a); }
double asDouble(double a) { return a; }
float halfValue(uint16_t a) { return widen<Float16>(a); }
float flushedHalf(uint16_t a) {
  return widen<Float16>(flushHalf<true, Float16>(a));
}
float bfloatValue(uint16_t a) { return widen<Bfloat16>(a); }

template <typename T> void addSelect(OpTable &table, const std::string &t) {
  table.add<[](T a, T b, bool c) { return c ? a : b; }>("selp." + t);
  table.add<[](T a, T b, int32_t c) { return c >= 0 ? a : b; }>("slct." + t +
                                                                ".s32");
  table.add<[](T a, T b, float c) { return c >= 0 ? a : b; }>("slct." + t +
                                                              ".f32");
  table.add<[](T a, T b, float c) { return flush(c) >= 0 ? a : b; }>(
      "slct.ftz." + t + ".f32");
}

/// setp.cmp.f16x2 p|q, a, b: p of the low halves, q of the high ones.
template <auto Value, auto Compare>
Step runPairs(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = warp.lanes32(inst.source(0));
  const uint32_t *b = warp.lanes32(inst.source(1));
  uint32_t other = inst.sources > 2 ? warp.predicate(inst.source(2)) : 0;
  for (unsigned half = 0; half < inst.destinations; ++half) {
    uint32_t compared = 0;
    for (unsigned lane = 0; lane < lanes; ++lane)
      compared |= uint32_t(Compare(Value(uint16_t(a[lane] >> 16 * half)),
                                   Value(uint16_t(b[lane] >> 16 * half))))
                  << lane;
    uint32_t &result = warp.predicate(inst.destination(half));
    result = (result & ~mask) | (combined(compared, other, inst.aux) & mask);
  }
  return Step::Next;
}

/// set.cmp of both halves: `yes` or 0 in each.
template <auto Value, auto Compare, uint16_t yes>
uint32_t setPair(uint32_t a, uint32_t b) {
  auto half = [](uint32_t a, uint32_t b) {
    bool holds = Compare(Value(uint16_t(a)), Value(uint16_t(b)));
    return holds ? uint32_t(yes) : 0;
  };
  return half(a >> 16, b >> 16) << 16 | half(a, b);
}

/// One comparison of pairs of `t`, f16x2 or bf16x2, with 1 in its halves.
template <auto Value, uint16_t one, auto Compare>
void addPair(OpTable &table, const std::string &cmp, const std::string &t) {
  table.addEntry("setp." + cmp + t, {&runPairs<Value, Compare>,
                                     3,
                                     {OperandType::Predicate, OperandType::Word,
                                      OperandType::Word}});
  static constexpr auto ones = [](uint32_t a, uint32_t b) {
    return setPair<Value, Compare, one>(a, b);
  };
  static constexpr auto bits = [](uint32_t a, uint32_t b) {
    return setPair<Value, Compare, 0xffff>(a, b);
  };
  table.add<ones>("set." + cmp + t + "." + t);
  table.add<bits>("set." + cmp + "u32." + t);
  table.add<bits>("set." + cmp + "s32." + t);
}

/// `flush` is "ftz." where Value flushes subnormals.
template <auto Value, uint16_t one>
void addPairs(OpTable &table, const std::string &flush, const std::string &t) {
  auto put = [&]<auto Compare>(const char *cmp) {
    addPair<Value, one, Compare>(table, cmp + ("." + flush), t);
  };
#define PAIRS(cmp, holds)                                                      \
  put.template operator()<[](float a, float b) { return holds; }>(cmp)
  PAIRS("eq", a == b);
  PAIRS("ne", a < b || a > b);
  PAIRS("lt", a < b);
  PAIRS("le", a <= b);
  PAIRS("gt", a > b);
  PAIRS("ge", a >= b);
  PAIRS("equ", !(a < b || a > b));
  PAIRS("neu", !(a == b));
  PAIRS("ltu", !(a >= b));
  PAIRS("leu", !(a > b));
  PAIRS("gtu", !(a <= b));
  PAIRS("geu", !(a < b));
  PAIRS("num", a == a && b == b);
  PAIRS("nan", a != a || b != b);
#undef PAIRS
}

bool decodeSetp(Decoder &decoder) {
  std::string name;
  Inst &inst = decoder.inst;
  for (const std::string &modifier : decoder.instruction().modifiers) {
    if (modifier == "and" || modifier == "or" || modifier == "xor")
      inst.aux = modifier == "and" ? And : modifier == "or" ? Or : Xor;
    else
      name += (name.empty() ? "" : ".") + modifier;
  }
  const OpEntry *entry = OpTable::get().find("setp." + name);
  if (!entry)
    return decoder.unknown();
  bool combines = inst.aux != Alone;
  if (!decoder.expectOperands(combines ? 4 : 3, combines ? 4 : 3) ||
      !decoder.destinations(decoder.operand(0), OperandType::Predicate) ||
      !decoder.source(decoder.operand(1), entry->types[1]) ||
      !decoder.source(decoder.operand(2), entry->types[2]))
    return false;
  if (combines) {
    if (!decoder.source(decoder.operand(3), OperandType::Predicate))
      return false;
    inst.aux |= decoder.operand(3).negated ? uint32_t(NotC) : 0;
  }
  return decoder.emit(entry->run);
}

} // namespace

void addComparisons(OpTable &table) {
  addOrdered<uint16_t>(table, "u16");
  addOrdered<uint32_t>(table, "u32");
  addOrdered<uint64_t>(table, "u64");
  addOrdered<int16_t>(table, "s16");
  addOrdered<int32_t>(table, "s32");
  addOrdered<int64_t>(table, "s64");
  addEqual<uint16_t>(table, "b16");
  addEqual<uint32_t>(table, "b32");
  addEqual<uint64_t>(table, "b64");
  addFloats<float, &asIs>(table, "f32");
  addFloats<float, &flushed>(table, "ftz.f32");
  addFloats<double, &asDouble>(table, "f64");
  addFloats<uint16_t, &halfValue>(table, "f16");
  addFloats<uint16_t, &flushedHalf>(table, "ftz.f16");
  addFloats<uint16_t, &bfloatValue>(table, "bf16");
  addPairs<&halfValue, oneInHalf>(table, "", "f16x2");
  addPairs<&flushedHalf, oneInHalf>(table, "ftz.", "f16x2");
  addPairs<&bfloatValue, oneInBfloat>(table, "", "bf16x2");
  for (const char *t : {"b16", "u16", "s16", "f16", "bf16"})
    addSelect<uint16_t>(table, t);
  for (const char *t : {"b32", "u32", "s32"})
    addSelect<uint32_t>(table, t);
  for (const char *t : {"b64", "u64", "s64"})
    addSelect<uint64_t>(table, t);
  addSelect<float>(table, "f32");
  addSelect<double>(table, "f64");
}

void addSetp(FamilyTable &table) { table["setp"] = &decodeSetp; }

} // namespace qopt::emulator
