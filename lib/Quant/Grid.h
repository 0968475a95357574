// A grid: what values the weights of a matrix may take, before it is decided
// which one each of them takes. Every algorithm chooses a grid, then rounds on
// it:
//
//   value = scale · (number − zero)         (scale, zero) of the weight's group
//
// A *number* is what a code stands for in units of the scale: an integer of the
// element's range, a value of fp8, an entry of a code book. Scales and zeros
// are those that will be stored, rounded to their storage type: an algorithm
// that rounds with others finds a better grid than there is.
//
// Three things make a grid, and a new kind of format changes one of them:
//
//   Levels            the numbers, and which is nearest
//   GroupParameters   which weights share a scale, and how it is stored
//   Format            how all is laid out (Storage.h)
//
// Searches ask for the scale nearest to one that they would like
// (`storableScale`, of a group by its index) and never for its bits. Where
// scales are codes of two levels their units are chosen first; with the units
// the searches are those of one level.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_GRID_H
#define QOPT_LIB_QUANT_GRID_H

#include "lib/Quant/Algorithm.h"
#include "lib/Quant/Element.h"
#include <algorithm>
#include <vector>

namespace qopt::quant {

/// To the nearest integer, ties to even, for |x| < 2^22 in the default rounding
/// mode; unlike rintf a plain sum, which needs no newer instruction to be
/// vectorised. Larger values, which a clamp makes equal, stay large.
inline float roundToEven(float x) {
  constexpr float magic = 0x1.8p23f;
  return (x + magic) - magic;
}

/// The numbers that codes stand for.
class Levels {
public:
  /// The integers low…high.
  static Levels integers(int low, int high);
  /// The numbers of an element type that has `encode` and `decode`.
  static Levels ofElement(const Element &element);
  /// A code book: at least two finite numbers in ascending order.
  static Levels codeBook(std::vector<float> numbers);

  float low() const { return lowest; }
  float high() const { return highest; }
  /// Whether zero points can be added to them.
  bool isInteger() const { return !element && book.empty(); }
  /// Whether the largest magnitude is one number alone, below zero: the scale
  /// then takes the sign (Algorithm.h).
  bool isFullRange() const { return !element && lowest + highest < 0; }
  /// How many numbers there are; codes of an element type.
  int count() const;
  /// The numbers of a code book; empty for others.
  const std::vector<float> &numbers() const { return book; }
  /// The place of a number in the code book.
  int indexOf(float number) const { return indexInBook(number); }

  /// The number nearest to x; ties as the element's conversion has them, to
  /// even with integers, down in a code book.
  float nearest(float x) const {
    if (isInteger())
      return std::clamp(roundToEven(x), lowest, highest);
    if (!element)
      return book[size_t(indexInBook(x))];
    float number;
    nearestOf(&x, 1, &number);
    return number;
  }
  /// The same of `count` of them, none NaN; in place where both are one.
  void nearestOf(const float *x, int64_t count, float *numbers) const;

private:
  /// Of the number nearest to x.
  int indexInBook(float x) const {
    int index = 0;
    for (float middle : middles)
      index += x > middle;
    return index;
  }

  void nearestInBook(const float *x, int64_t count, float *numbers) const;

  float lowest = 0, highest = 0;
  const Element *element = nullptr;
  std::vector<float> book, middles; ///< middles of neighbours in the book
};

/// The stored scale and zero point of one group.
struct GroupParameters {
  float scale = 0, zero = 0;

  float value(float number) const { return scale * (number - zero); }
};

/// Everything about a grid but its scales and zero points.
struct GridShape {
  Format format; ///< has scales
  Levels levels;
  int64_t rows = 0, columns = 0;
  /// With two levels of scales the units [rows, units of a row]; NaN where a
  /// unit is yet to be chosen: every scale can be stored there.
  std::vector<float> units;

  int64_t groupColumns() const;   ///< columns of a group
  int64_t groupsPerRow() const;   ///< 1 where the matrix has one scale
  int64_t parameterCount() const; ///< number of scales
  /// Which parameters a group of a row has.
  int64_t indexOf(int64_t row, int64_t group) const {
    return format.granularity == Granularity::Tensor
               ? 0
               : row * groupsPerRow() + group;
  }

  /// The place of a group's unit.
  size_t unitOf(int64_t index) const;

  /// The scale that can be stored for the group with this index and is nearest
  /// to `scale`; infinite beyond the type's largest.
  float storableScale(int64_t index, float scale) const;
  /// The zero point that can be stored and is nearest to `zero`.
  float storableZero(float zero) const;

  /// The number that round to nearest gives a weight.
  float nearest(const GroupParameters &group, float weight) const {
    if (group.scale == 0)
      return 0;
    float x = weight / group.scale;
    if (format.zero == ZeroType::U8)
      return std::clamp(roundToEven(x) + group.zero, levels.low(),
                        levels.high());
    return levels.nearest(format.isSymmetric() ? x : x + group.zero);
  }
};

/// GridShape::nearest of `count` weights of one group.
void roundGroup(const GridShape &shape, const GroupParameters &group,
                const float *weights, int64_t count, float *numbers);

/// The scale nearest to `scale` among the multiples of a unit that can be
/// stored. Only zero itself is stored as zero: a group that has scales beyond
/// its own in a row keeps its largest weights.
float nearestMultiple(const Format &format, float unit, float scale);

/// The unit that can be stored and is nearest to `unit`; zero has no sign.
float storableUnit(const Format &format, float unit);

/// The lowest and the highest code of a scale, as numbers; formats of two
/// levels only.
ValueRange scaleCodes(const Format &format);

/// The shape of a matrix in a format that has scales; no unit is chosen.
GridShape gridShape(const Format &format, int64_t rows, int64_t columns);

/// The scale and zero point that cover `range` (the formulas of "rtn" in
/// Algorithm.h); the scale is infinite where its type is too small.
GroupParameters coverRange(const GridShape &shape, int64_t index,
                           const ValueRange &range);

/// The parameters that cover the groups of one row [columns], and its units.
/// Not for formats with one scale for the matrix or for blocks of rows.
void coverRow(GridShape &shape, int64_t row, const float *weights,
              GroupParameters *groups);

/// The parameters of the rows of one block, `weights` and `groups` of all rows.
void coverBlock(const GridShape &shape, const float *weights, int64_t rows,
                GroupParameters *groups);

/// Rows that have the same scales with Granularity::Block, else 1.
int64_t rowsPerBlock(const Format &format);

/// The range of a few values, all finite.
ValueRange rangeOf(const float *values, int64_t count);

/// A matrix of f32, row after row.
struct MatrixView {
  const float *values = nullptr;
  int64_t rows = 0, columns = 0;
  int64_t firstRow = 0; ///< of a larger matrix; only names rows in messages

  const float *row(int64_t index) const { return values + index * columns; }
};

/// A grid, with the parameters of every group.
struct Grid {
  GridShape shape;
  std::vector<GroupParameters> groups; ///< by GridShape::indexOf
};

/// The grid that covers every group's range: what round to nearest uses. Fails
/// as `roundToNearest` does.
StatusOr<Grid> coveringGrid(const GridShape &shape, const MatrixView &weights);

/// Fails with Infeasible where a scale of a row is beyond its type; `weights`
/// is the row.
Status checkScales(const GridShape &shape, const GroupParameters *groups,
                   const float *weights, int64_t row);

/// A matrix that is quantized: the number of each weight, row after row.
struct QuantizedMatrix {
  Grid grid;
  std::vector<float> numbers;
};

/// Every weight to the nearest number.
QuantizedMatrix roundToGrid(Grid grid, const MatrixView &weights);

/// What the matrix stands for, into values [rows, columns]; the arithmetic of
/// `dequantizeRows`.
void dequantize(const QuantizedMatrix &matrix, float *values);

/// Writes the parameters of the groups of one row, or the only ones of a
/// matrix.
void storeParameters(const GridShape &shape, int64_t row,
                     const GroupParameters *groups,
                     const QuantizedRows &result);

/// Writes the codes of a row, from numbers that are levels of the shape, or
/// that its element's own conversion rounds to such.
void storeRow(const GridShape &shape, const float *numbers, uint8_t *bytes);

/// Canonical storage (Storage.h) of the whole matrix.
void store(const QuantizedMatrix &matrix, const QuantizedRows &result);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_GRID_H
