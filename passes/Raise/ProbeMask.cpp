// Recognises attention masks: evaluates one in many cases, reads off what it
// can be, and compares every row of a real query with that formula. Windows are
// looked for beyond each integer constant that the mask depends on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/Probe.h"
#include <cmath>

using namespace mlir;
using namespace qopt::onnx;

namespace qopt::passes {
namespace {

/// Added values below this block a key: -inf, the lowest number of a type, and
/// the -10000 of older exports.
constexpr double blockedBelow = -9000;

Status refuse(const Twine &message) {
  return Status(StatusCode::Unsupported, message.str());
}

/// A mask evaluated in one case, as numbers that are added to scores.
struct MaskView {
  ProbeCase probeCase;
  int64_t heads = 1;
  std::vector<double> added; ///< [batch, heads, fresh, total]

  double at(int64_t row, int64_t head, int64_t s, int64_t t) const {
    return added[((row * heads + head) * probeCase.fresh + s) *
                     probeCase.total() +
                 t];
  }
  bool sees(int64_t row, int64_t head, int64_t s, int64_t t) const {
    return at(row, head, s, t) > blockedBelow;
  }
  bool isRealQuery(int64_t row, int64_t s) const {
    return probeCase.isReal(row, probeCase.past + s);
  }
};

/// Calls function(row, head, s) for each real query; stops at a failure.
template <typename Function>
Status forEachQuery(const MaskView &view, Function function) {
  for (int64_t row = 0; row < view.probeCase.batch; ++row)
    for (int64_t head = 0; head < view.heads; ++head)
      for (int64_t s = 0; s < view.probeCase.fresh; ++s)
        if (view.isRealQuery(row, s))
          QOPT_RETURN_IF_ERROR(function(row, head, s));
  return {};
}

/// The tensor's shape seen as [B, H, S, T]. `knownHeads`: of a case with batch
/// 1, tells [B·H, S, T] from [H, S, T].
StatusOr<HostTensor::Shape> fourAxes(const HostTensor &mask,
                                     const ProbeCase &probeCase,
                                     int64_t knownHeads) {
  HostTensor::Shape shape(mask.shape());
  if (shape.size() > 4)
    return refuse("a mask of rank " + Twine(shape.size()) +
                  "; expected at most 4");
  bool folded = shape.size() == 3 && probeCase.batch > 1 && shape[0] != 1 &&
                shape[0] == probeCase.batch * knownHeads;
  if (folded)
    shape = {probeCase.batch, knownHeads, shape[1], shape[2]};
  while (shape.size() < 4)
    shape.insert(shape.begin(), 1);
  int64_t expected[] = {probeCase.batch, shape[1], probeCase.fresh,
                        probeCase.total()};
  for (int axis : {0, 2, 3})
    if (shape[axis] != 1 && shape[axis] != expected[axis])
      return refuse("the mask's axis " + Twine(axis) + " has size " +
                    Twine(shape[axis]) + "; expected " + Twine(expected[axis]) +
                    " or 1");
  return shape;
}

StatusOr<MaskView> viewOf(const HostTensor &mask, const ProbeCase &probeCase,
                          MaskSense sense, int64_t knownHeads) {
  StatusOr<HostTensor::Shape> shape = fourAxes(mask, probeCase, knownHeads);
  if (!shape)
    return shape.status();
  MaskView view;
  view.probeCase = probeCase;
  view.heads = (*shape)[1];
  HostTensor::Shape full{probeCase.batch, view.heads, probeCase.fresh,
                         probeCase.total()};
  std::vector<double> values = mask.floats();
  for (int64_t from : stridedPositions(full, broadcastStrides(*shape, full))) {
    double value = values[from];
    if (mask.element() == Element::Bool)
      value = (value != 0) == (sense == MaskSense::TrueAttends) ? 0 : -INFINITY;
    if (std::isnan(value))
      return refuse("the mask holds NaN");
    view.added.push_back(value);
  }
  return view;
}

/// Views of the given cases and of cases longer than any possible window.
StatusOr<std::vector<MaskView>> collectViews(const Probe &probe, Value mask,
                                             MaskSense sense,
                                             ArrayRef<ProbeCase> cases) {
  std::vector<MaskView> views;
  int64_t heads = 1;
  for (const ProbeCase &probeCase : cases) {
    StatusOr<HostTensor> tensor = probe.evaluate(mask, probeCase);
    if (!tensor)
      return tensor.status();
    StatusOr<MaskView> view = viewOf(*tensor, probeCase, sense, heads);
    if (!view)
      return view.status();
    heads = view->heads;
    views.push_back(std::move(*view));
  }
  for (int64_t length : harvestLengths(mask)) {
    ProbeCase probeCase =
        probe.hasPast() ? probe.fit(1, length + 1, 2, ProbeCase::Padding::None)
                        : probe.fit(1, 0, length + 3, ProbeCase::Padding::None);
    if (probeCase.total() <= length)
      continue; // static shapes never get there
    StatusOr<HostTensor> tensor = probe.evaluate(mask, probeCase);
    if (!tensor && tensor.status().code() == StatusCode::OutOfResources)
      return tensor.status();
    if (!tensor)
      continue; // the model itself does not go that far
    StatusOr<MaskView> view = viewOf(*tensor, probeCase, sense, heads);
    if (view)
      views.push_back(std::move(*view));
  }
  return views;
}

/// What the views show: later keys seen, paddings seen, the nearest real key
/// that is not seen.
MaskKind guess(ArrayRef<MaskView> views) {
  bool seesLater = false, blocksLater = false;
  bool seesPadding = false, blocksPadding = false;
  std::optional<int64_t> nearestBlocked;
  for (const MaskView &view : views)
    (void)forEachQuery(view, [&](int64_t row, int64_t head, int64_t s) {
      int64_t query = view.probeCase.past + s;
      for (int64_t t = 0; t < view.probeCase.total(); ++t) {
        bool sees = view.sees(row, head, s, t);
        if (!view.probeCase.isReal(row, t))
          (sees ? seesPadding : blocksPadding) = true;
        else if (t > query)
          (sees ? seesLater : blocksLater) = true;
        else if (!sees)
          nearestBlocked =
              std::min(nearestBlocked.value_or(query - t), query - t);
      }
      return Status();
    });
  MaskKind kind;
  kind.causal = blocksLater && !seesLater;
  kind.padding = blocksPadding && !seesPadding;
  kind.window = nearestBlocked;
  return kind;
}

Status verifySight(const MaskView &view, const MaskKind &kind) {
  return forEachQuery(view, [&](int64_t row, int64_t head, int64_t s) {
    int64_t query = view.probeCase.past + s;
    for (int64_t t = 0; t < view.probeCase.total(); ++t) {
      bool real = view.probeCase.isReal(row, t);
      bool expected = (!kind.causal || t <= query) &&
                      (!kind.window || query - t < *kind.window) &&
                      (!kind.padding || real);
      if (view.sees(row, head, s, t) != expected)
        return refuse("the mask is neither causal nor a window nor a padding "
                      "mask: query " +
                      Twine(query) + (expected ? " misses" : " sees") +
                      " key " + Twine(t));
    }
    return Status();
  });
}

/// The slope of one head over the real keys of one query; differences only,
/// because Softmax ignores what a whole row has in common.
Status verifySlope(const MaskView &view, int64_t row, int64_t head, int64_t s,
                   double slope) {
  std::optional<int64_t> first;
  for (int64_t t = 0; t < view.probeCase.total(); ++t) {
    if (!view.probeCase.isReal(row, t) || !view.sees(row, head, s, t))
      continue;
    if (!first)
      first = t;
    double difference =
        view.at(row, head, s, t) - view.at(row, head, s, *first);
    double expected = slope * static_cast<double>(t - *first);
    if (std::abs(difference - expected) >
        1e-3 * std::max(1e-3, std::abs(expected)))
      return refuse("the added values are not linear in the distance");
  }
  return {};
}

/// Fills `kind.slopes` where something other than a constant is added.
Status readSlopes(ArrayRef<MaskView> views, MaskKind &kind) {
  const MaskView &sample = views.front();
  int64_t row = 0, s = sample.probeCase.fresh - 1, last = -1, first = -1;
  for (int64_t t = 0; t < sample.probeCase.total(); ++t)
    if (sample.probeCase.isReal(row, t) && sample.sees(row, 0, s, t)) {
      first = first < 0 ? t : first;
      last = t;
    }
  SmallVector<double> slopes(sample.heads, 0);
  for (int64_t head = 0; head < sample.heads && last > first; ++head)
    slopes[head] =
        (sample.at(row, head, s, last) - sample.at(row, head, s, first)) /
        static_cast<double>(last - first);
  for (const MaskView &view : views) {
    if (view.heads != sample.heads)
      return refuse("the number of heads changes with the batch");
    QOPT_RETURN_IF_ERROR(
        forEachQuery(view, [&](int64_t r, int64_t head, int64_t q) {
          return verifySlope(view, r, head, q, slopes[head]);
        }));
  }
  if (llvm::any_of(slopes, [](double slope) { return slope != 0; }))
    kind.slopes = slopes;
  return {};
}

/// Distances that are looked at for what is added to scores: what changes
/// beyond half of them is not understood.
constexpr int64_t mostDistances = 4096;

/// The last query's numbers by distance, from the one case that has so many
/// keys; without the equal ones at the end.
StatusOr<MaskKind> readBiases(const Probe &probe, Value mask, MaskSense sense,
                              int64_t heads, MaskKind kind) {
  ProbeCase longest =
      probe.fit(1, mostDistances - 1, 1, ProbeCase::Padding::None);
  StatusOr<HostTensor> tensor = probe.evaluate(mask, longest);
  if (!tensor)
    return tensor.status();
  StatusOr<MaskView> view = viewOf(*tensor, longest, sense, heads);
  if (!view)
    return view.status();
  int64_t query = longest.total() - 1;
  size_t most = 1;
  for (int64_t head = 0; head < heads; ++head) {
    SmallVector<double> row;
    for (int64_t t = query; t >= 0; --t)
      row.push_back(view->at(0, head, longest.fresh - 1, t));
    size_t end = row.size();
    while (end > 1 && row[end - 1] == row[end - 2])
      --end;
    most = std::max(most, end);
    kind.biases.push_back(std::move(row));
  }
  if (longest.total() < mostDistances || most > mostDistances / 2)
    return refuse("the added values are not linear in the distance, and change "
                  "up to the distance " +
                  Twine(most - 1));
  for (auto &row : kind.biases)
    row.truncate(most);
  return kind;
}

/// As verifySlope, of numbers by distance.
Status verifyBiases(const MaskView &view, int64_t row, int64_t head, int64_t s,
                    ArrayRef<double> biases) {
  std::optional<double> shift;
  for (int64_t t = 0; t < view.probeCase.total(); ++t) {
    if (!view.probeCase.isReal(row, t) || !view.sees(row, head, s, t))
      continue;
    auto distance = size_t(view.probeCase.past + s - t);
    double expected = biases[std::min(distance, biases.size() - 1)];
    double found = view.at(row, head, s, t) - expected;
    if (std::abs(found - shift.value_or(found)) >
        1e-6 * std::max(1.0, std::abs(expected)))
      return refuse("the added values are no function of the distance");
    shift = shift.value_or(found);
  }
  return {};
}

/// `kind` with what is added to scores.
StatusOr<MaskKind> readAdded(const Probe &probe, Value mask, MaskSense sense,
                             ArrayRef<MaskView> views, MaskKind kind) {
  Status isLinear = readSlopes(views, kind);
  if (isLinear.ok())
    return kind;
  if (!kind.causal || kind.window || !probe.hasPast())
    return isLinear;
  StatusOr<MaskKind> biased =
      readBiases(probe, mask, sense, views.front().heads, kind);
  if (!biased)
    return biased;
  for (const MaskView &view : views)
    QOPT_RETURN_IF_ERROR(
        forEachQuery(view, [&](int64_t row, int64_t head, int64_t s) {
          return verifyBiases(view, row, head, s, biased->biases[head]);
        }));
  return biased;
}

/// What the mask is in these cases.
StatusOr<MaskKind> classifyIn(const Probe &probe, Value mask, MaskSense sense,
                              ArrayRef<ProbeCase> cases) {
  StatusOr<std::vector<MaskView>> views =
      collectViews(probe, mask, sense, cases);
  if (!views)
    return views.status();
  MaskKind kind = guess(*views);
  for (const MaskView &view : *views)
    QOPT_RETURN_IF_ERROR(verifySight(view, kind));
  return readAdded(probe, mask, sense, *views, kind);
}

} // namespace

StatusOr<MaskKind> classifyMask(const Probe &probe, Value mask,
                                MaskSense sense) {
  std::vector<ProbeCase> left = probe.casesPaddedLeft();
  std::vector<ProbeCase> right = probe.casesPaddedRight();
  std::vector<ProbeCase> both = left;
  both.insert(both.end(), right.begin(), right.end());
  StatusOr<MaskKind> kind = classifyIn(probe, mask, sense, both);
  if (kind)
    return kind;
  StatusOr<MaskKind> narrower = classifyIn(probe, mask, sense, right);
  if (!narrower)
    return kind.status();
  narrower->rightPadded = true;
  return narrower;
}

Status checkSourceMask(const Probe &probe, Value mask) {
  for (ProbeCase probeCase : probe.casesPaddedLeft())
    for (int64_t source : {1, 5, 12}) {
      probeCase.source = source;
      StatusOr<HostTensor> tensor = probe.evaluate(mask, probeCase);
      if (!tensor)
        return tensor.status();
      std::vector<double> values = tensor->floats();
      int64_t width = tensor->rank() ? tensor->dim(tensor->rank() - 1) : 1;
      bool isBool = tensor->element() == Element::Bool;
      for (size_t i = 0; i < values.size(); ++i) {
        double first = values[i / size_t(width) * size_t(width)];
        if (isBool ? values[i] == 0
                   : !(values[i] > blockedBelow) || values[i] != first)
          return refuse("it hides or favours position " +
                        Twine(i % size_t(width)) + " of a source of " +
                        Twine(source));
      }
    }
  return {};
}

} // namespace qopt::passes
