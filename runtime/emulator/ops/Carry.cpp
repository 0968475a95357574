// Arithmetic with the condition code: add.cc, addc, sub.cc, subc, mad.cc,
// madc. A lane's code is one bit of Warp::carry.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/OpTable.h"
#include "runtime/emulator/numerics/Integer.h"

namespace qopt::emulator {
namespace {

using namespace numerics;

enum class Product : uint8_t { None, Low, High };

/// d = a ± b, or a · b + c, with the carry taken in and given out as asked.
template <typename T, Product P, bool Subtract, bool In, bool Out>
Step runCarry(Warp &warp, const Inst &inst, uint32_t mask) {
  LaneSource<T> a(warp, inst.source(0)), b(warp, inst.source(1));
  LaneSource<T> c(warp, inst.source(P == Product::None ? 0 : 2));
  auto *result = reinterpret_cast<Storage<T> *>(warp.file + inst.destination());
  forLanes(mask, [&](unsigned lane) {
    bool carry = In ? warp.carry >> lane & 1 : Subtract;
    T value;
    if constexpr (P == Product::None) {
      value = Subtract ? subtractWithCarry(a[lane], b[lane], carry)
                       : addWithCarry(a[lane], b[lane], carry);
    } else {
      T product = P == Product::Low ? T(std::make_unsigned_t<T>(a[lane]) *
                                        std::make_unsigned_t<T>(b[lane]))
                                    : multiplyHigh(a[lane], b[lane]);
      value = T(addWithCarry(std::make_unsigned_t<T>(product),
                             std::make_unsigned_t<T>(c[lane]), carry));
    }
    result[lane] = toStorage<T>(value);
    if (Out)
      warp.carry = (warp.carry & ~(1u << lane)) | uint32_t(carry) << lane;
  });
  return Step::Next;
}

template <typename T, Product P, bool Subtract>
void addForms(OpTable &table, const std::string &name, const std::string &lo,
              const std::string &t) {
  constexpr OperandType type = operandTypeOf<T>();
  constexpr uint8_t count = P == Product::None ? 3 : 4;
  auto put = [&](const std::string &whole, Handler run) {
    table.addEntry(whole, {run, count, {type, type, type, type}});
  };
  put(name + lo + ".cc." + t, &runCarry<T, P, Subtract, false, true>);
  put(name + "c" + lo + "." + t, &runCarry<T, P, Subtract, true, false>);
  put(name + "c" + lo + ".cc." + t, &runCarry<T, P, Subtract, true, true>);
}

template <typename T, typename Unsigned>
void addAll(OpTable &table, const std::string &t) {
  addForms<Unsigned, Product::None, false>(table, "add", "", t);
  addForms<Unsigned, Product::None, true>(table, "sub", "", t);
  addForms<T, Product::Low, false>(table, "mad", ".lo", t);
  addForms<T, Product::High, false>(table, "mad", ".hi", t);
}

} // namespace

void addCarryOps(OpTable &table) {
  addAll<uint32_t, uint32_t>(table, "u32");
  addAll<int32_t, uint32_t>(table, "s32");
  addAll<uint64_t, uint64_t>(table, "u64");
  addAll<int64_t, uint64_t>(table, "s64");
}

} // namespace qopt::emulator
