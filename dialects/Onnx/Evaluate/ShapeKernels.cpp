// Kernels that read or change shapes and move whole elements: Shape, Reshape
// and its kin, Transpose, Concat, Split, Slice, Expand, Tile, Pad. All but
// Concat and Pad are a choice of source positions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include <algorithm>

using namespace mlir;

namespace qopt::onnx {
namespace {

using Shape = HostTensor::Shape;

int64_t clampTo(int64_t value, int64_t low, int64_t high) {
  return std::min(std::max(value, low), high);
}

/// Operand 0 with another shape of the same elements.
KernelResult reshapedTo(const Call &call, ArrayRef<int64_t> shape) {
  if (countOf(shape) != call.in(0).count())
    return Call::fail("the number of elements changes");
  return one(call.data() ? call.in(0).reshaped(shape)
                         : HostTensor::shapeOnly(call.element(), shape));
}

/// Operand 0 read with strides from an offset.
KernelResult strided(const Call &call, ArrayRef<int64_t> shape,
                     ArrayRef<int64_t> strides, int64_t offset = 0) {
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  return one(call.in(0).taken(shape, stridedPositions(shape, strides, offset)));
}

KernelResult shapeOf(const Call &call) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  int64_t rank = call.in(0).rank();
  int64_t start = call.attr("start", 0), end = call.attr("end", rank);
  start = clampTo(start < 0 ? start + rank : start, 0, rank);
  end = clampTo(end < 0 ? end + rank : end, start, rank);
  return one(HostTensor::ofInts(Element::I64, {end - start},
                                shape.slice(start, end - start)));
}

KernelResult size(const Call &call) {
  return one(HostTensor::ofInts(Element::I64, {}, {call.in(0).count()}));
}

KernelResult reshape(const Call &call) {
  std::vector<int64_t> wanted = call.in(1).ints();
  bool keepsZero = call.attr("allowzero", 0) != 0;
  Shape shape(wanted.begin(), wanted.end());
  int64_t known = 1, open = -1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && !keepsZero) {
      if (static_cast<int64_t>(d) >= call.in(0).rank())
        return Call::fail("dimension " + Twine(d) +
                          " is copied from an operand without it");
      shape[d] = call.in(0).dim(d);
    }
    if (shape[d] == -1)
      open = static_cast<int64_t>(d);
    else
      known *= shape[d];
  }
  if (open >= 0)
    shape[open] = known ? call.in(0).count() / known : 0;
  return reshapedTo(call, shape);
}

KernelResult flatten(const Call &call) {
  int64_t rank = call.in(0).rank(), axis = call.attr("axis", 1);
  axis = clampTo(axis < 0 ? axis + rank : axis, 0, rank);
  ArrayRef<int64_t> shape = call.in(0).shape();
  return reshapedTo(
      call, {countOf(shape.take_front(axis)), countOf(shape.drop_front(axis))});
}

/// The axes of operand 1 or of the attribute, made non-negative.
StatusOr<Shape> axesOf(const Call &call, int64_t rank) {
  Shape axes = call.attrInts("axes");
  if (call.has(1)) {
    std::vector<int64_t> values = call.in(1).ints();
    axes.assign(values.begin(), values.end());
  }
  for (int64_t &value : axes) {
    StatusOr<int64_t> axis = call.axis(value, rank);
    if (!axis)
      return axis.status();
    value = *axis;
  }
  return axes;
}

KernelResult squeeze(const Call &call) {
  StatusOr<Shape> axes = axesOf(call, call.in(0).rank());
  if (!axes)
    return axes.status();
  Shape shape;
  for (int64_t d = 0; d < call.in(0).rank(); ++d)
    if (axes->empty() ? call.in(0).dim(d) != 1 : !llvm::is_contained(*axes, d))
      shape.push_back(call.in(0).dim(d));
  return reshapedTo(call, shape);
}

KernelResult unsqueeze(const Call &call) {
  int64_t added = call.has(1)
                      ? call.in(1).count()
                      : static_cast<int64_t>(call.attrInts("axes").size());
  int64_t rank = call.in(0).rank() + added;
  StatusOr<Shape> axes = axesOf(call, rank);
  if (!axes)
    return axes.status();
  Shape shape;
  ArrayRef<int64_t> old = call.in(0).shape();
  for (int64_t d = 0; d < rank; ++d) {
    if (llvm::is_contained(*axes, d)) {
      shape.push_back(1);
      continue;
    }
    if (old.empty())
      return Call::fail("an axis is given twice");
    shape.push_back(old.front());
    old = old.drop_front();
  }
  return reshapedTo(call, shape);
}

KernelResult transpose(const Call &call) {
  int64_t rank = call.in(0).rank();
  Shape order = call.attrInts("perm");
  if (order.empty())
    for (int64_t d = rank - 1; d >= 0; --d)
      order.push_back(d);
  if (static_cast<int64_t>(order.size()) != rank)
    return Call::fail("perm does not have the operand's rank");
  Shape shape, strides, own = stridesOf(call.in(0).shape());
  for (int64_t axis : order) {
    shape.push_back(call.in(0).dim(axis));
    strides.push_back(own[axis]);
  }
  return strided(call, shape, strides);
}

KernelResult expand(const Call &call) {
  auto shape = broadcastShapes(call.in(0).shape(), call.in(1).ints());
  if (!shape)
    return Call::fail("the operand does not broadcast to the asked shape");
  return strided(call, *shape, broadcastStrides(call.in(0).shape(), *shape));
}

KernelResult tile(const Call &call) {
  std::vector<int64_t> repeats = call.in(1).ints();
  int64_t rank = call.in(0).rank();
  if (static_cast<int64_t>(repeats.size()) != rank)
    return Call::fail("repeats does not have the operand's rank");
  // Index space [r0, d0, r1, d1, …]; a repeat is a stride of 0.
  Shape split, strides, shape, own = stridesOf(call.in(0).shape());
  for (int64_t d = 0; d < rank; ++d) {
    split.append({repeats[d], call.in(0).dim(d)});
    strides.append({0, own[d]});
    shape.push_back(repeats[d] * call.in(0).dim(d));
  }
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  return one(call.in(0).taken(shape, stridedPositions(split, strides)));
}

KernelResult concat(const Call &call) {
  Shape shape(call.in(0).shape());
  StatusOr<int64_t> axis = call.axis(call.attr("axis", 0), shape.size());
  if (!axis)
    return axis.status();
  shape[*axis] = 0;
  for (size_t i = 0; i < call.inputCount(); ++i) {
    ArrayRef<int64_t> part = call.in(i).shape();
    if (part.size() != shape.size())
      return Call::fail("the operands' ranks differ");
    for (size_t d = 0; d < shape.size(); ++d)
      if (static_cast<int64_t>(d) != *axis && part[d] != shape[d])
        return Call::fail("the operands' shapes differ beside the axis");
    shape[*axis] += part[*axis];
  }
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  unsigned width = widthOf(call.element());
  int64_t outer = countOf(ArrayRef<int64_t>(shape).take_front(*axis));
  int64_t inner = countOf(ArrayRef<int64_t>(shape).drop_front(*axis + 1));
  std::vector<char> bytes;
  bytes.reserve(countOf(shape) * width);
  for (int64_t row = 0; row < outer; ++row)
    for (size_t i = 0; i < call.inputCount(); ++i) {
      int64_t piece = call.in(i).dim(*axis) * inner * width;
      const char *start = call.in(i).bytes().data() + row * piece;
      bytes.insert(bytes.end(), start, start + piece);
    }
  return one(HostTensor::ofBytes(call.element(), shape, std::move(bytes)));
}

KernelResult split(const Call &call) {
  StatusOr<int64_t> axis = call.axis(call.attr("axis", 0), call.in(0).rank());
  if (!axis)
    return axis.status();
  int64_t total = call.in(0).dim(*axis), parts = call.resultCount();
  std::vector<int64_t> sizes;
  if (call.has(1)) {
    sizes = call.in(1).ints();
  } else { // equal parts, the last one may be smaller
    int64_t piece = (total + parts - 1) / parts;
    for (int64_t i = 0; i < parts; ++i)
      sizes.push_back(clampTo(total - i * piece, 0, piece));
  }
  Results results;
  Shape strides = stridesOf(call.in(0).shape());
  int64_t start = 0;
  for (int64_t length : sizes) {
    Shape shape(call.in(0).shape());
    shape[*axis] = length;
    if (start + length > total)
      return Call::fail("the parts are longer than the axis");
    results.push_back(
        call.data()
            ? call.in(0).taken(shape, stridedPositions(shape, strides,
                                                       start * strides[*axis]))
            : HostTensor::shapeOnly(call.element(), shape));
    start += length;
  }
  return results;
}

KernelResult slice(const Call &call) {
  std::vector<int64_t> starts = call.in(1).ints(), ends = call.in(2).ints();
  int64_t rank = call.in(0).rank();
  std::vector<int64_t> axes, steps(starts.size(), 1);
  if (call.has(3))
    axes = call.in(3).ints();
  else
    for (size_t i = 0; i < starts.size(); ++i)
      axes.push_back(static_cast<int64_t>(i));
  if (call.has(4))
    steps = call.in(4).ints();
  Shape shape(call.in(0).shape()), strides = stridesOf(shape);
  int64_t offset = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    StatusOr<int64_t> axis = call.axis(axes[i], rank);
    if (!axis)
      return axis.status();
    int64_t length = call.in(0).dim(*axis), step = steps[i];
    if (step == 0)
      return Call::fail("a step is 0");
    // The last value of a range that ends beyond either side is clamped there.
    int64_t start = starts[i] < 0 ? starts[i] + length : starts[i];
    int64_t end = ends[i] < 0
                      ? std::max<int64_t>(ends[i], INT64_MIN + length) + length
                      : ends[i];
    start =
        step > 0 ? clampTo(start, 0, length) : clampTo(start, 0, length - 1);
    end = step > 0 ? clampTo(end, 0, length) : clampTo(end, -1, length - 1);
    int64_t reach = step > 0 ? end - start : start - end;
    int64_t stride = step > 0 ? step : -step;
    shape[*axis] = reach <= 0 ? 0 : (reach - 1) / stride + 1;
    offset += start * strides[*axis];
    strides[*axis] *= step;
  }
  return strided(call, shape, strides, offset);
}

/// Where output index `i` of a padded axis reads from; -1: the pad value.
int64_t paddedSource(int64_t i, int64_t length, StringRef mode) {
  if (i >= 0 && i < length)
    return i;
  if (mode == "edge")
    return clampTo(i, 0, length - 1);
  if (mode == "wrap")
    return ((i % length) + length) % length;
  if (mode == "reflect" && length > 1) {
    int64_t period = 2 * (length - 1);
    i = ((i % period) + period) % period;
    return i < length ? i : period - i;
  }
  return mode == "reflect" ? 0 : -1;
}

KernelResult pad(const Call &call) {
  std::vector<int64_t> pads = call.in(1).ints(), axes;
  int64_t rank = call.in(0).rank();
  if (call.has(3))
    axes = call.in(3).ints();
  else
    for (int64_t d = 0; d < rank; ++d)
      axes.push_back(d);
  if (pads.size() != 2 * axes.size())
    return Call::fail("pads does not hold two values an axis");
  Shape shape(call.in(0).shape()), before(rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    StatusOr<int64_t> axis = call.axis(axes[i], rank);
    if (!axis)
      return axis.status();
    before[*axis] = pads[i];
    shape[*axis] += pads[i] + pads[i + axes.size()];
  }
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  StringRef mode = call.attrString("mode", "constant");
  unsigned width = widthOf(call.element());
  std::vector<char> fill(width, 0), bytes(countOf(shape) * width);
  if (call.has(2))
    fill.assign(call.in(2).bytes().begin(), call.in(2).bytes().end());
  Shape own = stridesOf(call.in(0).shape()), strides = stridesOf(shape);
  for (int64_t out = 0, count = countOf(shape); out < count; ++out) {
    int64_t source = 0, rest = out;
    for (int64_t d = 0; d < rank && source >= 0; ++d) {
      int64_t index = rest / strides[d] - before[d];
      rest %= strides[d];
      int64_t from = paddedSource(index, call.in(0).dim(d), mode);
      source = from < 0 ? -1 : source + from * own[d];
    }
    const char *start =
        source < 0 ? fill.data() : call.in(0).bytes().data() + source * width;
    std::copy_n(start, width, bytes.begin() + out * width);
  }
  return one(HostTensor::ofBytes(call.element(), shape, std::move(bytes)));
}

constexpr KernelEntry entries[] = {
    {"Shape", shapeOf, 0, true}, {"Size", size, 0, true},
    {"Reshape", reshape, 0b10},  {"Flatten", flatten},
    {"Squeeze", squeeze, 0b10},  {"Unsqueeze", unsqueeze, 0b10},
    {"Transpose", transpose},    {"Expand", expand, 0b10},
    {"Tile", tile, 0b10},        {"Concat", concat},
    {"Split", split, 0b10},      {"Slice", slice, 0b11110},
    {"Pad", pad, 0b1010},
};

} // namespace

ArrayRef<KernelEntry> shapeKernels() { return entries; }

} // namespace qopt::onnx
