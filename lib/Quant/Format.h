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
  Int5,
  Fp8E5m2,
  Fp4E2m1,
  Nf4
};

/// How many elements share one scale.
enum class Granularity : uint8_t {
  None,    ///< no scale: the element is the value (floating point formats)
  Tensor,  ///< one scale for the whole matrix
  Channel, ///< one scale for each row (output channel)
  Group, ///< one scale for `groupSize` neighbours of a row; the last group of a
         ///< row may be shorter
  Block, ///< as Group, and `groupSize` neighbouring rows have the same scales;
         ///< the last of a matrix may be fewer. Each row stores its own
};

/// The storage type of the scales, and of the zero points where these are
/// fractions. E8m0 are powers of two (OCP microscaling formats). The last three
/// are two levels: the scale of a group is a code times a unit. Code6 and Code8
/// are integers of 6 or 8 bits, their unit one f16 for `columnsPerUnit` columns
/// of a row (the last ones of a row may be fewer); E4m3 are fp8, their unit one
/// f32 for the row.
enum class ScaleType : uint8_t { F16, F32, Code6, Code8, BF16, E8m0, E4m3 };

inline constexpr int64_t columnsPerUnit = 256;

/// How a zero point is stored.
enum class ZeroType : uint8_t {
  None,  ///< symmetric: signed codes, w = scale · q
  U8,    ///< unsigned codes, w = scale · (q − zero), zero an integer code: a
         ///< byte, or the element's bits with two levels of scales
  Float, ///< as U8, but zero is a fraction of the scale's type
};

/// Which signed codes a symmetric format of integers of b bits uses.
enum class CodeRange : uint8_t {
  Usual,      ///< as the element says: restricted for int8, full for shorter
  Full,       ///< −2^(b−1) … 2^(b−1) − 1; the scale takes the sign of −m
  Restricted, ///< −m … m, m = 2^(b−1) − 1
};

/// A storage format. Two equal values are the same format and have the same
/// spelling.
struct Format {
  ElementType element = ElementType::F32;
  Granularity granularity = Granularity::None;
  int64_t groupSize = 0; ///< elements, with Granularity::Group; else 0
  ZeroType zero = ZeroType::None;
  ScaleType scale = ScaleType::F32;
  CodeRange range = CodeRange::Usual; ///< never another one that is the usual

  bool operator==(const Format &) const = default;
  bool isFloat() const { return granularity == Granularity::None; }
  bool isSymmetric() const { return zero == ZeroType::None; }
  /// Whether neighbours of a row share a scale, with others or not.
  bool isGrouped() const {
    return granularity == Granularity::Group ||
           granularity == Granularity::Block;
  }
  bool hasTwoLevels() const {
    return hasScaleFields() || scale == ScaleType::E4m3;
  }
  /// Whether scales are integers of a few bits times a unit.
  bool hasScaleFields() const {
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
///   element [_asym | _full | _restricted] [_tensor | _g<size> | _b<size>]
///   [_zf] [_sf16 | _sf32 | _sbf16 | _se8m0 | _se4m3 | _s6 | _s8]
///
/// Without _tensor, _g<size> or _b<size> an element with scales has one per
/// channel. `_zf`: zero points are fractions; floating point elements and code
/// books have none of either kind. `_full` and `_restricted` are spelt only of
/// integers whose usual range is the other, the scale type only where it is not
/// the default (f16 for groups, f32 else); `_se4m3`, `_s6` and `_s8` are two
/// levels. Two formats have names of their own:
///
///   mxfp4   fp4_e2m1 in groups of 32 with e8m0 scales (OCP Microscaling
///           Formats (MX) Specification 1.0, 5.2)
///   nvfp4   fp4_e2m1 in groups of 16 with e4m3 scales times an f32
///
/// Fails with InvalidArgument and a message that quotes `text`.
StatusOr<Format> parseFormat(std::string_view text);

/// Why there is no format of an element with scales and these zero points,
/// scales and codes; empty where there is.
std::string formatFault(const Format &format);

/// The one spelling of a format: parseFormat(spell(f)) == f.
std::string spell(const Format &format);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_FORMAT_H
