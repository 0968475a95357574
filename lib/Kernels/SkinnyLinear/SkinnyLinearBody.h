// The parts of a `skinny_linear` kernel that its roles share while it is built;
// each role has a file. Private to this folder.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARBODY_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARBODY_H

#include "lib/Kernels/Builder/Kernel.h"
#include "lib/Kernels/Builder/Ring.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearArguments.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGroups.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearUnpack.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearWeights.h"

#include <map>

namespace qopt::kernels::skinny_linear {

/// Barrier of the consumers' warps.
constexpr int consumerBarrier = 1;
constexpr int chunkColumns = 32;     ///< of one read of x, for two products
constexpr int64_t chunkBytes = 16;   ///< of x, what a thread moves at once
constexpr int64_t chunkElements = 8; ///< of them in 16 bits

/// The steps of a tile that this block works on, and the tiles of its range.
struct TileSteps {
  Int tile, from, to;
  Int first, count;
};

class Body {
public:
  Body(Kernel &kernel, const Problem &problem, const Schedule &schedule,
       mlir::Block *epilogue, const Arguments &arguments);

  void build();

private:
  // Roles.
  void load();
  void consume();
  void makeSegmentBook(size_t segment);
  void beginSegment(size_t segment);
  void finish();

  // Work of a block: tiles of a segment, and a walk over them.
  struct Range {
    Int index; ///< of the block among those of its slice
    Int from, to;
  };
  Range rangeOf(const SegmentPlan &segment);
  /// The range in tiles: the first, and how many.
  std::pair<Int, Int> tilesOf(const SegmentPlan &segment);
  Kernel::Values
  forTiles(const SegmentPlan &segment, Kernel::Values carried,
           llvm::function_ref<Kernel::Values(TileSteps, Kernel::Values)> body);
  /// The block of a slice that works on step `step` of a segment.
  Int ownerOf(const SegmentPlan &segment, Int step);
  bool isRagged() const; ///< slices or steps of different numbers of units
  Int unitsHere();       ///< of this block's slice
  Kernel::Values loadSegment(size_t segment, Global packed, mlir::Value policy,
                             Kernel::Values carried);

  // Activations.
  void stageActivations();
  void copyActivations();
  void copyChunks(Int first, int64_t count, bool checked);
  int64_t rowChunks() const;
  int64_t heldChunks() const;
  using HeldWords = std::vector<std::vector<Int>>; ///< [chunk of the thread]
  HeldWords loadHeld(unsigned argument);
  HeldWords heldRow();
  HeldWords addResidual(HeldWords words, const HeldWords &residual);
  std::optional<Flag> holdsChunk(int64_t index, int64_t chunks);
  /// What a norm makes of a row: (x − mean) · factor.
  struct RowStatistic {
    Real mean; ///< 0 of an rms_norm
    Real factor;
  };
  /// A norm of the row whose chunks threads hold; its vectors were read before
  /// the dependency point.
  struct HeldNorm {
    Norm norm;
    int64_t sums;                              ///< offset of those of its warps
    std::vector<Run> scales = {}, biases = {}; ///< [chunk of the thread]
  };
  HeldNorm loadHeldNorm(const Norm &norm, unsigned scale, int64_t sums);
  RowStatistic heldStatistic(const HeldWords &words, const HeldNorm &held);
  Run heldRun(const std::vector<Int> &words);
  Run normalised(Run run, int64_t index, const HeldNorm &held,
                 const RowStatistic &statistic);
  std::vector<Run> normalisedRow(const HeldWords &words);
  void storeHeld(int64_t index, int64_t bytes,
                 llvm::function_ref<void(Int)> store);
  void quantizeHeld();
  Int heldChunk(int64_t index);
  std::vector<Run> loadNormVector(quant::ElementType type, unsigned argument);
  void loadNormVectors();
  void normaliseHeld();
  Real meanOf(Real sum);
  Real normFactor(Real squares, const Norm &norm);
  void normaliseActivations();
  void normaliseRow(Int row, Int teamThread, int teamWarps);
  std::vector<Int> loadChunk(Int row, Int column,
                             unsigned argument = Arguments::X);
  std::vector<Int> loadChunkIf(std::optional<Flag> inside, Int row, Int column,
                               unsigned argument = Arguments::X);
  std::vector<Int> loadElements(Global rowStart, Int column);
  Real storeAndSum(Int row, Int teamThread, int teamThreads);
  Real sumOfDeviations(Int row, Int teamThread, int teamThreads, Real mean);
  Real sumOverTeam(Real value, int teamWarps, int64_t offset = 0);
  void scaleRow(Int row, Int teamThread, int teamThreads,
                const RowStatistic &statistic);
  Int scaleWord(Int word, Int column, const RowStatistic &statistic);
  void forRowChunks(
      Int teamThread, int teamThreads, Kernel::Values &carried,
      llvm::function_ref<Kernel::Values(Int, Int, Flag, Kernel::Values)> body);
  bool needsSums() const; ///< whether products are corrected by sums of x
  bool sumsWhileStaging() const;
  void sumChunk(const std::vector<Int> &words, Int chunk,
                std::optional<Flag> stored);
  void sumActivations();
  void sumGroups(int64_t columns);
  void storeGroupSums(Int group, int64_t columns,
                      const std::vector<std::array<Real, 2>> &sums);
  void storeSumsBesideX(Int group,
                        const std::vector<std::array<Real, 2>> &sums);
  Int startAddress(const quant::Format &format);
  Int activationAddress(Int row, Int chunk);
  int64_t elementBytes() const { return problem.readsCodes() ? 1 : 2; }
  int64_t elementsOfChunk() const { return chunkBytes / elementBytes(); }

  // Products.
  /// [strip of the warp][token tile]; with codes their values are i32, which
  /// only multiplyCodes and wordOf look at.
  using Sums = std::vector<Accumulator>;
  Sums zeroSums();
  Int columnWarp();
  Int firstStrip();
  Int activationLane();
  Kernel::Values consumeTile(size_t segment, TileSteps tile,
                             Kernel::Values values);
  /// The block's sums of a tile; `values` are the ring's cursor.
  Sums multiplyTile(size_t segment, TileSteps tile, Kernel::Values &values);
  Sums multiplyStage(size_t segment, Int stage, Int unit, Sums sums);
  Sums multiplyUnit(size_t segment, Int unitAddress, Int unit, Sums sums);
  Int rowOfLane();
  Int planesAddress(Int unitAddress, int64_t bytes);
  /// Columns of a unit that share a scale.
  struct Group {
    size_t segment;
    int group, groups; ///< of the unit
    Int ofLane;        ///< group of the lane, where lanes have different ones
    Int unit;          ///< of the slice
    Int unitAddress;
  };
  Int spreadActivations(size_t segment, int chunk, Int x);
  void addGroups(size_t segment, Sums &sums);
  bool isShifted(const quant::Format &format) const;
  std::array<double, 2> startFactors(const quant::Format &format) const;
  Accumulator startOf(const Group &part, int tile);
  std::array<std::array<Real, 2>, 2> zeroProducts(const Group &part, int strip);
  Sums correctUnit(const Group &part, Int x, Sums sums);
  std::vector<Real> splitSumsOf(const Group &part, int64_t tile);
  std::vector<Real> splitSumsBeside(Int x, int64_t tile);
  std::vector<Fragment> unpackProducts(const Group &part, int product);
  void multiplyGroup(const Group &part, Int x, std::vector<Sums> &products);
  std::vector<Accumulator>
  beginGroup(const Group &part, int tile,
             const std::vector<std::array<Real, 2>> &shifts, const Sums &sums);
  void endGroup(const Group &part, int tile,
                const std::vector<std::array<Real, 2>> &scales,
                const std::vector<Accumulator> &products, Sums &sums);
  std::array<Real, 2> correctionOf(const Group &part, int tile);
  /// A group's scales or zero points, its plane of which is at `address` +
  /// `offset`, of a lane where lanes have different groups.
  struct Plane {
    Int address;
    int64_t offset;
  };
  /// Of a strip's group: `begin` in a unit's scales or zero points.
  Plane planeOf(const Group &part, int strip, int64_t begin,
                int64_t groupBytes);
  Plane scalePlane(const Group &part, int strip);
  Plane zeroPlane(const Group &part, int strip);
  Int halvesOf(const Group &part, Plane plane, int codeOffset);
  std::array<Real, 2> floatsOf(const Group &part, Plane plane);
  Int scaleHalves(const Group &part, int strip);
  Int zeroHalves(const Group &part, int strip);
  std::array<Real, 2> valuesOf(Int halves);
  std::array<Real, 2> zeroOf(const Group &part, int strip);
  std::array<Real, 2> shiftOf(const Group &part, int strip);
  std::array<Real, 2> scaleOf(const Group &part, int strip);
  Int scaleUnits(const Group &part, int strip);
  const std::vector<Int> &blockOf(const Group &part, int strip, int block);
  const std::vector<Int> &planesOf(const Group &part, int strip, int chunk);
  Sums multiplyCodes(size_t segment, Int unitAddress, Int x, Sums sums);
  void storeSums(Int stage, const Sums &sums);
  // Sums on their way to the epilogue, as words.
  Int wordOf(Real sum);
  Int addWords(Int a, Int b);
  Real valueOf(Int word);
  int64_t stripOffset(size_t segment, int strip) const;

  // Slices.
  void consumeSlices();
  int64_t sliceBytes() const;
  Global sliceOf(size_t segment, Int tile, Int slice);
  void storeSlice(size_t segment, TileSteps tile, const Sums &sums);
  void endPart(size_t segment, TileSteps tile);
  void finishParts(size_t segment);
  void addSlices(size_t segment, Int firstTile, Int count);
  void addSlicesOf(size_t segment, Int tile, Int strip, Int tokenTile);

  // Epilogue.
  struct Element {
    Int strip, token; ///< of the tile; token of the launch
    Int g;
    Int position; ///< of its pair in a tile's partial sums of the workspace
  };
  int64_t roundFloats() const;
  void forElements(llvm::function_ref<void(Element)> body);
  std::array<Int, 2> sumOfWarps(Int stage, Element element);
  /// Whether blocks add their sums of a tile.
  bool sharesTiles(size_t segment) const;
  void finishTile(size_t segment, TileSteps tile, Int stage);
  void shareTile(size_t segment, TileSteps tile, Int stage, Int first,
                 Int blocks);
  std::array<Int, 2> sumOfBlocks(Global slots, int64_t slotBytes, Int blocks,
                                 Element element);
  void finishHeads(size_t segment, Int tile);
  void appendHead(Int head);
  void writeElement(size_t segment, Int tile, Element element,
                    std::array<Int, 2> words);
  Int outputRow(size_t segment, Int strip, Int g, int64_t half);
  std::array<Real, 2> scaled(size_t segment, Int strip, Element element,
                             std::array<Int, 2> words);
  void writeValue(Int token, Int column, Real result);
  mlir::Type typeOf(quant::ElementType type);

  Kernel &k;
  const Problem &problem;
  const Schedule &schedule;
  mlir::Block *epilogue;
  const Arguments &arguments;
  std::optional<rotary_append::Body> appender;
  Plan plan;
  std::vector<SegmentPlan> segments;
  mlir::Type activation;
  Int slice, blockOfSlice, tokens;
  Book book; ///< of the segment that the consumers work on
  Int table, corrections, starts, activations, zeros, lastParts, normSums;
  Int warpsLargest, tokenScale; ///< of codes that the block makes
  std::optional<HeldNorm> sumNorm, norm;
  /// Of the unit: [strip, block].
  std::map<std::pair<int, int>, std::vector<Int>> blocks;
  /// Likewise [strip, chunk of 32 columns], where weights are rounded.
  std::map<std::pair<int, int>, std::vector<Int>> planes;
  std::vector<Ring> rings; ///< weights, then partial sums
  Ring &weights() { return rings[0]; }
  Ring &partials() { return rings[1]; }
};

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARBODY_H
