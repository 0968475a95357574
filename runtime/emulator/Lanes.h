// From a scalar function to a handler: the loop over the lanes of a warp, with
// operands taken from and put into slots. What is a function here and what a
// register is read from the C++ types of its parameters: bool is a predicate,
// types of up to 32 bits are lanes of uint32_t, wider ones of uint64_t.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_LANES_H
#define QOPT_RUNTIME_EMULATOR_LANES_H

#include "runtime/emulator/Warp.h"

#include <bit>
#include <tuple>
#include <type_traits>

namespace qopt::emulator {

template <typename T>
using Storage = std::conditional_t<(sizeof(T) > 4), uint64_t, uint32_t>;

template <typename T> inline T fromStorage(Storage<T> bits) {
  if constexpr (std::is_floating_point_v<T>)
    return std::bit_cast<T>(bits);
  else
    return static_cast<T>(bits);
}

template <typename T> inline Storage<T> toStorage(T value) {
  if constexpr (std::is_floating_point_v<T>)
    return std::bit_cast<Storage<T>>(value);
  else
    return static_cast<Storage<T>>(value);
}

template <typename T> struct LaneSource {
  const Storage<T> *data;
  LaneSource(Warp &warp, uint32_t slot)
      : data(reinterpret_cast<const Storage<T> *>(warp.file + slot)) {}
  T operator[](unsigned lane) const { return fromStorage<T>(data[lane]); }
};

template <> struct LaneSource<bool> {
  uint32_t bits;
  LaneSource(Warp &warp, uint32_t slot) : bits(warp.predicate(slot)) {}
  bool operator[](unsigned lane) const { return bits >> lane & 1; }
};

/// Calls `body(lane)` for the lanes of `mask`.
template <typename Body> inline void forLanes(uint32_t mask, Body body) {
  for (; mask; mask &= mask - 1)
    body(unsigned(std::countr_zero(mask)));
}

template <auto Function, typename Signature> struct LaneLoop;

template <auto Function, typename R, typename... A>
struct LaneLoop<Function, R(A...)> {
  static Step run(Warp &warp, const Inst &inst, uint32_t mask) {
    return runWith(warp, inst, mask, std::index_sequence_for<A...>());
  }

private:
  template <size_t... I>
  static Step runWith(Warp &warp, const Inst &inst, uint32_t mask,
                      std::index_sequence<I...>) {
    const std::tuple<LaneSource<A>...> sources{
        LaneSource<A>(warp, inst.source(I))...};
    auto value = [&](unsigned lane) {
      return Function(std::get<I>(sources)[lane]...);
    };
    if constexpr (std::is_same_v<R, bool>) {
      uint32_t bits = 0;
      for (unsigned lane = 0; lane < lanes; ++lane)
        bits |= uint32_t(value(lane)) << lane;
      uint32_t &result = warp.predicate(inst.destination());
      result = (result & ~mask) | (bits & mask);
    } else {
      auto *result =
          reinterpret_cast<Storage<R> *>(warp.file + inst.destination());
      store<R>(result, mask, value);
    }
    return Step::Next;
  }

  template <typename T, typename Value>
  static void store(Storage<T> *result, uint32_t mask, Value value) {
    if (mask == fullMask) {
      // A result may be in the place of an operand, but of the same lane.
#pragma clang loop vectorize(assume_safety)
      for (unsigned lane = 0; lane < lanes; ++lane)
        result[lane] = toStorage<T>(value(lane));
    } else {
      forLanes(mask, [&](unsigned lane) {
        result[lane] = toStorage<T>(value(lane));
      });
    }
  }
};

template <typename T>
struct SignatureOf : SignatureOf<decltype(&T::operator())> {};
template <typename R, typename... A> struct SignatureOf<R (*)(A...)> {
  using type = R(A...);
};
template <typename C, typename R, typename... A>
struct SignatureOf<R (C::*)(A...) const> {
  using type = R(A...);
};
template <auto Function>
using SignatureType =
    typename SignatureOf<std::remove_cv_t<decltype(Function)>>::type;

/// The handler of a scalar function or captureless lambda.
template <auto Function>
constexpr Handler lanewise = &LaneLoop<Function, SignatureType<Function>>::run;

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_LANES_H
