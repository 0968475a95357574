// How the elements of a weight, an activation or a cache entry are stored: the
// element type, how many of them share a scale, whether there are zero points,
// and the type of the scales. One spelling serves the command line, the IR, the
// reports and the kernel names. What codes mean and how they lie in memory is
// said in Storage.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_FORMAT_H
#define QOPT_LIB_QUANT_FORMAT_H

#include "qopt/Status.h"
#include <cstdint>
#include <string>
#include <string_view>

namespace qopt::quant {

/// The type of one stored element. Each has a row in Element.h's table and a
/// file under formats/.
enum class ElementType : uint8_t {
  F32,
  F16,
  BF16,
  Int8,
  Int4,
  Fp8E4m3,
  Int3,
  Int2,
  Lut4,
  Lut3,
  Int6,
  Int5
};

/// How many elements share one scale.
enum class Granularity : uint8_t {
  None,    ///< no scale: the element is the value (floating point formats)
  Tensor,  ///< one scale for the whole matrix
  Channel, ///< one scale for each row (output channel)
  Group, ///< one scale for `groupSize` neighbours of a row; the last group of a
         ///< row may be shorter
};

/// The storage type of the scales, and of the zero points where these are
/// fractions. Code6 and Code8 are two levels: the scale of a group is an
/// integer of 6 or 8 bits times a unit, one f16 for `columnsPerUnit` columns of
/// a row (the last ones of a row may be fewer).
enum class ScaleType : uint8_t { F16, F32, Code6, Code8 };

inline constexpr int64_t columnsPerUnit = 256;

/// How a zero point is stored.
enum class ZeroType : uint8_t {
  None,  ///< symmetric: signed codes, w = scale · q
  U8,    ///< unsigned codes, w = scale · (q − zero), zero an integer code: a
         ///< byte, or the element's bits with two levels of scales
  Float, ///< as U8, but zero is a fraction of the scale's type
};

/// A storage format. Two equal values are the same format and have the same
/// spelling.
struct Format {
  ElementType element = ElementType::F32;
  Granularity granularity = Granularity::None;
  int64_t groupSize = 0; ///< elements, with Granularity::Group; else 0
  ZeroType zero = ZeroType::None;
  ScaleType scale = ScaleType::F32;

  bool operator==(const Format &) const = default;
  bool isFloat() const { return granularity == Granularity::None; }
  bool isSymmetric() const { return zero == ZeroType::None; }
  bool hasTwoLevels() const {
    return scale == ScaleType::Code6 || scale == ScaleType::Code8;
  }
};

/// A format without scales: f32, f16 or bf16.
Format floatFormat(ElementType element);

/// `element` with one scale per group of `groupSize`, the default scale type
/// and the given zero points.
Format groupFormat(ElementType element, int64_t groupSize,
                   ZeroType zero = ZeroType::None);

/// Reads a spelling. The grammar, in this order, with what may be left out in
/// brackets:
///
///   element [_asym] [_tensor | _g<size>] [_zf] [_sf16 | _sf32 | _s6 | _s8]
///
/// Without _tensor or _g<size> an integer or fp8 element has one scale per
/// channel. `_zf`: zero points are fractions; fp8 and
/// code books have none of either kind. The scale type is spelt only where it
/// is not the default (f16 for groups, f32 else); `_s6` and `_s8` are two
/// levels. Fails with InvalidArgument and a message that quotes `text`.
StatusOr<Format> parseFormat(std::string_view text);

/// Why a format cannot have its two levels of scales; empty where it can, or
/// has one level.
std::string twoLevelFault(const Format &format);

/// The one spelling of a format: parseFormat(spell(f)) == f.
std::string spell(const Format &format);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_FORMAT_H
