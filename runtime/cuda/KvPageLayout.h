// How the pages of a KV cache lie in a GPU's memory. A page holds `page`
// consecutive positions of one sequence and one layer; a head's keys are one
// run of bytes and its values the next, so that a kernel that works on one head
// streams whole runs:
//
//   page:  | K head 0 | V head 0 | K head 1 | V head 1 | …
//
//   K head:  [page][R] codes, position after position  | scales [page] f16 |
//   V head:  [page][R] codes                           | scales [page] f16 |
//
// A row of a head of D channels has R, the next multiple of 8, so that the rows
// of every format are copied in whole words; the codes, scales and halves of
// the R − D channels behind its end are zero. Formats without scales have no
// scales there; int8, fp8 and int4 have one for each position and head. Every
// run begins at a multiple of 16 bytes, a page at a multiple of 128.
//
// Keys of int8 or int4 may have their scales for each channel and a group of G
// consecutive positions instead (`int4_g32`), [page/G][R] f16 behind the codes;
// with zero points (`int4_asym_g32_zf`) the scales of each group and then its
// offsets, [page/G][2][R]: code 0 stands for the offset, scale · (8 − zero).
// A group gets them when it is full; until then its keys wait with 16 bits, in
// the type of the activations, in the sequence's slot, [heads][G][R], row
// position % G. Which groups are full is counted after a step's tokens. Slots
// have the memory of the layer's first pages, slot s begins at byte
// s · slotBytes; its number is the last entry of the sequence's row of the page
// table, which is one longer for it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_KVPAGELAYOUT_H
#define QOPT_RUNTIME_CUDA_KVPAGELAYOUT_H

#include "lib/Quant/Format.h"
#include "qopt/Status.h"

#include <cstdint>

namespace qopt::cuda {

struct KvPageLayout {
  static constexpr int64_t mostChannels = 1024; ///< of a head
  int64_t keyHeads = 0;
  int64_t keySize = 0;   ///< channels of a key
  int64_t valueSize = 0; ///< channels of a value
  int64_t page = 0;      ///< positions
  quant::Format key, value;
  int64_t recent = 0; ///< latest and first positions in f16: no kernel has such
  bool tableHasSlots = false; ///< for keys in groups of another layer
  bool operator==(const KvPageLayout &) const = default;

  /// Channels of a row, with those behind the head's end.
  static int64_t rowOf(int64_t size) { return (size + 7) & ~int64_t(7); }
  int64_t keyRow() const { return rowOf(keySize); }
  int64_t valueRow() const { return rowOf(valueSize); }

  /// Bytes of the codes of a head's keys or values in a page, and of its
  /// scales.
  int64_t keyCodeBytes() const { return codeBytes(key, keyRow()); }
  int64_t valueCodeBytes() const { return codeBytes(value, valueRow()); }
  int64_t keyScaleBytes() const {
    return keyGroup() ? page / keyGroup() * groupScaleBytes() : scaleBytes(key);
  }
  int64_t valueScaleBytes() const { return scaleBytes(value); }

  /// Positions whose keys share a scale in each channel; 0: there are no such
  /// groups.
  int64_t keyGroup() const { return key.groupSize; }
  /// Whether each channel of a group has an offset as well as a scale.
  bool keyOffsets() const { return key.zero == quant::ZeroType::Float; }
  /// Bytes of the scales and offsets of a group.
  int64_t groupScaleBytes() const { return keyRow() * (keyOffsets() ? 4 : 2); }
  /// Bytes of a row, of a head's keys and of all in a slot.
  int64_t openRowBytes() const { return keyRow() * 2; }
  int64_t openHeadBytes() const { return keyGroup() * openRowBytes(); }
  int64_t slotBytes() const {
    return (keyHeads * openHeadBytes() + 127) & ~int64_t(127);
  }
  /// Entries of a sequence in the page table.
  int64_t tableStride(int64_t context) const {
    return (context + page - 1) / page + (keyGroup() || tableHasSlots ? 1 : 0);
  }

  /// Bytes that a position has in a head's pages, its part of scales included.
  int64_t positionBytes() const {
    return (keyCodeBytes() + keyScaleBytes() + valueCodeBytes() +
            valueScaleBytes()) /
           page;
  }

  /// Byte offsets in a page.
  int64_t keyOffset(int64_t head) const { return head * headBytes(); }
  int64_t valueOffset(int64_t head) const {
    return head * headBytes() + runBytes(keyCodeBytes() + keyScaleBytes());
  }
  int64_t pageBytes() const {
    return (keyHeads * headBytes() + 127) & ~int64_t(127);
  }
  /// Unsupported for formats and sizes that no kernel reads.
  Status check() const;

private:
  static int64_t runBytes(int64_t bytes) { return (bytes + 15) & ~int64_t(15); }
  int64_t codeBytes(const quant::Format &format, int64_t row) const;
  int64_t scaleBytes(const quant::Format &format) const {
    return format.isFloat() ? 0 : page * 2;
  }
  int64_t headBytes() const {
    return runBytes(keyCodeBytes() + keyScaleBytes()) +
           runBytes(valueCodeBytes() + valueScaleBytes());
  }
};

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_CUDA_KVPAGELAYOUT_H
