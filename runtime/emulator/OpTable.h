// Instructions that are a function of their operands, by their whole name
// ("fma.rn.ftz.f32"): a table that the files below ops/ fill. Instructions with
// operands of other kinds (addresses, labels, lists) have decoders of their
// own, see Decoder.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_OPTABLE_H
#define QOPT_RUNTIME_EMULATOR_OPTABLE_H

#include "runtime/emulator/Lanes.h"

#include <array>
#include <string>
#include <unordered_map>

namespace qopt::emulator {

/// How an operand is kept, and how a literal in its place is read.
enum class OperandType : uint8_t { Predicate, Word, Double, Single, LongWord };

template <typename T> constexpr OperandType operandTypeOf() {
  if constexpr (std::is_same_v<T, bool>)
    return OperandType::Predicate;
  else if constexpr (std::is_same_v<T, float>)
    return OperandType::Single;
  else if constexpr (std::is_same_v<T, double>)
    return OperandType::Double;
  else
    return sizeof(T) > 4 ? OperandType::LongWord : OperandType::Word;
}

struct OpEntry {
  static constexpr unsigned most = 6;
  Handler run = nullptr;
  uint8_t operands = 0;                     ///< with the result
  std::array<OperandType, most> types = {}; ///< the result first
};

template <typename Signature> struct OperandTypes;
template <typename R, typename... A> struct OperandTypes<R(A...)> {
  static constexpr OpEntry entry(Handler run) {
    return {run, 1 + sizeof...(A), {operandTypeOf<R>(), operandTypeOf<A>()...}};
  }
};

class OpTable {
public:
  /// The table of all files below ops/, built once.
  static const OpTable &get();

  const OpEntry *find(const std::string &name) const {
    auto found = entries.find(name);
    return found == entries.end() ? nullptr : &found->second;
  }

  template <auto Function> void add(const std::string &name) {
    entries[name] =
        OperandTypes<SignatureType<Function>>::entry(lanewise<Function>);
  }
  void addEntry(const std::string &name, const OpEntry &entry) {
    entries[name] = entry;
  }

private:
  std::unordered_map<std::string, OpEntry> entries;
};

// One for each file below ops/.
void addIntegerOps(OpTable &table);
void addBitOps(OpTable &table);
void addCarryOps(OpTable &table);
void addFloatOps(OpTable &table);
void addHalfOps(OpTable &table);
void addConversions(OpTable &table);
void addComparisons(OpTable &table);
void addMoves(OpTable &table);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_OPTABLE_H
