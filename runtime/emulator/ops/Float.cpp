// Arithmetic of f32 and f64 in all roundings, and the approximations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/OpTable.h"
#include "runtime/emulator/numerics/Approximate.h"
#include "runtime/emulator/numerics/Float64.h"

namespace qopt::emulator {
namespace {

using namespace numerics;

/// ".rn" and the like; "" is how the default is written.
template <Rounding R, bool Ftz, bool Sat>
void addClamped(OpTable &table, const std::string &rounding) {
  std::string t = rounding + (Ftz ? ".ftz" : "") + (Sat ? ".sat" : "") + ".f32";
  table.add<&add<R, Ftz, Sat>>("add" + t);
  table.add<&subtract<R, Ftz, Sat>>("sub" + t);
  table.add<&multiply<R, Ftz, Sat>>("mul" + t);
  table.add<&fusedMultiplyAdd<R, Ftz, Sat>>("fma" + t);
  table.add<&fusedMultiplyAdd<R, Ftz, Sat>>("mad" + t);
}

template <Rounding R, bool Ftz>
void addSingleRoots(OpTable &table, const std::string &rounding) {
  std::string t = rounding + (Ftz ? ".ftz" : "") + ".f32";
  table.add<&divide<R, Ftz>>("div" + t);
  table.add<&reciprocal<R, Ftz>>("rcp" + t);
  table.add<&squareRoot<R, Ftz>>("sqrt" + t);
}

template <Rounding R>
void addRounded(OpTable &table, const std::string &rounding) {
  addClamped<R, false, false>(table, rounding);
  addClamped<R, true, false>(table, rounding);
  addClamped<R, false, true>(table, rounding);
  addClamped<R, true, true>(table, rounding);
  addSingleRoots<R, false>(table, rounding);
  addSingleRoots<R, true>(table, rounding);
  std::string t = rounding + ".f64";
  table.add<[](double a, double b) { return add<R>(a, b); }>("add" + t);
  table.add<[](double a, double b) { return subtract<R>(a, b); }>("sub" + t);
  table.add<[](double a, double b) { return multiply<R>(a, b); }>("mul" + t);
  constexpr auto fused = [](double a, double b, double c) {
    return fusedMultiplyAdd<R>(a, b, c);
  };
  table.add<fused>("fma" + t);
  table.add<fused>("mad" + t);
  table.add<[](double a, double b) { return divide<R>(a, b); }>("div" + t);
  table.add<[](double a) { return reciprocal<R>(a); }>("rcp" + t);
  table.add<[](double a) { return squareRoot<R>(a); }>("sqrt" + t);
}

template <bool Ftz> void addApproximate(OpTable &table, const std::string &t) {
  table.add<&exponential2<Ftz>>("ex2.approx" + t);
  table.add<&logarithm2<Ftz>>("lg2.approx" + t);
  table.add<&sine<Ftz>>("sin.approx" + t);
  table.add<&cosine<Ftz>>("cos.approx" + t);
  table.add<&reciprocalApproximate<Ftz>>("rcp.approx" + t);
  table.add<&squareRootApproximate<Ftz>>("sqrt.approx" + t);
  table.add<&reciprocalSquareRoot<Ftz>>("rsqrt.approx" + t);
  table.add<&divideApproximate<Ftz>>("div.approx" + t);
  table.add<&divideFull<Ftz>>("div.full" + t);
}

/// min, max, abs and neg of f32.
template <bool Ftz, NanRule N>
void addExtremes(OpTable &table, const std::string &t) {
  table.add<[](float a, float b) {
    return minimum<N>(flushIf<Ftz>(a), flushIf<Ftz>(b));
  }>("min" + t + ".f32");
  table.add<[](float a, float b) {
    return maximum<N>(flushIf<Ftz>(a), flushIf<Ftz>(b));
  }>("max" + t + ".f32");
  table.add<[](float a, float b) {
    return minimumXorSign<N>(flushIf<Ftz>(a), flushIf<Ftz>(b));
  }>("min" + t + ".xorsign.abs.f32");
  table.add<[](float a, float b) {
    return maximumXorSign<N>(flushIf<Ftz>(a), flushIf<Ftz>(b));
  }>("max" + t + ".xorsign.abs.f32");
}

template <bool Ftz> void addSigns(OpTable &table, const std::string &t) {
  table.add<[](float a) { return std::fabs(flushIf<Ftz>(a)); }>("abs" + t);
  table.add<[](float a) { return -flushIf<Ftz>(a); }>("neg" + t);
}

template <FloatClass C> void addClass(OpTable &table, const std::string &name) {
  table.add<[](float a) { return isOfClass(a, C); }>("testp." + name + ".f32");
  table.add<[](double a) { return isOfClass(a, C); }>("testp." + name + ".f64");
}

void addDoubles(OpTable &table) {
  table.add<[](double a, double b) { return minimum(a, b); }>("min.f64");
  table.add<[](double a, double b) { return maximum(a, b); }>("max.f64");
  table.add<[](double a) { return std::fabs(a); }>("abs.f64");
  table.add<[](double a) { return -a; }>("neg.f64");
  table.add<&reciprocalCoarse>("rcp.approx.ftz.f64");
  table.add<&reciprocalSquareRootCoarse>("rsqrt.approx.ftz.f64");
  table.add<&reciprocalSquareRootCoarse>("rsqrt.approx.f64");
  table.add<[](double a, double b) { return copySign(a, b); }>("copysign.f64");
  table.add<[](float a, float b) { return copySign(a, b); }>("copysign.f32");
}

} // namespace

void addFloatOps(OpTable &table) {
  addRounded<Rounding::NearestEven>(table, "");
  addRounded<Rounding::NearestEven>(table, ".rn");
  addRounded<Rounding::Zero>(table, ".rz");
  addRounded<Rounding::Down>(table, ".rm");
  addRounded<Rounding::Up>(table, ".rp");
  addApproximate<false>(table, ".f32");
  addApproximate<true>(table, ".ftz.f32");
  table.add<&hyperbolicTangent>("tanh.approx.f32");
  addExtremes<false, NanRule::Number>(table, "");
  addExtremes<true, NanRule::Number>(table, ".ftz");
  addExtremes<false, NanRule::Nan>(table, ".NaN");
  addExtremes<true, NanRule::Nan>(table, ".ftz.NaN");
  addSigns<false>(table, ".f32");
  addSigns<true>(table, ".ftz.f32");
  addClass<FloatClass::Finite>(table, "finite");
  addClass<FloatClass::Infinite>(table, "infinite");
  addClass<FloatClass::Number>(table, "number");
  addClass<FloatClass::NotANumber>(table, "notanumber");
  addClass<FloatClass::Normal>(table, "normal");
  addClass<FloatClass::Subnormal>(table, "subnormal");
  addDoubles(table);
}

} // namespace qopt::emulator
