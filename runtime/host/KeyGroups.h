// Keys of a few bits. Channels of keys differ in size much more than positions
// do, so each channel has a scale of its own, for a group of `keyGroup`
// consecutive positions: [0, G), [G, 2G), … of the sequence. A group gets its
// scales when it is full; until then its keys wait as f16 in the sequence's
// slot of the layer, so that the latest keys, which are attended to most, are
// the most exact ones (KIVI, arXiv 2402.02750).
//
//   positions   0 … G−1 │ G … 2G−1 │ … │ open group
//   K           codes     codes          f16, [KV][G][D] in slot s
//
// Slot s begins at byte s · slotBytes of the pages: ahead of them, for s is
// negative.
//
// Which groups are full is counted after the step's tokens: a step that fills a
// group reads its codes. So what a key reads as depends on the length of its
// sequence alone, not on how it came there; but the results of a prompt depend
// on the steps in which it was read, within the rounding of the codes.
//
// Scales, offsets and codes of a channel's G keys, as f16 has them, are those
// of lib/Quant/VectorCodes.h. Offsets serve channels that rotate slowly: these
// are far from zero for a whole group.
//
// A head's keys in a page, in blocks of 32 positions:
//
//   [page/32][D][32] codes                     [page/G] f16 scales [D] and
//      canonical storage: t0 t1 … t31             offsets [D] of a group
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_KEYGROUPS_H
#define QOPT_RUNTIME_HOST_KEYGROUPS_H

#include "runtime/host/CachedAttention.h"

namespace qopt::host {

/// Positions of a block.
constexpr int64_t keyBlock = 32;

/// The open group of a head: f16 [keyGroup][headSize].
inline const uint16_t *openKeys(const KvCacheLayout &layout, const void *pages,
                                int32_t slot, int64_t head) {
  const uint8_t *begin =
      static_cast<const uint8_t *>(pages) + slot * layout.slotBytes();
  return reinterpret_cast<const uint16_t *>(begin) +
         head * layout.keyGroup() * layout.headSize;
}

/// Byte offsets in a layer of the cache.
struct KeyGroupPlace {
  int64_t codes;  ///< of the block that begins at the position
  int64_t scales; ///< of its group: f16 [D], and offsets behind them
};

/// Where a head's full group has the block of keys from `position` on.
inline KeyGroupPlace keyGroupPlace(const KvCacheLayout &layout,
                                   const RaggedBatch &batch, int64_t sequence,
                                   int64_t head, int64_t position) {
  int64_t page = batch.pageTable[sequence * batch.pageTableStride +
                                 position / layout.pageTokens];
  int64_t keys = page * layout.pageBytes() + head * layout.keyHeadBytes();
  int64_t inPage = position % layout.pageTokens;
  return {keys + layout.keyCodeBytes() * inPage / layout.pageTokens,
          keys + layout.keyCodeBytes() +
              inPage / layout.keyGroup() * layout.keyGroupBytes()};
}

/// `rows`, the f16 keys [keyGroup][D] of a group that is full, become codes.
void closeKeyGroup(const KvCacheLayout &layout, const uint16_t *rows,
                   void *pages, const KeyGroupPlace &place);

/// The keys of one head of a sequence's new tokens: those of groups that become
/// full as codes, the others in the slot.
void appendKeyGroups(const KvAppendArguments &arguments, int64_t sequence,
                     int64_t head);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_KEYGROUPS_H
