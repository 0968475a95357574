// Streams weights and constants into the artifact: a weight is evaluated,
// packed, written and dropped before the next one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_ARTIFACTCONSTANTS_H
#define QOPT_LIB_DRIVER_ARTIFACTCONSTANTS_H

#include "lib/Driver/ArtifactBuilder.h"
#include "lib/Driver/PlanBuilder.h"
#include "lib/Driver/PrecisionPlan.h"
#include "lib/Driver/WeightEvaluator.h"
#include "qopt/Compiler.h"
#include "runtime/ArtifactWriter.h"

namespace qopt::driver {

/// The plan's name of a layout.
plan::WeightLayout planLayout(ir::Layout layout);

class ArtifactConstants : public ConstantPool {
public:
  /// `total`: bytes of all source weights, for the progress; `precision`, which
  /// may be null, says why weights have their formats. With ArtifactUse::Sizes
  /// no weight is evaluated, and its place is a hole.
  ArtifactConstants(runtime::ArtifactWriter &writer, unsigned threads,
                    const Progress &progress, uint64_t total,
                    const PrecisionPlan *precision, ArtifactUse use)
      : writer(writer), threads(threads), progress(progress), total(total),
        precision(precision), use(use) {}

  /// From now on a weight that the artifact has already is not stored again.
  void shareWeights() { sharesWeights = true; }

  StatusOr<ConstantPlace> addWeight(mlir::Value weight) override;
  StatusOr<ConstantPlace> addRowSums(mlir::Value weight) override;
  StatusOr<ConstantPlace> addBytes(llvm::ArrayRef<char> bytes) override;
  StatusOr<ConstantPlace> addElements(mlir::ElementsAttr elements) override;
  StatusOr<ConstantPlace> addWidened(mlir::ElementsAttr halves) override;

  /// Writes the small constants as one segment and puts its index into the
  /// values of `function` that lie in it.
  Status finish(plan::FunctionT &function);

  /// With ArtifactUse::Sizes: what writing the weights would take of memory at
  /// a time, at most.
  uint64_t workingBytes() const { return working; }

  /// Why a weight could not be added; ok where all could.
  const Status &failure() const { return firstFailure; }

  std::vector<std::unique_ptr<plan::WeightRecordT>> takeRecords() {
    return std::move(records);
  }
  std::vector<WeightSummary> takeSummaries() { return std::move(summaries); }

private:
  StatusOr<ConstantPlace> addZeros(uint64_t size);
  StatusOr<ConstantPlace> writeWeight(mlir::Value weight);
  StatusOr<std::vector<int32_t>> sumRows(mlir::Value weight);
  std::string reasonFor(mlir::Value source) const;
  /// Rows of one format, behind those before them in the segment.
  Status writePart(const WeightPart &part, ir::WeightType type,
                   uint32_t segment);
  Status writeHole(ir::Layout layout, const WeightPart &part, int64_t columns);
  Status writeAs(ir::Layout layout, const CanonicalWeight &weight);
  Status writePacked(ir::Layout asked, const CanonicalWeight &weight);
  Status writeStrips(const CanonicalWeight &weight, bool paired);
  Status writeCanonical(const CanonicalWeight &weight);

  runtime::ArtifactWriter &writer;
  unsigned threads;
  const Progress &progress;
  uint64_t total, done = 0, working = 0;
  const PrecisionPlan *precision;
  ArtifactUse use;
  bool sharesWeights = false;
  Status firstFailure;
  std::vector<uint8_t> small;
  std::vector<std::unique_ptr<plan::WeightRecordT>> records;
  std::vector<WeightSummary> summaries;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_ARTIFACTCONSTANTS_H
