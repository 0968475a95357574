// What atom, red and their asynchronous relatives do with a value in memory, by
// operation and type. Each is an atomic operation of the host, for host threads
// meet in global memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_OPS_ATOMICOPERATIONS_H
#define QOPT_RUNTIME_EMULATOR_OPS_ATOMICOPERATIONS_H

#include "runtime/emulator/MemoryAccess.h"
#include "runtime/emulator/numerics/Half.h"

namespace qopt::emulator {

/// Replaces the value of type T at `place`, an unsigned integer Bits in memory,
/// by Combine(value, operand, third); what was there.
template <typename T, typename Bits, auto Combine>
Bits exchangeCombined(uint8_t *place, T operand, T third) {
  auto *word = reinterpret_cast<Bits *>(place);
  Bits before = __atomic_load_n(word, __ATOMIC_SEQ_CST), after;
  do
    after = static_cast<Bits>(toStorage<T>(
        Combine(fromStorage<T>(Storage<T>(before)), operand, third)));
  while (!__atomic_compare_exchange_n(word, &before, after, false,
                                      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  return before;
}

inline float addSingles(float a, float b, float) {
  return numerics::add<numerics::Rounding::NearestEven>(a, b);
}
/// On global memory f32 sums flush subnormal numbers.
inline float addFlushed(float a, float b, float) {
  return numerics::add<numerics::Rounding::NearestEven, true>(a, b);
}
inline double addDoubles(double a, double b, double) {
  return numerics::add<numerics::Rounding::NearestEven>(a, b);
}
/// add, min or max of halves.
template <auto F> uint16_t one(uint16_t a, uint16_t b, uint16_t) {
  return F(a, b);
}
/// The same of both halves of a pair.
template <auto F> uint32_t both(uint32_t a, uint32_t b, uint32_t) {
  return uint32_t(F(uint16_t(a >> 16), uint16_t(b >> 16))) << 16 |
         F(uint16_t(a), uint16_t(b));
}

/// `Maker` has what is wanted of an operation, `of<T, Bits, Combine>()`, and
/// its type, Result; a null one where PTX has no such operation.
template <typename Maker, typename T, typename Bits>
typename Maker::Result integerOperation(const Decoder &decoder) {
  using U = std::make_unsigned_t<T>;
  if (decoder.has("add"))
    return Maker::template of<T, Bits,
                              [](T a, T b, T) { return T(U(a) + U(b)); }>();
  if (decoder.has("min"))
    return Maker::template of<T, Bits,
                              [](T a, T b, T) { return b < a ? b : a; }>();
  if (decoder.has("max"))
    return Maker::template of<T, Bits,
                              [](T a, T b, T) { return a < b ? b : a; }>();
  if (decoder.has("and"))
    return Maker::template of<T, Bits, [](T a, T b, T) { return T(a & b); }>();
  if (decoder.has("or"))
    return Maker::template of<T, Bits, [](T a, T b, T) { return T(a | b); }>();
  if (decoder.has("xor"))
    return Maker::template of<T, Bits, [](T a, T b, T) { return T(a ^ b); }>();
  if (decoder.has("exch"))
    return Maker::template of<T, Bits, [](T, T b, T) { return b; }>();
  if (decoder.has("cas"))
    return Maker::template of<T, Bits,
                              [](T a, T b, T c) { return a == b ? c : a; }>();
  if (decoder.has("inc"))
    return Maker::template of<T, Bits, [](T a, T b, T) {
      return a >= b ? T(0) : T(a + 1);
    }>();
  if (decoder.has("dec"))
    return Maker::template of<T, Bits, [](T a, T b, T) {
      return a == 0 || a > b ? b : T(a - 1);
    }>();
  return nullptr;
}

template <typename Maker, typename Format>
typename Maker::Result halfOperation(const Decoder &decoder, bool pair) {
  using namespace numerics;
  if (decoder.has("min"))
    return pair ? Maker::template of<uint32_t, uint32_t,
                                     &both<&minimumHalf<Format>>>()
                : Maker::template of<uint16_t, uint16_t,
                                     &one<&minimumHalf<Format>>>();
  if (decoder.has("max"))
    return pair ? Maker::template of<uint32_t, uint32_t,
                                     &both<&maximumHalf<Format>>>()
                : Maker::template of<uint16_t, uint16_t,
                                     &one<&maximumHalf<Format>>>();
  if (!decoder.has("add"))
    return nullptr;
  return pair
             ? Maker::template of<uint32_t, uint32_t, &both<&addHalf<Format>>>()
             : Maker::template of<uint16_t, uint16_t, &one<&addHalf<Format>>>();
}

template <typename Maker>
typename Maker::Result atomicOperation(const Decoder &decoder, ptx::Type type,
                                       ptx::Space space) {
  using ptx::Type;
  switch (type) {
  case Type::S32:
    return integerOperation<Maker, int32_t, uint32_t>(decoder);
  case Type::S64:
    return integerOperation<Maker, int64_t, uint64_t>(decoder);
  case Type::B32:
  case Type::U32:
    return integerOperation<Maker, uint32_t, uint32_t>(decoder);
  case Type::B64:
  case Type::U64:
    return integerOperation<Maker, uint64_t, uint64_t>(decoder);
  case Type::B16:
    return integerOperation<Maker, uint16_t, uint16_t>(decoder);
  case Type::F16:
  case Type::F16x2:
    return halfOperation<Maker, numerics::Float16>(decoder,
                                                   type == Type::F16x2);
  case Type::BF16:
  case Type::BF16x2:
    return halfOperation<Maker, numerics::Bfloat16>(decoder,
                                                    type == Type::BF16x2);
  case Type::F32:
    return !decoder.has("add") ? nullptr
           : space == ptx::Space::Shared || space == ptx::Space::SharedCluster
               ? Maker::template of<float, uint32_t, &addSingles>()
               : Maker::template of<float, uint32_t, &addFlushed>();
  case Type::F64:
    return decoder.has("add")
               ? Maker::template of<double, uint64_t, &addDoubles>()
               : nullptr;
  default:
    return nullptr;
  }
}

/// One element at `place` combined with the one at `operand`.
template <typename T, typename Bits, auto Combine>
void reduceElement(uint8_t *place, const uint8_t *operand) {
  Bits bits;
  __builtin_memcpy(&bits, operand, sizeof bits);
  const T value = fromStorage<T>(Storage<T>(bits));
  exchangeCombined<T, Bits, Combine>(place, value, value);
}

/// The Reducer of an operation, for atomicOperation.
struct ReducerMaker {
  using Result = Reducer;
  template <typename T, typename Bits, auto Combine>
  static constexpr Reducer of() {
    return &reduceElement<T, Bits, Combine>;
  }
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_OPS_ATOMICOPERATIONS_H
