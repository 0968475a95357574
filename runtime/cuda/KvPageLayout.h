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
// A row of a head of D channels has R, the next multiple of 8 (of int2 16, of
// int3 32), so that the rows of every format are copied in whole words; the
// codes, scales and halves of the R − D channels behind its end are zero.
// Formats without scales have no scales there; int8, fp8 and int4 have one for
// each position and head. Every run begins at a multiple of 16 bytes, a page at
// a multiple of 128. Codes of 8, 4 and 2 bits lie in their order, from the
// lowest bits of a byte on; those of int3 are apart, so that eight of them are
// two bytes and one more:
//
//   int3 row:  lower two bits, as int2 has them [R/4]  | third bits [R/8]
//
// Keys of int8, int4, int3 or int2 may have their scales for each channel and a
// group of G consecutive positions instead (`int4_g32`), [page/G][R] f16 behind
// the codes; with zero points (`int4_asym_g32_zf`) the scales of each group and
// then its offsets, [page/G][2][R]: code 0 stands for the offset.
// Values of such formats have them for each position and a group of channels,
// [D/G][page] f16 behind the codes, then the offsets, [D/G][page].
// A group of keys gets them when it is full; until then they wait with 16 bits,
// in the type of the activations, in the sequence's slot, [heads][G][R], row
// position % G. Which groups are full is counted after a step's tokens. Slot s
// begins at byte s · slotBytes of the pages, ahead of them, for s is negative;
// it is the last entry of the sequence's row of the page table, which is one
// longer for it.
//
// With `recent` latest and `first` first positions that are read with 16 bits
// beside their codes, by the rule of runtime/host/LatestPositions.h, a slot has
// for each head instead, in rows of D rounded up to 8:
//
//   latest keys [recent], row position % recent | latest values likewise
//   first keys [first]                          | first values [first]
//
// A step of one new token of a sequence reads its latest positions there, the
// new one included. Of more, the append writes rows of the step, which all
// layers' steps may have in the same memory: for each sequence and head the n
// positions from `base` (context − recent, no less than 0, rounded down to 16)
// to the new length, rounded up to 16, keys [n] and then values [n]. Rows of
// sequence s begin behind those of tokenStart + s · (recent + 30) positions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_KVPAGELAYOUT_H
#define QOPT_RUNTIME_CUDA_KVPAGELAYOUT_H

#include "lib/Quant/Format.h"
#include "qopt/Status.h"

#include <cstdint>

namespace qopt::cuda {

struct KvPageLayout {
  static constexpr int64_t mostChannels = 1024;  ///< of a head
  static constexpr int64_t mostWithLatest = 256; ///< with latest positions
  int64_t keyHeads = 0;
  int64_t keySize = 0;   ///< channels of a key
  int64_t valueSize = 0; ///< channels of a value
  int64_t page = 0;      ///< positions
  quant::Format key, value;
  int64_t recent = 0;         ///< latest positions with 16 bits; 0: none
  int64_t first = 0;          ///< first positions with 16 bits
  bool tableHasSlots = false; ///< for those of another layer
  bool operator==(const KvPageLayout &) const = default;

  /// Channels of a row, with those behind the head's end.
  static int64_t rowOf(int64_t size, quant::ElementType element) {
    int64_t unit = element == quant::ElementType::Int3   ? 32
                   : element == quant::ElementType::Int2 ? 16
                                                         : 8;
    return (size + unit - 1) / unit * unit;
  }
  int64_t keyRow() const { return rowOf(keySize, key.element); }
  int64_t valueRow() const { return rowOf(valueSize, value.element); }

  /// Bytes of the codes of a head's keys or values in a page, and of its
  /// scales.
  int64_t keyCodeBytes() const { return codeBytes(key, keyRow()); }
  int64_t valueCodeBytes() const { return codeBytes(value, valueRow()); }
  int64_t keyScaleBytes() const {
    return keyGroup() ? page / keyGroup() * groupScaleBytes() : scaleBytes(key);
  }
  int64_t valueScaleBytes() const { return valueNumbers() * page * 2; }

  /// Positions whose keys share a scale in each channel; 0: there are no such
  /// groups.
  int64_t keyGroup() const { return key.groupSize; }
  /// Whether each channel of a group has an offset as well as a scale.
  bool keyOffsets() const { return key.zero == quant::ZeroType::Float; }
  /// Channels of a position's value that share a scale; 0: all, or there is
  /// none.
  int64_t valueGroup() const { return value.groupSize; }
  bool valueOffsets() const { return value.zero == quant::ZeroType::Float; }
  /// f16 numbers that a position's value has beside its codes.
  int64_t valueNumbers() const {
    if (!valueGroup())
      return value.isFloat() ? 0 : 1;
    return valueSize / valueGroup() * (valueOffsets() ? 2 : 1);
  }
  /// Bytes of the scales and offsets of a group of keys.
  int64_t groupScaleBytes() const { return keyRow() * (keyOffsets() ? 4 : 2); }
  /// Bytes of a row, of a head's keys and of all in a slot.
  int64_t openRowBytes() const { return keyRow() * 2; }
  int64_t openHeadBytes() const { return keyGroup() * openRowBytes(); }
  int64_t slotBytes() const {
    int64_t head = recent ? halvesHeadBytes() : openHeadBytes();
    return (keyHeads * head + 127) & ~int64_t(127);
  }
  /// Whether a sequence has something beside its pages.
  bool hasSlots() const { return keyGroup() || recent; }
  /// Entries of a sequence in the page table.
  int64_t tableStride(int64_t context) const {
    return (context + page - 1) / page + (hasSlots() || tableHasSlots ? 1 : 0);
  }

  /// Positions with 16 bits: bytes of a key's and a value's row.
  int64_t keyHalfBytes() const { return halfRow(keySize) * 2; }
  int64_t valueHalfBytes() const { return halfRow(valueSize) * 2; }
  /// Of a head's in a slot.
  int64_t halvesHeadBytes() const {
    return (recent + first) * (keyHalfBytes() + valueHalfBytes());
  }
  /// Bytes of the rows of a step.
  static constexpr int64_t stepPadding = 30; ///< both ends are rounded to 16
  int64_t stepRowBytes() const {
    return keyHeads * (keyHalfBytes() + valueHalfBytes());
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
  static int64_t halfRow(int64_t size) {
    return rowOf(size, quant::ElementType::F16);
  }
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
