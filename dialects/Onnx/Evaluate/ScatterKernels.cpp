// Kernels that write through indices: ScatterND, ScatterElements (with their
// reductions) and TensorScatter.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include <algorithm>

using namespace mlir;

namespace qopt::onnx {
namespace {

using Shape = HostTensor::Shape;

template <typename T> T reduced(StringRef reduction, T old, T update) {
  if (reduction == "add")
    return old + update;
  if (reduction == "mul")
    return old * update;
  if (reduction == "min")
    return std::min(old, update);
  return std::max(old, update);
}

/// Operand 0 with element i of `updates` written to position targets[i], or
/// reduced with what is there, in order.
KernelResult written(const Call &call, const HostTensor &updates,
                     ArrayRef<int64_t> targets) {
  StringRef reduction = call.attrString("reduction", "none");
  Element element = call.element();
  ArrayRef<int64_t> shape = call.in(0).shape();
  if (reduction == "none") {
    unsigned width = widthOf(element);
    std::vector<char> bytes(call.in(0).bytes().begin(),
                            call.in(0).bytes().end());
    for (size_t i = 0; i < targets.size(); ++i)
      std::copy_n(updates.bytes().begin() + i * width, width,
                  bytes.begin() + targets[i] * width);
    return one(HostTensor::ofBytes(element, shape, std::move(bytes)));
  }
  auto reduce = [&](auto values, auto added) {
    for (size_t i = 0; i < targets.size(); ++i)
      values[targets[i]] = reduced(reduction, values[targets[i]], added[i]);
    return values;
  };
  return one(
      isFloat(element)
          ? HostTensor::ofFloats(element, shape,
                                 reduce(call.in(0).floats(), updates.floats()))
          : HostTensor::ofInts(element, shape,
                               reduce(call.in(0).ints(), updates.ints())));
}

StatusOr<int64_t> wrapped(int64_t index, int64_t length) {
  if (index < -length || index >= length)
    return Call::fail("index " + Twine(index) + " is beyond an axis of " +
                      Twine(length));
  return index < 0 ? index + length : index;
}

KernelResult scatterNd(const Call &call) {
  if (!call.data())
    return one(call.in(0).withoutData());
  ArrayRef<int64_t> into = call.in(0).shape(), at = call.in(1).shape();
  int64_t depth = at.back(), tuples = countOf(at.drop_back());
  if (depth > static_cast<int64_t>(into.size()))
    return Call::fail("the indices are longer than the operand's rank");
  int64_t inner = countOf(into.drop_front(depth));
  if (call.in(2).count() != tuples * inner)
    return Call::fail("the updates do not fit the indices");
  Shape strides = stridesOf(into);
  std::vector<int64_t> indices = call.in(1).ints(), targets;
  for (int64_t t = 0; t < tuples; ++t) {
    int64_t base = 0;
    for (int64_t d = 0; d < depth; ++d) {
      StatusOr<int64_t> index = wrapped(indices[t * depth + d], into[d]);
      if (!index)
        return index.status();
      base += *index * strides[d];
    }
    for (int64_t i = 0; i < inner; ++i)
      targets.push_back(base + i);
  }
  return written(call, call.in(2), targets);
}

KernelResult scatterElements(const Call &call) {
  if (!call.data())
    return one(call.in(0).withoutData());
  StatusOr<int64_t> axis = call.axis(call.attr("axis", 0), call.in(0).rank());
  if (!axis)
    return axis.status();
  Shape strides = stridesOf(call.in(0).shape());
  int64_t along = strides[*axis];
  strides[*axis] = 0;
  std::vector<int64_t> indices = call.in(1).ints();
  std::vector<int64_t> targets = stridedPositions(call.in(1).shape(), strides);
  if (call.in(2).count() != call.in(1).count())
    return Call::fail("the updates do not fit the indices");
  for (size_t i = 0; i < targets.size(); ++i) {
    StatusOr<int64_t> index = wrapped(indices[i], call.in(0).dim(*axis));
    if (!index)
      return index.status();
    targets[i] += *index * along;
  }
  return written(call, call.in(2), targets);
}

/// The update's rows along `axis` go to write_indices[b] + i of batch row b.
KernelResult tensorScatter(const Call &call) {
  if (!call.data())
    return one(call.in(0).withoutData());
  ArrayRef<int64_t> into = call.in(0).shape(), from = call.in(1).shape();
  StatusOr<int64_t> axis = call.axis(call.attr("axis", -2), call.in(0).rank());
  if (!axis)
    return axis.status();
  bool circular = call.attrString("mode", "linear") == "circular";
  Shape strides = stridesOf(into), own = stridesOf(from);
  int64_t along = strides[*axis];
  std::vector<int64_t> targets;
  for (int64_t i = 0, count = countOf(from); i < count; ++i) {
    int64_t position = 0;
    for (int64_t d = 0; d < static_cast<int64_t>(from.size()); ++d)
      position += i / own[d] % from[d] * (d == *axis ? 0 : strides[d]);
    int64_t start = call.has(2) ? call.in(2).intAt(i / own[0]) : 0;
    int64_t row = start + i / own[*axis] % from[*axis];
    if (row >= into[*axis] && !circular)
      return Call::fail("the update is beyond the cache");
    targets.push_back(position + row % into[*axis] * along);
  }
  return written(call, call.in(1), targets);
}

constexpr KernelEntry entries[] = {
    {"ScatterND", scatterNd},
    {"ScatterElements", scatterElements},
    {"TensorScatter", tensorScatter},
};

} // namespace

ArrayRef<KernelEntry> scatterKernels() { return entries; }

} // namespace qopt::onnx
