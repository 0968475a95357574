// The numbers of a packed tile as vectors of bytes: four columns of 16 rows at
// a time, whatever the bits of their codes. The layout is drawn in
// LinearLayout.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearTile-inl.h"

#if defined(QOPT_RUNTIME_HOST_CODELINES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_CODELINES_INL_H
#undef QOPT_RUNTIME_HOST_CODELINES_INL_H
#else
#define QOPT_RUNTIME_HOST_CODELINES_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// A lane of 32 bits has something of four columns of a row, a byte each.
using Words = hn::Vec<hn::RebindToUnsigned<FloatTag>>;

/// Quads of columns in a block.
constexpr int64_t quadsPerBlock = blockColumns / 4;

/// Moves the bits from `from` on to `to` and clears the others; the loops over
/// quads are unrolled, so that both are known.
template <int bits> HWY_INLINE Words moveField(Words word, int from, int to) {
  const hn::RebindToUnsigned<FloatTag> du;
  constexpr uint32_t ones = (1u << bits) - 1;
  word = from < to ? hn::ShiftLeftSame(word, to - from)
                   : hn::ShiftRightSame(word, from - to);
  return hn::And(word, hn::Set(du, ones * 0x01010101u << to));
}

/// The bits that a plane of `bits` lines has of the codes in the columns 4·quad
/// … 4·quad + 3, moved up to the bit `to` of each byte.
template <int bits>
HWY_INLINE Words planeBits(const uint8_t *plane, int64_t quad, int64_t part,
                           int to) {
  const hn::RebindToUnsigned<FloatTag> du;
  const uint8_t *line = plane + quad % bits * lineBytes;
  const auto word = hn::LoadU(du, reinterpret_cast<const uint32_t *>(line) +
                                      part * lineLanes);
  if constexpr (bits == 8)
    return word;
  else
    return moveField<bits>(word, static_cast<int>(quad / bits * bits), to);
}

/// The numbers of a packed weight as bytes: its codes without sign, or the
/// numbers of its code book that they are indices of.
template <quant::ElementType element> class NumberLines {
public:
  /// `weight` is the whole packed weight.
  HWY_INLINE NumberLines(const LinearLayout &layout, const void *weight) {
    if constexpr (hasBook(element))
      book = hn::LoadDup128(ByteTag(), static_cast<const uint8_t *>(weight) +
                                           layout.bookOffset());
  }

  /// Those of the columns 4·quad … 4·quad + 3 of a block; `part` chooses the
  /// vector.
  HWY_INLINE Words load(const uint8_t *block, int64_t quad,
                        int64_t part) const {
    constexpr int bits = codeBits(element), low = lowBits(bits);
    Words codes = planeBits<low>(block, quad, part, 0);
    if constexpr (low != bits)
      codes = hn::Or(codes, planeBits<bits - low>(block + low * lineBytes, quad,
                                                  part, low));
    if constexpr (hasBook(element))
      return hn::BitCast(
          hn::RebindToUnsigned<FloatTag>(),
          hn::TableLookupBytes(book, hn::BitCast(ByteTag(), codes)));
    else
      return codes;
  }

private:
  using ByteTag = hn::Repartition<uint8_t, FloatTag>;
  hn::Vec<ByteTag> book = hn::Undefined(ByteTag());
};

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
