// A function of a plan with its sizes known: the value of every symbol, and for
// every value its place. What depends on the caller's pointers stays symbolic
// (a slot and an offset), so that one binding serves every call with the same
// sizes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_BOUNDFUNCTION_H
#define QOPT_RUNTIME_BOUNDFUNCTION_H

#include "lib/Quant/Format.h"
#include "qopt/Status.h"
#include "runtime/ArtifactFile.h"
#include "runtime/plan/SymbolValues.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace qopt::runtime {

/// The memory that a value lies in. Constants have an address now; the others
/// get one with each call.
enum class Slot : uint8_t { Constant, Arena, Input, Output };

/// Where a value lies and what it looks like for this binding.
struct BoundValue {
  plan::DType type = plan::DType::F32;
  bool quantized = false;
  /// Of quantized activations: their format, and the scale of all rows or 0.
  quant::Format activation;
  float activationScale = 0;
  std::vector<int64_t> shape;
  int64_t elements = 0;
  int64_t bytes = 0;       ///< that a step may touch, from `offset` on
  int64_t rowElements = 0; ///< contiguous elements; all of them unless strided
  int64_t rowStride = 0;
  Slot slot = Slot::Arena;
  uint32_t index = 0;               ///< of the input or output
  int64_t offset = 0;               ///< bytes from the slot's start
  const uint8_t *address = nullptr; ///< of a constant

  bool strided() const { return rowStride != rowElements; }
  /// The last dimension; 1 for a scalar.
  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  /// Elements divided by the last dimension; 0 without elements.
  int64_t rows() const { return elements == 0 ? 0 : elements / columns(); }
};

/// Bytes of one row of activations in a quantized format, which the device
/// decides; nothing where it has no such format.
using QuantizedRowBytes = std::optional<int64_t> (*)(const quant::Format &,
                                                     int64_t columns);

/// What becomes of sizes that break a requirement of the plan: a call is
/// refused; who only looks at the plan may see it all the same.
enum class UnfitSizes : uint8_t { Refuse, Show };

/// Who is to blame where values do not fit their steps: the caller, who gives a
/// graph its sizes, but for a decoder the artifact.
Status blameOfUnfit(const plan::Function &function, const Status &status);

class BoundFunction {
public:
  /// Evaluates symbols, checks the inputs' shapes against the signature and
  /// against what the model's operators require, places every value and plans
  /// the arena.
  static StatusOr<std::shared_ptr<const BoundFunction>>
  bind(std::shared_ptr<const ArtifactFile> file, const plan::Function &function,
       SymbolInputs inputs, QuantizedRowBytes quantizedRowBytes,
       UnfitSizes unfit = UnfitSizes::Refuse);

  const ArtifactFile &file() const { return *artifact; }
  const plan::Function &function() const { return *plan; }
  const SymbolInputs &inputs() const { return symbolInputs; }
  int64_t symbol(uint32_t id) const { return symbols[id]; }
  const BoundValue &value(uint32_t id) const { return values[id]; }
  /// Whether a step has work at these sizes; of launches for other sizes other
  /// steps do it.
  bool runs(const plan::Step &step) const;
  /// Value ids of the signature.
  const BoundValue &input(uint32_t index) const {
    return values[plan->inputs()->Get(index)];
  }
  const BoundValue &output(uint32_t index) const {
    return values[plan->outputs()->Get(index)];
  }
  /// Positions that an encoder appends: rows of the keys of its first append; 0
  /// without one.
  int64_t sourceLength() const;
  int64_t arenaBytes() const { return arena; }
  int64_t arenaBound() const { return lowerBound; }

private:
  Status place(QuantizedRowBytes quantizedRowBytes, UnfitSizes unfit);
  Status checkInputs() const;
  Status checkRequirements() const;
  Status placeValues(QuantizedRowBytes quantizedRowBytes);
  Status placeValue(uint32_t id, QuantizedRowBytes quantizedRowBytes);
  Status placeAlias(uint32_t id, BoundValue &bound) const;
  Status planArenaOffsets();
  std::string describeValue(uint32_t value) const;
  Status fail(uint32_t value, const std::string &what) const;

  std::shared_ptr<const ArtifactFile> artifact;
  const plan::Function *plan = nullptr;
  SymbolInputs symbolInputs;
  std::vector<int64_t> symbols;
  std::vector<BoundValue> values;
  int64_t arena = 0;
  int64_t lowerBound = 0;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_BOUNDFUNCTION_H
