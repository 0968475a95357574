// The parts of an `attention_decode` kernel while it is built: the block's
// place, copies, scores, values and the combination, a file each. Private to
// this folder; attention_prefill is the same body with another schedule.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODEBODY_H
#define QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODEBODY_H

#include "lib/Kernels/AttentionDecode/AttentionDecode.h"
#include "lib/Kernels/Builder/Fragments.h"
#include "lib/Kernels/Builder/Tiles.h"

namespace qopt::kernels::attention_decode {

class Body {
public:
  Body(Kernel &kernel, const Problem &problem, const Schedule &schedule);
  /// The part of `codes` that reads positions with 16 bits.
  Body(const Body &codes, const Problem &problem, const Schedule &schedule);

  void build();

private:
  /// Numbers that exp2 gets are larger by this, so that probabilities times the
  /// scales of values stay far from the smallest half; it cancels out.
  double bias() const { return exponent; }

  // The block's place.
  Int findPlace();
  Int takeRows(Int blockRows);
  void attend();
  Int positionOf(Int row);
  /// The end of the group of keys that a tile lies in.
  Int groupEnd(Int tile);

  // A warp's tiles. What a warp carries from tile to tile.
  struct State {
    std::vector<std::array<Real, 2>> maxima, sums; ///< [row tile][2t, 2t+1]
    AccumulatorTile output;                        ///< [value tile][row tile]
  };
  State startState();
  void push(Kernel::Values &values, const State &state);
  State pop(llvm::ArrayRef<mlir::Value> &values);
  void walkTiles();
  void finishTiles(const State &state);
  // Latest and first positions (AttentionDecodeLatest.cpp).
  void findLatest();
  void walkHalves();
  void copyHalves(Int start, Int stage);

  void startTiles(Int ring, bool early);
  bool dividesRows() const { return schedule.division == Division::Rows; }
  /// A barrier of those who share a stage.
  void syncReaders();
  Int tileAt(Int index); ///< tile `index` of the warp

  // Copies.
  std::vector<Int> findPages(Int tile);
  void copyTile(Int tile, const std::vector<Int> &pages, Int stage);
  /// Codes of a tile in a stage.
  SharedTile keyTile(Int stage) { return {stage, keyLayout}; }
  SharedTile valueTile(Int stage) {
    return {stage + plan.keyBytes, valueLayout};
  }
  /// Of a row, the first `rowBytes`.
  void copyCodes(const GlobalTile &source, Int rowBytes,
                 const SharedTile &destination);
  void copyScales(const GlobalTile &source, Int destination, int firstLane);
  void copyGroupNumbers(const GlobalTile &source, Int destination);
  void copyChannels(Global source, Int destination, Flag isFull);
  /// The threads that copy a tile: the warp, or the block.
  Int copier() { return dividesRows() ? k.thread() : k.lane(); }
  int copiers() const { return dividesRows() ? schedule.threads() : 32; }

  // Scores.
  using Scores = AccumulatorTile;         ///< [16 positions][row tile]
  static constexpr int stepChannels = 32; ///< of a read of keys, two products
  static constexpr int laneChannels = 8;  ///< of a step, of a lane
  Scores zeroScores() { return {k, schedule.tile / 16, schedule.rowTiles}; }
  int keySteps() const { return int(plan.keyChannels / stepChannels); }
  void loadQueries();
  std::vector<Int> queryWords(Int row, int step);
  void findRows();
  /// The lane's words of a step, [row tile][4].
  std::vector<Int> queriesOf(int step);
  std::vector<Int> storedQueries(Int step); ///< in shared memory
  /// The words that `load` gives; zeros where they do not exist.
  std::vector<Int> loadWhere(Flag exists, unsigned count,
                             llvm::function_ref<std::vector<Int>()> load);
  std::vector<Int> loadChannels(Global head, Int channel);
  /// Halves of eight channels in the order in which unpackKeys gives codes.
  std::vector<Int> arrange(const std::vector<Int> &words);
  Scores multiplyKeys(Int stage);
  std::vector<std::array<Int, 2>> unpackKeys(std::vector<Int> words);
  /// Whether eight codes have two bytes, and perhaps one elsewhere.
  static bool isShort(const quant::Format &format);

  // Keys in groups.
  using KeyWords = std::vector<std::array<Int, 2>>;
  Scores multiplyGroups(Int stage, Int tile);
  /// A step of the products: the sum of both.
  struct Step {
    int unrolled;
    Int looped;
    Int of(int64_t amount) const { return looped * amount + unrolled * amount; }
  };
  using StepBody =
      llvm::function_ref<void(Step step, const std::vector<Int> &queries)>;
  void forSteps(AccumulatorTile &sums, StepBody body);
  Scores
  addCodes(Int stage, Scores sums,
           llvm::function_ref<std::vector<Int>(Step step,
                                               const std::vector<Int> &queries)>
               rowsOf);
  void addShortCodes(const SharedTile::Row &row, Step step,
                     const std::vector<Int> &queries, Scores &sums);
  std::vector<Int> channelWords(Int stage, int64_t offset, Step step);
  std::vector<Int> scaledQueries(Int stage, Step step, std::vector<Int> words);
  AccumulatorTile offsetSums(Int stage);
  Scores multiplyFull(Int stage);
  KeyWords openKey(Int position, Step step);
  Scores multiplyOpen(Int tile);
  void multiplyStep(const std::vector<Int> &queries,
                    llvm::function_ref<KeyWords(int block, int side)> keys,
                    Scores &sums);
  Scores finishScores(Int stage, Int tile, Scores scores);
  Real finishScore(Real score, Real factor, Int position, size_t row, int side);
  Scores maskScores(Int tile, Scores scores);
  Scores maskParts(Int tile, Scores scores);
  void exponentiate(Scores &scores, State &state);
  std::array<Real, 2> scalesOf(Int stage, int64_t offset, int block);

  // Values.
  void multiplyValues(Int stage, const Scores &probabilities, State &state);
  std::vector<std::array<Int, 2>> turnProbabilities(Int stage,
                                                    const Scores &scores);
  using Fragments = std::vector<std::array<Int, 4>>;
  Fragments valueFragments(Int stage, int block, int pair);
  Fragments unpackValues(std::array<Int, 2> words);
  Fragments unpackShort(std::array<Int, 2> words, Int stage, int block,
                        int chunk);
  Int thirdBits(Int stage, int first, int chunk);
  /// What a group's codes are multiplied by, and what is added, at positions 2t
  /// and 2t + 1 of a block of 16 and at those 8 behind.
  struct GroupNumbers {
    std::array<Int, 2> scales, offsets;
  };
  GroupNumbers groupNumbers(Int stage, int block, Int group);
  void scaleValues(Int stage, int block, int pair, Fragments &tiles);

  // Combination.
  struct Sum {
    Real maximum, total; ///< of a row
    Run values;          ///< of some of its channels
  };
  Sum emptySum();
  Sum add(Sum a, Sum b);
  Sum either(Flag first, const Sum &a, const Sum &b);
  void storePartials(const State &state);
  void combineWarps();
  void storeRows();
  Sum ofWarp(Int warp, Int row, Int channel);
  Sum ofWarps(Int row, Int channel);
  Sum ofOwnWarp(Int row, Int channel);
  void combineSplits(Global slot, Global counter);
  Sum ofSplits(Int row, Int channel);
  void forElements(Int begin, int step,
                   llvm::function_ref<void(Int, Int)> body);
  void storeOutput(Int row, Int channel, Sum sum);
  Global slotOf(Int split);

  Kernel &k;
  const Problem &problem;
  const Schedule &schedule;
  const Plan plan;
  const Layout keyLayout, valueLayout; ///< of a stage
  mlir::Type activation;
  double exponent;
  int64_t partialStride, ringBytes; ///< as the plan of codes has it
  int parts;    ///< that warps have partials of: codes, halves
  int part = 0; ///< the one at hand
  int sharing;
  int outputChannels; ///< of a row that a thread combines, 4 where it can be

  Int stages, partials, probabilities, flag; ///< in shared memory
  Int queryPlace; ///< of the lane, where queries lie there
  Int g, t;       ///< lane = 4g + t
  Int sequence, keyHead, split;
  Int firstChannel; ///< of the block's slice of the values
  Int tokenStart, context;
  Int length;             ///< positions after the step
  Int firstRow, rows;     ///< of the warp
  Int first, end;         ///< positions that the block's rows see
  Int active;             ///< splits that have tiles
  Int tileBegin, tileEnd; ///< of the split
  Int count;              ///< tiles that the warp walks
  Global keys;            ///< of the head in page 0
  Global openKeys;        ///< of the head in the sequence's slot
  // With latest positions.
  int64_t recent = 0, sinkPositions = 0;
  Int splitBegin, splitEnd;  ///< of the split in the list of all tiles
  Int codeTiles, firstTiles; ///< how many of each lead the list
  Int latestBegin;           ///< position of the first tile behind them
  Int stepBase, stepCount;   ///< of the rows of a step
  Global slot, stepRows;     ///< of the head
  Flag isOfFirst;            ///< of the tile of halves at hand
  std::vector<Int> queries;  ///< [step][row tile][4], in registers
  std::vector<std::array<Int, 2>> positions; ///< [row tile][2t, 2t+1]
  std::vector<std::array<Real, 2>> slopes;
};

/// Keys or values of a stage, so that reads of neither meet in a bank.
Layout layoutOf(const Plan &plan, int64_t stride);

/// Two f16 or bf16 words of the codes of a word: even and odd bytes.
std::array<Int, 2> unpackInt8(Kernel &kernel, Int word, mlir::Type type);
/// Four words: nibbles i and i + 4.
std::array<Int, 4> unpackInt4(Kernel &kernel, Int word, mlir::Type type);
/// Four words: of each half, the fields of two bits at bits 0, 4, 8 and 12.
std::array<Int, 4> unpackInt2(Kernel &kernel, Int word, mlir::Type type);
/// The same of three bits, whose third ones are bits 0, 2, 4 and 6 of `thirds`.
std::array<Int, 4> unpackInt3(Kernel &kernel, Int word, Int thirds,
                              mlir::Type type);

} // namespace qopt::kernels::attention_decode

#endif // QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODEBODY_H
