// Sequences that all have the same new tokens and positions, and the pages of
// their cache (runtime/cuda/KvPageLayout.h): in words, as arguments of a
// launch, and as the layout that a record describes. Where keys wait for their
// group, the first pages are slots, one a sequence.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTKERNEL_PAGEDBATCH_H
#define QOPT_TOOLS_QOPTKERNEL_PAGEDBATCH_H

#include "runtime/cuda/KvPageLayout.h"
#include "tools/qopt-kernel/Family.h"

namespace qopt::kernel_tool {

struct PagedBatch {
  cuda::KvPageLayout cache;
  quant::ElementType activation = quant::ElementType::F16;
  int64_t heads = 1; ///< of queries
  int64_t sequences = 1;
  int64_t tokens = 1;  ///< new ones of each sequence
  int64_t context = 1; ///< positions of each, new ones included

  static PagedBatch of(Words &words);

  /// Entries of a sequence in the page table.
  int64_t tableStride() const;

  int64_t allTokens() const { return sequences * tokens; }
  /// Elements of a row that has queries, keys and values side by side, as a
  /// merged projection has them.
  int64_t mergedColumns() const {
    return (heads + 2 * cache.keyHeads) * cache.keySize;
  }

  Argument pages(Use use) const;
  Argument pageTable() const;
  Argument tokenStarts() const;
  Argument contextStarts() const;
  llvm::json::Object layout() const;

private:
  int64_t slotPages() const; ///< that the slots take
};

} // namespace qopt::kernel_tool

#endif // QOPT_TOOLS_QOPTKERNEL_PAGEDBATCH_H
