// Arithmetic of f16 and bf16, single and in pairs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Half.h"
#include "runtime/emulator/OpTable.h"
#include "runtime/emulator/numerics/Approximate.h"
#include "runtime/emulator/ops/HalfLanes.h"

namespace qopt::emulator {
namespace {

using namespace numerics;

template <auto F> uint32_t pair1(uint32_t a) {
  return uint32_t(F(uint16_t(a >> 16))) << 16 | F(uint16_t(a));
}
template <auto F> uint32_t pair2(uint32_t a, uint32_t b) {
  return uint32_t(F(uint16_t(a >> 16), uint16_t(b >> 16))) << 16 |
         F(uint16_t(a), uint16_t(b));
}
template <auto F> uint32_t pair3(uint32_t a, uint32_t b, uint32_t c) {
  return uint32_t(F(uint16_t(a >> 16), uint16_t(b >> 16), uint16_t(c >> 16)))
             << 16 |
         F(uint16_t(a), uint16_t(b), uint16_t(c));
}

/// One function under the names of the type and of its pair.
template <auto F>
void addUnary(OpTable &table, const std::string &name, const std::string &t) {
  table.add<F>(name + t);
  table.add<&pair1<F>>(name + t + "x2");
}
template <auto F>
void addBinary(OpTable &table, const std::string &name, const std::string &t) {
  table.add<F>(name + t);
  table.add<&pair2<F>>(name + t + "x2");
}
template <auto F>
void addTernary(OpTable &table, const std::string &name, const std::string &t) {
  table.add<F>(name + t);
  table.add<&pair3<F>>(name + t + "x2");
}

template <typename Format, bool Ftz, HalfClamp C>
void addArithmetic(OpTable &table, const std::string &t) {
  std::string mode =
      std::string(Ftz ? ".ftz" : "") + (C == HalfClamp::Saturate ? ".sat"
                                        : C == HalfClamp::Relu   ? ".relu"
                                                                 : "");
  for (const char *rounding : {"", ".rn"}) {
    addBinary<&addHalf<Format, Ftz, C>>(table, "add" + (rounding + mode), t);
    addBinary<&subtractHalf<Format, Ftz, C>>(table, "sub" + (rounding + mode),
                                             t);
    addBinary<&multiplyHalf<Format, Ftz, C>>(table, "mul" + (rounding + mode),
                                             t);
    addTernary<&fusedMultiplyAddHalf<Format, Ftz, C>>(
        table, "fma" + (rounding + mode), t);
  }
}

template <typename Format, bool Ftz>
void addSigns(OpTable &table, const std::string &t) {
  std::string mode = Ftz ? ".ftz" : "";
  addUnary<&negateHalf<Format, Ftz>>(table, "neg" + mode, t);
  addUnary<&absoluteHalf<Format, Ftz>>(table, "abs" + mode, t);
  addBinary<&minimumHalf<Format, Ftz, NanRule::Number>>(table, "min" + mode, t);
  addBinary<&maximumHalf<Format, Ftz, NanRule::Number>>(table, "max" + mode, t);
  addBinary<&minimumHalf<Format, Ftz, NanRule::Nan>>(table,
                                                     "min" + mode + ".NaN", t);
  addBinary<&maximumHalf<Format, Ftz, NanRule::Nan>>(table,
                                                     "max" + mode + ".NaN", t);
}

template <typename Format>
void addExtremes(OpTable &table, const std::string &t) {
  addBinary<&minimumXorSignHalf<Format, NanRule::Number>>(table,
                                                          "min.xorsign.abs", t);
  addBinary<&maximumXorSignHalf<Format, NanRule::Number>>(table,
                                                          "max.xorsign.abs", t);
  addBinary<&minimumXorSignHalf<Format, NanRule::Nan>>(
      table, "min.NaN.xorsign.abs", t);
  addBinary<&maximumXorSignHalf<Format, NanRule::Nan>>(
      table, "max.NaN.xorsign.abs", t);
}

template <typename Format, auto F> uint16_t throughFloat(uint16_t code) {
  return fromFloat<Format>(F(widen<Format>(code)));
}

/// A pair instruction whose full warps take a function of HalfLanes.
template <auto Member, Handler OfSomeLanes>
Step runAllPairs(Warp &warp, const Inst &inst, uint32_t mask) {
  if (mask != fullMask)
    return OfSomeLanes(warp, inst, mask);
  const uint32_t *a = warp.lanes32(inst.source(0));
  const uint32_t *b = warp.lanes32(inst.source(1));
  uint32_t *d = warp.lanes32(inst.destination());
  auto function = halfLanes().*Member;
  if constexpr (std::is_invocable_v<decltype(function), const uint32_t *,
                                    const uint32_t *, const uint32_t *,
                                    uint32_t *>)
    function(a, b, warp.lanes32(inst.source(2)), d);
  else
    function(a, b, d);
  return Step::Next;
}

/// The pair instructions that kernels are full of.
void addWholeWarps(OpTable &table) {
  constexpr OperandType word = OperandType::Word;
  const OpEntry sum = {
      &runAllPairs<&HalfLanes::add, lanewise<&pair2<&addHalf<Float16>>>>,
      3,
      {word, word, word}};
  const OpEntry product = {
      &runAllPairs<&HalfLanes::multiply,
                   lanewise<&pair2<&multiplyHalf<Float16>>>>,
      3,
      {word, word, word}};
  const OpEntry fused = {
      &runAllPairs<&HalfLanes::fusedMultiplyAdd,
                   lanewise<&pair3<&fusedMultiplyAddHalf<Float16>>>>,
      4,
      {word, word, word, word}};
  for (const char *t : {".f16x2", ".rn.f16x2"}) {
    table.addEntry(std::string("add") + t, sum);
    table.addEntry(std::string("mul") + t, product);
    table.addEntry(std::string("fma") + t, fused);
  }
}

} // namespace

void addHalfOps(OpTable &table) {
  addArithmetic<Float16, false, HalfClamp::None>(table, ".f16");
  addArithmetic<Float16, true, HalfClamp::None>(table, ".f16");
  addArithmetic<Float16, false, HalfClamp::Saturate>(table, ".f16");
  addArithmetic<Float16, true, HalfClamp::Saturate>(table, ".f16");
  addArithmetic<Float16, false, HalfClamp::Relu>(table, ".f16");
  addArithmetic<Float16, true, HalfClamp::Relu>(table, ".f16");
  addArithmetic<Bfloat16, false, HalfClamp::None>(table, ".bf16");
  addArithmetic<Bfloat16, false, HalfClamp::Relu>(table, ".bf16");
  addSigns<Float16, false>(table, ".f16");
  addSigns<Float16, true>(table, ".f16");
  addSigns<Bfloat16, false>(table, ".bf16");
  addExtremes<Float16>(table, ".f16");
  addExtremes<Bfloat16>(table, ".bf16");
  addUnary<&throughFloat<Float16, &exponential2<false>>>(table, "ex2.approx",
                                                         ".f16");
  addUnary<&throughFloat<Bfloat16, &exponential2<true>>>(
      table, "ex2.approx.ftz", ".bf16");
  addUnary<&throughFloat<Float16, &hyperbolicTangent>>(table, "tanh.approx",
                                                       ".f16");
  addUnary<&throughFloat<Bfloat16, &hyperbolicTangent>>(table, "tanh.approx",
                                                        ".bf16");
  addWholeWarps(table); // replaces some of the entries above
}

} // namespace qopt::emulator
