// Computes the bytes of weights. The IR holds weights as expressions (a file's
// bytes, quantized, joined, packed); here one expression at a time becomes
// canonical storage, is written, and is forgotten, so that a compilation needs
// the memory of its largest weight and not of the model.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_WEIGHTEVALUATOR_H
#define QOPT_LIB_DRIVER_WEIGHTEVALUATOR_H

#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/StoredElements.h"
#include "lib/Quant/Storage.h"
#include "qopt/Status.h"
#include <functional>
#include <vector>

namespace qopt::driver {

/// A weight [rows, columns] in canonical storage (lib/Quant/Storage.h), owned
/// or lying in a mapped file.
class CanonicalWeight {
public:
  quant::Format format;
  int64_t rows = 0, columns = 0;

  quant::StoredRows stored() const { return pointers; }
  /// The same from row `row` on.
  quant::StoredRows storedFrom(int64_t row) const;
  /// Makes room for the storage that format and shape imply.
  void allocate();
  uint8_t *codes() { return owned.data(); }
  uint8_t *scales() { return owned.data() + scaleOffset; }
  uint8_t *zeros() { return owned.data() + zeroOffset; }
  /// Refers to storage that this or somebody else keeps.
  void refer(const quant::StoredRows &other) { pointers = other; }
  /// Keeps an array of the IR; its bytes stay where they are.
  const uint8_t *keep(ir::StoredElements elements);

private:
  std::vector<uint8_t> owned;
  std::vector<ir::StoredElements> kept;
  size_t scaleOffset = 0, zeroOffset = 0;
  quant::StoredRows pointers;
};

/// Runs `body(first, last)` over parts of [0, rows) on several threads. The
/// parts do not depend on the number of threads.
void forRows(unsigned threads, int64_t rows,
             const std::function<void(int64_t first, int64_t last)> &body);

/// The canonical storage of the weight of one format that `value` stands for,
/// without layout. Fails with BadModel on NaN and infinity, and with Infeasible
/// on values that a format cannot hold, naming weight, row and column or group.
StatusOr<CanonicalWeight> evaluateWeight(mlir::Value value, unsigned threads);

/// The values of `source`, a weight without scales, rounded to the nearest
/// codes of a format; fails as evaluateWeight does, without the name.
StatusOr<CanonicalWeight> quantizeToNearest(const CanonicalWeight &source,
                                            const quant::Format &format,
                                            unsigned threads);

/// The weights below a value that lie one below the other: itself, or what it
/// concatenates, neighbours of one format together.
struct WeightPart {
  ir::RowRange range;
  std::vector<mlir::Value> sources; ///< their rows are the range's
};
std::vector<WeightPart> partsOf(mlir::Value weight);

/// The canonical storage of a part; fails as evaluateWeight does.
StatusOr<CanonicalWeight> evaluatePart(const WeightPart &part,
                                       unsigned threads);

/// Tells the system that the mapped bytes below `value` are no longer needed in
/// memory.
void releaseSources(mlir::Value value);

/// The name of the weight that a value stands for; joined weights are joined
/// with "+".
std::string weightNameOf(mlir::Value value);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_WEIGHTEVALUATOR_H
