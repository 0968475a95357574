// Kernels that make index tensors or read through them: Range, ConstantOfShape,
// EyeLike, OneHot, NonZero, Trilu, the Gather family, Compress, CumSum,
// ArgMax/ArgMin and TopK.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using namespace mlir;

namespace qopt::onnx {
namespace {

using Shape = HostTensor::Shape;

/// Counts a negative index from the end; fails beyond the axis.
StatusOr<int64_t> wrapped(int64_t index, int64_t length) {
  if (index < -length || index >= length)
    return Call::fail("index " + Twine(index) + " is beyond an axis of " +
                      Twine(length));
  return index < 0 ? index + length : index;
}

//===--------------------------------------------------------------------===//
// Makers
//===--------------------------------------------------------------------===//

KernelResult range(const Call &call) {
  Element element = call.element();
  if (isFloat(element)) {
    double start = call.in(0).floatAt(0), delta = call.in(2).floatAt(0);
    double steps = std::ceil((call.in(1).floatAt(0) - start) / delta);
    int64_t count = steps > 0 ? static_cast<int64_t>(steps) : 0;
    QOPT_RETURN_IF_ERROR(call.admit({count}));
    std::vector<double> values(count);
    for (int64_t i = 0; i < count; ++i)
      values[i] = start + static_cast<double>(i) * delta;
    return one(HostTensor::ofFloats(element, {count}, values));
  }
  int64_t start = call.in(0).intAt(0), delta = call.in(2).intAt(0);
  if (delta == 0)
    return Call::fail("delta is 0");
  int64_t reach = call.in(1).intAt(0) - start;
  int64_t count = (reach > 0) == (delta > 0) && reach != 0
                      ? (std::abs(reach) - 1) / std::abs(delta) + 1
                      : 0;
  QOPT_RETURN_IF_ERROR(call.admit({count}));
  std::vector<int64_t> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = start + i * delta;
  return one(HostTensor::ofInts(element, {count}, values));
}

KernelResult constantOfShape(const Call &call) {
  std::vector<int64_t> shape = call.in(0).ints();
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  Element element = call.element();
  if (!call.data())
    return one(HostTensor::shapeOnly(element, shape));
  HostTensor value = HostTensor::scalar(element, 0);
  if (auto attr = dyn_cast_or_null<ElementsAttr>(call.op()->getAttr("value"))) {
    std::optional<HostTensor> given = HostTensor::ofAttr(attr);
    if (!given || given->count() != 1)
      return Call::fail("the value cannot be read as one element");
    value = *given;
  }
  return one(value.taken(shape, std::vector<int64_t>(countOf(shape), 0)));
}

KernelResult eyeLike(const Call &call) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data() || shape.size() != 2)
    return one(HostTensor::shapeOnly(call.element(), shape));
  int64_t k = call.attr("k", 0);
  std::vector<double> values(countOf(shape), 0);
  for (int64_t row = 0; row < shape[0]; ++row)
    if (row + k >= 0 && row + k < shape[1])
      values[row * shape[1] + row + k] = 1;
  return one(HostTensor::ofFloats(call.element(), shape, values));
}

KernelResult oneHot(const Call &call) {
  int64_t depth = call.in(1).intAt(0), rank = call.in(0).rank() + 1;
  StatusOr<int64_t> axis = call.axis(call.attr("axis", -1), rank);
  if (!axis)
    return axis.status();
  Shape shape(call.in(0).shape());
  shape.insert(shape.begin() + *axis, depth);
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  std::vector<int64_t> indices = call.in(0).ints(),
                       positions(countOf(shape), 0);
  int64_t inner = countOf(ArrayRef<int64_t>(shape).drop_front(*axis + 1));
  for (size_t i = 0; i < indices.size(); ++i) {
    int64_t index = indices[i] < 0 ? indices[i] + depth : indices[i];
    int64_t outer = static_cast<int64_t>(i) / inner;
    int64_t rest = static_cast<int64_t>(i) % inner;
    if (index >= 0 && index < depth)
      positions[(outer * depth + index) * inner + rest] = 1;
  }
  return one(call.in(2).taken(shape, positions)); // values = [off, on]
}

KernelResult nonZero(const Call &call) {
  std::vector<double> values = call.in(0).floats();
  Shape strides = stridesOf(call.in(0).shape());
  std::vector<int64_t> found;
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] != 0)
      found.push_back(static_cast<int64_t>(i));
  int64_t rank = call.in(0).rank();
  std::vector<int64_t> result;
  for (int64_t d = 0; d < rank; ++d)
    for (int64_t position : found)
      result.push_back(position / strides[d] % call.in(0).dim(d));
  return one(HostTensor::ofInts(
      Element::I64, {rank, static_cast<int64_t>(found.size())}, result));
}

KernelResult trilu(const Call &call) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  if (shape.size() < 2)
    return Call::fail("the operand has no rows and columns");
  if (!call.data())
    return one(call.in(0).withoutData());
  bool upper = call.attr("upper", 1) != 0;
  int64_t k = call.has(1) ? call.in(1).intAt(0) : 0;
  int64_t rows = shape[shape.size() - 2], columns = shape.back();
  unsigned width = widthOf(call.element());
  std::vector<char> bytes(call.in(0).bytes().begin(), call.in(0).bytes().end());
  for (int64_t i = 0, count = countOf(shape); i < count; ++i) {
    int64_t distance = i % columns - i / columns % rows;
    if (upper ? distance < k : distance > k)
      std::fill_n(bytes.begin() + i * width, width, 0);
  }
  return one(HostTensor::ofBytes(call.element(), shape, std::move(bytes)));
}

//===--------------------------------------------------------------------===//
// Gather
//===--------------------------------------------------------------------===//

KernelResult gather(const Call &call) {
  StatusOr<int64_t> axis = call.axis(call.attr("axis", 0), call.in(0).rank());
  if (!axis)
    return axis.status();
  ArrayRef<int64_t> from = call.in(0).shape();
  Shape shape(from.take_front(*axis));
  shape.append(call.in(1).shape().begin(), call.in(1).shape().end());
  ArrayRef<int64_t> tail = from.drop_front(*axis + 1);
  shape.append(tail.begin(), tail.end());
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  std::vector<int64_t> indices = call.in(1).ints(), positions;
  for (int64_t &index : indices) {
    StatusOr<int64_t> place = wrapped(index, from[*axis]);
    if (!place)
      return place.status();
    index = *place;
  }
  positions.reserve(countOf(shape));
  int64_t outer = countOf(from.take_front(*axis)), inner = countOf(tail);
  for (int64_t row = 0; row < outer; ++row)
    for (int64_t index : indices)
      for (int64_t i = 0; i < inner; ++i)
        positions.push_back((row * from[*axis] + index) * inner + i);
  return one(call.in(0).taken(shape, positions));
}

KernelResult gatherElements(const Call &call) {
  StatusOr<int64_t> axis = call.axis(call.attr("axis", 0), call.in(0).rank());
  if (!axis)
    return axis.status();
  ArrayRef<int64_t> shape = call.in(1).shape();
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  Shape strides = stridesOf(call.in(0).shape());
  int64_t along = strides[*axis];
  strides[*axis] = 0;
  std::vector<int64_t> indices = call.in(1).ints();
  std::vector<int64_t> positions = stridedPositions(shape, strides);
  for (size_t i = 0; i < positions.size(); ++i) {
    StatusOr<int64_t> index = wrapped(indices[i], call.in(0).dim(*axis));
    if (!index)
      return index.status();
    positions[i] += *index * along;
  }
  return one(call.in(0).taken(shape, positions));
}

KernelResult gatherNd(const Call &call) {
  ArrayRef<int64_t> from = call.in(0).shape(), at = call.in(1).shape();
  int64_t batch = call.attr("batch_dims", 0), depth = at.back();
  if (batch + depth > static_cast<int64_t>(from.size()))
    return Call::fail("the indices are longer than the operand's rank");
  Shape shape(at.drop_back());
  ArrayRef<int64_t> tail = from.drop_front(batch + depth);
  shape.append(tail.begin(), tail.end());
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  Shape strides = stridesOf(from);
  std::vector<int64_t> indices = call.in(1).ints(), positions;
  int64_t inner = countOf(tail), tuples = countOf(at.drop_back());
  int64_t batches = countOf(at.take_front(batch));
  int64_t batchStride = countOf(from.drop_front(batch));
  for (int64_t t = 0; t < tuples; ++t) {
    int64_t base = batches ? t / (tuples / batches) * batchStride : 0;
    for (int64_t d = 0; d < depth; ++d) {
      StatusOr<int64_t> index =
          wrapped(indices[t * depth + d], from[batch + d]);
      if (!index)
        return index.status();
      base += *index * strides[batch + d];
    }
    for (int64_t i = 0; i < inner; ++i)
      positions.push_back(base + i);
  }
  return one(call.in(0).taken(shape, positions));
}

/// The positions along an axis whose condition is true.
KernelResult compress(const Call &call) {
  HostTensor source = call.in(0);
  int64_t axis = 0;
  if (call.hasAttr("axis")) {
    StatusOr<int64_t> given = call.axis(call.attr("axis", 0), source.rank());
    if (!given)
      return given.status();
    axis = *given;
  } else {
    source = source.hasData() ? source.reshaped({source.count()}) : source;
  }
  if (!call.data())
    return Call::fail("the shape depends on data");
  std::vector<int64_t> condition = call.in(1).ints(), kept;
  for (size_t i = 0; i < condition.size(); ++i)
    if (condition[i] && static_cast<int64_t>(i) < source.dim(axis))
      kept.push_back(static_cast<int64_t>(i));
  ArrayRef<int64_t> from = source.shape();
  Shape shape(from);
  shape[axis] = static_cast<int64_t>(kept.size());
  int64_t inner = countOf(from.drop_front(axis + 1));
  std::vector<int64_t> positions;
  for (int64_t row = 0, rows = countOf(from.take_front(axis)); row < rows;
       ++row)
    for (int64_t index : kept)
      for (int64_t i = 0; i < inner; ++i)
        positions.push_back((row * from[axis] + index) * inner + i);
  return one(source.taken(shape, positions));
}

//===--------------------------------------------------------------------===//
// Along an axis
//===--------------------------------------------------------------------===//

KernelResult cumSum(const Call &call) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  if (!call.data())
    return one(call.in(0).withoutData());
  StatusOr<int64_t> axis = call.axis(call.in(1).intAt(0), call.in(0).rank());
  if (!axis)
    return axis.status();
  bool exclusive = call.attr("exclusive", 0), reverse = call.attr("reverse", 0);
  int64_t inner = stridesOf(shape)[*axis], length = shape[*axis];
  auto scan = [&](auto values) {
    for (int64_t base = 0, count = countOf(shape); base < count; ++base) {
      if (base / inner % length != 0)
        continue;
      typename decltype(values)::value_type total = 0;
      for (int64_t i = 0; i < length; ++i) {
        auto &cell = values[base + (reverse ? length - 1 - i : i) * inner];
        auto own = cell;
        cell = exclusive ? total : total + own;
        total += own;
      }
    }
    return values;
  };
  return one(
      isFloat(call.element())
          ? HostTensor::ofFloats(call.element(), shape,
                                 scan(call.in(0).floats()))
          : HostTensor::ofInts(call.element(), shape, scan(call.in(0).ints())));
}

/// Indices along one line ordered by value, ties by index.
std::vector<int64_t> ordered(ArrayRef<double> values, int64_t base,
                             int64_t inner, int64_t length, bool largest) {
  std::vector<int64_t> order(length);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    double x = values[base + a * inner], y = values[base + b * inner];
    return x == y ? a < b : largest ? x > y : x < y;
  });
  return order;
}

KernelResult argExtreme(const Call &call) {
  StatusOr<int64_t> axis = call.axis(call.attr("axis", 0), call.in(0).rank());
  if (!axis)
    return axis.status();
  Shape shape(call.in(0).shape()), from = shape;
  if (call.attr("keepdims", 1))
    shape[*axis] = 1;
  else
    shape.erase(shape.begin() + *axis);
  if (!call.data())
    return one(HostTensor::shapeOnly(Element::I64, shape));
  bool largest = call.name() == "ArgMax",
       last = call.attr("select_last_index", 0);
  int64_t inner = stridesOf(from)[*axis], length = from[*axis];
  std::vector<double> values = call.in(0).floats();
  std::vector<int64_t> result;
  for (int64_t base = 0, count = countOf(from); base < count; ++base) {
    if (base / inner % length != 0)
      continue;
    int64_t best = 0;
    for (int64_t i = 1; i < length; ++i) {
      double x = values[base + i * inner], y = values[base + best * inner];
      if (x == y ? last : largest ? x > y : x < y)
        best = i;
    }
    result.push_back(best);
  }
  return one(HostTensor::ofInts(Element::I64, shape, result));
}

KernelResult topK(const Call &call) {
  StatusOr<int64_t> axis = call.axis(call.attr("axis", -1), call.in(0).rank());
  if (!axis)
    return axis.status();
  ArrayRef<int64_t> from = call.in(0).shape();
  Shape shape(from);
  int64_t k = shape[*axis] = call.in(1).intAt(0);
  if (k < 0 || k > from[*axis])
    return Call::fail("k = " + Twine(k) + " is beyond an axis of " +
                      Twine(from[*axis]));
  Results results;
  if (!call.data()) {
    results.push_back(HostTensor::shapeOnly(call.element(0), shape));
    results.push_back(HostTensor::shapeOnly(Element::I64, shape));
    return results;
  }
  int64_t inner = stridesOf(from)[*axis], length = from[*axis];
  std::vector<double> values = call.in(0).floats();
  std::vector<int64_t> positions(countOf(shape)), indices(countOf(shape));
  for (int64_t base = 0, count = countOf(from); base < count; ++base) {
    if (base / inner % length != 0)
      continue;
    std::vector<int64_t> order =
        ordered(values, base, inner, length, call.attr("largest", 1) != 0);
    int64_t out = base / (inner * length) * k * inner + base % inner;
    for (int64_t i = 0; i < k; ++i) {
      positions[out + i * inner] = base + order[i] * inner;
      indices[out + i * inner] = order[i];
    }
  }
  results.push_back(call.in(0).taken(shape, positions));
  results.push_back(HostTensor::ofInts(Element::I64, shape, indices));
  return results;
}

constexpr KernelEntry entries[] = {
    {"Range", range, 0b111},
    {"ConstantOfShape", constantOfShape, 0b1},
    {"EyeLike", eyeLike, 0, true},
    {"OneHot", oneHot, 0b10},
    {"NonZero", nonZero, 0b1},
    {"Trilu", trilu},
    {"Gather", gather},
    {"GatherElements", gatherElements},
    {"GatherND", gatherNd},
    {"Compress", compress, 0b11},
    {"CumSum", cumSum},
    {"ArgMax", argExtreme},
    {"ArgMin", argExtreme},
    {"TopK", topK, 0b10},
};

} // namespace

ArrayRef<KernelEntry> indexKernels() { return entries; }

} // namespace qopt::onnx
