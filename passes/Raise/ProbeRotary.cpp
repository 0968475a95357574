// Recognises positions and rotary tables: evaluates them where the possible
// sources of positions differ, and compares every real token with scale ·
// cos(position · f). The frequencies are read at position 1, from the input of
// Cos where the graph has one (exact), else from the table itself.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "passes/Raise/Probe.h"
#include "llvm/ADT/DenseSet.h"
#include <cmath>

using namespace mlir;
using namespace qopt::onnx;

namespace qopt::passes {
namespace {

Status refuse(const Twine &message) {
  return Status(StatusCode::Unsupported, message.str());
}

/// Cases in which position_ids differs from past + index, and with paddings
/// before the tokens (`before`) the mask's sum from both.
std::vector<ProbeCase> positionCases(const Probe &probe, bool before) {
  using Padding = ProbeCase::Padding;
  std::vector<ProbeCase> cases;
  int64_t salt = 5;
  for (auto [batch, past, fresh] :
       {std::tuple<int64_t, int64_t, int64_t>{1, 0, 6},
        {2, 3, 4},
        {2, 0, 9},
        {1, 20, 3},
        {3, 6, 1}})
    for (bool padded : {true, false}) {
      Padding padding = !padded     ? Padding::None
                        : before    ? Padding::Left
                        : past == 0 ? Padding::Right
                                    : Padding::None;
      ProbeCase probeCase = probe.fit(batch, past, fresh, padding);
      for (int64_t &position : probeCase.positions) {
        salt = (salt * 11 + 17) % 29; // arbitrary, below any table's length
        position = salt;
      }
      cases.push_back(std::move(probeCase));
    }
  return cases;
}

int64_t expectedPosition(const ProbeCase &probeCase, PositionSource source,
                         int64_t row, int64_t s) {
  switch (source) {
  case PositionSource::PositionIds:
    return probeCase.positions[row * probeCase.fresh + s];
  case PositionSource::PastAndIndex:
    return probeCase.past + s;
  case PositionSource::MaskSum:
    return probeCase.realBefore(row, probeCase.past + s);
  }
  return 0;
}

SmallVector<PositionSource> possibleSources(const Probe &probe) {
  SmallVector<PositionSource> sources{PositionSource::PastAndIndex};
  if (probe.inputs().mask)
    sources.push_back(PositionSource::MaskSum);
  if (probe.inputs().positions)
    sources.push_back(PositionSource::PositionIds);
  return sources;
}

/// Calls function(first element, row, s) for each real new token of a tensor
/// with `columns` elements a token, whose rows are those of the batch or common
/// to it.
template <typename Function>
Status forEachToken(const HostTensor &tensor, const ProbeCase &probeCase,
                    int64_t columns, Function function) {
  int64_t rows = tensor.count() / std::max<int64_t>(1, columns);
  bool shared = rows == probeCase.fresh;
  if (!shared && rows != probeCase.batch * probeCase.fresh)
    return refuse("the value has " + Twine(rows) +
                  " rows; expected one for each new token");
  for (int64_t row = 0; row < probeCase.batch; ++row)
    for (int64_t s = 0; s < probeCase.fresh; ++s)
      if (probeCase.isReal(row, probeCase.past + s))
        QOPT_RETURN_IF_ERROR(function(
            ((shared ? 0 : row) * probeCase.fresh + s) * columns, row, s));
  return {};
}

//===--------------------------------------------------------------------===//
// Rotary tables
//===--------------------------------------------------------------------===//

/// A case with a single real token at the given position, whatever the source:
/// without a cache the position is reached by the tokens before it.
ProbeCase caseAt(const Probe &probe, int64_t position) {
  ProbeCase probeCase =
      probe.hasPast() ? probe.fit(1, position, 1, ProbeCase::Padding::None)
                      : probe.fit(1, 0, position + 1, ProbeCase::Padding::None);
  for (auto [s, value] : llvm::enumerate(probeCase.positions))
    value = probeCase.past + static_cast<int64_t>(s);
  return probeCase;
}

/// The columns of the token at `position`.
StatusOr<std::vector<double>> rowAt(const Probe &probe, Value value,
                                    int64_t position) {
  ProbeCase probeCase = caseAt(probe, position);
  int64_t s = position - probeCase.past;
  if (s < 0 || s >= probeCase.fresh)
    return refuse("position " + Twine(position) +
                  " is beyond the function's static shapes");
  StatusOr<HostTensor> tensor = probe.evaluate(value, probeCase);
  if (!tensor)
    return tensor.status();
  if (tensor->rank() == 0 || !isFloat(tensor->element()))
    return refuse("a rotary table is a float tensor with columns");
  int64_t columns = tensor->shape().back();
  if (tensor->count() < (s + 1) * columns)
    return refuse("the table lacks a row for position " + Twine(position));
  std::vector<double> all = tensor->floats();
  return std::vector<double>(all.begin() + s * columns,
                             all.begin() + (s + 1) * columns);
}

/// The nearest Cos that a value is computed from through one chain of
/// operands, not through shapes.
Value findAngle(Value cosine) {
  SmallVector<Value> open{cosine};
  llvm::DenseSet<Value> seen;
  for (size_t i = 0; i < open.size(); ++i) {
    Operation *op = open[i].getDefiningOp();
    if (!op || !seen.insert(open[i]).second)
      continue;
    if (auto cos = dyn_cast<CosOp>(op))
      return cos->getOperand(0);
    if (!isa<ShapeOp, SizeOp>(op))
      open.append(op->operand_begin(), op->operand_end());
  }
  return {};
}

int64_t frequencyOf(int64_t column, int64_t frequencies, TableLayout layout) {
  return layout == TableLayout::Half     ? column
         : layout == TableLayout::Halves ? column % frequencies
                                         : column / 2;
}

/// Frequencies that repeat as a layout says, without the repetition.
std::optional<std::vector<double>> undo(ArrayRef<double> columns,
                                        TableLayout layout) {
  if (layout == TableLayout::Half)
    return columns.vec();
  if (columns.size() % 2)
    return std::nullopt;
  auto half = static_cast<int64_t>(columns.size() / 2);
  std::vector<double> result(half);
  for (int64_t j = 0; j < half; ++j)
    result[j] = columns[layout == TableLayout::Halves ? j : 2 * j];
  for (size_t j = 0; j < columns.size(); ++j)
    if (columns[j] !=
        result[frequencyOf(static_cast<int64_t>(j), half, layout)])
      return std::nullopt;
  return result;
}

/// Cosines and sines of one position.
using TableRow = std::pair<std::vector<double>, std::vector<double>>;

/// Angles from the table alone: the sine keeps small ones, and larger positions
/// (up to `last`) give further digits.
StatusOr<std::vector<double>>
anglesOfTable(int64_t last, function_ref<StatusOr<TableRow>(int64_t)> rowOf) {
  std::vector<double> angles;
  for (int64_t position = 1; position <= last; position *= 4) {
    StatusOr<TableRow> row = rowOf(position);
    if (!row && position == 1)
      return row.status();
    if (!row)
      break; // a short table
    const auto &[c, s] = *row;
    if (c.size() != s.size())
      return refuse("the tables differ in width");
    auto times = static_cast<double>(position);
    angles.resize(c.size(), 0);
    for (size_t j = 0; j < angles.size(); ++j) {
      double turn = std::atan2(s[j], c[j]);
      double whole = std::round((angles[j] * times - turn) / (2 * M_PI));
      angles[j] = (turn + 2 * M_PI * (position == 1 ? 0 : whole)) / times;
    }
  }
  return angles;
}

double toleranceOf(Value value) {
  Type type = getElementTypeOrSelf(value.getType());
  return type.isBF16() ? 1e-2 : type.isF16() ? 2e-3 : 3e-5;
}

/// Both tables in one case.
struct RotaryView {
  ProbeCase probeCase;
  HostTensor cosine, sine;
};

/// Views of cases that tell the sources apart, and of a position beyond each
/// length at which computed tables may change (dynamic scaling); a length that
/// the function cannot reach is left out.
StatusOr<std::vector<RotaryView>> rotaryViews(const Probe &probe, Value cosine,
                                              Value sine, bool before) {
  std::vector<RotaryView> views;
  auto view = [&](ProbeCase probeCase) -> Status {
    Evaluator evaluator = probe.evaluatorFor(probeCase);
    StatusOr<HostTensor> c = evaluator.evaluate(cosine);
    if (!c)
      return c.status();
    StatusOr<HostTensor> s = evaluator.evaluate(sine);
    if (!s)
      return s.status();
    if (c->rank() == 0 || c->shape() != s->shape())
      return refuse("the tables differ in shape");
    views.push_back({std::move(probeCase), std::move(*c), std::move(*s)});
    return {};
  };
  for (ProbeCase &probeCase : positionCases(probe, before))
    QOPT_RETURN_IF_ERROR(view(std::move(probeCase)));
  if (!findAngle(cosine))
    return views;
  for (int64_t length : harvestLengths(cosine)) {
    if (!probe.hasPast() && length > 8192)
      continue;
    ProbeCase beyond = caseAt(probe, length + 1);
    if (beyond.total() > length)
      (void)view(std::move(beyond));
  }
  return views;
}

/// Compares both tables of one case with the formula.
Status verifyRotary(const RotaryView &view, const RotaryKind &kind,
                    double tolerance) {
  auto frequencies = static_cast<int64_t>(kind.inverseFrequencies.size());
  int64_t columns = view.cosine.shape().back();
  if (columns != (kind.layout == TableLayout::Half ? 1 : 2) * frequencies)
    return refuse("the tables' width does not fit the frequencies");
  return forEachToken(
      view.cosine, view.probeCase, columns,
      [&](int64_t first, int64_t row, int64_t token) {
        auto position = static_cast<float>(
            expectedPosition(view.probeCase, kind.source, row, token));
        for (int64_t j = 0; j < columns; ++j) {
          float f =
              kind.inverseFrequencies[frequencyOf(j, frequencies, kind.layout)];
          double angle = position * f; // as the exporters: in f32
          double c = view.cosine.floatAt(first + j);
          double s = view.sine.floatAt(first + j);
          if (std::abs(c - kind.scale * std::cos(angle)) > tolerance ||
              std::abs(s - kind.scale * std::sin(angle)) > tolerance)
            return refuse("the tables are not cos and sin of position times "
                          "frequency at position " +
                          Twine(static_cast<int64_t>(position)));
        }
        return Status();
      });
}

/// Frequencies, one a column of the angle or of the table.
StatusOr<std::vector<double>> readAngles(const Probe &probe, Value cosine,
                                         Value sine) {
  if (Value angle = findAngle(cosine)) {
    StatusOr<std::vector<double>> row = rowAt(probe, angle, 1);
    if (row)
      return row;
  }
  return anglesOfTable(64, [&](int64_t position) -> StatusOr<TableRow> {
    StatusOr<std::vector<double>> c = rowAt(probe, cosine, position);
    if (!c)
      return c.status();
    StatusOr<std::vector<double>> s = rowAt(probe, sine, position);
    if (!s)
      return s.status();
    return TableRow(std::move(*c), std::move(*s));
  });
}

StatusOr<PositionKind> classifyPositionsIn(const Probe &probe, Value positions,
                                           bool before) {
  Status last = refuse("the positions have no known source");
  for (PositionSource source : possibleSources(probe)) {
    std::optional<int64_t> offset;
    last = {};
    for (const ProbeCase &probeCase : positionCases(probe, before)) {
      StatusOr<HostTensor> tensor = probe.evaluate(positions, probeCase);
      if (!tensor)
        return tensor.status();
      last = forEachToken(
          *tensor, probeCase, 1, [&](int64_t at, int64_t row, int64_t s) {
            int64_t difference =
                tensor->intAt(at) - expectedPosition(probeCase, source, row, s);
            if (difference != offset.value_or(difference))
              return refuse("the value is no position of the new tokens");
            offset = difference;
            return Status();
          });
      if (!last)
        break;
    }
    if (last && offset)
      return PositionKind{source, *offset, !before};
  }
  return last;
}

/// Tries all ways in which columns may belong to frequencies, and all sources
/// of positions.
StatusOr<RotaryKind> fitRotary(ArrayRef<PositionSource> sources,
                               ArrayRef<RotaryView> views,
                               ArrayRef<double> angles, RotaryKind kind,
                               double tolerance) {
  Status last = refuse("the tables' columns do not fit their frequencies");
  for (TableLayout repetition :
       {TableLayout::Halves, TableLayout::Repeated, TableLayout::Half}) {
    std::optional<std::vector<double>> frequencies = undo(angles, repetition);
    if (!frequencies)
      continue;
    kind.inverseFrequencies.assign(frequencies->begin(), frequencies->end());
    for (TableLayout layout :
         {TableLayout::Half, TableLayout::Halves, TableLayout::Repeated})
      for (PositionSource source : sources) {
        kind.layout = layout;
        kind.source = source;
        Status fits;
        for (const RotaryView &view : views)
          if (fits)
            fits = verifyRotary(view, kind, tolerance);
        if (fits)
          return kind;
        last = fits;
      }
  }
  return last;
}

} // namespace

StatusOr<PositionKind> classifyPositions(const Probe &probe, Value positions) {
  Type element = getElementTypeOrSelf(positions.getType());
  if (!element.isIntOrIndex())
    return refuse("positions are integers");
  StatusOr<PositionKind> kind = classifyPositionsIn(probe, positions, true);
  if (kind)
    return kind;
  StatusOr<PositionKind> narrower =
      classifyPositionsIn(probe, positions, false);
  return narrower ? narrower : kind;
}

StatusOr<RotaryKind> classifyRotary(const Probe &probe, Value cosine,
                                    Value sine) {
  StatusOr<std::vector<double>> start = rowAt(probe, cosine, 0);
  if (!start)
    return start.status();
  StatusOr<std::vector<double>> angles = readAngles(probe, cosine, sine);
  if (!angles)
    return angles.status();
  if (start->empty() || angles->empty())
    return refuse("the table has no columns");
  RotaryKind kind;
  kind.scale = start->front();
  double tolerance = toleranceOf(cosine) * std::max(1.0, kind.scale);
  StatusOr<RotaryKind> last = kind;
  for (bool before : {true, false}) {
    kind.rightPadded = !before;
    StatusOr<std::vector<RotaryView>> views =
        rotaryViews(probe, cosine, sine, before);
    StatusOr<RotaryKind> found = views
                                     ? fitRotary(possibleSources(probe), *views,
                                                 *angles, kind, tolerance)
                                     : views.status();
    if (found)
      return found;
    if (before)
      last = found;
  }
  return last;
}

StatusOr<RotaryKind> classifyRotaryCache(Value cosine, Value sine) {
  Evaluator evaluator;
  StatusOr<HostTensor> c = evaluator.evaluate(cosine);
  if (!c)
    return c.status();
  StatusOr<HostTensor> s = evaluator.evaluate(sine);
  if (!s)
    return s.status();
  if (c->rank() != 2 || c->shape() != s->shape() || c->dim(0) < 2 ||
      c->dim(1) < 1)
    return refuse("the caches are not two tables of rows by position");
  int64_t rows = c->dim(0), columns = c->dim(1);
  std::vector<double> cosines = c->floats(), sines = s->floats();
  auto rowOf = [&](int64_t position) -> StatusOr<TableRow> {
    auto at = static_cast<ptrdiff_t>(position * columns);
    auto cut = [&](const std::vector<double> &all) {
      return std::vector<double>(all.begin() + at, all.begin() + at + columns);
    };
    return TableRow(cut(cosines), cut(sines));
  };
  StatusOr<std::vector<double>> angles = anglesOfTable(rows - 1, rowOf);
  if (!angles)
    return angles.status();
  RotaryKind kind;
  kind.scale = cosines.front();
  // All rows as one case: row p is the token at position p.
  RotaryView view{ProbeCase::make(1, 0, rows, ProbeCase::Padding::None),
                  std::move(*c), std::move(*s)};
  double tolerance = toleranceOf(cosine) * std::max(1.0, kind.scale);
  return fitRotary({PositionSource::PastAndIndex}, view, *angles, kind,
                   tolerance);
}

std::optional<RotationKind> classifyRotation(const Probe &probe, Value turned,
                                             Value x) {
  auto type = dyn_cast<RankedTensorType>(x.getType());
  if (!type || type.getRank() != 4 || type.isDynamicDim(3) ||
      type.getDimSize(3) % 2)
    return std::nullopt;
  std::optional<Element> element = elementOf(type.getElementType());
  if (!element || !isFloat(*element))
    return std::nullopt;
  HostTensor::Shape shape(type.getShape());
  for (auto [axis, size] : llvm::enumerate(shape))
    if (ShapedType::isDynamic(size))
      size = axis == 0 ? 1 : 2; // batch and new tokens of the case below
  // Channels by number, rows by powers of two: exact in bf16 too.
  std::vector<double> numbers(countOf(shape));
  auto columns = static_cast<size_t>(shape.back());
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = std::ldexp(static_cast<double>(i % columns + 1),
                            static_cast<int>(i / columns % 5));
  Evaluator evaluator =
      probe.evaluatorFor(probe.fit(1, 0, 2, ProbeCase::Padding::None));
  evaluator.bind(x, HostTensor::ofFloats(*element, shape, numbers));
  StatusOr<HostTensor> result = evaluator.evaluate(turned);
  if (!result || result->shape() != ArrayRef<int64_t>(shape))
    return std::nullopt;
  int64_t size = shape.back(), half = size / 2;
  auto matches = [&](RotationKind kind) {
    for (int64_t i = 0; i < result->count(); ++i) {
      int64_t channel = i % size, partner = channel ^ 1;
      bool first = channel % 2 == 0;
      if (kind == RotationKind::Halves) {
        first = channel < half;
        partner = first ? channel + half : channel - half;
      }
      double expected = numbers[i - channel + partner] * (first ? -1 : 1);
      if (result->floatAt(i) != expected)
        return false;
    }
    return true;
  };
  if (matches(RotationKind::Halves))
    return RotationKind::Halves;
  if (matches(RotationKind::Interleaved))
    return RotationKind::Interleaved;
  return std::nullopt;
}

} // namespace qopt::passes
