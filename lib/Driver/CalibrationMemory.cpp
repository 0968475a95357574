// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CalibrationMemory.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "lib/Driver/WeightCalibration.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <fstream>
#include <set>
#include <unistd.h>

using namespace mlir;

namespace qopt::driver {

using calibrate::CalibrationSamples;

/// Resident pages of this process, in bytes.
static int64_t residentBytes() {
  int64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

/// A layer while its gradients are measured: of each weight both sides' sums
/// (half a square in f32) and the factors of the iteration before; of each
/// linear what it reads and the gradient of what it makes, twice, for results
/// are copied.
static double gradientBytes(ArrayRef<ir::WeightType> weights,
                            const CalibrationSamples &samples) {
  double bytes = 0;
  for (ir::WeightType type : weights) {
    double rows = double(type.getRows()), columns = double(type.getColumns());
    double outputs = rows > 6 * columns ? rows : rows * rows; // Curvature.cpp
    bytes += 6 * (columns * columns + outputs) +
             16 * double(samples.rowsOf(type.getColumns())) * (rows + columns);
  }
  return bytes;
}

/// A layer while its weights are rounded: the moments of what its linears read,
/// of rounding's sequences and the held-out ones, and of one weight at a time
/// its metrics (five squares of its columns in f32, a factor in f64; one of its
/// rows) and copies: values, two candidates, one that is refined and its slopes
/// or values, and where outputs have a square of their own four of an error.
static double roundingBytes(ArrayRef<ir::WeightType> weights,
                            const CalibrationSamples &samples) {
  double moments = 0, largest = 0;
  for (ir::WeightType type : weights) {
    double rows = double(type.getRows()), columns = double(type.getColumns());
    bool isSquare = rows <= 6 * columns; // Curvature.cpp
    double outputs = isSquare ? rows * rows : rows;
    moments += 4 * columns * columns +
               8 * double(samples.rowsOf(type.getColumns())) * columns;
    largest = std::max(largest, 28 * columns * columns + 12 * outputs +
                                    (isSquare ? 36 : 20) * rows * columns);
  }
  return moments + largest;
}

CalibrationMemory predictMemory(ArrayRef<func::FuncOp> segments,
                                const CalibrationSamples &samples) {
  CalibrationMemory memory;
  memory.process = residentBytes();
  std::set<std::string> seen;
  double largest = 0;
  for (func::FuncOp segment : segments) {
    SmallVector<ir::WeightType> weights;
    for (ir::QuantizeWeightOp op : quantizedWeights(segment)) {
      ir::WeightType type = op.getType();
      weights.push_back(type);
      if (!seen.insert(weightKey(op)).second)
        continue;
      auto source = cast<ir::WeightType>(op.getSource().getType());
      for (const quant::Format &format : {source.getFormat(), type.getFormat()})
        memory.weights +=
            storedBytes(format, type.getRows(), type.getColumns());
    }
    largest = std::max({largest, gradientBytes(weights, samples),
                        roundingBytes(weights, samples)});
  }
  memory.layer = int64_t(largest);
  return memory;
}

/// In the unit that leaves one to three digits before the point.
static std::string spellBytes(int64_t bytes) {
  return bytes >= 1000000000
             ? llvm::formatv("{0:F1} GB", double(bytes) / 1e9).str()
             : llvm::formatv("{0:F0} MB", double(bytes) / 1e6).str();
}

std::string spellMemory(const CalibrationMemory &memory) {
  return llvm::formatv("calibration takes about {0} of memory: {1} are there "
                       "already, {2} for weights and codes, {3} for the "
                       "largest layer",
                       spellBytes(memory.peak()), spellBytes(memory.process),
                       spellBytes(memory.weights), spellBytes(memory.layer));
}

} // namespace qopt::driver
