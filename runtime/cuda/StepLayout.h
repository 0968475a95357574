// Where a GPU's launches of one binding find what they work in: one piece of
// the device's memory, one of pinned host memory.
//
//   device:  | counters | step block | results | arena |
//   host:    | step block | results |
//
//   step block:  | inputs … | token starts | context starts | page table |
//                | positions | logit rows |          copied with every call
//                | sampling records |                   where tokens are drawn
//                | seen tokens |                        where some are
//                penalised
//
// Everything begins at a multiple of 256 bytes. The counters, which kernels
// leave zero, lie at the same place for all sizes of a function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_STEPLAYOUT_H
#define QOPT_RUNTIME_CUDA_STEPLAYOUT_H

#include "runtime/BoundFunction.h"
#include "runtime/Device.h"

#include <cstddef>
#include <vector>

namespace qopt::runtime {

struct StepLayout {
  static StepLayout of(const BoundFunction &function);

  // From the step block's begin.
  std::vector<size_t> inputs;
  size_t tokenStarts = 0, contextStarts = 0, pageTable = 0, positions = 0,
         logitRows = 0;
  size_t records = 0; ///< also the bytes before it
  size_t seen = 0;    ///< also the bytes before it
  size_t blockBytes = 0;

  // From the results' begin.
  std::vector<size_t> outputs;
  size_t reports = 0; ///< of launches that check indices, in their order
  size_t resultBytes = 0;
  static constexpr size_t reportBytes = 16; ///< IndexCheck of Plan.fbs

  // From the begin of the device's piece; the counters are first.
  size_t counterBytes = 0, block = 0, results = 0, arena = 0;
  WorkingMemory total;

  /// Entries of a sequence in the page table, whether the last is its slot, and
  /// bytes of its seen tokens.
  int64_t pageTableStride = 0;
  bool hasSlots = false;
  size_t seenBytes = 0;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_CUDA_STEPLAYOUT_H
