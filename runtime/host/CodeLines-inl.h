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

/// The values of the fp8 codes in the lowest bytes. Moved by `shift` to their
/// places, the bits are an f32 whose exponent is too small by that of `factor`;
/// the product is exact for subnormals too. NaN, which no weight has, would be
/// 480, and e5m2's infinity 65536.
HWY_INLINE FloatVector fp8Values(Words word, int shift, FloatVector factor) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  const auto sign = hn::ShiftLeft<24>(hn::And(word, hn::Set(du, 0x80)));
  const auto moved = hn::ShiftLeftSame(hn::And(word, hn::Set(du, 0x7f)), shift);
  const auto value = hn::Mul(hn::BitCast(d, moved), factor);
  return hn::BitCast(d, hn::Or(hn::BitCast(du, value), sign));
}
HWY_INLINE FloatVector e4m3Values(Words word) {
  return fp8Values(word, 20, hn::Set(FloatTag(), 0x1p120f));
}

/// Whether a table of 16 floats is looked up in one instruction.
#undef QOPT_FLOAT_TABLES
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
#define QOPT_FLOAT_TABLES 1
#else
#define QOPT_FLOAT_TABLES 0
#endif

/// The numbers of a packed weight as bytes: its codes without sign, or the
/// numbers of its code book that they are indices of. That of fp8 e4m3 serves
/// e5m2, that of lut4 fp4, and where there are tables that of int4 nf4.
template <quant::ElementType element> class NumberLines {
public:
  /// `weight` is the whole packed weight.
  HWY_INLINE NumberLines(const LinearLayout &layout, const void *weight) {
    if constexpr (hasBook(element))
      book = hn::LoadDup128(ByteTag(), static_cast<const uint8_t *>(weight) +
                                           layout.bookOffset());
    if constexpr (element == quant::ElementType::Fp8E4m3) {
      const bool e5m2 = layout.format.element == quant::ElementType::Fp8E5m2;
      shift = e5m2 ? 21 : 20;
      factor = hn::Set(FloatTag(), e5m2 ? 0x1p112f : 0x1p120f);
    }
#if QOPT_FLOAT_TABLES
    if constexpr (numberBits(element) <= 4) {
      const FloatTag d;
      const bool nf4 = layout.format.element == quant::ElementType::Nf4;
      table = nf4 ? hn::LoadU(d, quant::nf4Element.numbers) : hn::Iota(d, 0);
      centred = hn::Sub(table, hn::Set(d, nf4 ? 0.0f : symmetricZero(element)));
    }
#endif
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

  /// The values of the fp8 codes in the lowest bytes.
  HWY_INLINE FloatVector fp8Values(Words word) const {
    return host::HWY_NAMESPACE::fp8Values(word, shift, factor);
  }

#if QOPT_FLOAT_TABLES
  /// What the codes of up to four bits in the lowest bytes stand for; the
  /// look-up reads four bits. With `centre` less the zero point of symmetric
  /// formats.
  HWY_INLINE FloatVector tableValues(Words word, bool centre) const {
    return FloatVector{
        _mm512_permutexvar_ps(word.raw, centre ? centred.raw : table.raw)};
  }
#endif

private:
  using ByteTag = hn::Repartition<uint8_t, FloatTag>;
  hn::Vec<ByteTag> book = hn::Undefined(ByteTag());
  FloatVector factor = hn::Undefined(FloatTag());
  int shift = 0;
#if QOPT_FLOAT_TABLES
  FloatVector table = hn::Undefined(FloatTag()),
              centred = hn::Undefined(FloatTag());
#endif
};

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
