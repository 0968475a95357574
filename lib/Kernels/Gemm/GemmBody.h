// The parts of a `gemm` kernel while it is built; copies, products, epilogue
// and append have a file each. Private to this folder.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_GEMM_GEMMBODY_H
#define QOPT_LIB_KERNELS_GEMM_GEMMBODY_H

#include "lib/Kernels/Builder/Elements.h"
#include "lib/Kernels/Builder/Tiles.h"
#include "lib/Kernels/Gemm/Gemm.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearArguments.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearUnpack.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearWeights.h"

#include <optional>

namespace qopt::kernels::gemm {

using skinny_linear::Arguments;

class Body {
public:
  Body(Kernel &kernel, const Problem &problem, const Schedule &schedule,
       mlir::Block *epilogue, const Arguments &arguments);

  void build();

private:
  // Work of a block.
  void locate();
  void workOn(size_t segment, Int tile);
  bool isInt8() const { return problem.activation == quant::ElementType::Int8; }
  /// A panel of tokens in a stage. Neighbours differ in the chunks that the
  /// lanes of a fragment read: of 16 bytes, or of 8 for int8.
  SharedTile activations(Int panel) { return {panel, activationLayout}; }
  const quant::Format &format() const { return segment().weight; }
  const Segment &segment() const { return problem.segments[index]; }
  int64_t strips() const { return schedule.stripsPerWarp; }
  int64_t tiles() const { return schedule.tilesPerWarp; }
  int64_t endTiles() const { return schedule.endTiles(); }
  Int rowWarp() const { return k.warp() % schedule.rowWarps; }
  Int tokenWarp() const;
  Int columnWarp() const; ///< only where there are two

  /// Copies of a step of all columns into a stage, all or one of as many parts
  /// of them as there are products. What does not exist is zero in the stage.
  struct Copy {
    Int stage, step;
    std::optional<Flag> exists; ///< the step; without it, it does
    std::optional<int64_t> part;
  };
  Copy copyOf(Int stage, int step);
  /// Whether piece `i` of `count` belongs to the copy's part.
  bool hasPiece(const Copy &copy, int64_t i, int64_t count) const {
    return !copy.part || i * schedule.products() / count == *copy.part;
  }
  /// `bytes`, or none where the step does not exist.
  Int presentIn(const Copy &copy, Int bytes);
  void copyActivations(const Copy &copy);
  void copyChunks(const Copy &copy, Int destination, Global source, Int column);
  void copyElements(const Copy &copy, Int destination, Global source,
                    Int column);
  void copyPanelElements(const Copy &copy, Int destination, Global source,
                         Int column);
  void copyWeights(const Copy &copy);
  void copyCodes(const Copy &copy, Global unit, Int inUnit);
  void copyCodePlane(const Copy &copy, Global source, int64_t offset,
                     int64_t bytes);
  void copyPlanes(const Copy &copy, Global unit, Int inUnit);
  void copyPlane(const Copy &copy, Global source, int64_t offset,
                 int64_t bytes);
  std::vector<Int> loadPlanes(Int strips, int64_t warpGroups, int64_t offset,
                              int64_t group);
  /// Runs `body` where step `step` of the slice is one.
  void ifStep(Int step, llvm::function_ref<void()> body);

  // Products. Sums are carried as values: [strip][tile of tokens][4]; those of
  // the end are of `endTiles` tiles.
  /// What a product needs, as it lies in shared memory.
  struct Operands {
    std::vector<std::vector<Int>> b;     ///< [tile of tokens]
    std::vector<std::vector<Int>> block; ///< [strip]: codes
    /// [strip]: scales and zeros, a word each or two of f32; units
    std::vector<std::vector<Int>> planes;
    void push(Kernel::Values &values) const;
    void pop(Kernel &k, Kernel::Values &values);
  };
  Kernel::Values multiplyColumns();
  void multiplyStage(Int stage, Int next, Copy refill, Operands &operands,
                     Kernel::Values &sums);
  void load(Int stage, int64_t product, Operands &operands);
  void multiply(const skinny_linear::Fragment &a, std::array<Int, 2> b,
                mlir::Value *sums);
  std::vector<std::array<Int, 2>> activationsOf(const Operands &operands,
                                                int64_t product);
  skinny_linear::Fragment weightsOf(const std::vector<Int> &block,
                                    int64_t product,
                                    const std::vector<Int> &planes);

  // Epilogue.
  void finish(Kernel::Values sums);
  int64_t sumsOfThread() const { return 4 * strips() * endTiles(); }
  Kernel::Values addColumnWarps(const Kernel::Values &sums);
  Int addSums(Int a, Int b); ///< as words
  Kernel::Values addSlices(Global slots);
  Global slotOf(Global slots, int64_t slice, int64_t quad);
  void storeSums(const Kernel::Values &sums);
  void writeTile();
  void writeRun(Int token, Int run);
  Real sumAt(Int address, int64_t offset);
  /// Where a run's first sum and scale are, and what they are of; `row`: of the
  /// segment, the first half of paired ones.
  struct Place {
    Int address, token, row;
    Global scales;
  };
  std::vector<Real> valuesAt(const Place &place, int64_t element);
  int64_t halves() const { return problem.paired ? 2 : 1; }
  void writeValues(Int token, Int column, const Run &values, Int sums);
  bool hasWholeRuns() const;
  int64_t segmentOutputs() const; ///< columns of y that the segment has

  // Append.
  using Kind = rotary_append::Body::Kind;
  void storePlaces();
  void storeCell(Int cell, const Run &values);
  Int tokenCells(Int token);
  Run loadChannels(Int cells, Int row);
  void appendHeads();
  void appendTokens(Kind kind, Int index, Int firstRow, Int token, Int count);

  Kernel &k;
  const Problem &problem;
  const Schedule &schedule;
  mlir::Block *epilogue;
  const Arguments &arguments;
  std::optional<rotary_append::Body> appender;
  int appendWidth = 0; ///< channels of a head that a lane has
  Plan plan;
  Layout activationLayout;
  mlir::Type activation;
  int64_t elementBytes; ///< of x
  int64_t pieceBytes;   ///< of a copy of x: 16, 8 or 4, or 0 for elements

  // The block.
  Int tokens, firstToken, rowTile, slice, tileIndex;
  Int stages, slab, flag, places, table; ///< shared memory
  Int firstStep, steps;                  ///< of the slice

  // The segment that the block works on.
  size_t index = 0;
  SegmentPlan part;
  Int firstStrip; ///< of the block's tile, in the segment
  skinny_linear::Book book;
};

} // namespace qopt::kernels::gemm

#endif // QOPT_LIB_KERNELS_GEMM_GEMMBODY_H
