// The candidates of a row, by bins: made piece by piece, read by the block that
// draws. Sampling.h explains bins and keys.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SAMPLING_PIECES_H
#define QOPT_LIB_KERNELS_SAMPLING_PIECES_H

#include "lib/Kernels/Builder/Best.h"
#include "lib/Kernels/Builder/Wide.h"
#include "lib/Kernels/Sampling/Sampling.h"

namespace qopt::kernels::sampling {

/// What a row asks for (runtime/cuda/SamplingRecord.h), as far as its pieces
/// depend on it.
struct Request {
  Real temperature, penalty;
  Int topK, seenRow;

  static Request load(Kernel &kernel, Global record);
  /// Whether a token is drawn where the largest logit is finite.
  Flag draws() const;
};

/// Where the pieces of a row come from and go to.
struct RowMemory {
  Global logits;    ///< [columns]
  Global seen;      ///< of the row's request; not read where it has none
  Global workspace; ///< RowLayout
};

class Pieces {
public:
  /// Reserves shared memory.
  Pieces(Kernel &kernel, const Problem &problem, const Request &request,
         RowMemory memory);

  // All threads of a block call these together.
  /// From the logits to the workspace.
  void make(Int piece);
  /// Of all pieces; the same in all threads.
  Best largest();
  /// Adds the bins of all pieces, behind which the others may be asked.
  void merge(Real most);
  /// Calls `body` with each candidate of a bin, in some thread.
  void forBin(Int bin, llvm::function_ref<void(Int token, Int key)> body);

  Long weightIn(Int bin) { return loadSharedLong(k, sums + bin * 8, 0); }
  Long countIn(Int bin) {
    return widen(k.loadShared(counts + bin * 4, 0, 1).front());
  }
  /// e^−d of a key.
  Double shareOf(Int key);

private:
  struct Logit {
    Int token;
    Real value;
  };
  std::vector<Logit> load(Int piece);
  Real penalised(Int token, Real value);
  void scatter(Int piece, const std::vector<Logit> &logits, Real most);
  std::vector<Int> rankInWarp(const std::vector<Logit> &logits, Real most);
  void scanWarps();
  void scanCounts();
  Int rankOf(Int warp, Int bin) { return ranks + (warp * binCount + bin) * 4; }
  void empty();
  Double placeOf(Real value);
  Double likelihood(Real value, Real most);
  Int shiftOf(Int piece, Double top);
  std::vector<Int> loadBin(Int piece, Int bin);
  void addBin(Int piece, Int bin, const std::vector<Int> &words);
  /// [pieces] likelihood of a piece's largest logit, where ranks are no more.
  Int scales() const { return ranks; }
  Global largestOf(Int piece);
  Global binOf(Int piece, Int bin);
  Global element(Int piece, Int index);

  Kernel &k;
  const Problem &problem;
  const Request &request;
  RowMemory memory;
  RowLayout layout;
  int64_t pieces;
  Int sums, counts, starts, shifts;
  Int ranks;     ///< [warps, binCount] of a piece's candidates in each warp
  Double perNat; ///< places of one nat of the logit over the temperature
  // Of the whole row, behind merge.
  Double top;  ///< floor of the place of the largest logit
  Double lead; ///< nats from there to the end of its bin
};

/// Σ of weights of one candidate that is e^−d as likely as the largest.
Long weightOf(Double share);

} // namespace qopt::kernels::sampling

#endif // QOPT_LIB_KERNELS_SAMPLING_PIECES_H
