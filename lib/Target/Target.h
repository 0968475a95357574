// What the compiler may ask of a GPU architecture: which instructions it has,
// how much of everything one SM and one block have, and how fast the part that
// it is tuned for was measured or is said to be. Answers are data, one file an
// architecture; nothing here looks at the machine that compiles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_TARGET_TARGET_H
#define QOPT_LIB_TARGET_TARGET_H

#include "qopt/Status.h"

#include <string_view>
#include <vector>

namespace qopt::target {

/// Where a figure comes from.
enum class Basis {
  Published, ///< a data sheet or another's report; `source` names it
  Measured,  ///< on the part that `Target::part` names
  Derived,   ///< arithmetic on other figures; `source` gives it
};

/// A figure with its provenance, which reports print beside it.
struct Figure {
  double value; ///< in the unit that the member says
  Basis basis;
  std::string_view source;
};

/// The word of a report: published, measured or derived.
std::string_view spell(Basis basis);

/// Instructions that not every architecture has.
struct Features {
  bool asyncCopy;        ///< cp.async of 4 to 16 bytes into shared memory
  bool bulkCopy;         ///< cp.async.bulk, and mbarriers that count its bytes
  bool barrierTryWait;   ///< mbarrier.try_wait, which suspends the thread
  bool tensorMaps;       ///< cp.async.bulk.tensor
  bool clusters;         ///< blocks that share their shared memory
  bool wgmma;            ///< matrix products of a group of four warps
  bool fp8Convert;       ///< e4m3x2 and e5m2x2 to and from f16x2
  bool fp8Mma;           ///< mma.sync on e4m3 by the tensor cores, not emulated
  bool bf16Add;          ///< add and mul of bf16x2; else each is an fma
  bool dependentLaunch;  ///< griddepcontrol: a kernel starts before its
                         ///< predecessor has ended
  bool registerTransfer; ///< setmaxnreg: warps hand registers to others
};

/// What one SM and one block may hold.
struct Limits {
  int sharedPerSm;    ///< bytes of shared memory that blocks of an SM share
  int sharedPerBlock; ///< bytes a block may ask for (opt-in)
  int sharedReserved; ///< bytes the system takes of each block's share
  int registersPerSm; ///< of 32 bits
  int registersPerThread;
  int registerUnit; ///< a warp's registers are a multiple of this
  int threadsPerSm;
  int threadsPerBlock;
  int blocksPerSm;
};

/// Rates of the part that schedules are tuned for.
struct Rates {
  Figure clock;           ///< Hz
  Figure issue;           ///< lane instructions per clock and SM
  Figure streamBandwidth; ///< byte/s, reading memory once: the roof of weights
  Figure copyBandwidth;   ///< byte/s, read plus written
  Figure mmaClocks;     ///< of a quarter of an SM for one mma.sync: m16n8k16 of
                        ///< halves, m16n8k32 of bytes
  Figure powerClock;    ///< Hz while products have gone on for a second
  Figure launchGap;     ///< s between dependent kernels of a CUDA graph
  Figure dependencyGap; ///< s that a dependent kernel loses although its
                        ///< weights are fetched before it waits
  Figure emptyGap;      ///< the same where next to nothing is read
  Figure bytesInFlight; ///< bytes per SM that keep the stream at its roof
  Figure chunkBytes;    ///< smallest bulk copy that reaches the roof
};

/// One architecture, and one part of it as the example that figures are of.
struct Target {
  std::string_view name; ///< as the user writes it: sm_90a
  std::string_view part; ///< H200 SXM 141 GB
  int capability;        ///< major · 10 + minor
  int ptxVersion;        ///< major · 10 + minor of the PTX that is written
  int multiprocessors;   ///< of the part
  long long cacheBytes;  ///< second-level cache of the part
  Features features;
  Limits limits;
  Rates rates;

  /// Blocks of one kernel that an SM holds at once; 0 if a block does not fit.
  int blocksPerMultiprocessor(int threads, int registersPerThread,
                              int sharedBytes) const;
};

const Target &sm80();
const Target &sm90a();

/// Every architecture, in the order in which messages list them.
const std::vector<const Target *> &allTargets();

/// "sm_90a,sm_80" → the targets in that order. Fails on an empty name, an
/// unknown one (naming those that are known) and one given twice.
StatusOr<std::vector<const Target *>> parseArchitectures(std::string_view text);

} // namespace qopt::target

#endif // QOPT_LIB_TARGET_TARGET_H
