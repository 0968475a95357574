// Shape functions of operators that cut, repeat and pad axes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/ShapeTransfer.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::onnx {

namespace {

/// One axis of a slice; null bounds are not known.
struct AxisSlice {
  AffineExpr start, end;
  std::optional<int64_t> step;
};

} // namespace

/// Sentinels such as 2^63 - 1 and 2^31 - 1 mean "to the end".
constexpr int64_t beyondAnySize = (int64_t(1) << 31) - 1;

/// How many elements of the axis lie before a bound, in [0, size], and with it
/// where `included` is 1; null if not decidable. Forward slices have bounds
/// that are not included, backward ones those that are.
static AffineExpr elementsTo(AffineExpr bound, int64_t included,
                             AffineExpr size, SymbolicDims &dims) {
  if (!bound)
    return {};
  std::optional<int64_t> value = constantValue(bound);
  if (value && *value >= beyondAnySize)
    return size;
  if (value && *value <= -beyondAnySize)
    return dims.constant(0);
  AffineExpr end = dims.add(bound, dims.constant(included));
  if (value && *value < 0)
    return dims.maximum(dims.add(size, end), dims.constant(0));
  // [-n:] of an axis of size n; for n = 0 the bound is 0 as well.
  if (!included && dims.add(bound, size) == dims.constant(0))
    return dims.constant(0);
  if (!dims.isNonNegative(bound))
    return {};
  return dims.minimum(end, size);
}

static AffineExpr forwardSize(AffineExpr size, const AxisSlice &slice,
                              SymbolicDims &dims) {
  AffineExpr start = elementsTo(slice.start, 0, size, dims);
  AffineExpr end = elementsTo(slice.end, 0, size, dims);
  if (!start || !end)
    return {};
  // [-k, end of axis): k elements, or all when there are fewer.
  std::optional<int64_t> fromEnd = constantValue(slice.start);
  AffineExpr length;
  if (fromEnd && *fromEnd < 0 && *fromEnd > -beyondAnySize && end == size)
    length = dims.minimum(dims.constant(-*fromEnd), size);
  else
    length = dims.maximum(dims.subtract(end, start), dims.constant(0));
  if (!length || *slice.step == 1)
    return length;
  return dims.floorQuotient(dims.add(length, dims.constant(*slice.step - 1)),
                            *slice.step);
}

static AffineExpr backwardSize(AffineExpr size, const AxisSlice &slice,
                               SymbolicDims &dims) {
  AffineExpr start = elementsTo(slice.start, 1, size, dims);
  // A start before the first element is the first, where there is one.
  if (start != size)
    start = dims.minimum(dims.maximum(start, dims.constant(1)), size);
  AffineExpr end = elementsTo(slice.end, 1, size, dims);
  if (!start || !end)
    return {};
  AffineExpr length = dims.maximum(dims.subtract(start, end), dims.constant(0));
  if (!length || *slice.step == -1)
    return length;
  int64_t step = -*slice.step;
  return dims.floorQuotient(dims.add(length, dims.constant(step - 1)), step);
}

/// The slice of each axis, or a failure where the operands disagree.
static StatusOr<SmallVector<std::pair<int64_t, AxisSlice>>>
readSlices(ShapeTransfer &transfer) {
  std::optional<int64_t> count = transfer.length(1);
  if (!count || transfer.length(2) != count)
    return transfer.error("starts and ends differ in length");
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, *count));
  if (transfer.present(3)) {
    auto given = transfer.axes(3, transfer.rank(0));
    if (!given)
      return given.status();
    axes = *given;
  }
  if (static_cast<int64_t>(axes.size()) != *count || *count > transfer.rank(0))
    return transfer.error("there are " + Twine(*count) + " starts for " +
                          Twine(axes.size()) + " axes");
  std::optional<Dims> starts = transfer.content(1), ends = transfer.content(2);
  std::optional<Dims> steps;
  if (transfer.present(4)) {
    steps = transfer.content(4);
    if (transfer.length(4) != count)
      return transfer.error("starts and steps differ in length");
  }
  SmallVector<std::pair<int64_t, AxisSlice>> slices;
  for (int64_t i = 0; i < *count; ++i) {
    AxisSlice slice;
    slice.start = starts ? (*starts)[i] : AffineExpr();
    slice.end = ends ? (*ends)[i] : AffineExpr();
    slice.step = 1;
    if (transfer.present(4))
      slice.step = steps ? constantValue((*steps)[i]) : std::nullopt;
    if (slice.step == 0)
      return transfer.error("a step is 0");
    slices.push_back({axes[i], slice});
  }
  return slices;
}

/// The elements of a sliced vector whose bounds are numbers.
static std::optional<Dims> sliceContent(const TensorFacts &data,
                                        const AxisSlice &slice, int64_t count) {
  std::optional<int64_t> start = constantValue(slice.start);
  if (!data.content || data.dims.size() != 1 || !start || !slice.step)
    return std::nullopt;
  int64_t size = data.content->size();
  int64_t place = *start < 0 ? *start + size : *start;
  place = std::clamp<int64_t>(place, 0, *slice.step > 0 ? size : size - 1);
  Dims content;
  for (int64_t i = 0; i < count; ++i)
    content.push_back((*data.content)[place + i * *slice.step]);
  return content;
}

static Status inferSlice(ShapeTransfer &transfer) {
  const TensorFacts &data = transfer.facts(0);
  auto slices = readSlices(transfer);
  if (!slices)
    return slices.status();
  Dims sizes = data.dims;
  for (auto &[axis, slice] : *slices) {
    AffineExpr size;
    if (slice.step && *slice.step > 0)
      size = forwardSize(sizes[axis], slice, transfer.dims);
    else if (slice.step)
      size = backwardSize(sizes[axis], slice, transfer.dims);
    sizes[axis] = size ? size : transfer.unknown();
  }
  std::optional<Dims> content;
  if (slices->empty())
    content = data.content;
  else if (std::optional<int64_t> count = smallCount(sizes))
    content = sliceContent(data, slices->front().second, *count);
  return transfer.result(0, data.elementType, sizes, content);
}

static Status inferSplit(ShapeTransfer &transfer, SplitOp op) {
  const TensorFacts &data = transfer.facts(0);
  StatusOr<int64_t> axis = transfer.axis(op.getAxis(), data.dims.size());
  if (!axis)
    return axis.status();
  AffineExpr whole = data.dims[*axis];
  std::optional<int64_t> fixed = constantValue(whole);
  int64_t pieces = op.getNumResults();
  std::optional<Dims> lengths;
  if (transfer.present(1)) {
    if (transfer.length(1) != pieces)
      return transfer.error("the lengths are not as many as the results, " +
                            Twine(pieces));
    lengths = transfer.content(1);
  }
  AffineExpr sum = transfer.constant(0);
  int64_t place = 0;
  for (int64_t i = 0; i < pieces; ++i) {
    AffineExpr size;
    if (transfer.present(1)) {
      size = lengths ? (*lengths)[i] : AffineExpr();
    } else if (fixed) {
      int64_t chunk = llvm::divideCeil(*fixed, pieces);
      size =
          transfer.constant(std::clamp<int64_t>(*fixed - i * chunk, 0, chunk));
    }
    sum = sum && size ? transfer.dims.add(sum, size) : AffineExpr();
    if (!size)
      size = transfer.unknown();
    Dims sizes = data.dims;
    sizes[*axis] = size;
    std::optional<Dims> content;
    std::optional<int64_t> count = smallCount(sizes);
    if (data.content && count && sizes.size() == 1 &&
        place + *count <= static_cast<int64_t>(data.content->size())) {
      auto first = data.content->begin() + place;
      content = Dims(first, first + *count);
      place += *count;
    }
    QOPT_RETURN_IF_ERROR(transfer.result(i, data.elementType, sizes, content));
  }
  if (fixed && constantValue(sum) && *constantValue(sum) != *fixed)
    return transfer.error("the lengths add up to " +
                          Twine(*constantValue(sum)) + "; expected " +
                          Twine(*fixed));
  transfer.require(ir::SizeRelation::Equal, sum, whole);
  return {};
}

static Status inferTile(ShapeTransfer &transfer) {
  const TensorFacts &data = transfer.facts(0);
  if (transfer.length(1) != static_cast<int64_t>(data.dims.size()))
    return transfer.error("repeats does not have one element per axis");
  std::optional<Dims> repeats = transfer.content(1);
  Dims sizes;
  for (auto [index, size] : llvm::enumerate(data.dims)) {
    AffineExpr times = repeats ? (*repeats)[index] : AffineExpr();
    sizes.push_back(times ? transfer.dims.multiply(size, times)
                          : transfer.unknown());
  }
  std::optional<Dims> content;
  std::optional<int64_t> count = smallCount(sizes);
  if (data.content && count && sizes.size() == 1) {
    content.emplace();
    while (static_cast<int64_t>(content->size()) < *count)
      llvm::append_range(*content, *data.content);
  }
  return transfer.result(0, data.elementType, sizes, content);
}

static Status inferPad(ShapeTransfer &transfer, PadOp op) {
  const TensorFacts &data = transfer.facts(0);
  SmallVector<int64_t> axes =
      llvm::to_vector(llvm::seq<int64_t>(0, data.dims.size()));
  if (transfer.present(3)) {
    auto given = transfer.axes(3, data.dims.size());
    if (!given)
      return given.status();
    axes = *given;
  }
  int64_t count = axes.size();
  if (transfer.length(1) != 2 * count)
    return transfer.error("pads does not have two elements per axis");
  std::optional<Dims> pads = transfer.content(1);
  Dims sizes = data.dims;
  for (int64_t i = 0; i < count; ++i) {
    AffineExpr before = pads ? (*pads)[i] : AffineExpr();
    AffineExpr after = pads ? (*pads)[count + i] : AffineExpr();
    AffineExpr &size = sizes[axes[i]];
    AffineExpr padded;
    // What is repeated must be there.
    if (op.getMode() != "constant" &&
        !(constantValue(before) == 0 && constantValue(after) == 0))
      transfer.require(ir::SizeRelation::AtMost, transfer.constant(1), size);
    if (before && after)
      padded = transfer.dims.add(size, transfer.dims.add(before, after));
    if (padded && !constantValue(padded) &&
        !transfer.dims.isNonNegative(padded))
      padded = {};
    size = padded ? padded : transfer.unknown();
  }
  return transfer.result(0, data.elementType, sizes);
}

std::optional<Status> inferSlicing(ShapeTransfer &t) {
  return TypeSwitch<Operation *, std::optional<Status>>(t.op)
      .Case([&](SliceOp) { return inferSlice(t); })
      .Case([&](SplitOp op) { return inferSplit(t, op); })
      .Case([&](TileOp) { return inferTile(t); })
      .Case([&](PadOp op) { return inferPad(t, op); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace qopt::onnx
